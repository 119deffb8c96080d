# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work below a directory that another user can write to, without ever leaving it.

A container, or an application's user, can replace any name below a directory it may write to, at any moment: with a
link to ``/etc``, with a directory moved elsewhere. A path that root resolves twice is then two different files. So the
directory is opened once, and everything below it is opened relative to its descriptor, by ``openat2`` with
RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS (Linux 5.6), elsewhere component by component without
following links. Owners and modes are set by descriptor, never by name.

A path string ends at the directory's root: :func:`open_directory` takes one, nothing else here does.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import files, linux, trees
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_UNCHANGED = (-1, -1)


class UnsafePath(OneboxError):
    """A name leads, or could lead, out of the directory it belongs to.

    Attributes:
        path: the component that is a link, or that is not a directory.
    """

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


class TooLarge(OneboxError):
    """A tree has more entries, or deeper ones, than a walk may visit."""


def check_relative(name: str) -> str:
    """``name`` when it stays below the directory it is joined to.

    Raises:
        UnsafePath: it is empty or absolute, or has an empty part, ``.``, ``..`` or a NUL in it.
    """
    if not trees.safe_relative(name):
        raise UnsafePath(f"{name!r} is not a name below a directory", name)
    return name


def foreign_link(path: str, foreign: t.Collection[str] = ()) -> str:
    """The first component of an absolute ``path`` that is a link another user could have created, "" without one.

    A link is trusted when it and all directories above it belong to root or to this user, no other user can write to
    its directory, and it is not in one of ``foreign``.

    Args:
        path: need not exist; missing components are not links.
        foreign: directories in which others create names, also as root: the sources of bind mounts.
    """
    try:
        os.close(_walk(path, foreign))
    except UnsafePath as error:
        return error.path
    except OSError:
        return ""
    return ""


def open_directory(path: str, foreign: t.Collection[str] = ()) -> Directory:
    """Open the directory at an absolute ``path``. Links in it must be trusted, see :func:`foreign_link`.

    Raises:
        UnsafePath: a component is a link that another user could have created, or is not a directory.
        FileError: it does not exist or cannot be opened.
    """
    try:
        return Directory(_walk(path, foreign), path)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise UnsafePath(f"{path} is not a directory", path) from error
        raise files.error_of("open the directory", path, error) from error


