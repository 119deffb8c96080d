# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of a directory: path, type, mode, owner, size and sha256 of everything, to compare after a restore.

The list is one JSON object a line, in the order of a walk that sorts each directory by name. It is processed line by
line, so that memory does not grow with the number of files. Names that are not UTF-8 are stored with surrogate escapes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import attributes, sparse
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory.limits import Limits
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory.walk import KINDS, Listing
from ansible_collections.onebox.stack.plugins.module_utils.core import files

Entry = dict[str, t.Any]
# The version of lists with attributes, hard links and the hash of blocks, written into the first line.
VERSION = 2
# restic and this program recognise an unchanged file by these. They differ after a restore and are not compared.
SIGNS = ("mtime", "ctime", "ino", "list")
_quoted = json.encoder.encode_basestring_ascii


def order(path: str) -> list[str]:
    """The sort key of a path in a list: it yields the order of the walk."""
    return [] if path == "." else path.split("/")


def head(path: str, status: os.stat_result, size: int | None = None, *, hard: str = "", blocks: bool = False) -> bytes:
    """The line of a plain file up to its sha256. Formatted by hand for speed: every run does it for each file.

    Args:
        hard: the path of the first of its hard links, "" for the first one and for a file with one name.
        blocks: whether the hash is that of a file with holes, see :mod:`sparse`.
    """
    size = status.st_size if size is None else size
    more = f'"hard":{_quoted(hard)},' if hard else ""
    more += '"hash":"blocks",' if blocks else ""
    return (
        f'{{"ctime":{status.st_ctime_ns},"gid":{status.st_gid},{more}"ino":{status.st_ino},'
        f'"mode":{stat.S_IMODE(status.st_mode)},"mtime":{status.st_mtime_ns},"path":{_quoted(path)},'
        f'"size":{size},"type":"file","uid":{status.st_uid},"sha256":"'
    ).encode()


def tail(sha256: str, attributes: t.Mapping[str, str]) -> bytes:
    """The rest of the line of a plain file."""
    more = "," + json.dumps({"xattr": attributes}, sort_keys=True)[1:-1] if attributes else ""
    return f'{sha256}"{more}}}\n'.encode()


