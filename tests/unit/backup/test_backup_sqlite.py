# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources of kind sqlite: real databases, backed up in use, rehearsed, damaged in many ways, restored."""

from __future__ import annotations

import contextlib
import datetime
import os
import pathlib
import shutil
import sqlite3
import stat
import subprocess
import sys

import deaths
import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import rehearse, restore, run, selftest
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import MismatchError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.facts_validators import VALIDATORS
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.sqlite import restore as replacing
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.schema import Malformed
from ansible_collections.onebox.stack.plugins.module_utils.core import trees

SCHEMA = """
PRAGMA user_version = 7;
PRAGMA application_id = 4711;
CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT NOT NULL, ratio REAL, data BLOB);
CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent (id));
CREATE TABLE "odd ""name" (a, b);
CREATE TABLE keyed (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
CREATE INDEX by_name ON parent (name);
CREATE VIEW names AS SELECT name FROM parent;
CREATE TRIGGER filled AFTER INSERT ON child BEGIN INSERT INTO keyed VALUES ('t' || NEW.id, NULL); END;
INSERT INTO parent VALUES (1, 'one', 0.5, x'00ff'), (2, 'two' || char(10), -1e300, NULL);
INSERT INTO parent VALUES (3, 'ünï', 1.0, zeroblob(70000));
INSERT INTO child VALUES (1, 1), (2, 2);
INSERT INTO "odd ""name" VALUES (1, '1'), (x'31', 1.0), (NULL, '');
"""
# Each must be seen in a restored copy, though the file is a sound database.
MUTATIONS = {
    "value": "UPDATE parent SET name = 'uno' WHERE id = 1",
    "blob": "UPDATE parent SET data = x'00fe' WHERE id = 1",
    "large blob": "UPDATE parent SET data = zeroblob(69999) || x'01' WHERE id = 3",
    "text of a blob": """UPDATE "odd ""name" SET a = '1' WHERE a = x'31'""",
    "integer of a text": """UPDATE "odd ""name" SET b = 1 WHERE b = '1'""",
    "null": """UPDATE "odd ""name" SET a = '' WHERE a IS NULL""",
    "row": "DELETE FROM keyed WHERE k = 't1'",
    "table": "DROP TABLE child",
    "table too many": "CREATE TABLE more (a)",
    "index": "DROP INDEX by_name",
    "view": "DROP VIEW names; CREATE VIEW names AS SELECT name, id FROM parent",
    "trigger": "DROP TRIGGER filled",
    "column": "ALTER TABLE child ADD COLUMN more",
    "user version": "PRAGMA user_version = 8",
    "application id": "PRAGMA application_id = 1",
    "reference": "PRAGMA foreign_keys = 0; UPDATE child SET parent = 99 WHERE id = 1",
}


class Database:
    """A database that an application has open, and the backups of it."""

    def __init__(self, site, mode):
        self.site = site
        self.path = os.path.join(site.base, "srv", "app.db")
        os.makedirs(os.path.dirname(self.path))
        self.live = sqlite3.connect(self.path, isolation_level=None)
        self.live.execute(f"PRAGMA journal_mode = {mode}")
        self.live.executescript(SCHEMA)
        os.chmod(self.path, 0o640)

    def context(self, **source):
        return self.site.context(sources=[{"name": "app", "kind": "sqlite", "path": self.path, **source}])

    def day(self, **source):
        report = run.backup(self.context(**source))
        self.site.now += datetime.timedelta(days=1)
        return report

    def facts(self):
        return self.context().store.sets()[-1].understood().source("app").facts

    def restore(self, **request):
        return restore.restore(self.context(), restore.Request(**request), confirm="unit")

    def sql(self, text, path=""):
        with contextlib.closing(sqlite3.connect(path or self.path, isolation_level=None)) as base:
            return base.execute(text).fetchall()


@pytest.fixture(params=["wal", "delete"])
def database(request, site, monkeypatch):
    # No engine: the kind must not need one.
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    monkeypatch.setenv("PATH", "/nowhere")
    made = Database(site, request.param)
    made.mode = request.param
    yield made
    made.live.close()


