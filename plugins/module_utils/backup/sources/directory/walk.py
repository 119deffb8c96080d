# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Walk through a directory that others write to at the same time: by descriptors, without links, not recursive.

Users who may write there can replace any name by a link to another directory at any moment. So each directory is opened
by its name in the open directory above it, and refused when it is a link. Its entries are only accessed by that
descriptor.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import os
import stat
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError, SourceLimit
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory.limits import Limits
from ansible_collections.onebox.stack.plugins.module_utils.core import beneath, files

KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo"}
# Files of SQLite next to a database. A copy by the backup API does not need them, and they do not match it.
COMPANIONS = ("-wal", "-shm", "-journal")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_GONE = (errno.ENOENT, errno.ELOOP, errno.ENOTDIR)
# The number of excluded names to record, for the message.
_SHOWN = 1000


@dataclass
class _Level:
    """A directory of the walk: its path with a slash, its descriptor, and the remaining names."""

    prefix: str
    descriptor: int
    names: t.Iterator[str]


class Listing:
    """Everything below a root that is backed up. Iterate over it once: (path below the root, status), "." first.

    ``parent`` and ``name`` refer to the current entry, ``opened`` to a current directory.

    Attributes:
        databases: paths of the SQLite files found so far.
        left_out: sockets and devices, which have no content.
        skipped: paths that match a pattern, or are companions of a database.
        changed: names that changed their type during the walk.
        parent: descriptor of the directory of the entry; for the root, its own.
        name: its name there.
        opened: descriptor of the entry itself when it is a directory, else -1.
    """

    def __init__(
        self, root: str, exclude: t.Sequence[str] = (), sqlite: t.Sequence[str] = (), limits: Limits | None = None
    ) -> None:
        self.root = root
        self.databases: list[str] = []
        self.left_out: list[str] = []
        self.skipped: list[str] = []
        self.changed: list[str] = []
        self.parent = self.opened = -1
        self.name = "."
        self._exclude = exclude
        self._sqlite = sqlite
        self.limits = limits or Limits(root)

    def __iter__(self) -> t.Iterator[tuple[str, os.stat_result]]:
        way: list[_Level] = []
        try:
            top = self._open_root()
            way.append(_Level("", top, iter(())))
            self.parent = self.opened = top
            yield ".", os.fstat(top)
            way[0].names = iter(self._names(top, self.root))
            while way:
                level = way[-1]
                name = next(level.names, None)
                if name is None:
                    way.pop()
                    os.close(level.descriptor)
                    continue
                path = level.prefix + name
                self.parent, self.name, self.opened = level.descriptor, name, -1
                chosen = self._chosen(path)
                if chosen is None:
                    continue
                if not stat.S_ISDIR(chosen.st_mode):
                    yield path, chosen
                    continue
                self.limits.path(path)
                inner = self._open(path)
                if inner is None:
                    continue
                way.append(_Level(path + "/", inner, iter(())))
                self.opened = inner
                yield path, os.fstat(inner)
                way[-1].names = iter(self._names(inner, path))
        finally:
            for level in way:
                os.close(level.descriptor)

    def _open_root(self) -> int:
        try:
            if stat.S_ISLNK(os.lstat(self.root).st_mode):
                raise beneath.UnsafePath(self.root, self.root)
            return beneath.open_directory(self.root).descriptor
        except OSError as error:
            raise SourceError(f"the directory {self.root} cannot be read: {error.strerror}") from error
        except files.FileError as error:
            raise SourceError(f"the directory {self.root} cannot be read: {error}") from error
        except beneath.UnsafePath as error:
            if error.path == self.root:
                text = f"{self.root} is not a directory; name the directory itself, not a link to it"
            else:
                text = f"{error}: its owner could redirect the backup. Configure the path without that link"
            raise SourceError(text) from error

    def _open(self, path: str) -> int | None:
        """The current directory, None when it vanished or changed its type."""
        try:
            return os.open(self.name, _DIRECTORY, dir_fd=self.parent)
        except OSError as error:
            if error.errno in _GONE:
                self.lost(path)
                return None
            if error.errno == errno.EMFILE:
                raise SourceLimit(
                    f"{self.root} has more nested directories than this program may open: "
                    f"{path[:60]!r}…. Remove or exclude them"
                ) from error
            raise SourceLimit(f"the directory {self.root}/{path} cannot be read: {error.strerror}") from error

    def _names(self, descriptor: int, path: str) -> list[str]:
        """The sorted entries of an open directory. The limit is checked during the reading, to protect the memory."""
        found: list[str] = []
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    found.append(entry.name)
                    if len(found) % 1000 == 0:
                        self.limits.found(1000)
        except OSError as error:
            if path == self.root:
                raise SourceError(f"the directory {path} cannot be read: {error.strerror}") from error
            if error.errno == errno.ENOENT:
                return []
            raise SourceLimit(f"the directory {self.root}/{path} cannot be read: {error.strerror}") from error
        self.limits.found(len(found) % 1000)
        return sorted(found)

    def _chosen(self, path: str) -> os.stat_result | None:
        """The status of an entry to back up, None for one that is left out or vanished."""
        if self._exclude and matches(path, self._exclude):
            self.skipped.append(path)
            return None
        try:
            status = os.stat(self.name, dir_fd=self.parent, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SourceLimit(f"{self.root}/{path} cannot be inspected: {error.strerror}") from error
        kind = stat.S_IFMT(status.st_mode)
        if kind not in KINDS:
            self.left_out.append(path)
            return None
        if self._sqlite and kind == stat.S_IFREG and self._is_database(path):
            self.databases.append(path)
        elif self._sqlite and self._is_companion(path):
            self.skipped.append(path)
            return None
        return status

    def lost(self, path: str) -> None:
        """Record an entry that vanished or changed its type."""
        if len(self.changed) < _SHOWN:
            self.changed.append(path)

    def open_file(self, path: str) -> int | None:
        """The current plain file, None when it vanished or changed its type. Raises :class:`SourceLimit`."""
        try:
            descriptor = os.open(self.name, _FILE, dir_fd=self.parent)
        except OSError as error:
            if error.errno in (*_GONE, errno.ENXIO, errno.ENODEV):
                return None
            raise SourceLimit(f"{self.root}/{path} cannot be read: {error.strerror}") from error
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        return None

    def link(self, path: str) -> str | None:
        """The target of the current link, None when it vanished or changed its type. Raises :class:`SourceLimit`."""
        try:
            return os.readlink(self.name, dir_fd=self.parent)
        except OSError as error:
            if error.errno in (*_GONE, errno.EINVAL):
                return None
            raise SourceLimit(f"{self.root}/{path} cannot be read: {error.strerror}") from error

    def _is_database(self, path: str) -> bool:
        return matches(path, self._sqlite)

    def _is_companion(self, path: str) -> bool:
        return any(path.endswith(tail) and self._is_database(path[: -len(tail)]) for tail in COMPANIONS)


def matches(path: str, patterns: t.Sequence[str]) -> bool:
    """Whether a path below the root, or its last name, matches one of the patterns (``*.db``, ``cache``, ``a/b/*``)."""
    name = path.rsplit("/", 1)[-1]
    return any(fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def raise_open_files() -> None:
    """Raise the limit of open files: a walk has one open for each level, and macOS allows 256 by default."""
    import resource

    with contextlib.suppress(OSError, ValueError):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY and soft < 4096:
            wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
