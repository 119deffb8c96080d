# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System calls that Python does not offer, by ctypes.

openat2 (Linux 5.6) has the same number on every architecture; renameat2 has a wrapper in the C library.
Structures and constants: the kernel's include/uapi/linux/openat2.h and fs.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import typing as t

_SYS_OPENAT2 = 437
RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10
_RENAME_EXCHANGE = 2
# Of mounts (include/uapi/linux/mount.h); the numbers are the same on every architecture, too.
_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_SYS_MOUNT_SETATTR = 442
_CLONE_NEWNS = 0x20000
_MS_REC = 0x4000
_MS_SLAVE = 0x80000
_OPEN_TREE_CLONE = 1
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_NOSYMFOLLOW = 0x200000
_MOVE_MOUNT_BOTH_EMPTY = 0x44


class _OpenHow(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform.startswith("linux") else None


def _fail(what: str) -> t.NoReturn:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), what)


def openat2(root: int, path: str, flags: int, mode: int, resolve: int) -> int:
    """Open ``path`` below the descriptor ``root``. ``resolve``: RESOLVE_ flags of openat2(2).

    Raises:
        OSError: as openat2(2); ENOSYS before Linux 5.6 and elsewhere.
    """
    if _LIBC is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), path)
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    for _attempt in range(100):
        number = _LIBC.syscall(
            ctypes.c_long(_SYS_OPENAT2),
            ctypes.c_int(root),
            ctypes.c_char_p(os.fsencode(path)),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if number >= 0:
            return int(number)
        if ctypes.get_errno() != errno.EAGAIN:
            break  # EAGAIN: something was renamed meanwhile, and the kernel could not decide whether it leads out
    _fail(path)


def open_beneath(root: int, path: str, flags: int, mode: int = 0) -> int:
    """Open a relative ``path`` below ``root`` (a descriptor) without following any link.

    Raises:
        OSError: ELOOP or EXDEV where a component is a link or leads out; else as open(2).
    """
    try:
        return openat2(root, path, flags, mode, _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
    except OSError as error:
        # EPERM: seccomp filters of older container engines refuse system calls they do not know.
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
    return _open_by_component(root, path, flags, mode)


def _open_by_component(root: int, path: str, flags: int, mode: int) -> int:
    """The same where there is no openat2: each directory opened on its own, no link followed."""
    *folders, last = path.split("/")
    current = os.dup(root)
    try:
        for folder in folders:
            if folder in ("", ".", ".."):
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
            following = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=current)
            os.close(current)
            current = following
        if last in ("", ".", ".."):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
        return os.open(last, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=current)
    finally:
        os.close(current)


def exchange(source: int, name: str, target: int, new: str) -> None:
    """Exchange two names of open directories in one step.

    Raises:
        OSError: as renameat2(2); ENOSYS where there is none.
    """
    if _LIBC is None or not hasattr(_LIBC, "renameat2"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), name)
    words = (ctypes.c_char_p(os.fsencode(name)), ctypes.c_char_p(os.fsencode(new)))
    if _LIBC.renameat2(ctypes.c_int(source), words[0], ctypes.c_int(target), words[1], _RENAME_EXCHANGE) != 0:
        _fail(name)


def private_mounts() -> None:
    """Give the calling thread, and the processes it starts, mounts of their own. Raises :class:`OSError` (EPERM)."""
    if _LIBC is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if _LIBC.unshare(ctypes.c_int(_CLONE_NEWNS)) != 0:
        _fail("unshare")
    # Mounts of the host still appear here, and mounts made here do not appear there.
    if _LIBC.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_SLAVE), None) != 0:
        _fail("/")


def forbid_links(directory: int) -> None:
    """Follow no symbolic link below an open directory from now on, by a mount over it; see :func:`private_mounts`.

    Raises:
        OSError: as mount_setattr(2); ENOSYS or EINVAL before Linux 5.14.
    """
    mount = _syscall(_SYS_OPEN_TREE, directory, b"", _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_EMPTY_PATH | _AT_RECURSIVE)
    try:
        wanted = (ctypes.c_uint64 * 4)(_MOUNT_ATTR_NOSYMFOLLOW, 0, 0, 0)
        size = ctypes.c_size_t(ctypes.sizeof(wanted))
        _syscall(_SYS_MOUNT_SETATTR, mount, b"", _AT_EMPTY_PATH | _AT_RECURSIVE, ctypes.byref(wanted), size)
        _syscall(_SYS_MOVE_MOUNT, mount, b"", directory, b"", _MOVE_MOUNT_BOTH_EMPTY)
    finally:
        os.close(mount)


def _syscall(number: int, *words: t.Any) -> int:
    if _LIBC is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    found = _LIBC.syscall(
        ctypes.c_long(number), *[ctypes.c_long(one) if isinstance(one, int) else one for one in words]
    )
    if found < 0:
        _fail(f"system call {number}")
    return int(found)
