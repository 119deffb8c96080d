# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Negative controls of SQLite sources: each damage of a copy must be found."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.sqlite.model import SqliteFacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Source

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.selftest import SelfTest

CUT_FILE = "cut file of SQLite"
ALTERED_ROW = "altered row of SQLite"
ALTERED_SETTING = "altered setting of SQLite"


def controls(test: SelfTest, source: Source) -> None:
    """Cut the copy, change one row in it, and change a setting."""
    facts = SqliteFacts.from_dict(source.facts)
    test.restored(source, f"{facts.file} cut, without the checksum", {facts.file: test.cut})
    staged = test.fetched(source)
    if _alter_row(os.path.join(staged, facts.file), list(facts.tables)):
        test.control("one altered row of SQLite, same rows", lambda: test.check(source, staged))
    else:
        test.skip(ALTERED_ROW)
    test.restored(source, "one altered setting of SQLite", {facts.file: _alter_setting})


def _alter_row(path: str, tables: t.Sequence[str]) -> bool:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as base:
        base.execute("PRAGMA foreign_keys = 0")
        for table in tables:
            if table.startswith("sqlite_"):
                continue
            for _number, column, *_rest in base.execute(f"PRAGMA table_info({_quoted(table)})").fetchall():
                if _changed(base, _quoted(table), _quoted(column)):
                    return True
    return False


def _changed(base: sqlite3.Connection, table: str, column: str) -> bool:
    sql = (
        f"UPDATE {table} SET {column} = CASE typeof({column}) WHEN 'integer' THEN {column} + 1 WHEN 'real' THEN "
        f"{column} + 1 ELSE 'x' || {column} END WHERE rowid = (SELECT min(rowid) FROM {table} WHERE {column} NOT NULL)"
    )
    before = base.total_changes
    try:
        base.execute("BEGIN")
        base.execute(sql)
        # A trigger may have changed more.
        done = base.total_changes == before + 1
        base.execute("COMMIT" if done else "ROLLBACK")
    except sqlite3.Error:
        # A constraint refuses it, or the table has no rowid.
        if base.in_transaction:
            base.execute("ROLLBACK")
        return False
    return done


def _alter_setting(path: str) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as base:
        (version,) = base.execute("PRAGMA user_version").fetchone()
        base.execute(f"PRAGMA user_version = {(version + 1) % (1 << 31)}")


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))
