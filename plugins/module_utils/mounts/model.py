# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions about a mount, and their answers."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown

VERDICTS = (
    "ok",
    "missing",
    "wrong_source",
    "stale_deleted",
    "stale_renamed",
    "stale_file",
    "symlink_retargeted",
    "host_mount_changed",
    "shadowed",
    "unmounted_inside",
    "submount_missing",
    "auto_created",
    "empty_unexpected",
    "type_mismatch",
    "ro_rw_mismatch",
    "not_writable",
    "not_readable",
    "no_space",
    "vm_not_shared",
    "not_running",
    "paused",
    "source_is_a_link",
    "anonymous_volume",
    "unverifiable",
)
FIXES = ("restart", "recreate", "chown", "mount_disk", "edit_compose", "share_with_vm", "none")


class CheckError(OneboxError):
    """The options of the check are invalid. The text names the option."""


@dataclass(frozen=True)
class Declared:
    """A declared mount.

    ``kind`` is ``file`` or ``dir`` if declared, else "". ``source`` and ``read_write`` are the request to the
    engine, ``wanted_source`` and ``wanted_read_write`` the expectation of the caller ("" and None: the same).
    ``refuses_missing`` is True when the engine is known to have refused a missing source.
    ``recursive`` is False if the engine had to omit the mounts below the source. ``others`` are the
    destinations of the container's other mounts. ``no_exec`` is True if the mount forbids programs.
    ``swarm_service`` is the service of the container on a Swarm.
    """

    engine: str
    container: str
    type: str
    source: str
    destination: str
    read_write: bool
    kind: str = ""
    wanted_source: str = ""
    wanted_read_write: bool | None = None
    not_empty: bool = False
    refuses_missing: bool = False
    recursive: bool = True
    others: frozenset[str] = frozenset()
    no_exec: bool = False
    swarm_service: str = ""

    @property
    def restart(self) -> str:
        """The command that starts the application again. A Swarm replaces a container that stops."""
        if self.swarm_service:
            return f"docker service update --force {shown(self.swarm_service)}"
        return f"{self.engine} restart {shown(self.container)}"


@dataclass(frozen=True)
class Times:
    """Seconds since the epoch, 0 for never: created, previous run finished, this run started."""

    created: float = 0.0
    finished: float = 0.0
    started: float = 0.0


@dataclass(frozen=True)
class Finding:
    """A verdict about one mount. ``proof`` is its basis: inode, mountinfo, probe, inspect, or none."""

    verdict: str
    proof: str
    fix: str
    message: str

    @property
    def ok(self) -> bool:
        return self.verdict == "ok"
