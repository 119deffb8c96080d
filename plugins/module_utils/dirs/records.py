# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records that are kept between runs: the disk of each mount point, and completed changes of ownership.

Each record is a small file below the state directory, named after its path, so that stacks do not share a file.
"""

from __future__ import annotations

import os
import typing as t
import urllib.parse
import uuid

from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError

SENTINEL = ".onebox-disk"


class RecordError(OneboxError):
    """The mark of a disk cannot be read or written. The text has the reason."""


class Records:
    """Facts about paths, below ``directory``. ``topic`` is one word: ``disks`` or ``owned``."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def file(self, topic: str, path: str) -> str:
        return os.path.join(self.directory, topic, urllib.parse.quote(path, safe=""))

    def get(self, topic: str, path: str) -> str:
        """The recorded value, or "". Raises :class:`files.FileError`."""
        return files.read_text(self.file(topic, path)).strip()

    def put(self, topic: str, path: str, value: str) -> None:
        """Record ``value``, durably. Raises :class:`files.FileError`."""
        name = self.file(topic, path)
        files.make_directories(os.path.dirname(name), 0o700)
        files.replace(name, f"{value}\n".encode(), 0o600, durable=True)


def sentinel(fd: int) -> str:
    """The identity in the root directory ``fd`` of a disk, or "" without one.

    Raises:
        RecordError: a file of that name exists and is not a mark.
    """
    try:
        file = os.open(SENTINEL, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise RecordError(f"{SENTINEL} in its root cannot be read: {error.strerror}") from error
    try:
        return str(uuid.UUID(os.read(file, 100).decode("ascii", "replace").strip()))
    except (OSError, ValueError) as error:
        raise RecordError(f"{SENTINEL} in its root does not contain a UUID") from error
    finally:
        os.close(file)


def make_sentinel(fd: int, new_id: t.Callable[[], uuid.UUID] = uuid.uuid4) -> str:
    """Write an identity to the disk with the root directory ``fd``, durably, and return it."""
    identity = str(new_id())
    try:
        file = os.open(SENTINEL, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444, dir_fd=fd)
        with os.fdopen(file, "w") as out:
            out.write(identity + "\n")
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise RecordError(f"{SENTINEL} in its root cannot be written: {error.strerror}") from error
    return identity
