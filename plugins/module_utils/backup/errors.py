# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of backups, each with its exit code."""

from __future__ import annotations

import contextlib
import errno
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.files import FileError


class BackupError(OneboxError):
    """A backup, restore or rehearsal failed. The text says where, why, and what to do."""

    exit_code = 1


class ConfigError(BackupError):
    """The backup configuration is wrong; the text names the option."""

    exit_code = 2


class Busy(BackupError):
    """Another run holds the lock of this stack."""

    exit_code = 3


class SourceError(BackupError):
    """A source could not be read, or its content is implausible."""

    exit_code = 4


class SourceLimit(SourceError):
    """The content of a source cannot be backed up. The other sources are committed without it."""


class RoomLimit(SourceLimit):
    """The disk became full while a source was written."""

    exit_code = 6


class Unexpected(BackupError):
    """An unexpected error: a defect of this program, or a fault of the host."""

    exit_code = 12


class StoreError(BackupError):
    """The repository cannot be used, or contains forbidden entries."""

    exit_code = 5


class TreesUnread(StoreError):
    """The store could not read all of the directories; nothing was committed.

    Attributes:
        paths: the paths that it could not read.
    """

    def __init__(self, message: str, paths: t.Sequence[str]) -> None:
        super().__init__(message)
        self.paths = tuple(paths)


class SpaceError(BackupError):
    """There is not enough free space. Nothing was written, and no set is deleted for it."""

    exit_code = 6


class OffsiteError(BackupError):
    """The local set is committed, but not copied off-site."""

    exit_code = 7


class MismatchError(BackupError):
    """Restored data differs from the backup."""

    exit_code = 8


class RestoreRefused(BackupError):
    """A restore would change data that the request does not name."""

    exit_code = 9


class MigrationError(BackupError):
    """Data or SQL could not be imported. The previous data is unchanged, or was renamed."""

    exit_code = 11


def of_files(error: FileError | OSError, text: str = "") -> BackupError:
    """Convert an error of a file: to :class:`SpaceError` on a full disk, else to :class:`StoreError`.

    Args:
        text: the message; default that of ``error``.
    """
    kind = SpaceError if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreError
    return kind(text or str(error))


@contextlib.contextmanager
def file_errors() -> t.Iterator[None]:
    """Convert errors of files and of the system to errors of this domain, each with its exit code."""
    try:
        yield
    except (FileError, OSError) as error:
        denied = error.errno in (errno.EACCES, errno.EPERM)
        advice = "; run it as the user of the backup configuration" if denied else ""
        raise of_files(error, f"{error}{advice}") from error
