# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file system of a directory, its free space and inodes, and whether a disk is mounted there."""

from __future__ import annotations

import os
import re
import sys
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.dirs.walk import Place

# File systems without owners and modes. FUSE's drivers for exFAT and NTFS are both named fuseblk.
OWNERLESS = frozenset({"exfat", "vfat", "msdos", "fat", "fuseblk", "fuse.exfat"})
VOLATILE = frozenset({"tmpfs", "ramfs"})


class Space(t.NamedTuple):
    """A file system. ``free_inodes`` is None if their number is not fixed (btrfs, exFAT)."""

    fstype: str
    free_bytes: int
    free_inodes: int | None
    read_only: bool
    full: bool


class Mounts:
    """Queries of the mount table, once for each file system.

    Args:
        world: processes.
        proc: the kernel's directory for the caller's own process; without it (macOS), ``mount`` is called.
    """

    def __init__(self, world: World, proc: str = "/proc/self") -> None:
        self._proc = proc if os.path.exists(f"{proc}/mountinfo") else ""
        self._run = world.run
        self._spaces: dict[int, Space] = {}
        self._types: dict[str, str] | None = None

    def space(self, place: Place) -> Space:
        """The file system of ``place``. Its numbers are those of the first query."""
        known = self._spaces.get(place.stat.st_dev)
        if known is None:
            disk = os.fstatvfs(place.fd)
            known = self._spaces[place.stat.st_dev] = Space(
                fstype=self._fstype(place),
                free_bytes=disk.f_bavail * disk.f_frsize,
                free_inodes=disk.f_favail if disk.f_files else None,
                read_only=bool(disk.f_flag & os.ST_RDONLY),
                full=disk.f_blocks > 0 and disk.f_bavail == 0,
            )
        return known

    def mounted(self, place: Place) -> bool:
        """Whether something is mounted exactly at ``place``, on Linux also from the same file system."""
        if place.parent is None:
            return True
        if self._proc:
            return self._mount_id(place.fd) != self._mount_id(place.parent.fd)
        return place.stat.st_dev != place.parent.stat.st_dev

    def _mount_id(self, fd: int) -> str:
        with open(f"{self._proc}/fdinfo/{fd}") as file:
            found = re.search(r"^mnt_id:\s*(\d+)", file.read(), re.MULTILINE)
        return found.group(1) if found else ""

    def _fstype(self, place: Place) -> str:
        if self._types is None:
            self._types = self._linux() if self._proc else self._darwin()
        key = self._mount_id(place.fd) if self._proc else str(place.stat.st_dev)
        return self._types.get(key, "unknown")

    def _linux(self) -> dict[str, str]:
        """Type by mount id. The fields up to ' - ' vary in number: proc(5), mountinfo."""
        with open(f"{self._proc}/mountinfo", errors="surrogateescape") as file:
            rows = [line.split(" - ", 1) for line in file]
        return {row[0].split(" ", 1)[0]: row[1].split(" ", 1)[0] for row in rows if len(row) == 2}

    def _darwin(self) -> dict[str, str]:
        """Type by device number, from lines such as ``/dev/disk4s1 on /Volumes/DATA (exfat, local, noowners)``."""
        types = {}
        for line in self._run(["mount"], timeout=10).stdout.splitlines():
            found = re.match(r".+? on (/.*) \(([a-z0-9_]+)[,)]", line)
            if found:
                try:
                    types[str(os.stat(found.group(1)).st_dev)] = found.group(2)
                except OSError:
                    continue  # a mount of another user, or one that hangs
        return types


def where(platform: str = sys.platform) -> str:
    """The command that lists the mounts."""
    return "mount" if platform == "darwin" else "findmnt"