def other_line(
    path: str, status: os.stat_result, link: str = "", attributes: t.Mapping[str, str] | None = None
) -> bytes:
    """The line of a directory, link or pipe."""
    row: Entry = {
        "path": path,
        "type": KINDS[stat.S_IFMT(status.st_mode)],
        "mode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
        "mtime": status.st_mtime_ns,
    }
    if row["type"] == "link":
        row["link"] = link
    if attributes:
        row["xattr"] = dict(attributes)
    if path == ".":
        row["list"] = VERSION
    return json.dumps(row, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def read(path: str) -> t.Iterator[Entry]:
    """The entries of a stored list, in its order."""
    with files.open_regular(path) as file:
        for line in file:
            yield json.loads(line)


def digest(path: str) -> str:
    """sha256 of a stored list without inodes and change times: a copy of a directory has the same."""
    found = hashlib.sha256()
    for row in read(path):
        found.update(json.dumps({key: row[key] for key in sorted(row) if key not in SIGNS}).encode() + b"\n")
    return found.hexdigest()


def find(path: str, wanted: t.Collection[str]) -> dict[str, Entry]:
    """Some entries of a stored list by path."""
    return {row["path"]: row for row in read(path) if row["path"] in wanted}


class Known:
    """The list of the previous set, read along with the walk: the lines of unchanged files are copied.

    restic decides by the same attributes (inode, size, mtime, ctime) whether it reads a file again. Without this, every
    run would hash all unchanged files.
    """

    def __init__(self, path: str) -> None:
        self._line = b""
        self._file: t.BinaryIO | None = None
        # Missing or not readable: then everything is hashed, which is only slower.
        with contextlib.suppress(OSError):
            self._file = files.open_regular(path)
            self._advance()
            # A list of an earlier version lacks attributes: everything is hashed once more.
            if f'"list":{VERSION},'.encode() not in self._line:
                self._line = b""

    def line(self, path: str, start: bytes) -> bytes:
        """The known line of ``path`` when it begins with ``start`` (see :func:`head`), else b""."""
        while self._line:
            line = self._line
            if line.startswith(start):
                self._advance()
                # sha256, quote, brace, newline; or attributes
                whole = len(line) == len(start) + 67 or line[len(start) + 64 :].startswith(b'","xattr":{')
                return line if whole else b""
            if self._place() > order(path):
                break
            self._advance()
        return b""

    def _place(self) -> list[str]:
        try:
            return order(json.loads(self._line)["path"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return []

    def _advance(self) -> None:
        self._line = self._file.readline() if self._file is not None else b""

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def hash_file(path: str, descriptor: int, limits: Limits, *, blocks: bool) -> tuple[str, int, os.stat_result]:
    """sha256, bytes hashed, and the state after it of the open file that the walk found as ``path``. Raises OSError.

    Of a file that grows, only the original length is read.

    Args:
        blocks: whether to compute the hash of a file with holes.
    """
    status = os.fstat(descriptor)
    if blocks:
        return sparse.hash_blocks(descriptor, status.st_size, limits), status.st_size, os.fstat(descriptor)
    found = hashlib.sha256()
    size = 0
    while size < status.st_size and (chunk := os.read(descriptor, min(files.CHUNK, status.st_size - size))):
        found.update(chunk)
        size += len(chunk)
        limits.moved(len(chunk))
    return found.hexdigest(), size, os.fstat(descriptor)


class HardLinks:
    """Finds paths of the same file during a walk."""

    def __init__(self) -> None:
        self._first: dict[tuple[int, int], tuple[str, int]] = {}

    def first(self, path: str, status: os.stat_result) -> str:
        """The first path of this file, "" when it is new."""
        if status.st_nlink < 2:
            return ""
        key = (status.st_dev, status.st_ino)
        known, left = self._first.get(key, (path, status.st_nlink))
        if left > 1:
            self._first[key] = (known, left - 1)
        else:
            self._first.pop(key, None)
        return "" if known == path else known


class Scan:
    """The entries below a restored root, in the order of a walk; files are hashed when they are compared.

    Args:
        owners: whether uid and gid are compared.
    """

    def __init__(self, root: str, owners: bool) -> None:
        self._found = Listing(root)
        self._owners = owners

    def __iter__(self) -> t.Iterator[Entry]:
        links = HardLinks()
        for path, status in self._found:
            row: Entry = {
                "path": path,
                "type": KINDS[stat.S_IFMT(status.st_mode)],
                "mode": stat.S_IMODE(status.st_mode),
                "mtime": status.st_mtime_ns,
            }
            if self._owners:
                row.update(uid=status.st_uid, gid=status.st_gid)
            if row["type"] == "link":
                row["link"] = self._found.link(path) or ""
            elif row["type"] == "dir":
                row["xattr"] = attributes.comparable(
                    attributes.digests(attributes.read(self._found.opened)), self._owners
                )
            elif row["type"] == "file":
                row["size"] = status.st_size
                row["hard"] = links.first(path, status)
            yield row

    def complete(self, row: Entry, blocks: bool) -> None:
        """Add the hash and the attributes of the current file. ``blocks``: the hash of a file with holes."""
        descriptor = self._found.open_file(row["path"])
        if descriptor is None:
            raise SourceError(f"{self._found.root}/{row['path']} cannot be read")
        try:
            found = attributes.digests(attributes.read(descriptor))
            row["xattr"] = attributes.comparable(found, self._owners)
            if blocks:
                row["sha256"] = sparse.hash_blocks(descriptor, row["size"], self._found.limits)
            else:
                row["sha256"] = _hash_plain(descriptor, row["size"])
        finally:
            os.close(descriptor)


def _hash_plain(descriptor: int, size: int) -> str:
    found = hashlib.sha256()
    while size > 0 and (chunk := os.read(descriptor, files.CHUNK)):
        found.update(chunk)
        size -= len(chunk)
    return found.hexdigest()


class Comparison:
    """Compares a restored directory with a list, entry by entry.

    Args:
        drifting: the store read the directory after the list was written. Changes in between, recognised by the mtime
            of the file or its directory, are not differences.
        copies: paths of files that were stored separately (SQLite) and so cannot have changed in between.
        owners: whether attributes that only root may set are compared.
        lost: attributes that could not be set, and are not compared.

    Attributes:
        problems: each difference as a sentence.
        moved: paths that changed in between.
    """

    def __init__(
        self,
        where: str,
        *,
        drifting: bool,
        copies: t.Collection[str] = (),
        owners: bool = True,
        lost: t.Collection[str] = (),
    ) -> None:
        self._where = where
        self._owners = owners
        self._lost = lost
        # Whether the list has attributes and hard links.
        self._full = False
        self._drifting = drifting
        self._copies = copies
        # The mtime in the list and on the disk, of each directory on the path of the current entry.
        self._above: list[tuple[str, int, int]] = []
        self.problems: list[str] = []
        self.moved: list[str] = []

    def run(self, expected: t.Iterable[Entry], found: t.Iterable[Entry]) -> None:
        """Compare both in the order of a walk."""
        self._scan = found if isinstance(found, Scan) else None
        left, right = iter(expected), iter(found)
        before, after = next(left, None), next(right, None)
        while before is not None or after is not None:
            first = order(before["path"]) if before is not None else None
            second = order(after["path"]) if after is not None else None
            if second is None or (first is not None and first < second):
                self._one(t.cast(Entry, before), None)
                before = next(left, None)
            elif first is None or second < first:
                self._one(None, t.cast(Entry, after))
                after = next(right, None)
            else:
                self._one(t.cast(Entry, before), t.cast(Entry, after))
                before, after = next(left, None), next(right, None)

    def _one(self, before: Entry | None, after: Entry | None) -> None:
        path = t.cast(Entry, before or after)["path"]
        parent = "." if "/" not in path else path.rpartition("/")[0]
        while len(self._above) > 1 and self._above[-1][0] != parent and path != ".":
            self._above.pop()
        if before is not None and after is not None:
            if path == ".":
                self._full = before.get("list", 0) >= VERSION
            if before["type"] == "dir":
                self._above.append((path, before["mtime"], after["mtime"]))
            if self._drifted(before, after):
                self.moved.append(path)
                return
            self._differences(path, before, after)
            return
        if self._drifting and path not in self._copies and self._parent_changed(parent):
            self.moved.append(path)
            return
        self.problems.append(f"{self._where}: {path!r} is {'missing' if after is None else 'not in the backup'}")

    def _parent_changed(self, parent: str) -> bool:
        for path, listed, there in reversed(self._above):
            if path == parent:
                return listed != there
        return True  # the directory itself was added or removed, which is a difference of its parent

    def _drifted(self, before: Entry, after: Entry) -> bool:
        path = before["path"]
        return (
            self._drifting
            and path not in self._copies
            and before["type"] == "file"
            and before["mtime"] != after["mtime"]
        )

    def _differences(self, path: str, before: Entry, after: Entry) -> None:
        if self._scan and before["type"] == after["type"] == "file":
            self._scan.complete(after, before.get("hash") == "blocks")
        for key in sorted(set(after) - set(SIGNS)):
            if before["type"] == "link" and key == "mode":
                continue  # a link has no mode of its own
            if key in ("xattr", "hard"):
                if self._full and path not in self._copies:
                    self._attributes(path, key, before, after)
            elif before.get(key) != after[key]:
                self.problems.append(
                    f"{self._where}: {path!r}: {key} is {after[key]!r}, in the backup {before.get(key)!r}"
                )
                return

    def _attributes(self, path: str, key: str, before: Entry, after: Entry) -> None:
        if key == "hard":
            if after[key] == before.get(key, ""):
                return
            if self._drifting:  # added or removed since the list
                self.moved.append(path)
            else:
                was = f"a hard link to {before[key]!r}" if before.get(key) else "a separate file"
                self.problems.append(f"{self._where}: {path!r}: in the backup it is {was}")
            return
        expected = attributes.comparable(before.get(key) or {}, self._owners)
        for name in sorted({*expected, *after[key]}):
            if expected.get(name) != after[key].get(name) and name not in self._lost:
                self.problems.append(f"{self._where}: {path!r}: the attribute {name} differs from the backup")
