# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set the owner of everything below a directory, by descriptor, on one file system, without following links."""

from __future__ import annotations

import errno
import os
import stat
import typing as t
from dataclasses import dataclass, field

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Levels below the directory. Each holds one descriptor.
_DEEPEST = 400


@dataclass
class Owned:
    """The changes, made or planned. ``linked``: files that are not changed because they have several hard links."""

    changed: int = 0
    linked: list[str] = field(default_factory=list)


def give(fd: int, uid: int | None, gid: int | None, secret: bool, check: bool) -> Owned:
    """Set ``uid`` and ``gid`` of everything below the directory ``fd``. For secrets, also remove access of others.

    Raises:
        OSError: with ``filename`` relative to the directory.
    """
    owned = Owned()
    # Descriptors and not paths: one open per level, not per entry.
    _walk(fd, "", os.fstat(fd).st_dev, uid, gid, secret, check, owned)
    return owned


def _walk(
    fd: int, where: str, device: int, uid: int | None, gid: int | None, secret: bool, check: bool, owned: Owned
) -> None:
    if where.count("/") > _DEEPEST:
        raise OSError(errno.ENAMETOOLONG, f"nested more than {_DEEPEST} levels deep", where)
    for name in os.listdir(fd):
        path = f"{where}{name}"
        try:
            found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if found.st_dev != device:
                continue  # another disk, which has its own entry
            if stat.S_ISDIR(found.st_mode):
                below = os.open(name, _OPEN, dir_fd=fd)
                try:
                    _walk(below, f"{path}/", device, uid, gid, secret, check, owned)
                    _change(below, "", found, uid, gid, 0o700 if secret else None, check, owned)
                finally:
                    os.close(below)
            elif stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
                if _differs(found, uid, gid):
                    owned.linked.append(path)
            else:
                mode = 0o400 if secret and stat.S_ISREG(found.st_mode) else None
                _change(fd, name, found, uid, gid, mode, check, owned)
        except FileNotFoundError:
            continue  # removed meanwhile
        except OSError as error:
            raise OSError(
                error.errno, error.strerror, error.filename if "/" in str(error.filename) else path
            ) from error


def _differs(found: os.stat_result, uid: int | None, gid: int | None) -> bool:
    return (uid is not None and found.st_uid != uid) or (gid is not None and found.st_gid != gid)


def _change(
    fd: int,
    name: str,
    found: os.stat_result,
    uid: int | None,
    gid: int | None,
    mode: int | None,
    check: bool,
    owned: Owned,
) -> None:
    """Change the entry ``name`` of directory ``fd``, or the directory itself if ``name`` is ""."""
    owner = _differs(found, uid, gid)
    bits = mode is not None and stat.S_IMODE(found.st_mode) != mode
    if not owner and not bits:
        return
    owned.changed += 1
    if check:
        return
    new_uid, new_gid = -1 if uid is None else uid, -1 if gid is None else gid
    if not name:
        if owner:
            os.fchown(fd, new_uid, new_gid)
        if bits:
            os.fchmod(fd, t.cast(int, mode))
        return
    if owner:
        os.chown(name, new_uid, new_gid, dir_fd=fd, follow_symlinks=False)
    if bits:
        _chmod(fd, name, t.cast(int, mode))


def _chmod(fd: int, name: str, mode: int) -> None:
    """Like chmod, but without following links. The file need not be readable."""
    if os.chmod in os.supports_follow_symlinks:  # not on Linux
        os.chmod(name, mode, dir_fd=fd, follow_symlinks=False)
        return
    file = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
    try:
        if stat.S_ISREG(os.fstat(file).st_mode):
            os.chmod(f"/proc/self/fd/{file}", mode)
    finally:
        os.close(file)
