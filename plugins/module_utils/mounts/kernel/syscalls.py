# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The few Linux system calls that Python does not offer, by ctypes.

statx with mount ids (5.8) has a wrapper in the C library, faccessat2 (5.8) the same number on every architecture.
openat2 is in core/linux. Structures and constants: the kernel's include/uapi (stat.h, capability.h).
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat as stat_module
import struct
import sys
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core import linux

_SYS_FACCESSAT2 = 439
_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_EACCESS = 0x200
_AT_NO_AUTOMOUNT = 0x800
_AT_SYMLINK_NOFOLLOW = 0x100
_STATX_BASIC_STATS = 0x7FF
_STATX_BTIME = 0x800
_STATX_MNT_ID = 0x1000
_STATX_ATTR_MOUNT_ROOT = 0x2000
_CLONE_NEWUSER = 0x10000000
_PR_SET_KEEPCAPS = 8
_CAPABILITY_HEADER = struct.pack("=Ii", 0x20080522, 0)  # version 3, the calling thread

O_PATH = getattr(os, "O_PATH", 0o10000000)
O_TMPFILE = getattr(os, "O_TMPFILE", 0o20200000)

_KINDS = {
    stat_module.S_IFDIR: "dir",
    stat_module.S_IFREG: "file",
    stat_module.S_IFSOCK: "socket",
    stat_module.S_IFIFO: "fifo",
    stat_module.S_IFLNK: "symlink",
}

# The part of struct statx that is read: mask, blksize, attributes, nlink, uid, gid, mode, pad, ino, size, blocks,
# attributes_mask, then four timestamps of (sec, nsec, pad), then rdev and dev as major and minor, then mnt_id.
_STATX = struct.Struct("=IIQIIIHHQQQQ" + "qiI" * 4 + "IIIIQ")
_STATX_SIZE = 256


def _library() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None, use_errno=True)
    return library if hasattr(library, "statx") else None


_LIBC = _library()


def supported() -> str:
    """ "" if this kernel and C library support the proof, else the reason."""
    if not sys.platform.startswith("linux"):
        return f"the proof reads /proc of a Linux host and this is {sys.platform}"
    if _LIBC is None:
        return "the C library has no statx (glibc 2.28 or newer has)"
    try:
        os.close(open_in_root(_AT_FDCWD, "/", O_PATH))
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EPERM):
            return f"this kernel refuses openat2 ({error.strerror}); Linux 5.6 or newer has it"
        raise
    return ""


def _libc() -> ctypes.CDLL:
    if _LIBC is None:
        raise OSError(errno.ENOSYS, supported())
    return _LIBC


def _fail(what: str) -> t.NoReturn:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), what)


@dataclass(frozen=True)
class Node:
    """One object of a file system. ``birth`` is in seconds since the epoch, None if the file system has none."""

    device: int
    inode: int
    mode: int
    uid: int
    gid: int
    links: int
    birth: float | None
    mount_id: int
    mount_root: bool

    @property
    def identity(self) -> tuple[int, int]:
        return (self.device, self.inode)

    @property
    def kind(self) -> str:
        """dir, file, socket, fifo, device or symlink."""
        return _KINDS.get(stat_module.S_IFMT(self.mode), "device")


def open_in_root(root: int, path: str, flags: int, mode: int = 0) -> int:
    """Open ``path`` as if ``root`` (a descriptor) were ``/``: no symbolic link and no ``..`` leads out of it.

    Magic links (``/proc/<pid>/root``, ``/proc/<pid>/cwd``) are refused with ELOOP: they jump past the root.

    Raises:
        OSError: as open(2); ENOSYS before Linux 5.6.
    """
    return linux.openat2(root, path, flags, mode, linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS)


_buffer = ctypes.create_string_buffer(_STATX_SIZE)


