# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a source can be believed beside the set before it: part by part, because a sum hides what a part lost.

Ten of eleven databases may be gone while the rows of the eleventh hardly change. So each database, each schema with
its tables, and each numbered database of Redis is judged by itself, and the whole by its bytes, too.
"""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.declaration import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import StoredSet
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Source

# A restore gives a database that it replaces such a name (postgresql.server.aside_name).
_ASIDE = re.compile(r"_before_\d{8}-\d{6}\Z")
# Rows below which a schema, and for a warning a table, may come and go.
_FEW_ROWS = 100
_MANY_ROWS = 1000
# Bytes below which a size says little: headers, compression.
_FEW_BYTES = 1 << 16


def is_aside(database: str) -> bool:
    """Whether a restore moved the database aside: a previous copy, and part of no set."""
    return _ASIDE.search(database) is not None


def last(history: t.Sequence[StoredSet], name: str) -> Source | None:
    """What a source gave in the newest set. Sets that were committed without it, because it failed, are passed over."""
    for found in reversed(history):
        if found.manifest:
            source = found.manifest.source(name)
            if source or name not in found.manifest.left_out:
                return source
    return None


def check(spec: SourceSpec, now: Source, before: Source | None) -> list[str]:
    """Refuse a source that suddenly gives nothing, or far less: an unmounted disk, a dropped table, a FLUSHALL.

    Returns warnings: what shrank, and is not enough to refuse.

    Raises:
        SourceError: with each part, both counts, and how to accept it.
    """
    accept = f"if that is right, run once with --accept-drop {spec.name}"
    if now.count == 0 and not spec.allow_empty:
        raise SourceError(f"source {spec.name} is empty; {accept}, or set allow_empty")
    if before is None or before.kind != now.kind:
        return []
    problems = _whole(spec, now, before)
    told: list[str] = []
    kinds = {"postgresql": _databases, "redis": _numbered}
    if now.kind in kinds:
        more, told = kinds[now.kind](spec, now, before)
        problems += more
    if problems:
        limit = f"more than {spec.max_drop_percent} % less"
        raise SourceError(f"source {spec.name} {'; '.join(problems[:8])}: {limit}; {accept}")
    return told


def _whole(spec: SourceSpec, now: Source, before: Source) -> list[str]:
    problems = []
    gone = {name: database for name, database in _of(before).items() if not _counts(spec, name)}
    counted = before.count - sum(map(_rows, gone.values()))
    if counted > 0 and now.count < _least(spec, counted):
        problems.append(f"went from {counted} to {now.count}")
    size, former = _bytes(now), _bytes(before, [database.get("path") for database in gone.values()])
    if former >= _FEW_BYTES and size < _least(spec, former):
        problems.append(f"went from {former} to {size} bytes")
    return problems


def _databases(spec: SourceSpec, now: Source, before: Source) -> tuple[list[str], list[str]]:
    problems, told = [], []
    there = _of(now)
    for name, database in _of(before).items():
        if not _counts(spec, name):
            if not is_aside(name):
                told.append(f"database {name} was in the set before and is not declared any more")
            continue
        if name not in there:
            problems.append(f"has no database {name} any more")
            continue
        former, rows = _rows(database), _rows(there[name])
        if former and (rows == 0 or (former >= _FEW_ROWS and rows < _least(spec, former))):
            problems.append(f"database {name} went from {former} to {rows} rows")
            continue
        more, emptied = _schemas(spec, name, database, there[name])
        problems += more
        told += emptied
    # Where everything of a source may go, as allow_empty and 100 percent say, a part may, too.
    return (problems, told) if spec.max_drop_percent < 100 else ([], problems + told)


def _schemas(
    spec: SourceSpec, database: str, before: t.Mapping[str, t.Any], now: t.Mapping[str, t.Any]
) -> tuple[list[str], list[str]]:
    problems, told = [], []
    groups, there = _grouped(before), _grouped(now)
    for schema, former in groups.items():
        rows = there.get(schema, 0)
        if former >= _FEW_ROWS and rows < _least(spec, former):
            problems.append(f"schema {schema} of database {database} went from {former} to {rows} rows")
    for key, row in before["tables"].items():
        rows = now["tables"].get(key, [0])[0]
        if row[0] >= _MANY_ROWS and rows == 0:
            table = ".".join(json.loads(key))
            told.append(f"table {table} of database {database} went from {row[0]} rows to none")
    return problems, told


def _numbered(spec: SourceSpec, now: Source, before: Source) -> tuple[list[str], list[str]]:
    there = now.facts.get("keyspace") or {}
    gone = [
        f"database {number} went from {counts[0]} to {there.get(number, [0])[0]} keys"
        for number, counts in (before.facts.get("keyspace") or {}).items()
        if counts[0] > 0 and there.get(number, [0])[0] < max(_least(spec, counts[0]), 1)
    ]
    return (gone, []) if spec.max_drop_percent < 100 else ([], gone)


def _least(spec: SourceSpec, before: int) -> float:
    return before * (100 - spec.max_drop_percent) / 100


def _counts(spec: SourceSpec, database: str) -> bool:
    """Whether a later set holds the database, too: not a previous copy, nor one that is not declared any more."""
    return database in spec.databases if spec.databases else not is_aside(database)


def _bytes(source: Source, without: t.Collection[str | None] = ()) -> int:
    if source.kind == "directory":
        # A file that became sparse, or a set from before holes were left out, shrank by nothing that anybody wrote.
        return int(source.facts.get("bytes", 0)) + int(source.facts.get("holes", 0))
    return sum(artefact.size for artefact in source.artefacts if artefact.path not in without)


def _of(source: Source) -> t.Mapping[str, t.Any]:
    return t.cast("t.Mapping[str, t.Any]", source.facts["databases"]) if source.kind == "postgresql" else {}


def _rows(database: t.Mapping[str, t.Any]) -> int:
    return sum(int(row[0]) for row in database["tables"].values())


def _grouped(database: t.Mapping[str, t.Any]) -> dict[str, int]:
    groups: dict[str, int] = {}
    for key, row in database["tables"].items():
        schema = str(json.loads(key)[0])
        groups[schema] = groups.get(schema, 0) + int(row[0])
    return groups