def test_backup_of_a_database_in_use_is_rehearsed_row_by_row(database):
    database.live.execute("BEGIN IMMEDIATE")
    database.live.execute("INSERT INTO parent VALUES (9, 'not committed', 0, NULL)")
    report = database.day()
    database.live.execute("ROLLBACK")
    assert report["error"] == ""
    facts = database.facts()
    assert {name: row[0] for name, row in facts["tables"].items()} == {
        "parent": 3, "child": 2, 'odd "name': 3, "keyed": 2,
    }  # fmt: skip
    assert facts["settings"]["journal_mode"] == database.mode
    assert facts["settings"]["user_version"] == 7
    report = rehearse.rehearse(database.context())
    assert report["error"] == ""
    assert report["sources"][0]["found"] == {"tables": 4, "rows": 10, "not_compared": []}


def test_each_mutation_of_a_sound_copy_is_found(database):
    assert database.day()["error"] == ""
    context = database.context()
    chosen = context.store.sets()[-1]
    source = chosen.understood().source("app")
    scratch = os.path.join(database.site.base, "scratch")
    missed, refused = [], []
    for name, sql in {"nothing": "SELECT 1", **MUTATIONS}.items():
        trees.remove_tree(scratch)
        trees.private_dir(scratch)
        staged = os.path.join(scratch, "set")
        trees.private_dir(staged)
        context.store.fetch(chosen, staged)
        with contextlib.closing(sqlite3.connect(os.path.join(staged, source.facts["file"]))) as base:
            base.executescript(sql)
        try:
            rehearse.check_source(context, context.store, chosen, source, staged, scratch)
            missed.append(name)
        except MismatchError as error:
            refused.append((name, str(error)))
    assert missed == ["nothing"]
    assert len(refused) == len(MUTATIONS)


def test_damages_of_the_self_test_are_all_caught(database):
    assert database.day()["error"] == ""
    report = selftest.self_test(database.context())
    assert report["error"] == ""
    caught = [row["damage"] for row in report["controls"] if row["caught"]]
    assert [row for row in caught if "SQLite" in row or "without the checksum" in row] == [
        "sqlite/app.db cut, without the checksum",
        "one altered row of SQLite, same rows",
        "one altered setting of SQLite",
    ]


def test_restore_replaces_the_database_and_keeps_all_of_the_previous(database):
    assert database.day()["error"] == ""
    database.live.execute("DELETE FROM child")
    # As after a crash of the application: the log is not merged.
    for tail in ("", "-wal", "-shm"):
        if os.path.exists(database.path + tail):
            shutil.copy2(database.path + tail, database.path + ".crashed" + tail)
    database.live.close()
    for tail in ("", "-wal", "-shm"):
        if os.path.exists(f"{database.path}.crashed{tail}"):
            os.rename(f"{database.path}.crashed{tail}", database.path + tail)
    report = database.restore()
    assert report["error"] == ""
    assert database.sql("SELECT count(*) FROM child") == [(2,)]
    assert stat.S_IMODE(os.stat(database.path).st_mode) == 0o640
    assert database.sql("PRAGMA journal_mode") == [(database.mode,)]
    (previous,) = report["aside"]
    assert sorted(os.listdir(os.path.dirname(database.path))) == ["app.db", os.path.basename(previous)]
    assert database.sql("SELECT count(*) FROM child", previous) == [(0,)]
    assert database.sql("SELECT count(*) FROM parent", previous) == [(3,)]


@pytest.mark.parametrize("database", ["wal"], indirect=True)
def test_restore_replaces_a_damaged_database_and_keeps_its_log(database):
    assert database.day()["error"] == ""
    database.live.close()
    pathlib.Path(database.path).write_text("damaged")
    pathlib.Path(database.path + "-wal").write_text("log")
    report = database.restore()
    assert report["error"] == ""
    assert database.sql("SELECT count(*) FROM child") == [(2,)]
    (previous,) = report["aside"]
    assert pathlib.Path(previous).read_text() == "damaged"
    assert pathlib.Path(previous + "-wal").read_text() == "log"
    assert not os.path.exists(database.path + "-wal")


def test_restore_of_an_open_database_is_refused_and_names_the_process(database):
    assert database.day()["error"] == ""
    database.live.close()
    use = f"c = sqlite3.connect({database.path!r}); c.execute('SELECT * FROM parent')"
    code = f"import sqlite3, sys; {use}; print(1); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-uc", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"1\n"
        report = database.restore()
        other.stdin.close()
    assert f"is open in process {other.pid} (" in report["error"]
    assert "Stop the program" in report["error"]
    assert report["exit_code"] == 9
    assert os.listdir(os.path.dirname(database.path)) == ["app.db"]
    assert database.restore()["error"] == ""


