# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of a migration: formats of files, refused SQL, and kills during the import of a directory."""

from __future__ import annotations

import gzip
import json
import os
import pathlib

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration, migrate
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import ConfigError, MigrationError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import import_tree
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import facts as pgfacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import import_dump
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import migrations as sql_migrations
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import server as postgresql
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.migrations import Migration
from ansible_collections.onebox.stack.plugins.module_utils.core import trees
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

ROOT = pathlib.Path(__file__).resolve().parents[3]
# The first and last lines of pg_dump 15.16 and 17.8; the second has the token of the releases since August 2025.
SQL_15 = "--\n-- PostgreSQL database dump\n--\n\nSET x = 0;\n\n--\n-- PostgreSQL database dump complete\n--\n\n"
SQL_17 = SQL_15.replace("SET x = 0;", "\\restrict e1") + "\\unrestrict e1\n\n"
ALL = "--\n-- PostgreSQL database cluster dump\n--\n"


def test_script_for_the_old_server_is_the_query_of_a_backup():
    assert (ROOT / "playbooks/files/onebox-facts.sql").read_text(encoding="utf-8") == pgfacts.script()


def test_facts_of_an_old_server_are_compared_by_table():
    found = {'["public", "t"]': [5, "100"], '["public", "u"]': [0, "0"]}
    same = '["public", "t", 5, "100"]\n["public", "u", 0, "0"]\n'
    assert pgfacts.compare_rows(same, found) == []
    assert "other contents" in pgfacts.compare_rows(same.replace("100", "101"), found)[0]
    assert "public.u is not in the backup" in pgfacts.compare_rows(same.splitlines()[0], found)[0]
    for text in ("", "psql: error", '["t"]', "{}"):
        with pytest.raises(ValueError, match=r".+"):
            pgfacts.compare_rows(text, found)


@pytest.mark.parametrize("text", [SQL_15, SQL_17])
def test_complete_sql_dump_is_accepted(tmp_path, text):
    (tmp_path / "d.sql").write_text(text, encoding="utf-8")
    assert import_dump.open_dump(str(tmp_path / "d.sql"), str(tmp_path)).custom is False
    (tmp_path / "d.gz").write_bytes(gzip.compress(text.encode()))
    opened = import_dump.open_dump(str(tmp_path / "d.gz"), str(tmp_path))
    assert pathlib.Path(opened.path).read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (SQL_15[:60].encode(), "is truncated"),
        (SQL_17[: SQL_17.index("complete")].encode(), "is truncated"),
        (ALL.encode(), "pg_dumpall"),
        (b"CREATE TABLE x (a int);", "not a dump of pg_dump"),
        (b"", "not a dump of pg_dump"),
        (gzip.compress(b"x" * 9000)[:-9], "not a whole gzip"),
        (gzip.compress(ALL.encode()), "pg_dumpall"),
    ],
)
def test_incomplete_dump_is_refused_with_the_reason(tmp_path, data, words):
    (tmp_path / "d").write_bytes(data)
    with pytest.raises(MigrationError, match=words):
        import_dump.open_dump(str(tmp_path / "d"), str(tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        "BEGIN;\nCREATE TABLE a ();\nCOMMIT;",
        "begin transaction;",
        "CREATE TABLE a ();\n  commit work ;",
        "START TRANSACTION;",
        "ROLLBACK;",
        "END;",
    ],
)
def test_file_with_its_own_transaction_is_refused(text):
    with pytest.raises(ConfigError, match="migrations: x.sql contains "):
        sql_migrations.check([Migration("db", "d", "x.sql", text)])
    sql_migrations.check([Migration("db", "d", "x.sql", text, transaction=False)])


@pytest.mark.parametrize(
    "text",
    [
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n  RETURN 1;\nEND;\n$$;",
        "DO $body$ BEGIN\nCOMMIT;\nEND; $body$;",
        "-- BEGIN;\n/* COMMIT;\n*/ SELECT 1;",
        "INSERT INTO t VALUES ('\nBEGIN;\nit''s');",
        "CREATE TABLE begin_ (a int);",
    ],
)
def test_words_that_resemble_a_transaction_are_accepted(text):
    sql_migrations.check([Migration("db", "d", "x.sql", text)])


def test_duplicate_names_are_refused_and_files_are_read_to_the_byte(tmp_path):
    one = Migration("db", "d", "x.sql", "SELECT 1;")
    with pytest.raises(ConfigError, match="twice"):
        sql_migrations.check([one, one])
    (tmp_path / "y.sql").write_bytes(b"SELECT 1;\r\n\r\n")
    options = {"source": "db", "database": "d", "required": True, "transaction": True}
    assert sql_migrations.read(str(tmp_path), file="y.sql", **options).text == "SELECT 1;\r\n\r\n"
    with pytest.raises(MigrationError, match=r"nosuch\.sql cannot be read"):
        sql_migrations.read(str(tmp_path), file="nosuch.sql", **options)
    (tmp_path / "z.sql").write_bytes(b"\xff")
    with pytest.raises(MigrationError, match="not UTF-8"):
        sql_migrations.read(str(tmp_path), file="z.sql", **options)


