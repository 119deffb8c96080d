# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of a directory: depth, entries, holes, time and space. Only a directory that exceeds them is left out.

Users who may write to a directory control its content: a thousand nested directories, a file of a terabyte without any
data on the disk, a file that grows as fast as it is read. Such content must not stop the backup of other sources.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import RoomLimit, SourceLimit
from ansible_collections.onebox.stack.plugins.module_utils.core import trees
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

# Programs must be able to open a restored path (PATH_MAX is 4096), and each level is an open directory.
DEPTH = 1900
PATH_BYTES = 3800
ENTRIES = 5_000_000
HOLE_BYTES = 64 << 30
# The time limit is for directories without progress: bytes and entries extend it.
_BYTES_PER_SECOND = 16 << 20
_ENTRIES_PER_SECOND = 200
_ROOM_EVERY = 8 << 20


@dataclass
class Limits:
    """The limits of one directory, and their use. The defaults, without a time limit, are for restored copies.

    Attributes:
        root: the directory, for messages.
        seconds: time limit, plus a second for each 16 MiB read and for each 200 entries; 0 for none.
        entries: most entries.
        hole_bytes: most bytes of holes in all files.
        writes_to: directory that the run writes to, "" to skip the check of free space.
        reserve: bytes that must stay free there.
        world: the clock; without one there is no time limit.
        beat: called at each step, to signal progress to another process.
    """

    root: str = ""
    seconds: float = 0.0
    entries: int = ENTRIES
    hole_bytes: int = HOLE_BYTES
    writes_to: str = ""
    reserve: int = 0
    world: World | None = None
    beat: t.Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self._began = self.world.monotonic() if self.world else 0.0
        self._entries = 0
        self._bytes = 0
        self._holes = 0
        self._unasked = 0

    def found(self, count: int = 1) -> None:
        """Count entries. Raises :class:`SourceLimit`."""
        self._entries += count
        if self._entries > self.entries:
            raise SourceLimit(
                f"{self.root} has more than {self.entries} entries. Exclude a part of them, or raise max_entries of "
                "this source"
            )
        self._in_time()

    def path(self, path: str) -> None:
        """Check the length of a path below the root, and its depth. Raises :class:`SourceLimit`."""
        if path.count("/") >= DEPTH or len(path) * 4 > PATH_BYTES and len(path.encode("utf-8", "replace")) > PATH_BYTES:
            shown = f"{path[:60]}…{path[-20:]}"
            raise SourceLimit(
                f"{self.root} has nested directories of more than {DEPTH} levels or {PATH_BYTES} bytes: "
                f"{shown!r}. Remove them or exclude {path.partition('/')[0]!r}"
            )

    def hole(self, size: int) -> None:
        """Count the bytes of a file's holes. Raises :class:`SourceLimit`."""
        self._holes += size
        if self._holes > self.hole_bytes:
            raise SourceLimit(
                f"{self.root}: its files are {self._holes >> 30} GiB longer than their data on the disk (sparse "
                f"files), {self.hole_bytes >> 30} GiB are allowed. Exclude them, or raise max_hole_gib of this source"
            )

    def moved(self, size: int) -> None:
        """Count bytes read or written. Raises :class:`SourceLimit`, or :class:`RoomLimit` on a full disk."""
        self._bytes += size
        self._unasked += size
        if self._unasked >= _ROOM_EVERY:
            self._unasked = 0
            self.room()
        self._in_time()

    def room(self) -> None:
        """Check that the reserve is still free. Raises :class:`RoomLimit`."""
        if self.writes_to and trees.free_bytes(self.writes_to) < self.reserve:
            raise RoomLimit(
                f"{self.root}: less than {self.reserve >> 20} MiB (reserve_mib) are left on {self.writes_to} while its "
                "files are written. Make room, or exclude large files that can be created again"
            )

    def _in_time(self) -> None:
        self.beat()
        if not self.seconds or self.world is None:
            return
        allowed = self.seconds + self._bytes / _BYTES_PER_SECOND + self._entries / _ENTRIES_PER_SECOND
        if self.world.monotonic() - self._began > allowed:
            raise SourceLimit(
                f"{self.root} was not read within {allowed:.0f} s ({self._entries} entries and {self._bytes >> 20} MiB "
                "until then). Check for a slow disk, or raise timeout, backups_timeout of the role"
            )
