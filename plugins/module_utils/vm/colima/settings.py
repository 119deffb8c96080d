# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings file of a Colima profile: its path, and the directories that it shares with the virtual machine."""

from __future__ import annotations

import os
import stat
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.vm.colima.yaml_text import Document, Mount
from ansible_collections.onebox.stack.plugins.module_utils.vm.errors import MachineError

HOME = Mount("~", True)


def root(environ: t.Mapping[str, str], exists: t.Callable[[str], bool] = os.path.isdir) -> str:
    """Colima's directory, in Colima's order of search."""
    home = environ["HOME"]
    if environ.get("COLIMA_HOME"):
        return environ["COLIMA_HOME"]
    if exists(os.path.join(home, ".colima")):
        return os.path.join(home, ".colima")
    if environ.get("XDG_CONFIG_HOME"):
        return os.path.join(environ["XDG_CONFIG_HOME"], "colima")
    if exists(os.path.join(home, ".config", "colima")):
        return os.path.join(home, ".config", "colima")
    return os.path.join(home, ".colima")


def paths(base: str, profile: str) -> tuple[str, str, str]:
    """The file that users edit, the one that Colima writes after a start, and the docker socket."""
    instance = "colima" if profile == "default" else f"colima-{profile}"
    return (
        os.path.join(base, profile, "colima.yaml"),
        os.path.join(base, "_lima", instance, "colima.yaml"),
        os.path.join(base, profile, "docker.sock"),
    )


def read(path: str) -> Document | None:
    """The file, None if it does not exist. Raises MachineError if it cannot be read or parsed."""
    try:
        with open(path, encoding="utf-8") as file:
            return Document(file.read(), path)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise MachineError(f"{path} cannot be read: {error}") from error


def effective(document: Document | None) -> list[Mount]:
    """The mounts that the VM gets from a file: an empty list is the home directory, null is none."""
    if document is None:
        return [HOME]
    written = document.mounts()
    if written is None:
        return []
    return written or [HOME]


def expand(path: str, home: str) -> str:
    return home + path[1:] if path == "~" or path.startswith("~/") else path


def shared(mounts: t.Iterable[Mount], home: str) -> list[tuple[str, str]]:
    """Pairs of host and guest directory; ``home`` is the user's home directory."""
    return [(expand(one.location, home), expand(one.mount_point or one.location, home)) for one in mounts]


def save(path: str, text: str) -> None:
    """Replace the file in one step and keep its mode. The previous copy is kept as ``.bak``.

    Raises:
        MachineError: it cannot be read.
        FileError: it cannot be written.
    """
    try:
        with open(path, "rb") as stream:
            previous, mode = stream.read(), stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
    except OSError as error:
        raise MachineError(f"{path} cannot be read: {error.strerror}") from error
    files.replace(path + ".bak", previous, mode, durable=True)
    files.replace(path, text.encode(), mode, durable=True)
