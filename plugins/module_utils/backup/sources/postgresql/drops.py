# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of a PostgreSQL source that are missing or much smaller than in the previous set."""

from __future__ import annotations

import json
import re

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.model import (
    DatabaseFacts,
    ServerFacts,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Source

# The name of a previous copy, see server.aside_name.
_ASIDE = re.compile(r"_before_\d{8}-\d{6}\Z")
# A schema with fewer rows may disappear. A table with fewer rows may disappear without a warning.
_FEW_ROWS = 100
_MANY_ROWS = 1000


def is_aside(database: str) -> bool:
    """Whether the database is a previous copy of a restore. Sets do not hold it."""
    return _ASIDE.search(database) is not None


def not_expected(spec: SourceSpec, before: Source) -> tuple[int, list[str]]:
    """Rows and dumps of the databases that may be missing in the next set."""
    facts = ServerFacts.from_dict(before.facts)
    gone = [facts.database(name) for name in facts.databases if not _counts(spec, name)]
    return sum(database.rows for database in gone), [database.path for database in gone]


def shrunk(spec: SourceSpec, now: Source, before: Source) -> tuple[list[str], list[str]]:
    """Compare each database, and each schema with its tables. Returns problems and warnings."""
    problems, warnings = [], []
    there, previous = ServerFacts.from_dict(now.facts), ServerFacts.from_dict(before.facts)
    for name in previous.databases:
        if not _counts(spec, name):
            if not is_aside(name):
                warnings.append(f"database {name} was in the previous set and is no longer configured")
            continue
        if name not in there.databases:
            problems.append(f"lacks database {name}, which the previous set has")
            continue
        old, new = previous.database(name), there.database(name)
        if old.rows and (new.rows == 0 or (old.rows >= _FEW_ROWS and new.rows < spec.least(old.rows))):
            problems.append(f"database {name} went from {old.rows} to {new.rows} rows")
            continue
        more, emptied = _schemas(spec, name, old, new)
        problems += more
        warnings += emptied
    # allow_empty applies to each part, too.
    return (problems, warnings) if spec.max_drop_percent < 100 else ([], problems + warnings)


def _schemas(spec: SourceSpec, database: str, before: DatabaseFacts, now: DatabaseFacts) -> tuple[list[str], list[str]]:
    problems, warnings = [], []
    groups, there = _grouped(before), _grouped(now)
    for schema, old in groups.items():
        rows = there.get(schema, 0)
        if old >= _FEW_ROWS and rows < spec.least(old):
            problems.append(f"schema {schema} of database {database} went from {old} to {rows} rows")
    for key, row in before.tables.items():
        rows = now.tables.get(key, [0])[0]
        if row[0] >= _MANY_ROWS and rows == 0:
            table = ".".join(json.loads(key))
            warnings.append(f"table {table} of database {database} went from {row[0]} rows to none")
    return problems, warnings


def _counts(spec: SourceSpec, database: str) -> bool:
    """Whether later sets hold the database: it is configured, and not a previous copy."""
    return database in spec.databases if spec.databases else not is_aside(database)


def _grouped(database: DatabaseFacts) -> dict[str, int]:
    groups: dict[str, int] = {}
    for key, row in database.tables.items():
        schema = str(json.loads(key)[0])
        groups[schema] = groups.get(schema, 0) + int(row[0])
    return groups
