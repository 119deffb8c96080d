# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpack one of our archives: by descriptors, without members outside of the directory, with holes.

Only this user can enter the directory. Links are still not followed, because of the archive: a forged one could contain
a link, and then a file whose path leads through it.
"""

from __future__ import annotations

import contextlib
import os
import tarfile
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import (
    attributes,
    listing,
    sparse,
    tar_format,
    walk,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory.limits import Limits
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory.model import DirectoryFacts
from ansible_collections.onebox.stack.plugins.module_utils.core import beneath, files, trees

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class _Way:
    """The open directories from the root to the directory of the last member."""

    def __init__(self, top: int) -> None:
        self._names: list[str] = []
        self._open = [top]

    def to(self, folder: str) -> int:
        """The descriptor of a directory below the root ("" for itself), reached without following a link."""
        parts = folder.split("/") if folder else []
        same = 0
        while same < min(len(parts), len(self._names)) and parts[same] == self._names[same]:
            same += 1
        self._back(same)
        for part in parts[same:]:
            self._open.append(os.open(part, _DIRECTORY, dir_fd=self._open[-1]))
            self._names.append(part)
        return self._open[-1]

    def _back(self, depth: int) -> None:
        while len(self._names) > depth:
            self._names.pop()
            os.close(self._open.pop())

    def close(self) -> None:
        self._back(0)
        os.close(self._open.pop())


def extract(archive: str, into: str, owners: bool, limits: Limits | None = None) -> list[str]:
    """Unpack one of our archives below ``into``, an existing directory. Members that would leave it are refused.

    Args:
        owners: set the owners of files (root only).
        limits: checks the free room.

    Returns:
        Names of attributes that this file system, or this user, cannot set.

    Raises:
        StoreError: a name that leaves the directory, a path through a link, or a kind of entry we never write.
    """
    limits = limits or Limits(into)
    dirs: list[tarfile.TarInfo] = []
    lost: set[str] = set()
    walk.raise_open_files()
    way = _Way(beneath.open_directory(into).descriptor)
    with contextlib.closing(way), files.open_regular(archive) as file, tar_format.reader(file) as tar:
        try:
            for info in tar:
                tar_format.forget_members(tar)
                folder, name = _place(info, archive)
                try:
                    parent = way.to(folder)
                except OSError as error:
                    raise StoreError(
                        f"{archive} holds {info.name!r}, whose path is missing or leads through a link; refused"
                    ) from error
                if info.isdir():
                    dirs.append(info)
                _member(tar, info, parent, name, way, archive, limits)
                if not info.isdir() and not info.islnk():
                    _dress(parent, name, info, owners, lost)
        except tarfile.TarError as error:
            raise StoreError(f"{archive} is damaged: {error}; use another set") from error
        # Last, because a directory may be read-only, and adding entries changes its time.
        for info in reversed(dirs):
            folder, name = _place(info, archive)
            _dress(way.to(folder), name, info, owners, lost)
    return sorted(lost)


def _place(info: tarfile.TarInfo, archive: str) -> tuple[str, str]:
    if info.name == ".":
        return "", "."
    if not trees.safe_relative(info.name):
        raise StoreError(f"{archive} holds {info.name!r}, which leaves the directory; refused")
    folder, _slash, name = info.name.rpartition("/")
    return folder, name


def _member(
    tar: tarfile.TarFile, info: tarfile.TarInfo, parent: int, name: str, way: _Way, archive: str, limits: Limits
) -> None:
    try:
        if info.isdir():
            if name != ".":
                os.mkdir(name, 0o700, dir_fd=parent)
        elif info.issym():
            os.symlink(info.linkname, name, dir_fd=parent)
        elif info.isfifo():
            os.mkfifo(name, 0o600, dir_fd=parent)
        elif info.islnk():
            _link(info, parent, name, way, archive)
        elif info.isreg():
            _file(tar, info, parent, name, limits)
        else:
            raise StoreError(f"{archive} holds {info.name!r} of a kind this program never writes; refused")
    except FileExistsError as error:
        raise StoreError(f"{archive} holds {info.name!r} twice; refused") from error
    except OSError as error:
        raise files.error_of("write", f"{info.name!r} of {archive}", error) from error


def _link(info: tarfile.TarInfo, parent: int, name: str, way: _Way, archive: str) -> None:
    if not trees.safe_relative(info.linkname):
        raise StoreError(f"{archive} holds {info.name!r}, a link to {info.linkname!r}; refused")
    folder, _slash, first = info.linkname.rpartition("/")
    here = os.dup(parent)
    try:
        os.link(first, name, src_dir_fd=way.to(folder), dst_dir_fd=here, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise StoreError(f"{archive} holds {info.name!r}, a link to {info.linkname!r} that is not there") from error
    finally:
        os.close(here)


def _file(tar: tarfile.TarFile, info: tarfile.TarInfo, parent: int, name: str, limits: Limits) -> None:
    source = t.cast("t.IO[bytes]", tar.extractfile(info))
    table = t.cast("list[sparse.Segment] | None", info.sparse)
    parts = [(0, info.size)] if table is None else table
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, 0o600, dir_fd=parent)
    try:
        position = 0
        for offset, length in parts:
            if offset < position or length < 0 or offset + length > info.size:
                raise StoreError(f"{info.name!r} has parts beyond its end; use another set")
            source.seek(offset)
            for position in range(offset, offset + length, sparse.BLOCK):
                block = source.read(min(sparse.BLOCK, offset + length - position))
                limits.moved(len(block))
                # Unwritten blocks become holes.
                if not sparse.zeros(block):
                    _write_all(descriptor, block, position)
            position = offset + length
        os.ftruncate(descriptor, info.size)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes, position: int) -> None:
    os.lseek(descriptor, position, os.SEEK_SET)
    while data:
        data = data[os.write(descriptor, data) :]


def _dress(parent: int, name: str, info: tarfile.TarInfo, owners: bool, lost: set[str]) -> None:
    """Owner, attributes, mode and time, in this order: changing the owner removes capabilities and setuid."""
    if info.issym() or info.isfifo():
        if owners:
            os.chown(name, info.uid, info.gid, dir_fd=parent, follow_symlinks=False)
        if info.isfifo():
            os.chmod(name, info.mode, dir_fd=parent)
            os.utime(name, (info.mtime, info.mtime), dir_fd=parent, follow_symlinks=False)
        return
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    try:
        if owners:
            os.fchown(descriptor, info.uid, info.gid)
        # Mode first: setting an ACL afterwards sets the same rights of the group.
        os.fchmod(descriptor, info.mode)
        lost.update(attributes.write(descriptor, tar_format.attributes_of(info)))
        os.utime(descriptor, (info.mtime, info.mtime))
    finally:
        os.close(descriptor)


def overlay_databases(facts: DirectoryFacts, staged: str, into: str, owners: bool) -> None:
    """Copy the SQLite files of a set to their paths below a restored root, with the owner and mode of the list."""
    if not facts.databases:
        return
    rows = listing.find(os.path.join(staged, facts.list), facts.databases)
    with beneath.open_directory(into) as root:
        for path, artefact in facts.databases.items():
            if path not in rows:
                raise StoreError(f"the list of {facts.root} lacks {path!r}; use another set")
            folder, _slash, name = path.rpartition("/")
            if folder:
                root.make_directories(folder, 0o700)
            with contextlib.ExitStack() as stack:
                parent = stack.enter_context(root.directory(folder)) if folder else root
                before = os.fstat(parent.descriptor)
                with contextlib.suppress(FileNotFoundError):
                    parent.unlink(name)
                _copy(os.path.join(staged, artefact), parent, name)
                owner = (rows[path]["uid"], rows[path]["gid"]) if owners else (-1, -1)
                parent.dress(name, rows[path]["mode"], owner)
                # Its times show whether entries were added or removed during the backup. This copy did not change it.
                os.utime(parent.descriptor, ns=(before.st_atime_ns, before.st_mtime_ns))


def _copy(path: str, parent: beneath.Directory, name: str) -> None:
    descriptor = parent.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with files.open_regular(path) as source, os.fdopen(descriptor, "wb") as copy:
        while chunk := source.read(files.CHUNK):
            copy.write(chunk)


def dress_root(facts: DirectoryFacts, staged: str, into: str, owners: bool) -> None:
    """Set owner and mode of the restored root itself."""
    row = listing.find(os.path.join(staged, facts.list), (".",)).get(".")
    if row is None:
        raise StoreError(f"the list of {facts.root} lacks the directory itself; use another set")
    with beneath.open_directory(into) as root:
        if owners:
            os.fchown(root.descriptor, row["uid"], row["gid"])
        os.fchmod(root.descriptor, row["mode"])
