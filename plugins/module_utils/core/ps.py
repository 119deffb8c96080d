# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of this host, as ``ps`` lists them on both Linux and macOS."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

# The same words for procps and for the BSD ps of macOS: every process, nothing cut off, no headings.
_PS = ("ps", "-A", "-ww", "-o", "pid=,ppid=,uid=,command=")


@dataclass(frozen=True)
class Process:
    """One process; ``command`` is its arguments joined by spaces, as the system shows them."""

    pid: int
    parent: int
    uid: int
    command: str


def listing(world: World) -> list[Process]:
    """Every process of the host. Raises :class:`process.CommandError` when ps fails."""
    return parse(world.run(_PS, timeout=20.0).stdout)


def parse(text: str) -> list[Process]:
    """Parse the output of ps. A foreign line (a command may contain a newline) is skipped."""
    found = []
    for line in text.splitlines():
        parts = line.split(None, 3)
        if len(parts) == 4 and parts[0].isdigit() and parts[1].isdigit() and parts[2].isdigit():
            found.append(Process(int(parts[0]), int(parts[1]), int(parts[2]), parts[3].rstrip()))
    return found


def family(pid: int, found: t.Iterable[Process]) -> set[int]:
    """``pid`` and all its ancestors: callers must not be counted or ended."""
    parents = {one.pid: one.parent for one in found}
    seen: set[int] = set()
    while pid not in seen and pid > 0:
        seen.add(pid)
        pid = parents.get(pid, 0)
    return seen
