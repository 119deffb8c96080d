# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read and compare the content of a SQLite database that no other process uses."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import typing as t
import urllib.parse
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceLimit
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.sqlite.model import SqliteFacts
from ansible_collections.onebox.stack.plugins.module_utils.core import files

_SETTINGS = ("page_size", "encoding", "auto_vacuum", "user_version", "application_id")
# Byte 18 of the header: the version of the format for writing.
_VERSION_AT, _WAL = 18, 2
_ROWS = 1000
# A larger value is hashed by itself, so that a row is never held as text of several times its size.
_LARGE = 1 << 16
# The words of SQLite about functions, collations and modules that only the application has.
_MISSING = ("no such function", "no such collation", "no such module", "unknown function", "unknown tokenizer")
_SHOWN = 5


@dataclass(frozen=True)
class Contents:
    """The content of a database, as in :class:`SqliteFacts`."""

    settings: dict[str, t.Any]
    tables: dict[str, list[t.Any]]
    objects: dict[str, str]
    broken_references: int
    not_compared: list[str]


def read(path: str) -> Contents:
    """Read a closed database without any change to its directory.

    Raises:
        SourceLimit: it is damaged, or not a database.
    """
    uri = f"file:{urllib.parse.quote(os.fsencode(path))}?mode=ro&immutable=1"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as base:
            base.text_factory = _text
            verdict = [row[0] for row in base.execute("PRAGMA integrity_check(5)")]
            if verdict != ["ok"]:
                raise SourceLimit(f"{path} is damaged: {'; '.join(verdict)}")
            return _read(base, path)
    except sqlite3.Error as error:
        raise SourceLimit(f"{path} cannot be read as a SQLite database: {error}") from error


def differences(facts: SqliteFacts, found: Contents) -> list[str]:
    """What differs between the facts of a set and a restored database."""
    problems = [
        f"{name} is {found.settings.get(name)!r}, not {value!r}"
        for name, value in facts.settings.items()
        if found.settings.get(name) != value
    ]
    problems += _changed("table", {key: tuple(row) for key, row in facts.tables.items()}, _tuples(found.tables))
    problems += _changed("definition of", facts.objects, found.objects)
    if found.broken_references != facts.broken_references:
        problems.append(f"{found.broken_references} rows violate a foreign key, not {facts.broken_references}")
    return problems


def _tuples(tables: t.Mapping[str, t.Sequence[t.Any]]) -> dict[str, tuple[t.Any, ...]]:
    return {key: tuple(row) for key, row in tables.items()}


def _changed(what: str, wanted: t.Mapping[str, t.Any], found: t.Mapping[str, t.Any]) -> list[str]:
    problems = []
    for name in [*wanted, *(each for each in found if each not in wanted)]:
        if name not in found:
            problems.append(f"{what} {name} is missing")
        elif name not in wanted:
            problems.append(f"{what} {name} is not in the set")
        elif wanted[name] != found[name]:
            counts = f" ({wanted[name][0]} rows in the set, {found[name][0]} restored)" if what == "table" else ""
            problems.append(f"{what} {name} differs{counts}")
    return problems


def _read(base: sqlite3.Connection, path: str) -> Contents:
    settings: dict[str, t.Any] = {name: base.execute(f"PRAGMA {name}").fetchone()[0] for name in _SETTINGS}
    settings["journal_mode"] = _journal_mode(path)
    tables: dict[str, list[t.Any]] = {}
    objects: dict[str, str] = {}
    lacking: list[str] = []
    schema = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
    for kind, name, statement in base.execute(schema).fetchall():
        objects[f"{kind} {name}"] = hashlib.sha256((statement or "").encode("utf-8", "surrogateescape")).hexdigest()
        # The rows of a virtual table are in other tables of the file.
        if kind != "table" or (statement or "").upper().startswith("CREATE VIRTUAL"):
            continue
        try:
            tables[name] = _rows(base, name)
        except sqlite3.OperationalError as error:
            if not any(word in str(error) for word in _MISSING):
                raise
            lacking.append(f"rows of table {name}: {error}")
    broken = sum(1 for _row in base.execute("PRAGMA foreign_key_check")) if tables else 0
    return Contents(settings, tables, objects, broken, lacking)


def _rows(base: sqlite3.Connection, table: str) -> list[t.Any]:
    """The number of rows of a table, and their SHA-256."""
    count, digest = 0, hashlib.sha256()
    quoted = table.replace('"', '""')
    # An index that holds all columns would decide the order.
    cursor = base.execute(f'SELECT * FROM "{quoted}" NOT INDEXED')
    while rows := cursor.fetchmany(_ROWS):
        count += len(rows)
        digest.update("\n".join(ascii(tuple(map(_value, row))) for row in rows).encode("ascii") + b"\n")
    return [count, digest.hexdigest()]


def _value(value: t.Any) -> t.Any:
    if isinstance(value, (str, bytes)) and len(value) > _LARGE:
        data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
        return type(value).__name__, len(data), hashlib.sha256(data).hexdigest()
    return value


def _text(data: bytes) -> str:
    # SQLite stores whatever an application calls text.
    return data.decode("utf-8", "surrogateescape")


def _journal_mode(path: str) -> str:
    with files.open_regular(path) as file:
        head = file.read(_VERSION_AT + 1)
    return "wal" if len(head) > _VERSION_AT and head[_VERSION_AT] == _WAL else "delete"
