# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read ``/proc/<pid>/mountinfo``: the mounts as the kernel sees them.

The format is that of proc(5): space, tab, newline and backslash in paths come as three octal digits. Names need not be
UTF-8, so text is decoded with ``surrogateescape`` and can be passed back to the kernel.
"""

from __future__ import annotations

import bisect
import os
import re
from dataclasses import dataclass

_SPECIAL = re.compile(r"[ \t\n\\]")
_OCTAL = re.compile(r"\\([0-7]{3})")
# The kernel appends this to the root of a mount whose directory or file has been unlinked since.
_DELETED = "//deleted"


def unescape(text: str) -> str:
    """Undo the octal escapes of one mountinfo field."""
    if "\\" not in text:
        return text
    # The digits are bytes, the text is already decoded: go back to bytes, so that an escape inside UTF-8 stays right.
    raw = os.fsencode(_OCTAL.sub(lambda found: chr(int(found.group(1), 8)), text))
    return os.fsdecode(raw)


def escape(path: str) -> str:
    """The form of a path that the kernel writes."""
    return _SPECIAL.sub(lambda found: f"\\{ord(found[0]):03o}", path)


@dataclass(frozen=True)
class Row:
    """One mount. ``root`` is the directory of the file system that is shown at ``point``, without the deleted mark."""

    mount_id: int
    parent_id: int
    device: str
    root: str
    point: str
    options: tuple[str, ...]
    propagation: tuple[str, ...]
    fstype: str
    device_name: str
    super_options: tuple[str, ...]
    deleted: bool

    @property
    def read_only(self) -> bool:
        """This mount refuses writes, even if the file system allows them."""
        return "ro" in self.options

    @property
    def file_system_read_only(self) -> bool:
        """The whole file system refuses writes, for every process."""
        return "ro" in self.super_options


def parse_row(line: str) -> Row:
    """Parse one line. Raises ValueError for a line that is not mountinfo."""
    before, found, after = line.partition(" - ")
    fields = before.split(" ")
    tail = after.split(" ")
    if not found or len(fields) < 6 or len(tail) < 2:
        raise ValueError(f"not a mountinfo line: {line!r}")
    root = unescape(fields[3])
    deleted = root.endswith(_DELETED)
    return Row(
        mount_id=int(fields[0]),
        parent_id=int(fields[1]),
        device=fields[2],
        root=root[: -len(_DELETED)] if deleted else root,
        point=unescape(fields[4]),
        options=tuple(fields[5].split(",")),
        propagation=tuple(fields[6:]),
        fstype=tail[0],
        device_name=unescape(tail[1]),
        super_options=tuple(tail[2].split(",")) if len(tail) > 2 else (),
        deleted=deleted,
    )


class Table:
    """All mounts of one mount namespace, in the kernel's order.

    Rows are parsed on demand: a check without findings reads few of the possibly thousands of rows.
    """

    def __init__(self, text: str) -> None:
        self._text = "\n" + text
        self._rows: tuple[Row, ...] | None = None
        self._sorted: list[tuple[str, int]] = []
        self._known: dict[int, Row | None] = {}

    @classmethod
    def parse(cls, data: bytes) -> Table:
        """Use the file's bytes. Invalid mountinfo raises ValueError here or when its row is parsed."""
        return cls(os.fsdecode(data))

    @property
    def rows(self) -> tuple[Row, ...]:
        """Every row."""
        if self._rows is None:
            # Not splitlines(): it would also break at characters that may be unescaped in a path, such as U+2028.
            self._rows = tuple(parse_row(line) for line in self._text.split("\n") if line)
            self._sorted = sorted((row.point, index) for index, row in enumerate(self._rows))
        return self._rows

    def by_id(self, mount_id: int) -> Row | None:
        if mount_id not in self._known:
            self._known[mount_id] = self._find(mount_id)
        return self._known[mount_id]

    def _find(self, mount_id: int) -> Row | None:
        start = self._text.find(f"\n{mount_id} ")
        if start < 0:
            return None
        end = self._text.find("\n", start + 1)
        return parse_row(self._text[start + 1 : end if end >= 0 else None])

    def of_type(self, prefix: str) -> list[Row]:
        """The rows whose type of file system begins with ``prefix``, without parsing the others."""
        found, mark, start = [], f" - {prefix}", 0
        while (start := self._text.find(mark, start)) >= 0:
            end = self._text.find("\n", start)
            line = self._text[self._text.rfind("\n", 0, start) + 1 : end if end >= 0 else None]
            start += len(mark)
            row = parse_row(line)
            if row.fstype.startswith(prefix):
                found.append(row)
        return found

    def at(self, point: str) -> list[Row]:
        """The rows mounted exactly at ``point``."""
        return self._range(point, point + "\0")

    def below(self, path: str) -> list[Row]:
        """The rows mounted strictly below ``path``."""
        if path == "/":
            return [row for row in self.rows if row.point != "/"]
        if f" {escape(path)}/" not in self._text:
            return []  # the usual case, without parsing a row
        return self._range(path + "/", path + "0")  # "0" is the character after "/"

    def paths_of(self, device: str, root: str) -> list[str]:
        """Where the object ``root`` of the file system ``device`` can be reached in this namespace."""
        found = []
        for row in self.rows:
            if row.device != device or row.deleted:
                continue
            if row.root == root:
                found.append(row.point)
            elif row.root == "/" or root.startswith(row.root + "/"):
                rest = root if row.root == "/" else root[len(row.root) :]
                found.append(row.point.rstrip("/") + rest)
        return found

    def _range(self, first: str, past: str) -> list[Row]:
        rows = self.rows
        low = bisect.bisect_left(self._sorted, (first, -1))
        high = bisect.bisect_left(self._sorted, (past, -1))
        return [rows[index] for _point, index in self._sorted[low:high]]
