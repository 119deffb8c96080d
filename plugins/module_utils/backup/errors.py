# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong with a backup, each with the exit code a timer or a person sees."""

from __future__ import annotations


class BackupError(Exception):
    """A backup, restore or rehearsal did not do what was asked. The text says what, where, and what to do next."""

    exit_code = 1


class DeclarationError(BackupError):
    """The declaration is wrong; the text names the option."""

    exit_code = 2


class Busy(BackupError):
    """Another run holds the lock of this stack."""

    exit_code = 3


class SourceError(BackupError):
    """A source could not be read, or what it gave cannot be right."""

    exit_code = 4


class StoreError(BackupError):
    """The repository cannot be used, or holds something it must not."""

    exit_code = 5


class SpaceError(BackupError):
    """There is not enough room; nothing was written and nothing is deleted to make room."""

    exit_code = 6


class OffsiteError(BackupError):
    """The local set is committed, and the copy off-site is not."""

    exit_code = 7


class MismatchError(BackupError):
    """What was restored is not what was backed up."""

    exit_code = 8


class RestoreRefused(BackupError):
    """A restore would touch something nobody named."""

    exit_code = 9


class MigrationError(BackupError):
    """Data or SQL could not come into the stack; what was there before is there, or aside."""

    exit_code = 11
