# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask inside the virtual machine: one shell script for all mounts, and reading what it printed.

The guest of a Podman machine has no Python, so this is plain sh with cat, stat, readlink and test. The script writes
nothing. Paths are quoted for the shell; what is printed is numbers, and mount tables in the kernel's own escapes.
"""

from __future__ import annotations

import os
import shlex
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import Node
from ansible_collections.onebox.stack.plugins.module_utils.mounts.mountinfo import Row, Table

_FUNCTIONS = r"""
s() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
look() {
  echo "mount $1"
  echo "guest $(s stat -L -c '%d %i %f %u %g %h %s %Y' -- "$3" 2>/dev/null)"
  echo "real $(s readlink -f -- "$3" | tr '\n' '\001')"
  echo "inside $(s stat -L -c '%d %i %f %u %g %h %s %Y' -- "/proc/$2/root$4" 2>/dev/null)"
  if [ -n "$5" ] && s test -e "$3/$5"; then echo "token guest"; fi
  if [ -n "$5" ] && s test -e "/proc/$2/root$4/$5"; then echo "token inside"; fi
}
table() { echo "table $1"; s cat "/proc/$1/mountinfo" 2>/dev/null; echo "end $1"; }
"""


@dataclass(frozen=True)
class Question:
    """One mount: the container's pid in the guest, source and destination there, and a name to look for ("" none)."""

    pid: int
    source: str
    destination: str
    token: str = ""


@dataclass
class Seen:
    """What the guest has at the source and the container at the destination; None for nothing.

    ``size`` and ``changed`` (seconds since the epoch) are those of the source. ``token`` holds guest and inside.
    """

    guest: Node | None = None
    inside: Node | None = None
    real: str = ""
    size: int = 0
    changed: int = 0
    token: set[str] = field(default_factory=set)


@dataclass
class Report:
    """All answers of one script, and the mount tables: "self" is the guest's own."""

    seen: dict[int, Seen] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)


def script(questions: t.Sequence[Question]) -> str:
    """The shell script that answers all questions."""
    calls = []
    for index, one in enumerate(questions):
        words = (str(index), str(one.pid), one.source, one.destination, one.token)
        calls.append("look " + " ".join(shlex.quote(word) for word in words))
    tables = [f"table {name}" for name in ["self", *sorted({str(one.pid) for one in questions})]]
    return "\n".join([_FUNCTIONS.strip(), *calls, *tables]) + "\n"


def parse(text: str) -> Report:
    """Read what the script printed. Lines that are none of its own (a banner, a warning) are passed over."""
    report = Report()
    current: Seen | None = None
    rows: list[str] | None = None
    for line in text.split("\n"):
        word, _space, rest = line.partition(" ")
        if rows is not None:
            if word == "end" and rest in report.tables:
                report.tables[rest] = Table("\n".join(rows))
                rows = None
            elif line:
                rows.append(line)
        elif word == "table":
            report.tables[rest] = Table("")
            rows = []
        elif word == "mount" and rest.isdigit():
            current = report.seen.setdefault(int(rest), Seen())
        elif current is not None:
            _take(current, word, rest)
    return report


def _take(seen: Seen, word: str, rest: str) -> None:
    if word in ("guest", "inside"):
        numbers = rest.split()
        if len(numbers) == 8:
            setattr(seen, word, _node(numbers))
            if word == "guest":
                seen.size, seen.changed = int(numbers[6]), int(numbers[7])
    elif word == "real":
        seen.real = rest.rstrip("\x01").replace("\x01", "\n")
    elif word == "token":
        seen.token.add(rest)


def _node(numbers: t.Sequence[str]) -> Node:
    device, inode, mode, uid, gid, links = numbers[:6]
    return Node(
        device=int(device),
        inode=int(inode),
        mode=int(mode, 16),
        uid=int(uid),
        gid=int(gid),
        links=int(links),
        birth=None,
        mount_id=0,
        mount_root=False,
    )


def row_of(table: Table, path: str) -> Row | None:
    """The mount a path lies on, by its name: the longest mount point above it, and of several the last."""
    while True:
        rows = table.at(path)
        if rows:
            return rows[-1]
        if path in ("/", ""):
            return None
        path = os.path.dirname(path)


def as_mount_root(node: Node) -> Node:
    """The same object, known to be the root of a mount."""
    return replace(node, mount_root=True)
