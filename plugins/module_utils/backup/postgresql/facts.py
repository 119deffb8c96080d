# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is true of a PostgreSQL database: rows and content hash of each table, sequences, extensions.

The same questions are asked of the original, in the very snapshot that is dumped, and of the restored copy. Row counts
alone miss a changed row; the hash does not. Output settings are pinned, because the text of a value depends on them.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import Session

# hashtextextended() needs PostgreSQL 11 or newer. The sum does not depend on the order of rows.
SETTINGS = """
SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0;
SET search_path = ''; SET row_security = off; SET DateStyle = 'ISO, YMD'; SET TimeZone = 'UTC';
SET IntervalStyle = 'postgres'; SET extra_float_digits = 3; SET bytea_output = 'hex'; SET lc_monetary = 'C';
SET client_encoding = 'UTF8'; SET synchronize_seqscans = off;
"""
_OWN = """n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
 WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')"""
_TABLES = f"""SELECT pg_catalog.json_build_array(n.nspname, c.relname, pg_catalog.format('%I.%I', n.nspname, c.relname))
 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND {_OWN} ORDER BY 1::text;"""
_SEQUENCES = """SELECT pg_catalog.json_build_array(schemaname, sequencename, last_value, cycle)
 FROM pg_catalog.pg_sequences ORDER BY schemaname, sequencename;"""
_EXTENSIONS = (
    """SELECT pg_catalog.json_build_array(extname, extversion) FROM pg_catalog.pg_extension ORDER BY extname;"""
)
_LARGE = """SELECT pg_catalog.json_build_array(pg_catalog.count(*),
 COALESCE(pg_catalog.sum(pg_catalog.hashtextextended(
 loid::text || ':' || pageno::text || ':' || data::text, 0)), 0)::text)
 FROM pg_catalog.pg_largeobject;"""


_SCRIPT_TABLES = """SELECT pg_catalog.format('SELECT pg_catalog.json_build_array(%L::text, %L::text,
 pg_catalog.count(*), COALESCE(pg_catalog.sum(pg_catalog.hashtextextended(ROW(obx_row.*)::text, 0)), 0)::text)
 FROM ONLY %I.%I AS obx_row',
 n.nspname, c.relname, n.nspname, c.relname)"""


def script() -> str:
    """SQL for ``psql -XqAt`` at an old place: a line for each table, as :func:`compare_rows` reads it."""
    rows = _TABLES.partition("FROM")[2].rstrip().rstrip(";")
    return (
        "-- What is in each table (rows and a hash of all of them), to be compared after a migration:\n"
        "--     psql -XqAt -v ON_ERROR_STOP=1 -d DATABASE < onebox-facts.sql > DATABASE.facts\n"
        "-- It only reads. PostgreSQL 12 or newer.\n"
        f"BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;{SETTINGS}"
        f"{_SCRIPT_TABLES}\n FROM{rows} \\gexec\nCOMMIT;\n"
    )


def compare_rows(text: str, found: t.Mapping[str, t.Any]) -> list[str]:
    """Each difference between what :func:`script` said elsewhere and the tables found here.

    Raises:
        ValueError: ``text`` is not what the script prints.
    """
    there = {}
    for line in filter(None, text.splitlines()):
        row = json.loads(line)
        if not isinstance(row, list) or len(row) != 4:
            raise ValueError(f"this line is not one of onebox-facts.sql: {line[:80]}")
        there[json.dumps(row[:2])] = row[2:]
    if not there:
        raise ValueError("it is empty: onebox-facts.sql found no table, or psql failed")
    return _compare_tables(there, found["tables"], "the dump")


