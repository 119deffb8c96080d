# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a directory: path, type, mode, owner, size and sha256 of everything, to compare after a restore.

The list is one JSON object a line, sorted by path. Names are bytes to the kernel: what is not UTF-8 is kept by
surrogate escapes, so that every name survives.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import stat
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import safefs
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError

Entry = dict[str, t.Any]
_TYPES = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo"}
# What SQLite keeps beside a database: superfluous with a copy through its backup API, and wrong with a plain one.
_COMPANIONS = ("-wal", "-shm", "-journal")


class Listing:
    """Everything below a root that is backed up, found before the first byte is read.

    Attributes:
        entries: path below the root ("." is the root) to :func:`os.lstat` result.
        databases: paths of SQLite files.
        left_out: sockets and devices, which hold no data to keep.
        skipped: paths left out because of a pattern, or because they only accompany a database.
    """

    def __init__(self, root: str, exclude: t.Sequence[str] = (), sqlite: t.Sequence[str] = ()) -> None:
        self.root = root
        self.entries: dict[str, os.stat_result] = {}
        self.databases: list[str] = []
        self.left_out: list[str] = []
        self.skipped: list[str] = []
        self._exclude = exclude
        self._sqlite = sqlite
        try:
            status = os.lstat(root)
        except OSError as error:
            raise SourceError(f"the directory {root} cannot be read: {error.strerror}") from error
        if not stat.S_ISDIR(status.st_mode):
            raise SourceError(f"{root} is not a directory; name the directory itself, not a link to it")
        self.entries["."] = status
        self._walk(root, "")

    def _walk(self, place: str, prefix: str) -> None:
        try:
            with os.scandir(place) as rows:
                found = sorted(rows, key=lambda row: row.name)
        except OSError as error:
            raise SourceError(f"the directory {place} cannot be read: {error.strerror}") from error
        for row in found:
            path = prefix + row.name
            if matches(path, self._exclude):
                self.skipped.append(path)
                continue
            try:
                status = row.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # removed since it was listed: then it is not there
            if stat.S_IFMT(status.st_mode) not in _TYPES:
                self.left_out.append(path)
                continue
            if stat.S_ISREG(status.st_mode) and self._is_database(path):
                self.databases.append(path)
            elif self._is_companion(path):
                self.skipped.append(path)
                continue
            self.entries[path] = status
            if stat.S_ISDIR(status.st_mode):
                self._walk(row.path, path + "/")

    def _is_database(self, path: str) -> bool:
        return matches(path, self._sqlite)

    def _is_companion(self, path: str) -> bool:
        return any(path.endswith(tail) and self._is_database(path[: -len(tail)]) for tail in _COMPANIONS)


def matches(path: str, patterns: t.Sequence[str]) -> bool:
    """Whether a path below the root, or its last name, fits one of the patterns (``*.db``, ``cache``, ``a/b/*``)."""
    name = path.rsplit("/", 1)[-1]
    return any(fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def entry(path: str, status: os.stat_result, sha256: str = "", size: int | None = None, link: str = "") -> Entry:
    """One line of the list."""
    kind = _TYPES[stat.S_IFMT(status.st_mode)]
    row: Entry = {
        "path": path,
        "type": kind,
        "mode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
        "mtime": status.st_mtime_ns,
    }
    if kind == "file":
        row["size"] = status.st_size if size is None else size
        row["sha256"] = sha256
    elif kind == "link":
        row["link"] = link
    return row


def dump(entries: t.Iterable[Entry]) -> t.Iterator[bytes]:
    """The list as bytes, piece by piece."""
    for row in entries:
        yield json.dumps(row, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def load(path: str) -> dict[str, Entry]:
    """A stored list by path."""
    with safefs.open_regular(path) as file:
        rows = [json.loads(line) for line in file]
    return {row["path"]: row for row in rows}


class HashCache:
    """sha256 of files that did not change since the last run, by inode, size, mtime and ctime.

    restic decides by the same signs whether it reads a file again; without this an unchanged gigabyte would be read in
    every run only to be hashed.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._new: dict[str, list[t.Any]] = {}
        self._old: dict[str, list[t.Any]] = {}
        try:
            with safefs.open_regular(path) as file:
                loaded = json.load(file)
            if isinstance(loaded, dict):
                self._old = loaded
        except (OSError, ValueError):
            pass  # none yet, or not readable: then everything is hashed, which is only slower

    @staticmethod
    def _signs(status: os.stat_result) -> list[int]:
        return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]

    def get(self, path: str, status: os.stat_result) -> str:
        """The known sha256, or ""."""
        row = self._old.get(path)
        if not row or row[:4] != self._signs(status):
            return ""
        self._new[path] = row
        return str(row[4])

    def put(self, path: str, status: os.stat_result, sha256: str) -> None:
        """Remember a file that was read."""
        self._new[path] = [*self._signs(status), sha256]

    def save(self) -> None:
        """Keep what this run saw."""
        safefs.replace(self._path, json.dumps(self._new).encode())


def hash_file(path: str) -> tuple[str, int, os.stat_result]:
    """sha256, bytes read, and the state of the file after reading. Raises OSError."""
    found = hashlib.sha256()
    size = 0
    with safefs.open_regular(path) as file:
        while chunk := file.read(safefs.CHUNK):
            found.update(chunk)
            size += len(chunk)
        return found.hexdigest(), size, os.fstat(file.fileno())


def scan(root: str, owners: bool) -> dict[str, Entry]:
    """List what is below a restored root, hashed; without ``owners`` uid and gid are left out of the comparison."""
    found: dict[str, Entry] = {}
    listing = Listing(root)
    for path, status in listing.entries.items():
        place = os.path.join(root, path)
        if stat.S_ISREG(status.st_mode):
            sha256, size, unused = hash_file(place)
            found[path] = entry(path, status, sha256, size)
        else:
            found[path] = entry(path, status, link=os.readlink(place) if stat.S_ISLNK(status.st_mode) else "")
    if not owners:
        for row in found.values():
            del row["uid"], row["gid"]
    return found


def drift(expected: t.Mapping[str, Entry], found: t.Mapping[str, Entry]) -> set[str]:
    """Paths that changed between being listed and being stored, as their own or their directory's mtime tells.

    Only where the store read the directory itself, after the list was made.
    """
    moved = set()
    for path in set(expected) | set(found):
        if path in expected and path in found:
            if expected[path]["mtime"] != found[path]["mtime"] and expected[path]["type"] == "file":
                moved.add(path)
            continue
        above = path.rpartition("/")[0] or "."
        if expected.get(above, {}).get("mtime") != found.get(above, {}).get("mtime"):
            moved.add(path)
    return moved


def compare(expected: t.Mapping[str, Entry], found: t.Mapping[str, Entry], where: str) -> list[str]:
    """Each difference as a sentence; none means equal. The time of change is no part of it."""
    problems = []
    for path in sorted(set(expected) | set(found)):
        before, after = expected.get(path), found.get(path)
        name = f"{where}: {path!r}"
        if before is None or after is None:
            problems.append(f"{name} is {'missing' if after is None else 'there and should not be'}")
            continue
        for key in sorted(set(after) - {"mtime"}):
            if before["type"] == "link" and key == "mode":
                continue  # a link has no mode of its own
            if before.get(key) != after[key]:
                problems.append(f"{name}: {key} is {after[key]!r}, backed up was {before.get(key)!r}")
                break
    return problems
