# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a PostgreSQL source."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.facts import Facts, Image
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.catalogue import Groups

# Rows and content hash of a table, by a JSON list of schema and name.
Tables = t.Mapping[str, t.Sequence[t.Any]]
PRELOAD = "shared_preload_libraries"


@dataclass(frozen=True)
class DatabaseFacts(Facts):
    """The facts of a database in a manifest.

    Attributes:
        path: path of the dump in the set.
        sequences_before, sequences_after: value, whether it was used, whether it cycles; before and after the dump.
        entries: name and digest of each object of the schema; None in sets of the first release.
        schema: lines of the schema, in sets of the first release alone.
        catalogue: groups of the catalog; None in old sets.
        large_objects: number and hash; None when the user was not a superuser.
    """

    path: str = ""
    tables: Tables = field(default_factory=dict)
    config_tables: Tables | None = None
    views: Tables = field(default_factory=dict)
    extensions: t.Mapping[str, str | None] = field(default_factory=dict)
    extension_updates: t.Mapping[str, str] = field(default_factory=dict)
    sequences_before: t.Mapping[str, t.Sequence[t.Any]] = field(default_factory=dict)
    sequences_after: t.Mapping[str, t.Sequence[t.Any]] = field(default_factory=dict)
    entries: t.Sequence[t.Sequence[str]] | None = None
    schema: t.Sequence[str] | None = None
    catalogue: Groups | None = None
    large_objects: t.Sequence[t.Any] | None = None

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(int(row[0]) for row in self.tables.values())


@dataclass(frozen=True)
class Contents:
    """The contents of one database of a running server; the fields are those of :class:`DatabaseFacts`."""

    tables: Tables = field(default_factory=dict)
    config_tables: Tables = field(default_factory=dict)
    views: Tables = field(default_factory=dict)
    extensions: t.Mapping[str, str | None] = field(default_factory=dict)
    extension_updates: t.Mapping[str, str] = field(default_factory=dict)
    catalogue: Groups = field(default_factory=dict)
    large_objects: t.Sequence[t.Any] | None = None
    sequences: t.Mapping[str, t.Sequence[t.Any]] = field(default_factory=dict)
    text: str = ""
    entries: t.Sequence[t.Sequence[str]] = ()


@dataclass(frozen=True)
class ServerFacts(Facts):
    """The facts of a server and its databases in a manifest.

    Attributes:
        user: the superuser, or the role that read all data.
        databases: facts of each database, see :meth:`database`.
        preload: ``shared_preload_libraries`` as one text, in sets without ``settings``.
        settings: ``carried`` (a server needs them to load the dumps) and ``in_data_directory``; None in old sets.
        catalogue: roles, memberships and their settings; None in old sets.
    """

    version: str = ""
    user: str = ""
    databases: t.Mapping[str, t.Mapping[str, t.Any]] = field(default_factory=dict)
    image: Image | t.Mapping[str, t.Any] = field(default_factory=Image)
    initdb_args: str = ""
    preload: t.Sequence[str] = ()
    settings: t.Mapping[str, t.Any] | None = None
    catalogue: Groups | None = None
    not_compared: t.Sequence[str] = ()

    def database(self, name: str) -> DatabaseFacts:
        """The facts of one database."""
        return DatabaseFacts.from_dict(self.databases[name])

    @property
    def major(self) -> str:
        """The major version."""
        return self.version.partition(".")[0]

    @property
    def carried(self) -> t.Mapping[str, str]:
        """The settings that a server needs to load the dumps."""
        return (self.settings or {}).get("carried") or {PRELOAD: "".join(self.preload)}

    @property
    def libraries(self) -> str:
        """The libraries that the server preloaded, as one text."""
        return str(self.carried.get(PRELOAD, "".join(self.preload)))
