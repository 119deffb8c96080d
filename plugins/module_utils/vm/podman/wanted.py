# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The requested machine, and the facts of the host that limit it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.client import Version
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.volumes import Volume

STATES = ("present", "started", "stopped", "restarted", "absent")
APPLY = ("never", "when_stopped", "restart")


@dataclass(frozen=True)
class Wanted:
    """The requested settings, None for those that are not set. Sizes: MiB for memory and swap, GiB for the disk."""

    name: str
    state: str = "started"
    provider: str | None = None
    cpus: int | None = None
    memory_mib: int | None = None
    disk_gib: int | None = None
    swap_mib: int | None = None
    rootful: bool | None = None
    volumes: tuple[Volume, ...] | None = None
    image: str | None = None
    username: str | None = None
    timezone: str | None = None
    default_connection: bool | None = None
    apply: str | None = None
    allow_restart: bool = False
    recreate: bool = False
    allow_destroy: bool = False
    recover: str = "none"

    @property
    def may_restart(self) -> bool:
        return self.apply == "restart" or (self.apply is None and self.allow_restart)


@dataclass(frozen=True)
class Host:
    """The facts of the host for the rules. Sizes in MiB and GiB, None if unknown.

    ``leftovers`` are connections of an incompletely removed machine of this name; with them podman does not create a
    new one. ``orphans`` is the number of processes of a stopped machine, as a killed command leaves them.
    """

    version: Version
    home: str
    cpus: int
    memory_mib: int | None
    free_disk_gib: int | None
    exists: t.Callable[[str], bool]
    leftovers: tuple[str, ...] = ()
    orphans: int = 0
