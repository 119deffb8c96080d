# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open directories by file descriptor, so that no symbolic link can be inserted between a check and a change."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.dirs.request import Parts, join

# O_PATH needs only search permission. Without it (macOS), read permission is needed as well.
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class WalkError(OneboxError):
    """A path cannot be opened. The text has the path and the reason."""


class Place(t.NamedTuple):
    """An existing directory, open while the cursor is at it or below. ``parent`` is None for '/'."""

    fd: int
    stat: os.stat_result
    parent: Place | None


class Cursor:
    """Moves from directory to directory. In sorted order, each directory is opened once, and only one path is open.

    Use as a context manager.
    """

    def __init__(self) -> None:
        fd = os.open("/", _PASS)
        self._places = [Place(fd, os.fstat(fd), None)]
        self._names: list[str] = []

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *unused: object) -> None:
        for place in self._places:
            os.close(place.fd)

    @property
    def depth(self) -> int:
        """Number of names in the current path."""
        return len(self._names)

    def go(self, parts: Parts, create: t.Callable[[Place, str], None] | None = None) -> tuple[Place, int]:
        """Move to ``parts``, or to its deepest existing parent.

        Args:
            create: creates the missing directory of that name in that place; another process may have created it.

        Returns:
            The directory, and the number of ``parts`` in its path, fewer than all if the rest does not exist.

        Raises:
            WalkError: the path contains a symbolic link or another file, or permission is missing.
        """
        names, places = self._names, self._places
        keep = 0
        while keep < len(names) and keep < len(parts) and names[keep] == parts[keep]:
            keep += 1
        while len(names) > keep:
            names.pop()
            os.close(places.pop().fd)
        for name in parts[keep:]:
            here = places[-1]
            try:
                fd = os.open(name, _PASS, dir_fd=here.fd)
            except FileNotFoundError:
                if create is None:
                    break
                create(here, name)
                try:
                    fd = os.open(name, _PASS, dir_fd=here.fd)
                except OSError as error:
                    raise self._wrong(here, name, error) from error
            except OSError as error:
                raise self._wrong(here, name, error) from error
            names.append(name)
            places.append(Place(fd, os.fstat(fd), here))
        return places[-1], len(names)

    def _wrong(self, here: Place, name: str, error: OSError) -> WalkError:
        path = join((*self._names, name))
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            with contextlib.suppress(OSError):
                mode = os.stat(name, dir_fd=here.fd, follow_symlinks=False).st_mode
                if stat.S_ISLNK(mode):
                    target = realpath(path)
                    return WalkError(f"{path} is a symbolic link, and its target can change. Set {target} instead.")
                if not stat.S_ISDIR(mode):
                    return WalkError(f"{path} exists and is not a directory. Move it away.")
        if error.errno in (errno.EACCES, errno.EPERM):
            return WalkError(f"no permission to enter {path}. Run as root (become: true) or as its owner.")
        return WalkError(f"{path}: {error.strerror}")


@contextlib.contextmanager
def opened(place: Place) -> t.Iterator[int]:
    """A descriptor of ``place`` with which its owner, mode and entries can be read and changed."""
    fd = os.open(".", _READ, dir_fd=place.fd)
    try:
        yield fd
    finally:
        os.close(fd)
