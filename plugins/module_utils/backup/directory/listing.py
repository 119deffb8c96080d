# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a directory: path, type, mode, owner, size and sha256 of everything, to compare after a restore.

The list is one JSON object a line, in the order of a walk that sorts each directory by name. All work on it goes along
the list, line by line: a directory of a hundred thousand files takes no more memory than one of ten. Names are bytes
to the kernel: what is not UTF-8 is kept by surrogate escapes, so that every name survives.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import json
import os
import stat
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
from ansible_collections.onebox.stack.plugins.module_utils.core import files

Entry = dict[str, t.Any]
_TYPES = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo"}
# What SQLite keeps beside a database: superfluous with a copy through its backup API, and wrong with a plain one.
COMPANIONS = ("-wal", "-shm", "-journal")
# By which restic and we tell an unchanged file; they are another's after a restore, and no part of a comparison.
SIGNS = ("mtime", "ctime", "ino")
_quoted = json.encoder.encode_basestring_ascii


class Listing:
    """Everything below a root that is backed up. Iterate over it once: (path below the root, status), "." first.

    Attributes:
        databases: paths of SQLite files, as far as the walk has come.
        left_out: sockets and devices, which hold no data to keep.
        skipped: paths left out because of a pattern, or because they only accompany a database.
    """

    def __init__(self, root: str, exclude: t.Sequence[str] = (), sqlite: t.Sequence[str] = ()) -> None:
        self.root = root
        self.databases: list[str] = []
        self.left_out: list[str] = []
        self.skipped: list[str] = []
        self._exclude = exclude
        self._sqlite = sqlite

    def __iter__(self) -> t.Iterator[tuple[str, os.stat_result]]:
        try:
            status = os.lstat(self.root)
        except OSError as error:
            raise SourceError(f"the directory {self.root} cannot be read: {error.strerror}") from error
        if not stat.S_ISDIR(status.st_mode):
            raise SourceError(f"{self.root} is not a directory; name the directory itself, not a link to it")
        yield ".", status
        # Not by recursion: Python allows it a thousand levels.
        way = [("", self._entries(self.root, ""))]
        while way:
            prefix, entries = way[-1]
            entry = next(entries, None)
            if entry is None:
                way.pop()
                continue
            path = prefix + entry.name
            chosen = self._chosen(path, entry)
            if chosen is not None:
                yield path, chosen
                if stat.S_ISDIR(chosen.st_mode):
                    way.append((path + "/", self._entries(entry.path, path)))

    def _entries(self, place: str, path: str) -> t.Iterator[os.DirEntry[str]]:
        """What is in a directory, sorted by name. Nothing when it was removed since it was listed itself."""
        try:
            with os.scandir(place) as entries:
                return iter(sorted(entries, key=lambda entry: entry.name))
        except OSError as error:
            if path and isinstance(error, FileNotFoundError):
                return iter(())
            raise SourceError(f"the directory {place} cannot be read: {error.strerror}") from error

    def _chosen(self, path: str, entry: os.DirEntry[str]) -> os.stat_result | None:
        """The status of an entry that is backed up, None for one that is left out or gone since it was listed."""
        if self._exclude and matches(path, self._exclude):
            self.skipped.append(path)
            return None
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        kind = stat.S_IFMT(status.st_mode)
        if kind not in _TYPES:
            self.left_out.append(path)
            return None
        if self._sqlite and kind == stat.S_IFREG and self._is_database(path):
            self.databases.append(path)
        elif self._sqlite and self._is_companion(path):
            self.skipped.append(path)
            return None
        return status

    def _is_database(self, path: str) -> bool:
        return matches(path, self._sqlite)

    def _is_companion(self, path: str) -> bool:
        return any(path.endswith(tail) and self._is_database(path[: -len(tail)]) for tail in COMPANIONS)


