# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories and trees that belong to this program: private, put on the disk, removed without following a link."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.core.files import FileError
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def private_dir(path: str) -> None:
    """Create ``path`` as a directory that only this user can enter, or check the one that exists.

    Raises:
        FileError: it is a link, not a directory, another user's, or open to others, or it cannot be created.
    """
    parent = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(parent):
        files.make_directories(parent, 0o755)
    try:
        os.mkdir(path, 0o700)
        files.sync_directory(parent)
    except FileExistsError:
        pass
    except OSError as error:
        raise files.error_of("create the directory", path, error) from error
    try:
        descriptor = os.open(path, _DIRECTORY)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise FileError(
                f"{path} is a link or not a directory. Remove it or use another path.", path, error.errno
            ) from error
        raise files.error_of("open", path, error) from error
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if status.st_uid != os.geteuid():
        raise FileError(
            f"{path} belongs to uid {status.st_uid}, not {os.geteuid()}: its owner could replace the content. "
            "Use another path.",
            path,
        )
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise FileError(
            f"{path} has mode {mode:04o}: others can enter. Check its content, then run chmod 0700 {path}.", path
        )


def private_parents(root: str, relative: str) -> str:
    """Create the directories above ``relative`` below ``root``, each with mode 0700. Returns the joined path.

    Raises:
        FileError: ``relative`` leaves ``root``, or a directory is a link or cannot be created.
    """
    if not safe_relative(relative):
        raise FileError(f"{relative!r} leaves {root}", os.path.join(root, relative))
    path = root
    for part in relative.split("/")[:-1]:
        path = os.path.join(path, part)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            if os.path.islink(path) or not os.path.isdir(path):
                raise FileError(f"{path} is a link or not a directory", path) from None
        except OSError as error:
            raise files.error_of("create the directory", path, error) from error
    return os.path.join(root, relative)


def sync_tree(path: str) -> None:
    """Put a whole tree on the disk: the content of its files, then the names, deepest directories first.

    Links are not followed.

    Raises:
        DiskFull, FileError: a part of it cannot be written.
    """
    found = [path]
    place = path
    try:
        waiting = [path]
        while waiting:
            folder = place = waiting.pop()
            with os.scandir(folder) as entries:
                here = list(entries)
            for entry in here:
                place = entry.path
                if entry.is_dir(follow_symlinks=False):
                    found.append(entry.path)
                    waiting.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    with files.open_plain(entry.path) as descriptor:
                        files.sync(descriptor)
        for folder in reversed(found):
            place = folder
            files.sync_directory(folder)
    except OSError as error:
        raise files.error_of("write", place, error) from error


def remove_tree(path: str) -> None:
    """Remove a directory with everything in it, or a single file or link. No link is followed. Missing is fine.

    The depth of the tree is not limited: only one directory of it is open at a time.

    Raises:
        FileError: a part of it cannot be removed.
    """
    folder, name = os.path.split(os.path.abspath(path))
    try:
        parent = os.open(folder, _DIRECTORY)
    except FileNotFoundError:
        return
    except OSError as error:
        raise files.error_of("open", folder, error) from error
    way: list[_Level] = []
    try:
        if not _unlinked(parent, name):
            _empty(parent, name, way)
            os.rmdir(name, dir_fd=parent)
    except OSError as error:
        last = [error.filename] if isinstance(error.filename, str) else []
        raise files.error_of("remove", os.path.join(folder, *(level.name for level in way), *last), error) from error
    finally:
        os.close(parent)


@dataclass
class _Level:
    """A directory on the path down: its name, its identity, and the remaining names in it."""

    name: str
    identity: tuple[int, int]
    left: list[str]


def _empty(parent: int, name: str, way: list[_Level]) -> None:
    """Remove everything in the directory ``name``. ``way`` holds the levels from it down to the present one."""
    here = _open_to_empty(parent, name)
    try:
        way.append(_Level(name, _identity(here), os.listdir(here)))
        while way[-1].left or len(way) > 1:
            if not way[-1].left:
                above = os.open("..", _DIRECTORY, dir_fd=here)
                os.close(here)
                here = above
                done = way.pop()
                if _identity(here) != way[-1].identity:
                    raise OSError(errno.ESTALE, "it was moved while it was removed", done.name)
                os.rmdir(done.name, dir_fd=here)
                continue
            entry = way[-1].left.pop()
            if not _unlinked(here, entry):
                below = _open_to_empty(here, entry)
                os.close(here)
                here = below
                way.append(_Level(entry, _identity(here), os.listdir(here)))
    finally:
        os.close(here)
    way.clear()


def _unlinked(parent: int, name: str) -> bool:
    """Whether ``name`` is gone now: removed, or never there. False for a directory."""
    try:
        if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            return False
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        pass
    return True


def _open_to_empty(parent: int, name: str) -> int:
    status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if status.st_uid == os.geteuid() and status.st_mode & 0o700 != 0o700:
        # A restored directory may deny its owner to list or to change it.
        with contextlib.suppress(NotImplementedError):  # glibc before 2.32 cannot without following links
            os.chmod(name, 0o700, dir_fd=parent, follow_symlinks=False)
    return os.open(name, _DIRECTORY, dir_fd=parent)


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def free_bytes(path: str) -> int:
    """Bytes that an ordinary user can still write to the file system of ``path`` or of its nearest existing parent.

    Raises:
        FileError: the file system cannot be queried.
    """
    while not os.path.exists(path):
        path = os.path.dirname(path) or "/"
    try:
        status = os.statvfs(path)
    except OSError as error:
        raise files.error_of("query the free space of", path, error) from error
    return status.f_bavail * status.f_frsize


def is_mount_point(path: str) -> bool:
    """Whether a file system or a bind mount is mounted at ``path``."""
    if os.path.ismount(path):
        return True
    place = os.fsencode(realpath(path))
    try:
        with open("/proc/self/mountinfo", "rb") as stream:
            points = [line.split(b" ")[4] for line in stream]
    except FileNotFoundError:  # macOS
        return False
    # Blanks, tabs, newlines and backslashes are written as octal numbers.
    return place in [re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal.group(1), 8)]), point) for point in points]


def safe_relative(name: str) -> bool:
    """Whether ``name`` stays below the directory it is joined to."""
    parts = name.split("/")
    return bool(name) and not name.startswith("/") and "\0" not in name and not any(p in ("", ".", "..") for p in parts)
