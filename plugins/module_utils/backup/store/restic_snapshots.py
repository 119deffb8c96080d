# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The snapshots of a stack in a restic repository, with as few calls of restic as possible."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.store.restic_command import Restic
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.restic_files import RepositoryFiles
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.restic_memory import Memory

# Seconds to open a repository. restic itself would retry an unreachable one for many minutes.
OPEN_TIMEOUT = 60.0
Rows = t.List[t.Dict[str, t.Any]]  # noqa: UP006 (evaluated at import, where type checkers for 3.9 want typing)


class Snapshots:
    """Lists snapshots, and lists them only once.

    Args:
        files: the files of a repository on this host, None elsewhere.
        memory: their recorded list in the state directory, None elsewhere.
        tag: the tag of the stack.

    Attributes:
        made: whether the repository is known to exist.
    """

    def __init__(self, program: Restic, files: RepositoryFiles | None, memory: Memory | None, tag: str) -> None:
        self.made = False
        self._program = program
        self._files = files
        self._memory = memory
        self._tag = tag
        self._rows: Rows | None = None

    def rows(self, lock: int) -> Rows:
        """Snapshots of this stack, oldest first; none of a repository that does not exist.

        Args:
            lock: descriptor of the lock that a restic inherits, -1 for none.
        """
        if self._rows is None:
            self._rows = self._remembered()
        if self._rows is None:
            if not self.exist(lock):
                return []
            if self._rows is None:
                self._look(lock)
        return self._rows or []

    def exist(self, lock: int) -> bool:
        """Whether there is a repository. Raises :class:`StoreError` when it cannot be opened."""
        if not self.made:
            self.made = self._look(lock)
        return self.made

    def forget(self) -> Rows | None:
        """Clear the list, because it is about to change. Returns the list, None when it was unknown."""
        known, self._rows = self._rows, None
        return known

    def remember(self, rows: Rows) -> None:
        """Set a changed list."""
        self._rows = rows
        if self._memory:
            self._memory.keep(rows, self._program.signs())

    def _remembered(self) -> Rows | None:
        """The recorded list; None when other snapshots exist, or none is recorded."""
        rows = self._memory.rows() if self._memory else None
        if rows is not None:
            self.made = True
        return rows

    def _look(self, lock: int) -> bool:
        self._program.require_version(self._memory.program() if self._memory else None)
        if self._files and not self._files.made():
            return False
        self._rows = self._remembered()
        if self._rows is not None:
            return True
        # One call opens the repository and lists the snapshots, which are needed next.
        words = ["snapshots", "--json", "--no-lock", "--tag", self._tag]
        result = self._program.run(words, check=False, lock=lock, timeout=OPEN_TIMEOUT)
        if result.rc == 10:
            return False
        if result.rc != 0:
            raise self._program.failed("snapshots", result)
        self.remember(sorted(json.loads(result.stdout or "[]"), key=lambda row: str(row["time"])))
        return True
