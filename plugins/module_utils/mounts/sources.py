# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inspect bind sources without waiting for a dead share: kind, file system, and whether it answers."""

from __future__ import annotations

import errno
import os
import typing as t
from dataclasses import asdict, dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core.mountinfo import Table
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.mounts import facts
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import subprocess_pool, syscalls
from ansible_collections.onebox.stack.plugins.module_utils.mounts.promised import Disk

_SECONDS = 5.0
# File systems whose statvfs id is their own and not that of the device number.
_OWN_ID = ("ext2", "ext3", "ext4", "btrfs", "f2fs", "zfs")
_BY_UUID = "/dev/disk/by-uuid"


@dataclass(frozen=True)
class SourceFacts:
    """One source. ``error`` is an errno or 0; ``kind`` is file, dir or other."""

    error: int = 0
    kind: str = ""
    disk: Disk = Disk()
    hangs: bool = False

    @property
    def dead(self) -> bool:
        """Whether its server or program is gone."""
        return self.error in facts.DEAD


def look(paths: t.Iterable[str], world: World) -> dict[str, SourceFacts]:
    """The facts of each path. One that does not answer in time ``hangs``; a child waits for it, and not the caller."""
    wanted = sorted(set(paths))
    view = _view()

    def one(path: str) -> dict[str, t.Any]:
        host = view.look(path) if view is not None else facts.Host(error=_error(path))
        if host.node is None:
            return {"error": host.error, "kind": "", "disk": {}}
        return {"error": 0, "kind": "dir" if host.node.kind == "dir" else "file", "disk": asdict(disk_of(host))}

    found = {}
    for path, answer in zip(wanted, subprocess_pool.each(one, wanted, _SECONDS, world)):
        if answer is None:
            found[path] = SourceFacts(errno.ETIMEDOUT, hangs=True)
        elif isinstance(answer, subprocess_pool.Failure):
            found[path] = SourceFacts(errno.EIO)
        else:
            found[path] = SourceFacts(answer["error"], answer["kind"], Disk.parse(answer["disk"]))
    return found


def disk_of(host: facts.Host) -> Disk:
    """The file system a source lies on; unknown where mounts come and go with the machine."""
    if host.row is None or host.of_machine:
        return Disk()
    return Disk(host.row.point, host.row.fstype, _identity(host.real, host.row.fstype))


def _view() -> facts.HostView | None:
    if syscalls.supported():
        return None
    with open("/proc/self/mountinfo", "rb") as stream:
        return facts.HostView(Table.parse(stream.read()))


def _error(path: str) -> int:
    try:
        os.stat(path)
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def _identity(real: str, fstype: str) -> str:
    try:
        if fstype in _OWN_ID:
            return f"{os.statvfs(real).f_fsid:x}"
        if fstype != "xfs":
            return ""
        device = os.stat(real).st_dev
        for name in os.listdir(_BY_UUID):
            if os.stat(os.path.join(_BY_UUID, name)).st_rdev == device:
                return name
    except OSError:
        return ""
    return ""