def _statx(directory: int, path: bytes, flags: int) -> Node:
    mask = _STATX_BASIC_STATS | _STATX_BTIME | _STATX_MNT_ID
    if _libc().statx(directory, path, flags | _AT_NO_AUTOMOUNT, mask, _buffer) != 0:
        _fail(os.fsdecode(path))
    field = _STATX.unpack_from(_buffer)
    known, attributes = field[0], field[2]
    has_birth = known & _STATX_BTIME and (field[15] or field[16])
    return Node(
        device=os.makedev(field[26], field[27]),
        inode=field[8],
        mode=field[6],
        uid=field[4],
        gid=field[5],
        links=field[3],
        birth=field[15] + field[16] / 1e9 if has_birth else None,
        mount_id=field[28] if known & _STATX_MNT_ID else 0,
        mount_root=bool(attributes & _STATX_ATTR_MOUNT_ROOT),
    )


def look(path: str, *, follow: bool = True) -> Node:
    """The object at ``path`` in the caller's own mount namespace. Raises OSError as stat(2)."""
    return _statx(_AT_FDCWD, os.fsencode(path), 0 if follow else _AT_SYMLINK_NOFOLLOW)


def look_at(descriptor: int) -> Node:
    """The object of an open descriptor (also one of O_PATH). Raises OSError as fstat(2)."""
    return _statx(descriptor, b"", _AT_EMPTY_PATH)


def may(descriptor: int, mode: int) -> None:
    """Check, without opening, whether the effective identity of the caller may use the object of a descriptor.

    Args:
        mode: ``os.R_OK``, ``os.W_OK``, ``os.X_OK`` or several of them.

    Raises:
        OSError: EACCES, EPERM (immutable), EROFS; ENOSYS before Linux 5.8.
    """
    flags = _AT_EACCESS | _AT_EMPTY_PATH
    answer = _libc().syscall(
        ctypes.c_long(_SYS_FACCESSAT2),
        ctypes.c_int(descriptor),
        ctypes.c_char_p(b""),
        ctypes.c_int(mode),
        ctypes.c_int(flags),
    )
    if answer != 0:
        _fail("access")


def enter_user_namespace(descriptor: int) -> None:
    """Join the user namespace behind ``descriptor`` (``/proc/<pid>/ns/user``). Raises OSError as setns(2)."""
    if _libc().setns(descriptor, _CLONE_NEWUSER) != 0:
        _fail("setns")


def keep_capabilities() -> None:
    """Let the next change of user id keep the permitted capabilities. Raises OSError as prctl(2)."""
    if _libc().prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0:
        _fail("prctl")


def capabilities() -> tuple[int, int, int]:
    """The caller's effective, permitted and inheritable capabilities. Raises OSError as capget(2)."""
    header = ctypes.create_string_buffer(_CAPABILITY_HEADER)
    data = ctypes.create_string_buffer(24)
    if _libc().capget(header, data) != 0:
        _fail("capget")
    low, high = struct.unpack("=IIIIII", data.raw)[:3], struct.unpack("=IIIIII", data.raw)[3:]
    effective, permitted, inheritable = (one | other << 32 for one, other in zip(low, high))
    return effective, permitted, inheritable


def set_capabilities(effective: int, permitted: int, inheritable: int = 0) -> None:
    """Set the caller's capabilities. Raises OSError as capset(2)."""
    masks = (effective, permitted, inheritable)
    words = [mask & 0xFFFFFFFF for mask in masks] + [mask >> 32 for mask in masks]
    header = ctypes.create_string_buffer(_CAPABILITY_HEADER)
    if _libc().capset(header, ctypes.create_string_buffer(struct.pack("=IIIIII", *words))) != 0:
        _fail("capset")


def set_file_ids(uid: int, gid: int) -> None:
    """Use another user and group for file access only (setfsuid(2)).

    Raises:
        OSError: EPERM; the call itself does not report it.
    """
    _libc().setfsgid(ctypes.c_uint(gid))
    _libc().setfsuid(ctypes.c_uint(uid))
    # An impossible id changes nothing and returns the present one.
    if (_libc().setfsuid(ctypes.c_uint(-1)), _libc().setfsgid(ctypes.c_uint(-1))) != (uid, gid):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), "setfsuid")


def file_uid() -> int:
    """The user of the caller for file access."""
    return int(_libc().setfsuid(ctypes.c_uint(-1)))