def test_restore_into_a_directory_leaves_the_stack_alone(database, tmp_path):
    assert database.day()["error"] == ""
    database.live.execute("DELETE FROM child")
    assert database.restore(into=str(tmp_path / "out"))["error"] == ""
    assert database.sql("SELECT count(*) FROM child", str(tmp_path / "out" / "app" / "app.db")) == [(2,)]
    assert database.sql("SELECT count(*) FROM child") == [(0,)]


@pytest.mark.parametrize("database", ["wal"], indirect=True)
def test_killed_replacement_loses_no_row_of_either_database(database, tmp_path):
    database.live.execute("DELETE FROM child")
    # Copied while it is open: rows are in its log only, as after a crash.
    crashed, new = str(tmp_path / "crashed"), str(tmp_path / "new.db")
    shutil.copytree(os.path.dirname(database.path), crashed)
    database.live.close()
    with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as base:
        base.executescript(SCHEMA)
    states, step, ended = set(), 0, False
    while not ended:
        folder = str(tmp_path / f"{step}")
        shutil.copytree(crashed, folder)
        fresh, target = shutil.copy(new, f"{folder}.new"), os.path.join(folder, "app.db")
        ended = deaths.lives(step, lambda fresh=fresh, target=target: replacing.move_in(fresh, target, "now"))
        rows = database.sql("SELECT count(*) FROM child", target)[0][0]
        saved = os.path.join(folder, "app.db.before-now")
        before = database.sql("SELECT count(*) FROM child", saved)[0][0] if os.path.exists(saved) else None
        assert (rows, before) in ((0, None), (0, 0), (2, 0)), f"killed before change {step}"
        states.add((rows, before))
        step += 1
    assert {(0, None), (2, 0)} <= states


def test_emptied_and_dropped_tables_are_named(database):
    database.live.execute("CREATE TABLE big AS SELECT value FROM (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL "
                          "SELECT value + 1 FROM n LIMIT 1500) SELECT value FROM n)")  # fmt: skip
    database.live.execute("CREATE TABLE other AS SELECT * FROM big UNION ALL SELECT * FROM big")
    assert database.day()["error"] == ""
    database.live.execute("DELETE FROM big")
    report = database.day()
    assert "table big went from 1500 rows to none" in "; ".join(report["warnings"])
    database.live.execute("DROP TABLE other")
    assert "table other with 3000 rows is gone" in database.day()["error"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (os.unlink, "cannot be opened: No such file or directory"),
        (lambda path: (os.rename(path, path + "x"), os.symlink(path + "x", path)), "symbolic link"),
        (lambda path: pathlib.Path(path).write_text("not a database"), "is not a SQLite database"),
        (lambda path: (os.unlink(path), os.mkdir(path)), "is not a SQLite database"),
        (lambda path: os.truncate(path, 5000), "app.db"),
    ],
)
def test_file_that_cannot_be_a_database_fails_the_run(database, spoil, words):
    database.live.close()
    spoil(database.path)
    report = database.day()
    assert words in report["error"]
    assert report["exit_code"] == 4


def test_rows_that_only_the_application_can_read_are_named(database):
    database.live.create_function("mine", 1, lambda value: value, deterministic=True)
    database.live.execute("CREATE TABLE made (a, b GENERATED ALWAYS AS (mine(a)) VIRTUAL)")
    report = database.day()
    assert report["error"] == ""
    assert "rows of table made: unknown function: mine(). It is stored, and not compared" in "; ".join(
        report["warnings"]
    )
    assert rehearse.rehearse(database.context())["error"] == ""


@pytest.mark.parametrize(
    "change",
    [
        {"mode": 0o4755},
        {"file": "../x"},
        {"path": "x"},
        {"uid": -1},
        {"tables": {"t": ["1", "0" * 64]}},
        {"objects": {"t": "x"}},
    ],
)
def test_malformed_facts_are_refused(change):
    facts = {
        "path": "/srv/app.db", "file": "sqlite/app.db", "uid": 1, "gid": 1, "mode": 0o640, "settings": {},
        "tables": {"t": [1, "0" * 64]}, "objects": {}, "broken_references": 0, "not_compared": [],
    }  # fmt: skip
    VALIDATORS["sqlite"](facts, {"sqlite/app.db": "0" * 64}, "facts")
    with pytest.raises(Malformed):
        VALIDATORS["sqlite"]({**facts, **change}, {"sqlite/app.db": "0" * 64}, "facts")