def _walk(path: str, foreign: t.Collection[str]) -> int:
    """A descriptor of ``path``, reached component by component; trusted links are followed, others raise UnsafePath."""
    if not os.path.isabs(path):
        raise UnsafePath(f"{path!r} is not an absolute path", path)
    roots = [os.path.normpath(root) for root in foreign]
    left = [part for part in path.split("/") if part not in ("", ".")]
    place, links = "/", 0
    # Whether only root and this user could have created the names in the present directory.
    ours = True
    current = os.open("/", _DIRECTORY)
    try:
        while left:
            part = left.pop(0)
            here = os.path.normpath(os.path.join(place, part))
            ours = ours and only_ours(os.fstat(current)) and not any(_below(place, root) for root in roots)
            status = os.stat(part, dir_fd=current, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                links += 1
                if not ours or status.st_uid not in (0, os.geteuid()) or links > 40:
                    raise UnsafePath(f"{here} is a symbolic link that root did not create", here)
                target = os.readlink(part, dir_fd=current)
                left = [each for each in target.split("/") if each not in ("", ".")] + left
                if not target.startswith("/"):
                    continue
                following, place, ours = os.open("/", _DIRECTORY), "/", True
            else:
                # O_NOFOLLOW refuses a link created since.
                following, place = os.open(part, _DIRECTORY, dir_fd=current), here
            os.close(current)
            current = following
    except BaseException:
        os.close(current)
        raise
    return current


def only_ours(status: os.stat_result) -> bool:
    """Whether only root and this user can replace names in a directory of this status."""
    if status.st_uid not in (0, os.geteuid()):
        return False
    # In a sticky directory such as /tmp others can create names, but not replace those of root.
    return not status.st_mode & 0o022 or bool(status.st_mode & stat.S_ISVTX)


def _below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


class Directory:
    """An open directory; every name is relative to it and cannot lead out of it. Use as a context manager.

    All methods raise :class:`UnsafePath` where a component is a link or not a directory, and :class:`OSError` as the
    system call does.

    Attributes:
        descriptor: of the open directory.
        path: of the directory, for messages only.
    """

    def __init__(self, descriptor: int, path: str) -> None:
        self.descriptor = descriptor
        self.path = path

    def __enter__(self) -> Directory:
        return self

    def __exit__(self, *unused: object) -> None:
        os.close(self.descriptor)

    def open(self, name: str, flags: int, mode: int = 0) -> int:
        """Open ``name``. No component may be a link. To create it, pass O_CREAT and ``mode``."""
        try:
            return linux.open_beneath(self.descriptor, check_relative(name), flags | os.O_NOFOLLOW, mode)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EXDEV, errno.ENOTDIR):
                place = os.path.join(self.path, name)
                raise UnsafePath(f"{place} is, or lies behind, a symbolic link", place) from error
            raise

    def directory(self, name: str) -> Directory:
        """Open a directory below this one."""
        return Directory(self.open(name, _DIRECTORY), os.path.join(self.path, name))

    def stat(self, name: str) -> os.stat_result:
        """``lstat`` of ``name``."""
        with self._parent(name) as (parent, last):
            return os.stat(last, dir_fd=parent, follow_symlinks=False)

    def exists(self, name: str) -> bool:
        """Whether the name exists, as a link or anything else."""
        try:
            self.stat(name)
        except FileNotFoundError:
            return False
        return True

    def names(self) -> list[str]:
        """The names in this directory, sorted."""
        return sorted(os.listdir(self.descriptor))

    def read(self, name: str, most: int = -1) -> bytes:
        """The content of a plain file, at most ``most`` bytes of it."""
        descriptor = self.open(name, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "not a plain file", os.path.join(self.path, name))
            return stream.read(most)

    def digest(self, name: str) -> str:
        """SHA-256 of a plain file as hex digits."""
        found = hashlib.sha256()
        for block in self.blocks(name):
            found.update(block)
        return found.hexdigest()

    def blocks(self, name: str) -> t.Iterator[bytes]:
        """The content of a plain file, a part at a time."""
        descriptor = self.open(name, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "not a plain file", os.path.join(self.path, name))
            while block := stream.read(files.CHUNK):
                yield block

    def link_target(self, name: str) -> str:
        """Where a link leads. Raises :class:`OSError` with EINVAL if it is not a link."""
        with self._parent(name) as (parent, last):
            return os.readlink(last, dir_fd=parent)

    def make_directories(self, name: str, mode: int, owner: tuple[int, int] = _UNCHANGED) -> list[str]:
        """Create ``name`` and the directories above it. Returns those that were created; others stay as they are."""
        made: list[str] = []
        parts = check_relative(name).split("/")
        for depth in range(1, len(parts) + 1):
            part = "/".join(parts[:depth])
            with self._parent(part) as (parent, last):
                try:
                    os.mkdir(last, 0o700, dir_fd=parent)
                except FileExistsError:
                    continue
            self.dress(part, mode, owner)
            made.append(part)
        return made

    def dress(self, name: str, mode: int | None, owner: tuple[int, int] = _UNCHANGED) -> None:
        """Set owner and mode of a plain file or a directory, by descriptor."""
        descriptor = self.open(name, os.O_RDONLY | os.O_NONBLOCK)
        try:
            if owner != _UNCHANGED:
                os.fchown(descriptor, *owner)
            if mode is not None:
                os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)

    def overwrite(self, name: str, blocks: t.Iterable[bytes], mode: int) -> bool:
        """Write a plain file where it is: a container that has this very file mounted reads the new content.

        A reader can find a part, also after the death of this process.

        Returns:
            Whether it was written. Not so where it has a second name, is being executed, or may not be written to:
            such a file can only be replaced.
        """
        try:
            descriptor = self.open(name, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.ETXTBSY):
                return False
            raise
        with os.fdopen(descriptor, "wb") as stream:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
                return False
            # Users who cannot read the new file must not read the new content.
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & mode)
            for block in blocks:
                stream.write(block)
            stream.truncate()
            os.fchmod(descriptor, mode)
        return True

    def link(self, name: str, target: str) -> None:
        """Make ``name`` a link to ``target`` in one step. An existing one is replaced."""
        with self._parent(name) as (parent, last):
            scratch = f".{last[:200]}.{secrets.token_hex(8)}.tmp"
            os.symlink(target, scratch, dir_fd=parent)
            try:
                os.rename(scratch, last, src_dir_fd=parent, dst_dir_fd=parent)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(scratch, dir_fd=parent)
                raise

    def replace(
        self,
        name: str,
        data: bytes | t.Iterable[bytes],
        mode: int,
        *,
        durable: bool,
        owner: tuple[int, int] = _UNCHANGED,
    ) -> None:
        """Write a file in one step, see :func:`files.replace`. Its directory must exist. A link is replaced."""
        with self._parent(name) as (parent, last):
            scratch = f".{last[:200]}.{secrets.token_hex(8)}.tmp"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(scratch, flags, 0o600, dir_fd=parent)
            try:
                with os.fdopen(descriptor, "wb") as stream:
                    for block in [data] if isinstance(data, bytes) else data:
                        stream.write(block)
                    if owner != _UNCHANGED:
                        os.fchown(descriptor, *owner)
                    os.fchmod(descriptor, mode)
                    stream.flush()
                    if durable:
                        files.sync(descriptor)
                os.rename(scratch, last, src_dir_fd=parent, dst_dir_fd=parent)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(scratch, dir_fd=parent)
                raise
            if durable:
                files.sync(parent)

    def rename(self, name: str, other: Directory, new: str) -> None:
        """Move ``name`` to ``new`` below ``other``, which is on the same file system. An existing one is replaced."""
        with self._parent(name) as (source, last), other._parent(new) as (target, new_last):
            os.rename(last, new_last, src_dir_fd=source, dst_dir_fd=target)

    def exchange(self, name: str, other: Directory, new: str) -> None:
        """Exchange two names in one step (renameat2). Raises :class:`OSError` with ENOSYS without system support."""
        with self._parent(name) as (source, last), other._parent(new) as (target, new_last):
            linux.exchange(source, last, target, new_last)

    def unlink(self, name: str) -> None:
        """Remove a name that is not a directory."""
        with self._parent(name) as (parent, last):
            os.unlink(last, dir_fd=parent)

    def remove_empty(self, name: str) -> bool:
        """Remove a directory when it is empty. Returns whether it was."""
        with self._parent(name) as (parent, last):
            try:
                os.rmdir(last, dir_fd=parent)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    return False
                raise
        return True

    def walk(self, most_entries: int = 10_000_000, most_depth: int = 10_000) -> t.Iterator[tuple[str, os.stat_result]]:
        """Every name below, with its ``lstat``, directories before their content. No link is followed.

        Names that vanish meanwhile, or whose directory becomes a link, are left out.

        Raises:
            TooLarge: there are more entries, or deeper ones, than allowed.
        """
        waiting = [""]
        count = 0
        while waiting:
            folder = waiting.pop()
            if folder.count("/") >= most_depth:
                raise TooLarge(f"{os.path.join(self.path, folder)} is nested deeper than {most_depth} directories")
            try:
                descriptor = self.open(folder, _DIRECTORY) if folder else os.dup(self.descriptor)
            except (UnsafePath, FileNotFoundError):
                continue
            except OSError as error:
                if error.errno == errno.ENAMETOOLONG:
                    raise TooLarge(f"a path below {self.path} is longer than the system can open") from error
                raise
            try:
                for name in sorted(os.listdir(descriptor)):
                    count += 1
                    if count > most_entries:
                        raise TooLarge(f"{self.path} has more than {most_entries} entries")
                    try:
                        status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    inner = f"{folder}/{name}" if folder else name
                    if stat.S_ISDIR(status.st_mode):
                        waiting.append(inner)
                    yield inner, status
            finally:
                os.close(descriptor)

    @contextlib.contextmanager
    def _parent(self, name: str) -> t.Iterator[tuple[int, str]]:
        """The open directory that ``name`` lies in, and its last component."""
        folder, _slash, last = check_relative(name).rpartition("/")
        descriptor = self.open(folder, _DIRECTORY) if folder else os.dup(self.descriptor)
        try:
            yield descriptor, last
        finally:
            os.close(descriptor)
