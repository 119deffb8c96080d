# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a SQLite source."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.facts import Facts

KIND = "sqlite"


@dataclass(frozen=True)
class SqliteFacts(Facts):
    """The facts of a database in a manifest.

    Attributes:
        path: its absolute path on the host.
        file: path of the copy in the set.
        uid, gid, mode: owner, group and permissions of the live file.
        settings: those that the file stores, such as ``user_version`` and ``journal_mode``.
        tables: rows of each table, and the SHA-256 of its rows in the order in which the file stores them.
        objects: SHA-256 of the statement of each table, index, view and trigger.
        broken_references: number of rows that violate a foreign key.
        not_compared: parts that only the application can read.
    """

    path: str = ""
    file: str = ""
    uid: int = 0
    gid: int = 0
    mode: int = 0o600
    settings: t.Mapping[str, t.Any] = field(default_factory=dict)
    tables: t.Mapping[str, t.Sequence[t.Any]] = field(default_factory=dict)
    objects: t.Mapping[str, str] = field(default_factory=dict)
    broken_references: int = 0
    not_compared: t.Sequence[str] = ()

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(int(row[0]) for row in self.tables.values())
