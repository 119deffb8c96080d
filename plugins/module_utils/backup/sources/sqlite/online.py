# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy a SQLite database that may be in use, by SQLite's online backup interface."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import urllib.parse

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceLimit
from ansible_collections.onebox.stack.plugins.module_utils.core import files

MAGIC = b"SQLite format 3\0"
# Files that SQLite opens next to a database, and writes to.
COMPANIONS = ("-wal", "-shm", "-journal")
_BUSY_SECONDS = 60


def copy(live_path: str, descriptor: int, target_path: str) -> None:
    """Copy one moment of a database to a new private file, which keeps the journal mode and has no companions.

    Args:
        live_path: the database.
        descriptor: the same file, opened without following a link.
        target_path: the copy. It must not exist.

    Raises:
        SourceLimit: it cannot be read or is damaged.
        FileError: the copy cannot be created.
    """
    foreign = foreign_companion(live_path)
    if foreign:
        raise SourceLimit(
            f"{foreign} is a link or has a second name, and SQLite would write to that file. Inspect it, then stop the "
            "application, remove the file and start the application"
        )
    # We create the file, private, before SQLite opens it by name.
    files.write_new(target_path, b"", durable=False)
    uri = f"file:{urllib.parse.quote(os.fsencode(live_path))}?mode=ro"
    try:
        with (
            contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as live,
            contextlib.closing(sqlite3.connect(target_path)) as target,
        ):
            live.execute("PRAGMA schema_version").fetchone()
            # SQLite opens paths, and a path may have been redirected since the descriptor was opened.
            if not has_open(descriptor):
                raise SourceLimit(f"the SQLite file {live_path} was replaced during the walk. Check for a link")
            live.backup(target)
            (verdict,) = target.execute("PRAGMA integrity_check").fetchone()
            (mode,) = live.execute("PRAGMA journal_mode").fetchone()
            target.execute("PRAGMA journal_mode = DELETE")
            if mode == "wal":
                target.execute("PRAGMA journal_mode = WAL")  # the log is removed when it is closed
    except sqlite3.Error as error:
        raise SourceLimit(f"the SQLite file {live_path} cannot be backed up: {error}") from error
    if verdict != "ok":
        raise SourceLimit(f"the SQLite file {live_path} is damaged: {verdict}")


def foreign_companion(path: str) -> str:
    """The path of a companion of a database that is not a file of its own, "" if there is none.

    Whoever can create files next to the database could have root write to any file of that file system.
    """
    for tail in COMPANIONS:
        with contextlib.suppress(OSError):
            status = os.lstat(path + tail)
            if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
                return path + tail
    return ""


def has_open(descriptor: int) -> bool:
    """Whether this process has the same file open by another descriptor, too; true when unknown."""
    wanted = os.fstat(descriptor)
    try:
        numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        return True
    for number in numbers:
        if number == descriptor:
            continue
        with contextlib.suppress(OSError):
            status = os.fstat(number)
            if (status.st_dev, status.st_ino) == (wanted.st_dev, wanted.st_ino):
                return True
    return False
