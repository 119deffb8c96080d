# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directories a machine shares with its guest.

Only the machine's configuration file has them, not ``podman machine inspect``. They are fixed when the machine is
created, and a single requested volume replaces all defaults.
"""

from __future__ import annotations

import posixpath
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.vm.errors import MachineError

# Mounting over these breaks the guest. podman refuses them from 5.5 on; 5.4.2 accepts them and the guest does not boot.
FORBIDDEN_TARGETS = (
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/tmp",
    "/usr",
    "/var",
)
_OPTIONS = ("ro", "rw")
_VARIABLE = re.compile(r"\$(\w+|\{[^}]*\})")


@dataclass(frozen=True, order=True)
class Volume:
    """One shared directory: ``source`` on the host, ``target`` in the guest."""

    source: str
    target: str
    read_only: bool = False

    @property
    def text(self) -> str:
        """The volume as ``podman machine init --volume`` expects it."""
        return f"{self.source}:{self.target}" + (":ro" if self.read_only else "")


def _expand(text: str, whole: str, environ: t.Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match.group(1).strip("{}")
        if name not in environ:
            raise MachineError(f"volumes: {whole!r} uses ${name}, which is not set for the user that runs podman")
        return environ[name]

    if text == "~" or text.startswith("~/"):
        text = "$HOME" + text[1:]
    return _VARIABLE.sub(value, text)


def parse(text: str, environ: t.Mapping[str, str]) -> Volume:
    """Parse a volume as users write it: ``source[:target[:ro]]`` with variables of the environment.

    Raises:
        MachineError: invalid, a relative path, or a target that would break the guest.
    """
    parts = text.split(":")
    if not 1 <= len(parts) <= 3 or not parts[0]:
        raise MachineError(f"volumes: {text!r} is not source, source:target or source:target:options")
    source = _expand(parts[0], text, environ)
    target = _expand(parts[1], text, environ) if len(parts) > 1 else source
    options = [word for word in (parts[2].split(",") if len(parts) > 2 else []) if word]
    for option in options:
        if option not in _OPTIONS:
            raise MachineError(f"volumes: option {option!r} in {text!r} must be one of {', '.join(_OPTIONS)}")
    for path in (source, target):
        if not path.startswith("/"):
            raise MachineError(f"volumes: {path!r} in {text!r} must be an absolute path")
    target = posixpath.normpath(target)
    if target in FORBIDDEN_TARGETS:
        raise MachineError(
            f"volumes: {text!r} would cover {target} of the guest, which then does not boot; "
            f"choose a directory below it or elsewhere, for example /mnt{target.rstrip('/')}"
        )
    return Volume(source.rstrip("/") or "/", target, "ro" in options)


def same(left: t.Iterable[Volume], right: t.Iterable[Volume], realpath: t.Callable[[str], str] = realpath) -> bool:
    """Whether two sets share the same directories; links in sources are followed (macOS: /tmp is /private/tmp)."""

    def key(volumes: t.Iterable[Volume]) -> set[tuple[str, str, bool]]:
        return {(realpath(volume.source), posixpath.normpath(volume.target), volume.read_only) for volume in volumes}

    return key(left) == key(right)
