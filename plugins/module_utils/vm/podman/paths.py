# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The paths of podman's machines, and the environment for its commands.

On macOS the sockets and pid files lie below ``$TMPDIR/podman``, and podman computes their paths from the *caller's*
TMPDIR: without it (a daemon, some ssh sessions) or as another user, ``inspect`` names a socket that does not exist and
``start`` uses other pid files. So TMPDIR is set from the system if it is missing, and root is refused.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.vm.errors import MachineError

# Paths of Homebrew (two) and of the installer package: in the PATH of a login shell, not of an ssh command or an agent.
EXTRA_PATH = ("/opt/homebrew/bin", "/usr/local/bin", "/opt/podman/bin")


def environment(given: t.Mapping[str, str], world: World, *, system: str) -> dict[str, str]:
    """The whole environment for podman.

    Args:
        given: the variables that the task adds.
        world: the environment of this process, and its user.
        system: ``sys.platform``.

    Raises:
        MachineError: we are root, for whom podman machines do not exist.
    """
    full = {**world.environ, **given}
    if world.is_root:
        raise MachineError(
            "podman machine refuses to run as root, and a machine belongs to the user who created it: "
            "run this task as that user, without become"
        )
    if not full.get("HOME"):
        full["HOME"] = world.home
    known = full.get("PATH", "/usr/bin:/bin").split(":")
    full["PATH"] = ":".join([*known, *(path for path in EXTRA_PATH if path not in known)])
    if system == "darwin" and not full.get("TMPDIR"):
        answer = world.run(["/usr/bin/getconf", "DARWIN_USER_TEMP_DIR"], timeout=10.0, check=False, env=full)
        if answer.rc != 0 or not answer.stdout.strip():
            raise MachineError(
                "TMPDIR is not set, and getconf DARWIN_USER_TEMP_DIR does not return it: podman would search its "
                "sockets in another directory than the machine uses; set TMPDIR in environment"
            )
        full["TMPDIR"] = answer.stdout.strip()
    return full


def config_root(environ: t.Mapping[str, str]) -> str:
    """The directory with one folder for each provider; each machine is ``<name>.json`` in its folder."""
    return os.path.join(_containers(environ), "podman", "machine")


def connections_file(environ: t.Mapping[str, str]) -> str:
    """The file in which podman 5 and later store system connections and the default connection."""
    named = environ.get("PODMAN_CONNECTIONS_CONF")
    return named or os.path.join(_containers(environ), "podman-connections.json")


def _containers(environ: t.Mapping[str, str]) -> str:
    """The directory of a user's container configuration."""
    home = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME") or "/", ".config")
    return os.path.join(home, "containers")


def runtime_dir(environ: t.Mapping[str, str], *, system: str, uid: int) -> str:
    """The directory of a running machine's sockets and pid files."""
    base = (
        environ.get("TMPDIR") or "/tmp" if system == "darwin" else environ.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}"
    )
    return os.path.join(base, "podman")
