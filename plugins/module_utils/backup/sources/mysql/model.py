# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a MySQL or MariaDB source."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.facts import Facts

# What no dump of the server's own program holds, or no other server can be compared by.
NOT_COMPARED = (
    "root and the accounts that the image creates",
    "settings of the server, binary logs, replication, plugins",
    "digits of FLOAT beyond the sixth",
    "history of system-versioned tables",
)


@dataclass(frozen=True)
class DatabaseFacts(Facts):
    """One database. The digests are of the dump's own words, so they are true of the moment of its snapshot.

    Attributes:
        path: of its dump in the set.
        create: character set and collation, in words of CREATE DATABASE.
        tables: rows of each table, and the SHA-256 of its rows in the order of the primary key.
        objects: SHA-256 of each part of the schema: tables with triggers, views, routines, events.
    """

    path: str = ""
    create: str = ""
    tables: t.Mapping[str, t.Sequence[t.Any]] = field(default_factory=dict)
    objects: t.Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(int(row[0]) for row in self.tables.values())


@dataclass(frozen=True)
class MysqlFacts(Facts):
    """The facts of a server in a manifest.

    Attributes:
        version: as the server states it.
        image: the image of its container.
        lower_case: its ``lower_case_table_names``, which decides whether names load.
        users: statements that create each account and its grants, by ``'user'@'host'``.
        databases: facts of each database, by name.
        not_compared: parts that a rehearsal cannot compare.
    """

    version: str = ""
    image: t.Mapping[str, t.Any] = field(default_factory=dict)
    lower_case: int = 0
    users: t.Mapping[str, t.Sequence[str]] = field(default_factory=dict)
    databases: t.Mapping[str, t.Mapping[str, t.Any]] = field(default_factory=dict)
    not_compared: t.Sequence[str] = field(default_factory=lambda: list(NOT_COMPARED))

    def database(self, name: str) -> DatabaseFacts:
        """The facts of one database."""
        return DatabaseFacts.from_dict(self.databases[name])
