# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read and replace single files: whole or not at all, private from the first byte, never through a link.

Durability is named at each call. ``durable=True`` survives a power cut: content and name are on the disk when the call
returns. ``durable=False`` survives the death of the process, and a power cut may leave an empty file: for a file that
can be made again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import stat
import tempfile
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath

CHUNK = 1 << 20
_SCRATCH = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)-[^.]{8}\.tmp")


class FileError(OneboxError):
    """A file cannot be read or written.

    Attributes:
        path: the file.
        errno: the system's error number, 0 when it is not the system that refused.
    """

    def __init__(self, message: str, path: str, number: int = 0) -> None:
        super().__init__(message)
        self.path = path
        self.errno = number


class DiskFull(FileError):
    """The file system or the user's quota is full."""


def error_of(doing: str, path: str, error: OSError) -> FileError:
    """The error to raise for a system error: ``cannot <doing> <path>: <reason>``."""
    kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else FileError
    return kind(f"cannot {doing} {path}: {error.strerror or error}", path, error.errno or 0)


def sync(descriptor: int) -> None:
    """Put the content of an open file or directory on the disk.

    On macOS fsync stops at the drive's cache and F_FULLFSYNC does not (Apple's fsync(2)).
    """
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        try:
            fcntl.fcntl(descriptor, full)
            return
        except OSError:
            pass  # not every file system supports it
    os.fsync(descriptor)


def sync_directory(path: str) -> None:
    """Put the names in a directory on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def replace(path: str, data: bytes, mode: int = 0o600, *, durable: bool, owner: tuple[int, int] = (-1, -1)) -> None:
    """Write ``data`` to ``path`` in one step: a reader finds the old or the new file, never a part. A link is replaced.

    Args:
        path: the file; its directory must exist.
        data: the whole content.
        mode: mode of the file, whatever the umask. Until the file has its owner and mode, only this user can read it.
        durable: whether the file survives a power cut, see the module's text.
        owner: user and group id; -1 leaves this process's own.

    Raises:
        DiskFull, FileError: it cannot be written; the old file is unchanged.
    """
    folder, name = os.path.split(os.path.abspath(path))
    try:
        _remove_leftovers(folder, name)
        descriptor, scratch = tempfile.mkstemp(prefix=f".{name[:200]}.{os.getpid()}-", suffix=".tmp", dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                if owner != (-1, -1):
                    os.fchown(descriptor, *owner)
                os.fchmod(descriptor, mode)
                stream.flush()
                if durable:
                    sync(descriptor)
            os.replace(scratch, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(scratch)
            raise
        if durable:
            sync_directory(realpath(folder))
    except OSError as error:
        raise error_of("write", path, error) from error


def _remove_leftovers(folder: str, name: str) -> None:
    """Remove temporary files of killed runs for the same file."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(f".{name[:200]}.")]
    for leftover in names:
        found = _SCRATCH.fullmatch(leftover)
        if found and found["name"] == name[:200] and not _alive(int(found["pid"])):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, leftover))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def write_if_changed(path: str, data: bytes, mode: int, *, durable: bool, check: bool = False) -> bool:
    """Make ``path`` a plain file with this content and mode. Returns whether that changed, or would change, it.

    Args:
        check: only compare.

    Raises:
        DiskFull, FileError: as :func:`replace`.
    """
    try:
        with open_regular(path) as stream:
            same = stream.read() == data and stat.S_IMODE(os.fstat(stream.fileno()).st_mode) == mode
    except OSError:
        same = False
    if not same and not check:
        replace(path, data, mode, durable=durable)
    return not same


def read_text(path: str) -> str:
    """The text of a plain file, "" when there is none.

    Raises:
        FileError: it is not a plain file, cannot be read, or is not UTF-8.
    """
    try:
        with open_regular(path) as stream:
            return stream.read().decode("utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise FileError(f"{path} is not UTF-8 (byte {error.start}). Convert or remove it.", path) from error
    except OSError as error:
        raise error_of("read", path, error) from error


def remove(path: str) -> bool:
    """Remove a file or a link. Returns whether there was one.

    Raises:
        FileError: it cannot be removed.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise error_of("remove", path, error) from error
    return True


def make_directories(path: str, mode: int) -> None:
    """Create ``path`` and the directories above it; those that exist keep their mode.

    Raises:
        FileError: one cannot be created.
    """
    try:
        os.makedirs(path, mode=mode, exist_ok=True)
    except OSError as error:
        raise error_of("create the directory", path, error) from error


def open_regular(path: str) -> t.BinaryIO:
    """Open a plain file for reading. Raises :class:`OSError`, also for a link and for a device."""
    return os.fdopen(_open_plain(path), "rb")


@contextlib.contextmanager
def open_plain(path: str) -> t.Iterator[int]:
    """:func:`open_regular` as a bare descriptor: cheaper where a hundred thousand files are read."""
    descriptor = _open_plain(path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open_plain(path: str) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a plain file", path)
    return descriptor


def digest(path: str) -> tuple[str, int]:
    """SHA-256 as hex digits and size in bytes of a plain file. Raises :class:`OSError`."""
    total = 0
    found = hashlib.sha256()
    with open_regular(path) as stream:
        while chunk := stream.read(CHUNK):
            found.update(chunk)
            total += len(chunk)
    return found.hexdigest(), total


class HashedFile:
    """A new private file that is hashed while it is written. Use as a context manager.

    Attributes:
        path: the file.
        size: bytes written so far.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.size = 0
        self._hash = hashlib.sha256()
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            raise error_of("create", path, error) from error

    def write(self, data: bytes) -> int:
        """Write all of ``data``. Raises :class:`DiskFull` or :class:`FileError`."""
        self._hash.update(data)
        view = memoryview(data)
        while view:
            try:
                done = os.write(self._descriptor, view)
            except OSError as error:
                raise error_of("write", self.path, error) from error
            self.size += done
            view = view[done:]
        return len(data)

    def sha256(self) -> str:
        """Hex digest of everything written so far."""
        return self._hash.hexdigest()

    def sync(self) -> None:
        """Put the content on the disk; the name follows with :func:`sync_directory`. Raises as :meth:`write`."""
        try:
            sync(self._descriptor)
        except OSError as error:
            raise error_of("write", self.path, error) from error

    def __enter__(self) -> HashedFile:
        return self

    def __exit__(self, *unused: object) -> None:
        os.close(self._descriptor)


def write_new(path: str, data: bytes, *, durable: bool) -> str:
    """Create the private file ``path`` with ``data``. Returns its SHA-256 as hex digits.

    Args:
        durable: whether the content is on the disk when the call returns; the name follows with :func:`sync_directory`.

    Raises:
        DiskFull, FileError: it cannot be written, or there is something at ``path``, be it a link.
    """
    with HashedFile(path) as stream:
        stream.write(data)
        if durable:
            stream.sync()
    return stream.sha256()
