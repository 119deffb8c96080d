# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparison of restored databases and roles with the facts of sets, new ones and those of the first release."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import catalogue
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import facts as pgfacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import load as pgload
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import schema as pgschema
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import server as postgresql
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.model import (
    Contents,
    DatabaseFacts,
)

# Facts of a set of the first release, and of a present one. The restored database has present facts.
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


def compare(facts: dict[str, t.Any], found: dict[str, t.Any], **how: bool) -> list[str]:
    return pgfacts.compare(DatabaseFacts.from_dict(facts), Contents(**found), "db", **how)


def renewed(facts: dict[str, t.Any], found: dict[str, t.Any]) -> list[str]:
    return pgfacts.renewed(DatabaseFacts.from_dict(facts), Contents(**found), "db")


@pytest.mark.parametrize("facts", [OLD_FACTS, FACTS], ids=["old", "new"])
def test_equal_database_has_no_problem(facts):
    assert compare(facts, FOUND) == []


def rotated(change: str) -> list[list[str]]:
    """The schema with the two columns of t in the other order, or with ``change`` in its text."""
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
            "at 1 (used), in the dump 1 (not used)",
        ),
        ("sequences", {**FOUND["sequences"], '["public", "n"]': [2, False, True]}, "at 2 (not used)"),
        ("config_tables", {'["x", "config"]': [1, "2"]}, "x.config has the same number"),
        ("catalogue", {**FACTS["catalogue"], "database": {"properties": {"owner": "x"}}}, "owner is 'x'"),
        ("catalogue", {**FACTS["catalogue"], "materialized views": {}}, "public.v is missing"),
    ],
)
def test_each_difference_that_only_new_sets_record_is_named(key, value, words):
    (problem,) = compare(FACTS, {**FOUND, key: value})
    assert words in problem
    assert compare(OLD_FACTS, {**FOUND, key: value}) == [] or key == "sequences"


def test_outdated_materialized_view_is_a_note():
    stale = {**FOUND, "views": {'["public", "v"]': [1, "2"]}}
    assert compare(FACTS, stale) == []
    assert "public.v was refreshed" in renewed(FACTS, stale)[0]
    assert renewed(FACTS, FOUND) == []


def test_extension_of_the_version_of_the_image_is_a_note():
    expected = {**FACTS, "extension_updates": {"plpgsql": "1.1"}}
    for version, problems, notes in (("1.0", 0, 0), ("1.1", 0, 1), ("1.2", 1, 1)):
        found = {**FOUND, "extensions": {"plpgsql": version}}
        assert len(compare(expected, found)) == problems
        assert len(renewed(expected, found)) == notes
    assert len(compare(expected, {**FOUND, "extensions": {}})) == 1
    assert len(compare(FACTS, {**FOUND, "extensions": {"plpgsql": "1.1"}})) == 1


def test_kept_roles_of_a_server_are_notes_and_others_are_problems():
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
        "settings of role coin is not in the backup",
        "role app differs: password",
        "role more is not in the backup",
    ]
    assert own == ["role coin differs: rolconnlimit is 2, in the dump 1"]  # a throwaway server's password is its own
    problems, own = catalogue.compare_server(expected, found, kept=["coin", "app"], alone=False)
    assert problems == []
    assert own == ["role app differs: password", "role coin differs: password; rolconnlimit is 2, in the dump 1"]


@pytest.mark.parametrize(("kept", "problems"), [(["boss"], 1), (["app"], 0), (["grp"], 0), (["ap"], 1)])
def test_membership_of_a_kept_role_with_another_grantor_is_a_note(kept, problems):
    expected = {
        "memberships": {"membership of app in grp by boss": {}},
        "parameters": {"parameter a": {"privileges": 1}},
    }
    found = {"memberships": {"membership of app in grp by coin": {}}, "parameters": {"parameter a": {"privileges": 2}}}
    got, own = catalogue.compare_server(expected, found, kept=kept, alone=False)
    assert (len(got), len(own)) == (problems, 2 - problems)
    got, own = catalogue.compare_server(expected, found, kept=kept, alone=True)
    assert (len(got), own) == (3, [])


def test_comment_of_a_role_that_resembles_statements_is_not_split():
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
        ("tables", {'["public", "t"]': [4, "100"], '["public", "u"]': [0, "0"]}, "has 4 rows, in the dump 5"),
        ("tables", {'["public", "t"]': [5, "100"]}, "table public.u is missing"),
        ("tables", {**FACTS["tables"], '["x", "y"]': [1, "1"]}, "x.y is not in the backup"),
        ("extensions", {}, "extensions"),
        ("large_objects", [1, "7"], "large objects"),
        ("text", "CREATE TABLE t;", "the schema differs"),
        ("sequences", {**FOUND["sequences"], '["public", "s"]': [15, True, False]}, "public.s is at 15"),
        ("sequences", {**FOUND["sequences"], '["public", "n"]': [3, True, False]}, "public.n is at 3"),
        ("sequences", {'["public", "s"]': [12, True, False]}, "public.n is missing"),
    ],
)
def test_each_difference_of_a_database_is_named(key, value, words):
    (problem,) = compare(OLD_FACTS, {**FOUND, key: value})
    assert words in problem


def test_another_major_version_only_skips_the_schema():
    newer = {**FOUND, "entries": [], "config_tables": {}, "extensions": {"plpgsql": "2.0"}}
    assert compare(FACTS, newer) != []
    assert compare(FACTS, newer, another=True) == []
    assert "other contents" in compare(FACTS, {**newer, "tables": {
        '["public", "t"]': [5, "101"], '["public", "u"]': [0, "0"]}}, another=True)[0]  # fmt: skip
    assert "extensions" in compare(FACTS, {**newer, "extensions": {}}, another=True)[0]


@pytest.mark.parametrize("lost", [{}, {"schema": None, "entries": None}])
def test_database_without_a_dumped_schema_is_not_compared_as_another_major_version(lost):
    facts = {**{key: value for key, value in FACTS.items() if key != "entries"}, **lost}
    newer = {**FOUND, "extensions": {"plpgsql": "2.0"}}
    assert compare(facts, FOUND) == ["db: the set has no record of its schema"]
    assert len(compare(facts, newer)) == 2
    assert compare(facts, newer, another=True) == []


def test_database_names_are_never_connection_strings_or_options():
    assert postgresql.connect("coin") == "coin"
    assert postgresql.connect("-U root") == "dbname='-U root'"
    assert postgresql.connect("a=b 'c\\") == "dbname='a=b \\'c\\\\'"
