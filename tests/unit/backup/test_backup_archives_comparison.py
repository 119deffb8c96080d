# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts on their own: hostile archives, what redis-check-rdb prints, comparisons, the one-file program.

The words of redis-check-rdb are recorded from Redis 7.0.15 and 8.0.2.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import drops
from ansible_collections.onebox.stack.plugins.module_utils.backup.declaration import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.directory import archive as directories
from ansible_collections.onebox.stack.plugins.module_utils.backup.directory import extract, tapes, walk
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    DeclarationError,
    SourceError,
    StoreError,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.postgresql import catalogue
from ansible_collections.onebox.stack.plugins.module_utils.backup.postgresql import facts as pgfacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.postgresql import load as pgload
from ansible_collections.onebox.stack.plugins.module_utils.backup.postgresql import schema as pgschema
from ansible_collections.onebox.stack.plugins.module_utils.backup.postgresql import server as postgresql
from ansible_collections.onebox.stack.plugins.module_utils.backup.redis import server as redis
from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import cli, install
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import restic_backup
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Source

GOOD_RDB = """[offset 196] Checksum OK
[offset 196] \\o/ RDB looks OK! \\o/
[info] 5002 keys read
[info] 10 expires
[info] 2 already expired
"""


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple[tarfile.TarInfo, io.BytesIO]:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    data = b"evil" if kind == tarfile.REGTYPE else b""
    info.size = len(data)
    return info, io.BytesIO(data)


@pytest.mark.parametrize(
    "members",
    [
        [member("../out")],
        [member("/etc/out")],
        [member("a/../../out")],
        [member("door", tarfile.SYMTYPE, ".."), member("door/out")],
        [member("door", tarfile.SYMTYPE, "/tmp"), member("door", tarfile.REGTYPE)],
        [member("hard", tarfile.LNKTYPE, "../out")],
        [member("device", tarfile.CHRTYPE)],
    ],
)
def test_an_archive_that_would_leave_its_directory_is_refused(tmp_path, members):
    archive = tmp_path / "evil.tar"
    with tarfile.open(archive, "w") as tar:
        for info, data in members:
            tar.addfile(info, data)
    into = tmp_path / "into" / "here"
    into.mkdir(parents=True)
    with pytest.raises(StoreError):
        extract.extract(str(archive), str(into), owners=False)
    assert not (tmp_path / "into" / "out").exists()
    assert not (tmp_path / "out").exists()


def test_names_of_any_bytes_modes_and_links_come_back(tmp_path):
    root = tmp_path / "root"
    root.mkdir(mode=0o750)
    with open(os.fsencode(root) + b"/\xff\n'\"%", "wb") as file:
        file.write(b"x")
    os.symlink("no where", root / "link")
    os.mkfifo(root / "pipe")
    (root / "deep" / "er").mkdir(parents=True)
    (root / "deep").chmod(0o500)
    staging = tmp_path / "staging"
    staging.mkdir()
    got = directories.capture(str(root), (), (), str(staging), "s", archive=True)
    out = tmp_path / "out"
    out.mkdir()
    extract.extract(str(staging / "files/s.tar"), str(out), owners=os.geteuid() == 0)
    assert directories.check(got.facts, str(staging), str(out), os.geteuid() == 0) == ([], [])
    (out / "link").unlink()
    os.symlink("else where", out / "link")
    (out / "new").write_text("n", encoding="utf-8")
    problems, _moved = directories.check(got.facts, str(staging), str(out), os.geteuid() == 0)
    assert len(problems) == 2
    (root / "deep").chmod(0o700)
    (out / "deep").chmod(0o700)


def test_a_file_that_shrinks_while_it_is_read_is_told(tmp_path, monkeypatch):
    root = tmp_path / "root"
    root.mkdir()
    (root / "log").write_bytes(b"x" * 3_000_000)
    real = tapes.add_file

    def shrinking(tar, path, *more):
        os.truncate(root / path, 1000)
        return real(tar, path, *more)

    monkeypatch.setattr(tapes, "add_file", shrinking)
    staging = tmp_path / "staging"
    staging.mkdir()
    got = directories.capture(str(root), (), (), str(staging), "s", archive=True)
    assert got.warnings == ["1 files changed while they were read: log"]


def test_patterns_and_companions(tmp_path):
    for name in ("a.db", "a.db-wal", "a.db-shm", "b.txt", "cache/x", "keep/cache.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x", encoding="utf-8")
    found = walk.Listing(str(tmp_path), exclude=["cache"], sqlite=["*.db"])
    assert [path for path, _status in found] == [".", "a.db", "b.txt", "keep", "keep/cache.txt"]
    assert found.databases == ["a.db"]
    assert sorted(found.skipped) == ["a.db-shm", "a.db-wal", "cache"]