def contents(session: Session, large_objects: bool) -> dict[str, t.Any]:
    """Tables (rows, hash), extensions and, for a superuser, large objects, as the session's transaction sees them."""
    tables: dict[str, list[t.Any]] = {}
    for line in session.ask(_TABLES):
        schema, name, quoted = json.loads(line)
        # ONLY: a parent's rows are counted once, in the child that holds them.
        (answer,) = session.ask(
            "SELECT pg_catalog.json_build_array(pg_catalog.count(*), COALESCE(pg_catalog.sum("
            f"pg_catalog.hashtextextended(ROW(obx_row.*)::text, 0)), 0)::text) FROM ONLY {quoted} AS obx_row;"
        )
        tables[json.dumps([schema, name])] = json.loads(answer)
    found: dict[str, t.Any] = {
        "tables": tables,
        "extensions": dict(json.loads(line) for line in session.ask(_EXTENSIONS)),
    }
    if large_objects:
        found["large_objects"] = json.loads(session.ask(_LARGE)[0])
    return found


def sequences(session: Session) -> dict[str, list[t.Any]]:
    """Last value (None: never used) and whether it cycles, of each sequence. Sequences stand outside of snapshots."""
    return {json.dumps(row[:2]): row[2:] for row in map(json.loads, session.ask(_SEQUENCES))}


def for_another_major(expected: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What can be compared on a server of another major version.

    It words views otherwise and brings its own versions of extensions: their names count, and the schema by whether
    pg_restore made all of it.
    """
    return {**expected, "schema": None, "extensions": dict.fromkeys(expected["extensions"])}


def compare(expected: t.Mapping[str, t.Any], found: t.Mapping[str, t.Any], where: str) -> list[str]:
    """Each difference as a sentence; none means equal. ``expected`` is what the manifest says of a database."""
    if expected["schema"] is None:
        found = for_another_major(found)
    problems = _compare_tables(expected["tables"], found["tables"], where)
    if expected["extensions"] != found["extensions"]:
        problems.append(f"{where}: extensions are {found['extensions']}, dumped were {expected['extensions']}")
    if "large_objects" in expected and expected["large_objects"] != found.get("large_objects"):
        problems.append(f"{where}: large objects differ")
    problems += _compare_sequences(expected, found["sequences"], where)
    if expected["schema"] is not None and sorted(expected["schema"]) != sorted(found["schema"]):
        gone = sorted(set(expected["schema"]) - set(found["schema"]))[:2]
        new = sorted(set(found["schema"]) - set(expected["schema"]))[:2]
        problems.append(f"{where}: the schema differs; missing {gone}, new {new}")
    return problems


def _compare_tables(expected: t.Mapping[str, t.Any], found: t.Mapping[str, t.Any], where: str) -> list[str]:
    problems = []
    for key in sorted(set(expected) | set(found)):
        name = ".".join(json.loads(key))
        before, after = expected.get(key), found.get(key)
        if before is None or after is None:
            problems.append(f"{where}: table {name} is {'missing' if after is None else 'there and should not be'}")
        elif before[0] != after[0]:
            problems.append(f"{where}: table {name} has {after[0]} rows, {before[0]} were dumped")
        elif before[1] != after[1]:
            problems.append(f"{where}: table {name} has the right number of rows and other contents")
    return problems


def _compare_sequences(expected: t.Mapping[str, t.Any], found: t.Mapping[str, t.Any], where: str) -> list[str]:
    problems = []
    before, after = expected["sequences_before"], expected["sequences_after"]
    for key in sorted(set(before) | set(found)):
        name = ".".join(json.loads(key))
        if key not in found:
            problems.append(f"{where}: sequence {name} is missing")
            continue
        if key not in before or key not in after or found[key][1]:
            continue  # made or dropped during the dump, or it starts over at its end: no bounds to compare with
        # Writers move a sequence while it is dumped: the restored value lies between what was seen before and after.
        bounds = [before[key][0], after[key][0]]
        value = found[key][0]
        if bounds[0] == bounds[1]:
            fits = value == bounds[0]
        elif None in bounds:
            fits = True  # first used, or reset, during the dump: anything on the way is right
        else:
            fits = value is not None and min(bounds) <= value <= max(bounds)
        if not fits:
            problems.append(f"{where}: sequence {name} is at {value}, dumped was {bounds[0]} to {bounds[1]}")
    return problems