def matches(path: str, patterns: t.Sequence[str]) -> bool:
    """Whether a path below the root, or its last name, fits one of the patterns (``*.db``, ``cache``, ``a/b/*``)."""
    name = path.rsplit("/", 1)[-1]
    return any(fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def order(path: str) -> list[str]:
    """The place of a path in a list: sort by it and the walk's order comes out."""
    return [] if path == "." else path.split("/")


def head(path: str, status: os.stat_result, size: int | None = None) -> bytes:
    """The line of a plain file up to its sha256. Written by hand: it is made for each file in each run."""
    size = status.st_size if size is None else size
    return (
        f'{{"ctime":{status.st_ctime_ns},"gid":{status.st_gid},"ino":{status.st_ino},'
        f'"mode":{stat.S_IMODE(status.st_mode)},"mtime":{status.st_mtime_ns},"path":{_quoted(path)},'
        f'"size":{size},"type":"file","uid":{status.st_uid},"sha256":"'
    ).encode()


def file_line(path: str, status: os.stat_result, sha256: str, size: int | None = None) -> bytes:
    """The line of a plain file."""
    return head(path, status, size) + sha256.encode() + b'"}\n'


def other_line(path: str, status: os.stat_result, link: str = "") -> bytes:
    """The line of a directory, link or pipe."""
    row: Entry = {
        "path": path,
        "type": _TYPES[stat.S_IFMT(status.st_mode)],
        "mode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
        "mtime": status.st_mtime_ns,
    }
    if row["type"] == "link":
        row["link"] = link
    return json.dumps(row, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def read(path: str) -> t.Iterator[Entry]:
    """The entries of a stored list, in its order."""
    with files.open_regular(path) as file:
        for line in file:
            yield json.loads(line)


def digest(path: str) -> str:
    """sha256 of what a stored list says but for the signs: a copy has the same as what it was copied from."""
    found = hashlib.sha256()
    for row in read(path):
        found.update(json.dumps({key: row[key] for key in sorted(row) if key not in SIGNS}).encode() + b"\n")
    return found.hexdigest()


def find(path: str, wanted: t.Collection[str]) -> dict[str, Entry]:
    """Some entries of a stored list by path."""
    return {row["path"]: row for row in read(path) if row["path"] in wanted}


class Known:
    """The list of the set before, read along with the walk: the line of a file that did not change is taken over.

    restic decides by the same signs (inode, size, mtime, ctime) whether it reads a file again; without this an
    unchanged gigabyte would be read in every run only to be hashed.
    """

    def __init__(self, path: str) -> None:
        self._line = b""
        self._file: t.BinaryIO | None = None
        # None yet, or not readable: then everything is hashed, which is only slower.
        with contextlib.suppress(OSError):
            self._file = files.open_regular(path)
            self._advance()

    def line(self, path: str, start: bytes) -> bytes:
        """The known line of ``path`` when it begins with ``start`` (see :func:`head`), else b""."""
        while self._line:
            line = self._line
            if line.startswith(start):
                self._advance()
                return line if len(line) == len(start) + 67 else b""  # sha256, quote, brace, newline
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
        """Let go of the file."""
        if self._file is not None:
            self._file.close()


def hash_file(path: str) -> tuple[str, int, os.stat_result]:
    """sha256, bytes read, and the state of the file after reading. Raises OSError."""
    found = hashlib.sha256()
    size = 0
    with files.open_plain(path) as fd:
        while chunk := os.read(fd, files.CHUNK):
            found.update(chunk)
            size += len(chunk)
        return found.hexdigest(), size, os.fstat(fd)


def scan(root: str, owners: bool) -> t.Iterator[Entry]:
    """What is below a restored root, hashed; without ``owners`` uid and gid are left out of the comparison."""
    for path, status in Listing(root):
        place = os.path.join(root, path)
        if stat.S_ISREG(status.st_mode):
            sha256, size, _after = hash_file(place)
            line = file_line(path, status, sha256, size)
        else:
            line = other_line(path, status, os.readlink(place) if stat.S_ISLNK(status.st_mode) else "")
        row = json.loads(line)
        if not owners:
            del row["uid"], row["gid"]
        yield row


class Comparison:
    """Compares what was restored with a list, going along both.

    Args:
        drifting: the store read the directory itself, after the list was made: what changed in between, as its own or
            its directory's mtime tells, is no difference.
        copies: paths of files that were stored apart (SQLite) and so cannot have changed in between.

    Attributes:
        problems: each difference as a sentence.
        moved: what changed in between.
    """

    def __init__(self, where: str, *, drifting: bool, copies: t.Collection[str] = ()) -> None:
        self._where = where
        self._drifting = drifting
        self._copies = copies
        # mtime in the list and on the disk of the directories that lead to where the comparison is.
        self._above: list[tuple[str, int, int]] = []
        self.problems: list[str] = []
        self.moved: list[str] = []

    def run(self, expected: t.Iterable[Entry], found: t.Iterable[Entry]) -> None:
        """Compare; both in the order of a walk."""
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
        self.problems.append(f"{self._where}: {path!r} is {'missing' if after is None else 'there and should not be'}")

    def _parent_changed(self, parent: str) -> bool:
        for path, listed, there in reversed(self._above):
            if path == parent:
                return listed != there
        return True  # the directory itself came or went, and was judged by its own parent

    def _drifted(self, before: Entry, after: Entry) -> bool:
        path = before["path"]
        return (
            self._drifting
            and path not in self._copies
            and before["type"] == "file"
            and before["mtime"] != after["mtime"]
        )

    def _differences(self, path: str, before: Entry, after: Entry) -> None:
        for key in sorted(set(after) - set(SIGNS)):
            if before["type"] == "link" and key == "mode":
                continue  # a link has no mode of its own
            if before.get(key) != after[key]:
                self.problems.append(
                    f"{self._where}: {path!r}: {key} is {after[key]!r}, backed up was {before.get(key)!r}"
                )
                return
