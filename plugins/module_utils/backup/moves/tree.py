# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy a directory that is in use, again and again: each pass copies only what differs. Then compare all of it."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import attributes, sparse
from ansible_collections.onebox.stack.plugins.module_utils.core import beneath, files, trees


class Compared(t.NamedTuple):
    """The result of a comparison.

    Attributes:
        differing: names that differ, "" for the directory itself.
        sha256: of names, types, owners, modes, times, attributes and contents of the source.
        files: number of plain files.
        bytes: their size.
    """

    differing: list[str]
    sha256: str
    files: int
    bytes: int


class Copy:
    """The copy of a directory.

    Args:
        source: the open directory. Applications may change names in it at any moment.
        target: path of the copy, in a directory that only this user can enter.

    Attributes:
        left_out: sockets and devices in the source.
    """

    def __init__(self, source: beneath.Directory, target: str) -> None:
        self._source = source
        self._target = target
        self._links: dict[tuple[int, int], str] = {}
        self.left_out: list[str] = []

    def run(self) -> None:
        """One pass. Names that vanish meanwhile are left out.

        Raises:
            OSError, FileError: an entry cannot be read or written.
            SourceError: the target cannot keep an attribute.
        """
        self._links.clear()
        self.left_out = []
        seen = set()
        folders = [("", os.fstat(self._source.descriptor))]
        _make_directory(self._target)
        for name, status in self._source.walk():
            try:
                kept = self._entry(name, status)
            except (FileNotFoundError, beneath.UnsafePath):
                continue
            if stat.S_ISDIR(status.st_mode):
                folders.append((name, status))
            if kept:
                seen.add(name)
        with beneath.open_directory(self._target) as target:
            extra = [name for name, _status in target.walk() if name not in seen]
        for name in extra:
            trees.remove_tree(self._place(name))
        # Last: an entry that is written changes the time of its directory.
        for name, status in reversed(folders):
            if not name or name in seen:
                self._dress_directory(name, status)

    def again(self, names: t.Iterable[str]) -> None:
        """Copy entries from the beginning, whatever their times are."""
        for name in names:
            if name and not os.path.isdir(self._place(name)):
                trees.remove_tree(self._place(name))
        self.run()

    def _place(self, name: str) -> str:
        return os.path.join(self._target, name) if name else self._target

    def _entry(self, name: str, status: os.stat_result) -> bool:
        """Copy one entry. Returns whether the copy has it."""
        place, kind = self._place(name), stat.S_IFMT(status.st_mode)
        if kind not in (stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK, stat.S_IFIFO):
            self.left_out.append(name)
            return False
        if os.path.lexists(place) and stat.S_IFMT(os.lstat(place).st_mode) != kind:
            trees.remove_tree(place)
        if kind == stat.S_IFDIR:
            _make_directory(place)
        elif kind == stat.S_IFREG:
            self._file(name, place)
        elif kind == stat.S_IFLNK:
            _link(self._source.link_target(name), place, status)
        else:
            if not os.path.lexists(place):
                os.mkfifo(place, 0o600)
            _dress(place, status)
        return True

    def _file(self, name: str, place: str) -> None:
        descriptor = self._source.open(name, os.O_RDONLY | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise FileNotFoundError(errno.ENOENT, "changed its type", name)
            identity = (status.st_dev, status.st_ino)
            first = self._links.get(identity) if status.st_nlink > 1 else None
            if first:
                if not (os.path.lexists(place) and os.path.samefile(first, place)):
                    trees.remove_tree(place)
                    os.link(first, place, follow_symlinks=False)
                return
            self._links[identity] = place
            if not _same(place, status):
                # A file with several names in the copy could be another one's content in the source.
                trees.remove_tree(place)
                _write(descriptor, status.st_size, place)
            _attributes(place, attributes.read(descriptor))
            _dress(place, status)
        finally:
            os.close(descriptor)

    def _dress_directory(self, name: str, status: os.stat_result) -> None:
        try:
            descriptor = self._source.open(name, os.O_RDONLY | os.O_DIRECTORY) if name else -1
        except (FileNotFoundError, beneath.UnsafePath):
            return
        try:
            own = self._source.descriptor if descriptor < 0 else descriptor
            _attributes(self._place(name), attributes.read(own))
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        _dress(self._place(name), status)


def compare(source: beneath.Directory, target: str) -> Compared:
    """Compare a copy with its source: names, types, owners, modes, times, attributes, links, contents."""
    digest, count, size = hashlib.sha256(), 0, 0
    wanted, found = _listing(source), {}
    with beneath.open_directory(target) as copy:
        found = _listing(copy)
    for name, row in wanted.items():
        digest.update(ascii((name, row)).encode())
        if row[0] == stat.S_IFREG:
            count += 1
            size += row[-1]
    names = [*wanted, *(name for name in found if name not in wanted)]
    differing = [name for name in names if wanted.get(name) != found.get(name)]
    return Compared(differing, digest.hexdigest(), count, size)


def _listing(directory: beneath.Directory) -> dict[str, tuple[t.Any, ...]]:
    firsts: dict[tuple[int, int], str] = {}
    found = {"": _common(os.fstat(directory.descriptor), attributes.read(directory.descriptor))}
    for name, status in sorted(directory.walk()):
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFLNK:
            found[name] = (kind, status.st_uid, status.st_gid, directory.link_target(name))
        elif kind in (stat.S_IFREG, stat.S_IFDIR):
            descriptor = directory.open(name, os.O_RDONLY | os.O_NONBLOCK)
            try:
                row = _common(status, attributes.read(descriptor))
            finally:
                os.close(descriptor)
            if kind == stat.S_IFREG:
                first = firsts.setdefault((status.st_dev, status.st_ino), name)
                row = (*row, first, directory.digest(name), status.st_size)
            found[name] = row
        elif kind == stat.S_IFIFO:
            found[name] = _common(status, {})
    return found


def _common(status: os.stat_result, extended: attributes.Attributes) -> tuple[t.Any, ...]:
    mode = stat.S_IMODE(status.st_mode)
    pairs = tuple(sorted(attributes.digests(extended).items()))
    return stat.S_IFMT(status.st_mode), mode, status.st_uid, status.st_gid, status.st_mtime_ns, pairs


def _same(place: str, status: os.stat_result) -> bool:
    """Whether a copied file is complete: its time is set after its content."""
    try:
        copied = os.lstat(place)
    except FileNotFoundError:
        return False
    return (copied.st_size, copied.st_mtime_ns) == (status.st_size, status.st_mtime_ns) and copied.st_nlink == 1


def _write(source: int, size: int, place: str) -> None:
    target = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        for start, length in sparse.segments(source, size):
            position = start
            while position < start + length:
                data = os.pread(source, min(files.CHUNK, start + length - position), position)
                if not data:
                    break  # it became shorter: the next pass copies it again
                os.pwrite(target, data, position)
                position += len(data)
        os.ftruncate(target, size)
    finally:
        os.close(target)


def _make_directory(place: str) -> None:
    try:
        os.mkdir(place, 0o700)
    except FileExistsError:
        os.chmod(place, 0o700)  # to write in it


def _link(target: str, place: str, status: os.stat_result) -> None:
    if os.path.lexists(place) and os.readlink(place) != target:
        os.unlink(place)
    if not os.path.lexists(place):
        os.symlink(target, place)
    os.chown(place, status.st_uid, status.st_gid, follow_symlinks=False)


def _dress(place: str, status: os.stat_result) -> None:
    os.chown(place, status.st_uid, status.st_gid)
    os.chmod(place, stat.S_IMODE(status.st_mode))
    os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))


def _attributes(place: str, wanted: attributes.Attributes) -> None:
    if not wanted:
        return
    for name, value in wanted.items():
        try:
            os.setxattr(place, name, value)
        except OSError as error:
            raise SourceError(
                f"{place} cannot keep the attribute {name}: {error.strerror}. Move to a file system with extended "
                "attributes, or remove the attribute"
            ) from error
