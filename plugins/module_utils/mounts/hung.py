# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record a source at which a check hangs, so that a timer does not add a stuck process every 15 minutes.

A process that waits for a dead share may be impossible to kill. While the one of an earlier check is still there, the
source is not touched again. The record is in a directory that a boot clears, because a boot ends such processes.
"""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.mounts.model import Declared, Finding

_NAME = "mounts-hung.json"


class Memory:
    """The sources at which processes of earlier checks still hang.

    Args:
        world: the user of the record and its directory.
    """

    def __init__(self, world: World) -> None:
        self._folder = world.runtime_dir
        self._rows: dict[str, list[int]] = {}
        if self._folder:
            self._rows = {source: mark for source, mark in self._load().items() if _lives(mark)}

    def knows(self, source: str) -> bool:
        """Whether a process still waits for ``source``."""
        return source in self._rows

    def remember(self, source: str, pid: int) -> None:
        """Record that process ``pid`` waits for ``source`` and could not be ended, unless it ended since."""
        mark = [pid, _started(pid)]
        if not self._folder or not _lives(mark):
            return
        self._rows[source] = mark
        try:
            files.make_directories(self._folder, 0o700)
            files.replace(os.path.join(self._folder, _NAME), json.dumps(self._rows).encode(), 0o600, durable=False)
        except files.FileError:
            return  # then the next check detects it again

    def finding(self, declared: Declared, seconds: float) -> Finding:
        """The verdict on a mount that hangs."""
        source = shown(declared.source)
        pid = self._rows.get(declared.source, [0])[0]
        since = (
            f" (process {pid} waits for it and cannot be ended; while it does, no other process is started)"
            if pid
            else ""
        )
        text = (
            f"{source}, which is {shown(declared.destination)} in {shown(declared.container)}, does not answer within "
            f"{seconds:g} s{since}: its disk or network share hangs. See `dmesg`. Restore the server or disk, or "
            f"type `umount -l {source}`, mount it again, and restart {shown(declared.container)}"
        )
        return Finding("unverifiable", "none", "mount_disk", text)

    def _load(self) -> dict[str, list[int]]:
        try:
            with open(os.path.join(self._folder, _NAME), encoding="utf-8") as stream:
                data = json.load(stream)
        except (OSError, ValueError, RecursionError):
            return {}
        return data if isinstance(data, dict) else {}


def _lives(mark: t.Any) -> bool:
    """Whether the process is still the one that hung: its number may have been reused."""
    if not isinstance(mark, list) or len(mark) != 2 or not all(isinstance(number, int) for number in mark):
        return False
    return bool(mark[1]) and _started(mark[0]) == mark[1]


def _started(pid: int) -> int:
    """When a process was started, in the kernel's ticks; 0 when there is none or it has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            fields = stream.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])