def test_what_redis_check_rdb_says_is_counted():
    assert redis.checked(GOOD_RDB) == {"keys": 5002, "expires": 10, "expired": 2}
    assert redis.durable_keys(redis.checked(GOOD_RDB)) == 4992


@pytest.mark.parametrize("said", ["", "--- RDB ERROR DETECTED ---", "[info] 3 keys read\n", "RDB looks OK"])
def test_an_rdb_that_was_not_called_good_is_no_backup(said):
    with pytest.raises(SourceError):
        redis.checked(said)


def test_the_keyspace_is_read_with_and_without_ttl():
    info = {"db0": "keys=5,expires=1,avg_ttl=3", "db3": "keys=2,expires=0,avg_ttl=0,subexpiry=0", "role": "master"}
    assert redis.keyspace(info) == {"0": [5, 1], "3": [2, 0]}


# Facts of a set of the first release, and of one of today. What is found is always as today.
OLD_FACTS: dict[str, t.Any] = {
    "tables": {'["public", "t"]': [5, "100"], '["public", "u"]': [0, "0"]},
    "extensions": {"plpgsql": "1.0"},
    "large_objects": [0, "0"],
    "schema": ["CREATE TABLE t;", "SET default_tablespace = '';", "CREATE TABLE u;"],
    "sequences_before": {'["public", "s"]': [10, False], '["public", "n"]': [None, False]},
    "sequences_after": {'["public", "s"]': [14, False], '["public", "n"]': [None, False]},
}
DUMPED = """--
-- Name: t; Type: TABLE; Schema: public; Owner: coin
--

CREATE TABLE t (
    a integer,
    b integer,
    c integer
);

SET default_tablespace = '';

--
-- Name: u; Type: TABLE; Schema: public; Owner: coin
--

CREATE TABLE u;
"""
FACTS: dict[str, t.Any] = {
    **{key: OLD_FACTS[key] for key in ("tables", "extensions", "large_objects")},
    "entries": pgschema.entries(DUMPED),
    "sequences_before": {'["public", "s"]': [10, True, False], '["public", "n"]': [1, False, False]},
    "sequences_after": {'["public", "s"]': [14, True, False], '["public", "n"]': [1, False, False]},
    "config_tables": {'["x", "config"]': [1, "1"]},
    "catalogue": {
        "database": {"properties": {"owner": "coin"}},
        "materialized views": {"public.v": {"populated": True}},
    },
    "views": {'["public", "v"]': [1, "1"]},
}
FOUND: dict[str, t.Any] = {
    **{key: FACTS[key] for key in ("tables", "extensions", "large_objects", "config_tables", "catalogue", "views")},
    "text": "CREATE TABLE u;\n-- a comment\nCREATE TABLE t;\nSET default_tablespace = fast;\n",
    "entries": pgschema.entries(DUMPED),
    "sequences": {'["public", "s"]': [12, True, False], '["public", "n"]': [1, False, False]},
}


@pytest.mark.parametrize("facts", [OLD_FACTS, FACTS], ids=["old", "new"])
def test_a_database_that_came_back_equal_has_no_problem(facts):
    assert pgfacts.compare(facts, FOUND, "db") == []


def rotated(change: str) -> list[list[str]]:
    """The schema with the two columns of t in the other order, or what ``change`` does to the text."""
    text = DUMPED.replace("    a integer,\n    b integer,\n", "    b integer,\n    a integer,\n")
    return pgschema.entries(text if change == "columns" else DUMPED.replace("CREATE TABLE u;", change))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("entries", rotated("columns"), "changed TABLE public.t"),
        ("entries", rotated("-- comment\nCREATE TABLE u;"), "changed TABLE public.u"),
        ("entries", FACTS["entries"][:1], "missing TABLE public.u"),
        (
            "sequences",
            {**FOUND["sequences"], '["public", "n"]': [1, True, False]},
            "at 1 (used), dumped was 1 (not used)",
        ),
        ("sequences", {**FOUND["sequences"], '["public", "n"]': [2, False, True]}, "at 2 (not used)"),
        ("config_tables", {'["x", "config"]': [1, "2"]}, "x.config has the right number"),
        ("catalogue", {**FACTS["catalogue"], "database": {"properties": {"owner": "x"}}}, "owner is 'x'"),
        ("catalogue", {**FACTS["catalogue"], "materialized views": {}}, "public.v is missing"),
    ],
)
def test_each_difference_that_only_new_sets_show_is_named(key, value, words):
    (problem,) = pgfacts.compare(FACTS, {**FOUND, key: value}, "db")
    assert words in problem
    assert pgfacts.compare(OLD_FACTS, {**FOUND, key: value}, "db") == [] or key == "sequences"


