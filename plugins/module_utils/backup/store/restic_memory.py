# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorded list of snapshots of a local repository, valid while it has the same snapshots."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.store.restic_files import RepositoryFiles
from ansible_collections.onebox.stack.plugins.module_utils.core import files

Rows = list[dict[str, t.Any]]


class Memory:
    """The list of one repository in the state directory."""

    def __init__(self, repository: RepositoryFiles, state_dir: str) -> None:
        self._repository = repository
        name = hashlib.sha256(repository.location.encode()).hexdigest()[:12]
        self._path = os.path.join(state_dir, "manifests", f"snapshots-{name}")

    def program(self) -> t.Any:
        """The signs of the program that listed them."""
        return self._note().get("program")

    def rows(self) -> Rows | None:
        """The list; None when the repository has other snapshots, or none is recorded."""
        if not self._repository.made():
            return None
        note = self._note()
        try:
            if note["ids"] != self._repository.snapshots():
                return None
            return [{key: row[key] for key in ("id", "time", "tags", "paths")} for row in note["rows"]]
        except (KeyError, TypeError):
            return None

    def keep(self, rows: Rows, program: t.Sequence[t.Any]) -> None:
        """Record the list."""
        if not os.path.isdir(os.path.dirname(self._path)):
            return
        note = {"ids": self._repository.snapshots(), "rows": rows, "program": program}
        with contextlib.suppress(files.FileError):  # then restic lists them again
            files.replace(self._path, json.dumps(note).encode(), durable=False)

    def _note(self) -> dict[str, t.Any]:
        try:
            with files.open_regular(self._path) as file:
                note = json.load(file)
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}
