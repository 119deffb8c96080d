# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that survive a power cut and cannot be led astray by links.

Directories are opened O_DIRECTORY|O_NOFOLLOW, files O_CREAT|O_EXCL|O_NOFOLLOW with mode 0600: ``pg_dump -f`` follows a
link planted at a predictable name and overwrites its victim; nothing here does.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import stat
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SpaceError, StoreError

CHUNK = 1 << 20
_NOFOLLOW_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def sync(fd: int) -> None:
    """Make ``fd`` durable. On macOS fsync stops at the drive's cache, F_FULLFSYNC does not (Apple's fsync(2))."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        try:
            fcntl.fcntl(fd, full)
            return
        except OSError:
            pass  # not every file system has it
    os.fsync(fd)


def sync_dir(path: str) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, _NOFOLLOW_DIR)
    try:
        sync(fd)
    finally:
        os.close(fd)


def private_dir(path: str, uid: int | None = None) -> None:
    """Make ``path`` a directory that only its owner enters, or refuse what is there.

    Raises:
        StoreError: it is a link, not a directory, another user's, or open to others.
    """
    uid = os.geteuid() if uid is None else uid
    parent = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(parent):
        os.makedirs(parent, mode=0o755, exist_ok=True)
    try:
        os.mkdir(path, 0o700)
        sync_dir(parent)
    except FileExistsError:
        pass
    except OSError as error:
        raise StoreError(f"cannot make the directory {path}: {error.strerror}") from error
    try:
        fd = os.open(path, _NOFOLLOW_DIR)
    except OSError as error:
        what = "a link or not a directory" if error.errno in (errno.ELOOP, errno.ENOTDIR) else error.strerror
        raise StoreError(f"{path} cannot be used for backups: it is {what}; remove it or name another place") from error
    try:
        status = os.fstat(fd)
    finally:
        os.close(fd)
    if status.st_uid != uid:
        raise StoreError(f"{path} belongs to uid {status.st_uid}, not {uid}: whoever owns it could swap its contents")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise StoreError(
            f"{path} has mode {stat.S_IMODE(status.st_mode):04o}: others can enter; run chmod 0700 {path} after a look"
        )


def private_parents(root: str, relative: str) -> str:
    """Make the directories above ``relative`` below ``root``, each mode 0700 whatever the umask. Returns the path."""
    if not safe_relative(relative):
        raise StoreError(f"{relative!r} leaves {root}; refused")
    place = root
    for part in relative.split("/")[:-1]:
        place = os.path.join(place, part)
        try:
            os.mkdir(place, 0o700)
        except FileExistsError:
            if os.path.islink(place) or not os.path.isdir(place):
                raise StoreError(f"{place} is a link or not a directory; refused") from None
    return os.path.join(root, relative)


class HashedFile:
    """A new file that is hashed while it is written. Use as a context manager.

    It is not durable afterwards: :func:`sync_tree` makes a whole set so, and what is only staged needs it not.

    Attributes:
        size: bytes written so far.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.size = 0
        self._hash = hashlib.sha256()
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._fd = os.open(path, flags, 0o600)
        except OSError as error:
            raise StoreError(f"cannot create {path}: {error.strerror}") from error

    def write(self, data: bytes) -> int:
        """Write all of ``data``. Raises :class:`SpaceError` when the disk is full."""
        self._hash.update(data)
        view = memoryview(data)
        while view:
            try:
                done = os.write(self._fd, view)
            except OSError as error:
                kind = SpaceError if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreError
                raise kind(f"cannot write {self.path}: {error.strerror}; nothing was committed") from error
            self.size += done
            view = view[done:]
        return len(data)

    def sha256(self) -> str:
        """Hex digest of what was written."""
        return self._hash.hexdigest()

    def __enter__(self) -> HashedFile:
        return self

    def __exit__(self, *unused: object) -> None:
        os.close(self._fd)

    def sync(self) -> None:
        """Make what was written durable; the name is only after :func:`sync_dir`."""
        sync(self._fd)