def test_a_materialized_view_that_was_out_of_date_is_a_note():
    stale = {**FOUND, "views": {'["public", "v"]': [1, "2"]}}
    assert pgfacts.compare(FACTS, stale, "db") == []
    assert "public.v was refreshed" in pgfacts.renewed(FACTS, stale, "db")[0]
    assert pgfacts.renewed(FACTS, FOUND, "db") == []


def test_an_extension_of_the_version_that_the_image_brings_is_a_note():
    expected = {**FACTS, "extension_updates": {"plpgsql": "1.1"}}
    for version, problems, notes in (("1.0", 0, 0), ("1.1", 0, 1), ("1.2", 1, 1)):
        found = {**FOUND, "extensions": {"plpgsql": version}}
        assert len(pgfacts.compare(expected, found, "db")) == problems
        assert len(pgfacts.renewed(expected, found, "db")) == notes
    assert len(pgfacts.compare(expected, {**FOUND, "extensions": {}}, "db")) == 1
    assert len(pgfacts.compare(FACTS, {**FOUND, "extensions": {"plpgsql": "1.1"}}, "db")) == 1


def test_roles_of_a_server_that_keeps_its_own_are_notes_and_others_are_problems():
    expected = {
        "roles": {"role coin": {"password": "1", "rolconnlimit": 1}, "role app": {"password": "1"}},
        "role settings": {},
    }
    found = {
        "roles": {"role coin": {"password": "2", "rolconnlimit": 2}, "role app": {"password": "2"}, "role more": {}},
        "role settings": {"settings of role coin": {"settings": ["a=b"]}},
    }
    problems, own = catalogue.compare_server(expected, found, kept=["coin"], alone=True)
    assert problems == [
        "settings of role coin is there and should not be",
        "role app differs: password",
        "role more is there and should not be",
    ]
    assert own == ["role coin differs: rolconnlimit is 2, dumped was 1"]  # a throwaway server's password is its own
    problems, own = catalogue.compare_server(expected, found, kept=["coin", "app"], alone=False)
    assert problems == []
    assert own == ["role app differs: password", "role coin differs: password; rolconnlimit is 2, dumped was 1"]


@pytest.mark.parametrize(("kept", "problems"), [(["boss"], 1), (["app"], 0), (["grp"], 0), (["ap"], 1)])
def test_a_membership_that_a_living_role_has_by_another_is_a_note(kept, problems):
    expected = {
        "memberships": {"membership of app in grp by boss": {}},
        "parameters": {"parameter a": {"privileges": 1}},
    }
    found = {"memberships": {"membership of app in grp by coin": {}}, "parameters": {"parameter a": {"privileges": 2}}}
    got, own = catalogue.compare_server(expected, found, kept=kept, alone=False)
    assert (len(got), len(own)) == (problems, 2 - problems)
    got, own = catalogue.compare_server(expected, found, kept=kept, alone=True)
    assert (len(got), own) == (3, [])


def test_a_comment_of_a_role_that_looks_like_statements_stays_whole():
    text = b"""--
-- Roles
--

CREATE ROLE coin;
ALTER ROLE coin WITH SUPERUSER PASSWORD 'x;y''z';
COMMENT ON ROLE grp IS E'a\\'
CREATE ROLE coin;
b';
\\unrestrict abc;def
CREATE ROLE "odd; ""name";
"""
    found = [statement for statement in pgload.statements(text) if not statement.startswith((b"--", b"\\"))]
    assert found == [
        b"CREATE ROLE coin;",
        b"ALTER ROLE coin WITH SUPERUSER PASSWORD 'x;y''z';",
        b"COMMENT ON ROLE grp IS E'a\\'\nCREATE ROLE coin;\nb';",
        b'CREATE ROLE "odd; ""name";',
    ]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("tables", {'["public", "t"]': [5, "101"], '["public", "u"]': [0, "0"]}, "other contents"),
        ("tables", {'["public", "t"]': [4, "100"], '["public", "u"]': [0, "0"]}, "has 4 rows, 5 were dumped"),
        ("tables", {'["public", "t"]': [5, "100"]}, "table public.u is missing"),
        ("tables", {**FACTS["tables"], '["x", "y"]': [1, "1"]}, "x.y is there and should not be"),
        ("extensions", {}, "extensions"),
        ("large_objects", [1, "7"], "large objects"),
        ("text", "CREATE TABLE t;", "the schema differs"),
        ("sequences", {**FOUND["sequences"], '["public", "s"]': [15, True, False]}, "public.s is at 15"),
        ("sequences", {**FOUND["sequences"], '["public", "n"]': [3, True, False]}, "public.n is at 3"),
        ("sequences", {'["public", "s"]': [12, True, False]}, "public.n is missing"),
    ],
)
def test_each_difference_of_a_database_is_named(key, value, words):
    (problem,) = pgfacts.compare(OLD_FACTS, {**FOUND, key: value}, "db")
    assert words in problem