class Site:
    """A directory source with data, and other data to import."""

    def __init__(self, base: pathlib.Path) -> None:
        self.base = base
        for name, text in (("live", "former"), ("new", "arrived")):
            (base / name / "sub").mkdir(parents=True)
            (base / name / "sub" / "f").write_text(text, encoding="utf-8")
        self.request = migrate.Request((migrate.Datum("d", str(base / "new")),))

    def context(self) -> contexts.Context:
        return contexts.make(
            configuration.parse(
                {
                    "stack": "coin",
                    "state_dir": str(self.base / "state"),
                    "repository": {"engine": "files", "path": str(self.base / "repo")},
                    "sources": [{"name": "d", "kind": "directory", "path": str(self.base / "live")}],
                }
            ),
            World.real(),
        )

    def migrate(self, **more):
        return migrate.migrate(self.context(), self.request, confirm="coin", **more)

    def previous(self) -> list[str]:
        return [(place / "sub/f").read_text(encoding="utf-8") for place in self.base.glob("live.before-*")]


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_directory_replaces_another_once(site):
    report = site.migrate()
    assert report["error"] == ""
    assert (site.base / "live/sub/f").read_text(encoding="utf-8") == "arrived"
    assert site.previous() == ["former"]
    assert report["aside"] == [str(place) for place in site.base.glob("live.before-*")]
    (site.base / "live/sub/f").write_text("written since", encoding="utf-8")
    again = site.migrate()
    assert (again["changed"], again["data"][0]["state"]) == (False, "there")
    assert (site.base / "live/sub/f").read_text(encoding="utf-8") == "written since"


@pytest.mark.parametrize(("place", "words"), [("live/sub", "contain each other"), ("", "contain each other"), ("nosuch", "is not a directory")])  # fmt: skip  # noqa: E501
def test_directory_that_cannot_be_moved_is_refused(site, place, words):
    site.request = migrate.Request((migrate.Datum("d", str(site.base / place)),))
    with pytest.raises(MigrationError, match=words):
        site.migrate()
    assert (site.base / "live/sub/f").read_text(encoding="utf-8") == "former"


def test_empty_directory_and_one_in_use_are_refused(site, monkeypatch):
    empty = site.base / "empty"
    empty.mkdir()
    site.request = migrate.Request((migrate.Datum("d", str(empty)),))
    assert "holds no file" in site.migrate()["error"]
    site.request = migrate.Request((migrate.Datum("d", str(site.base / "new")),))
    real = import_tree.TreeImport.try_out

    def writing(self):
        (site.base / "new/more").write_text("x", encoding="utf-8")
        return real(self)

    monkeypatch.setattr(import_tree.TreeImport, "try_out", writing)
    assert "changes while it is read" in site.migrate()["error"]
    assert (site.base / "live/sub/f").read_text(encoding="utf-8") == "former"
    assert site.previous() == []


def _die_at(count: int) -> None:
    """End this process as kill -9 does, no handler and no finally, at its ``count``-th change to the disk."""
    left = [count]

    def dying(name, real):
        def call(*args, **options):
            mutates = name != "open" or (len(args) > 1 and args[1] & (os.O_CREAT | os.O_WRONLY))
            if mutates and left[0] == 0:
                os._exit(9)
            left[0] -= 1 if mutates else 0
            return real(*args, **options)

        return call

    for name in ("open", "rename", "replace", "mkdir", "unlink", "rmdir", "chmod", "chown", "fchmod"):
        setattr(os, name, dying(name, getattr(os, name)))


def test_import_killed_at_every_change_to_the_disk_converges(site, tmp_path_factory):
    deaths = 0
    while True:
        place = Site(tmp_path_factory.mktemp("kill"))
        child = os.fork()
        if child == 0:
            _die_at(deaths)
            os._exit(0 if place.migrate()["error"] == "" else 1)
        _pid, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        assert code in (0, 9)
        now = place.base / "live/sub/f"
        assert not now.exists() or now.read_text(encoding="utf-8") in ("former", "arrived")
        report = place.migrate()
        assert report["error"] == ""
        assert now.read_text(encoding="utf-8") == "arrived", deaths
        assert place.previous() == ["former"], deaths
        assert not (place.base / "live.onebox-arriving").exists()
        assert place.migrate()["changed"] is False
        if code == 0:
            break
        deaths += 1
        trees.remove_tree(str(place.base))
    print(f"{deaths} deaths, each converged")
    assert deaths > 20


def test_report_is_plain_data(site):
    assert json.loads(json.dumps(site.migrate(dry=True)))["steps"]


def test_long_name_is_cut_at_bytes_between_characters():
    for name in ("a" * 63, "ü" * 31, "x" + "ü" * 31, "coin"):
        found = postgresql.aside_name(name, "20260102-020000")
        assert len(found.encode()) <= 63
        assert found.endswith("_before_20260102-020000")
        assert name.startswith(found.partition("_before")[0])
