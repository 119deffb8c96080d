# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases among the files of a directory source: named when they are in use, and copied in their journal mode."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import archive, find_databases


def named(root, *, sqlite=(), now=None):
    staging = root.parent / "staging"
    staging.mkdir(exist_ok=True)
    got = archive.capture(str(root), (), sqlite, str(staging), f"s{time.monotonic_ns()}", archive=True)
    listed = str(staging / got.facts.list)
    return find_databases.databases_in(listed, str(root), got.facts.databases, time.time() if now is None else now)


@pytest.fixture
def root(tmp_path):
    made = tmp_path / "srv"
    made.mkdir()
    return made


def database(path, mode="delete"):
    with contextlib.closing(sqlite3.connect(path)) as made:
        made.execute(f"PRAGMA journal_mode = {mode}")
        made.execute("CREATE TABLE t (a)")
        made.execute("INSERT INTO t VALUES (1)")
        made.commit()


@pytest.mark.parametrize("name", ["app.db", "no ending", "sub/ü\n.sqlite3"])
def test_sqlite_file_written_to_today_is_named(root, name):
    (root / name).parent.mkdir(exist_ok=True)
    database(root / name)
    (warning,) = named(root)
    assert "SQLite databases in use" in warning
    assert name in warning
    assert named(root, sqlite=[os.path.basename(name)]) == []


def test_unused_sqlite_file_is_not_named(root):
    database(root / "old.db")
    assert named(root, now=time.time() + 200_000) == []


def test_sqlite_file_with_an_open_log_is_named_at_any_age(root):
    with contextlib.closing(sqlite3.connect(root / "x")) as live:
        live.execute("PRAGMA journal_mode = WAL")
        live.execute("CREATE TABLE t (a)")
        live.commit()
        (warning,) = named(root, now=time.time() + 200_000)
    assert "x in" in warning


def test_file_that_resembles_a_database_is_not_named(root):
    (root / "a.db").write_text("SQLite format 3", encoding="utf-8")
    (root / "b.db-wal").write_text("x", encoding="utf-8")
    (root / "c.db").mkdir()
    os.symlink("/etc/passwd", root / "d.db")
    os.mkfifo(root / "e.db")
    (root / "PG_VERSION").write_text("15", encoding="utf-8")
    assert named(root) == []


@pytest.mark.parametrize(
    ("files", "what"),
    [
        (["pg/PG_VERSION", "pg/global/pg_control", "pg/base/1/PG_VERSION"], "PostgreSQL"),
        (["ibdata1"], "MySQL"),
        (["m/WiredTiger.wt"], "MongoDB"),
        (["r/appendonlydir/appendonly.aof.manifest"], "Redis"),
    ],
)
def test_data_directory_of_a_server_is_named(root, files, what):
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x", encoding="utf-8")
    (warning,) = named(root, now=time.time() + 200_000)
    assert f"data directory of {what}" in warning
    assert "base/1" not in warning


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_copied_database_keeps_its_journal_mode_in_one_file(root, mode):
    database(root / "app.db", mode)
    staging = root.parent / "copies"
    staging.mkdir()
    got = archive.capture(str(root), (), ["app.db"], str(staging), "s", archive=True)
    copy = staging / got.facts.databases["app.db"]
    assert os.listdir(copy.parent) == ["app.db"]
    with contextlib.closing(sqlite3.connect(copy)) as restored:
        assert restored.execute("PRAGMA journal_mode").fetchone() == (mode,)
        assert restored.execute("SELECT a FROM t").fetchall() == [(1,)]