def test_another_major_version_words_the_schema_otherwise_and_changes_nothing_else():
    newer = {**FOUND, "entries": [], "config_tables": {}, "extensions": {"plpgsql": "2.0"}}
    assert pgfacts.compare(FACTS, newer, "db") != []
    assert pgfacts.compare(FACTS, newer, "db", another=True) == []
    assert "other contents" in pgfacts.compare(FACTS, {**newer, "tables": {
        '["public", "t"]': [5, "101"], '["public", "u"]': [0, "0"]}}, "db", another=True)[0]  # fmt: skip
    assert "extensions" in pgfacts.compare(FACTS, {**newer, "extensions": {}}, "db", another=True)[0]


@pytest.mark.parametrize("lost", [{}, {"schema": None, "entries": None}])
def test_database_without_a_dumped_schema_is_not_compared_as_another_major_version(lost):
    facts = {**{key: value for key, value in FACTS.items() if key != "entries"}, **lost}
    newer = {**FOUND, "extensions": {"plpgsql": "2.0"}}
    assert pgfacts.compare(facts, FOUND, "db") == ["db: the set does not say what its schema was"]
    assert len(pgfacts.compare(facts, newer, "db")) == 2
    assert pgfacts.compare(facts, newer, "db", another=True) == []


def test_database_names_are_never_connection_strings_or_options():
    assert postgresql.connect("coin") == "coin"
    assert postgresql.connect("-U root") == "dbname='-U root'"
    assert postgresql.connect("a=b 'c\\") == "dbname='a=b \\'c\\\\'"


def source(count: int) -> Source:
    return Source("s", "redis", (), count, {})


def test_sudden_emptiness_and_drops_are_refused():
    spec = SourceSpec("s", "redis", max_drop_percent=50)
    with pytest.raises(SourceError, match="is empty"):
        drops.check(spec, source(0), None)
    with pytest.raises(SourceError, match="from 100 to 49"):
        drops.check(spec, source(49), source(100))
    drops.check(spec, source(50), source(100))
    drops.check(SourceSpec("s", "redis", allow_empty=True), source(0), source(100))


def test_of_restic_s_output_only_the_summary_counts():
    text = '{"message_type":"error"}\nnot json\n{"message_type":"summary","snapshot_id":"abc"}\n'
    assert restic_backup.summary(text)["snapshot_id"] == "abc"
    assert restic_backup.summary("") == {}


def test_a_wrong_declaration_is_not_written(tmp_path):
    with pytest.raises(DeclarationError):
        install.write_declaration(str(tmp_path / "c.json"), {"stack": "x"}, check=False)
    with pytest.raises(DeclarationError, match="absolute"):
        install.put_files({"relative": "x"}, 0o600, check=False)
    assert os.listdir(tmp_path) == []


def test_the_command_line_tells_as_json_and_as_words(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "f").write_text("x", encoding="utf-8")
    config = tmp_path / "c.json"
    config.write_text(
        json.dumps(
            {
                "stack": "words",
                "state_dir": str(tmp_path / "state"),
                "repository": {"engine": "files", "path": str(tmp_path / "repo")},
                "reserve_mib": 1,
                "sources": [{"name": "d", "kind": "directory", "path": str(tmp_path / "data")}],
            }
        ),
        encoding="utf-8",
    )
    base = ["--config", str(config)]
    assert cli.main([*base, "status"]) == cli.UNHEALTHY
    assert "there is no backup yet" in capsys.readouterr().out
    assert cli.main([*base, "rehearse"]) == 5
    assert "run a backup first" in capsys.readouterr().err
    assert cli.main([*base, "--json", "backup"]) == 0
    assert json.loads(capsys.readouterr().out)["snapshot"]["seq"] == 1
    assert cli.main([*base, "rehearse", "--self-test"]) == 0
    assert "SKIPPED empty RDB: no source it applies to" in capsys.readouterr().out
    assert cli.main([*base, "plan"]) == 0
    assert "keep   1: newest" in capsys.readouterr().out
    assert cli.main([*base, "restore", "--yes", "other"]) == 9
    assert cli.main([*base, "pin", "7"]) == 1
    assert cli.main([*base, "rehearse", "--offsite"]) == 5
    assert cli.main([*base, "check"]) == 0