def write_new(path: str, data: bytes) -> str:
    """Create ``path`` with ``data``, durable (its name only after :func:`sync_dir`). Returns the sha256."""
    with HashedFile(path) as file:
        file.write(data)
        file.sync()
    return file.sha256()


def replace(path: str, data: bytes, mode: int = 0o600, *, durable: bool = True) -> None:
    """Put ``data`` at ``path`` in one step: a reader sees the old or the new file, also after a power cut.

    Without ``durable`` a power cut may leave an empty file: for what can be asked for again.
    """
    scratch = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(scratch)
    with HashedFile(scratch) as file:
        file.write(data)
        if durable:
            file.sync()
    if mode != 0o600:
        os.chmod(scratch, mode)
    os.rename(scratch, path)
    if durable:
        sync_dir(os.path.dirname(path))


def open_regular(path: str) -> t.BinaryIO:
    """Open a plain file for reading; a link or a device is refused with :class:`OSError`."""
    return os.fdopen(_open_plain(path), "rb")


@contextlib.contextmanager
def open_plain(path: str) -> t.Iterator[int]:
    """What :func:`open_regular` does, as a bare descriptor: cheaper, where a hundred thousand files are read."""
    fd = _open_plain(path)
    try:
        yield fd
    finally:
        os.close(fd)


def _open_plain(path: str) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a plain file", path)
    return fd


def digest(path: str) -> tuple[str, int]:
    """sha256 and size in bytes of a plain file."""
    total = 0
    found = hashlib.sha256()
    with open_regular(path) as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
            total += len(chunk)
    return found.hexdigest(), total


def sync_tree(path: str) -> None:
    """Make a whole tree durable: the files, then their names, deepest directories first. Links are not followed."""
    for base, _dirs, files in os.walk(path, topdown=False):
        for name in files:
            place = os.path.join(base, name)
            if stat.S_ISREG(os.lstat(place).st_mode):
                with open_plain(place) as fd:
                    sync(fd)
        sync_dir(base)


def remove_tree(path: str) -> None:
    """Remove a tree without ever following a link; nothing there is fine."""
    try:
        parent = os.open(os.path.dirname(os.path.abspath(path)), _NOFOLLOW_DIR)
    except FileNotFoundError:
        return
    try:
        _remove_at(parent, os.path.basename(path))
    finally:
        os.close(parent)


def _remove_at(parent: int, name: str) -> None:
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(name, dir_fd=parent)
        return
    if status.st_uid == os.geteuid() and status.st_mode & 0o700 != 0o700:
        # A restored directory may forbid its owner to empty it, or to look into it.
        with contextlib.suppress(NotImplementedError):  # glibc before 2.32 cannot without following links
            os.chmod(name, 0o700, dir_fd=parent, follow_symlinks=False)
    fd = os.open(name, _NOFOLLOW_DIR, dir_fd=parent)
    try:
        for entry in os.listdir(fd):
            _remove_at(fd, entry)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=parent)


def free_bytes(path: str) -> int:
    """Bytes an ordinary write can still use on the file system of ``path`` (nearest existing parent)."""
    while not os.path.exists(path):
        path = os.path.dirname(path) or "/"
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def is_mount_point(path: str) -> bool:
    """Whether something is mounted there, also a directory of the same file system (a bind mount)."""
    if os.path.ismount(path):
        return True
    place = os.fsencode(os.path.realpath(path))
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            points = [line.split(b" ")[4] for line in file]
    except FileNotFoundError:  # no Linux
        return False
    # Blanks, tabs, newlines and backslashes are written as octal numbers.
    return place in [re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal.group(1), 8)]), point) for point in points]


def safe_relative(name: str) -> bool:
    """Whether ``name`` stays below the directory it is joined to."""
    parts = name.split("/")
    return bool(name) and not name.startswith("/") and "\0" not in name and not any(p in ("", ".", "..") for p in parts)
