# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a PostgreSQL database: rows and content hash of each table, sequences, extensions.

The same queries run on the original, in the snapshot that is dumped, and on the restored copy. Row counts
alone do not detect a changed row. Output settings are fixed, because the text of a value depends on them.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import Session
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import catalogue, schema
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.model import (
    Contents,
    DatabaseFacts,
    Tables,
)

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
# pg_sequences shows NULL for an unused sequence, even after setval(). The sequence itself has the value.
_SEQUENCES = """SELECT pg_catalog.json_build_array(n.nspname, c.relname, s.seqcycle, pg_catalog.format('%I.%I',
 n.nspname, c.relname)) FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid
 JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
 JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
 AND d.objid = c.oid AND d.deptype = 'e' AND NOT c.oid = ANY(COALESCE(e.extconfig, '{}')))
 ORDER BY n.nspname, c.relname;"""
_AT_ONCE = 500  # sequences in one query
# Tables of extensions whose rows pg_dump includes: extconfig and its condition.
_CONFIG = """SELECT pg_catalog.json_build_array(n.nspname, c.relname, pg_catalog.format('%I.%I', n.nspname, c.relname),
 one.condition) FROM pg_catalog.pg_extension e CROSS JOIN LATERAL
 ROWS FROM (unnest(e.extconfig), unnest(e.extcondition)) AS one(id, condition)
 JOIN pg_catalog.pg_class c ON c.oid = one.id JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' ORDER BY 1::text;"""
_VIEWS = """SELECT pg_catalog.json_build_array(n.nspname, c.relname, pg_catalog.format('%I.%I', n.nspname, c.relname))
 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'm' AND c.relispopulated ORDER BY 1::text;"""
_EXTENSIONS = (
    """SELECT pg_catalog.json_build_array(extname, extversion) FROM pg_catalog.pg_extension ORDER BY extname;"""
)
# A dump does not record versions. A restore installs those of the image, which may be newer.
_UPDATES = """SELECT pg_catalog.json_build_array(name, default_version) FROM pg_catalog.pg_available_extensions
 WHERE installed_version IS NOT NULL AND installed_version <> default_version ORDER BY name;"""
_LARGE = """SELECT pg_catalog.json_build_array(pg_catalog.count(*),
 COALESCE(pg_catalog.sum(pg_catalog.hashtextextended(
 loid::text || ':' || pageno::text || ':' || data::text, 0)), 0)::text)
 FROM pg_catalog.pg_largeobject;"""


_SCRIPT_TABLES = """SELECT pg_catalog.format('SELECT pg_catalog.json_build_array(%L::text, %L::text,
 pg_catalog.count(*), COALESCE(pg_catalog.sum(pg_catalog.hashtextextended(ROW(obx_row.*)::text, 0)), 0)::text)
 FROM ONLY %I.%I AS obx_row',
 n.nspname, c.relname, n.nspname, c.relname)"""


def script() -> str:
    """SQL for ``psql -XqAt`` on an old server: a line for each table, as :func:`compare_rows` reads it."""
    rows = _TABLES.partition("FROM")[2].rstrip().rstrip(";")
    return (
        "-- Rows and a hash of each table, to be compared after a migration:\n"
        "--     psql -XqAt -v ON_ERROR_STOP=1 -d DATABASE < onebox-facts.sql > DATABASE.facts\n"
        "-- It only reads. PostgreSQL 12 or newer.\n"
        f"BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;{SETTINGS}"
        f"{_SCRIPT_TABLES}\n FROM{rows} \\gexec\nCOMMIT;\n"
    )


def compare_rows(text: str, found: Tables) -> list[str]:
    """Each difference between the output of :func:`script` on another server and the tables found here.

    Raises:
        ValueError: ``text`` is not output of the script.
    """
    there = {}
    for line in filter(None, text.splitlines()):
        row = json.loads(line)
        if not isinstance(row, list) or len(row) != 4:
            raise ValueError(f"onebox-facts.sql does not write this line: {line[:80]}")
        there[json.dumps(row[:2])] = row[2:]
    if not there:
        raise ValueError("it is empty: onebox-facts.sql found no table, or psql failed")
    return _compare_tables(there, found, "the dump")


def contents(session: Session, superuser: bool) -> Contents:
    """The contents of the session's database in its transaction.

    Tables and materialized views (rows, hash), extensions, groups of :mod:`catalogue`, and large objects for a
    superuser.
    """
    tables = {}
    for line in session.ask(_TABLES):
        schema_name, name, quoted = json.loads(line)
        tables[json.dumps([schema_name, name])] = _hashed(session, quoted)
    return Contents(
        tables=tables,
        config_tables={
            json.dumps(row[:2]): _hashed(session, row[2], row[3] or "") for row in map(json.loads, session.ask(_CONFIG))
        },
        extensions=dict(json.loads(line) for line in session.ask(_EXTENSIONS)),
        extension_updates=dict(json.loads(line) for line in session.ask(_UPDATES)),
        views={json.dumps(row[:2]): _hashed(session, row[2]) for row in map(json.loads, session.ask(_VIEWS))},
        catalogue=catalogue.of_database(session, superuser),
        large_objects=json.loads(session.ask(_LARGE)[0]) if superuser else None,
    )


def _hashed(session: Session, quoted: str, condition: str = "") -> list[t.Any]:
    # ONLY: a parent's rows are counted once, in the child that holds them.
    (answer,) = session.ask(
        "SELECT pg_catalog.json_build_array(pg_catalog.count(*), COALESCE(pg_catalog.sum("
        f"pg_catalog.hashtextextended(ROW(obx_row.*)::text, 0)), 0)::text) FROM ONLY {quoted} AS obx_row {condition};"
    )
    return t.cast("list[t.Any]", json.loads(answer))


def sequences(session: Session) -> dict[str, list[t.Any]]:
    """Last value, whether it was used, and whether it cycles, of each sequence. Snapshots do not cover them."""
    rows = [json.loads(line) for line in session.ask(_SEQUENCES)]
    values: list[list[t.Any]] = []
    for start in range(0, len(rows), _AT_ONCE):
        parts = [
            f"SELECT pg_catalog.json_build_array({number}, last_value, is_called) FROM {row[3]}"
            for number, row in enumerate(rows[start : start + _AT_ONCE])
        ]
        values += [row[1:] for row in sorted(map(json.loads, session.ask(" UNION ALL ".join(parts) + ";")))]
    return {json.dumps(row[:2]): [*value, row[2]] for row, value in zip(rows, values)}


def for_another_major(expected: DatabaseFacts) -> DatabaseFacts:
    """Limit the facts to those that are comparable on a server of another major version.

    It formats views differently and has its own versions of extensions. So only the names of extensions are compared,
    and pg_restore's success counts for the schema.
    """
    return dataclasses.replace(expected, extensions=dict.fromkeys(expected.extensions))


def compare(expected: DatabaseFacts, found: Contents, where: str, *, another: bool = False) -> list[str]:
    """The differences as sentences.

    Args:
        expected: the facts of a database in the manifest.
        another: the server is of another major version than the manifest says.
    """
    if another:
        expected = for_another_major(expected)
        found = dataclasses.replace(found, extensions=dict.fromkeys(found.extensions))
    problems = _compare_tables(expected.tables, found.tables, where)
    if expected.config_tables is not None and not another:
        problems += _compare_tables(expected.config_tables, found.config_tables, where)
    if not _same_extensions(expected, found.extensions):
        problems.append(f"{where}: extensions are {found.extensions}, in the dump {expected.extensions}")
    if expected.large_objects is not None and expected.large_objects != found.large_objects:
        problems.append(f"{where}: large objects differ")
    problems += _compare_sequences(expected, found.sequences, where)
    if expected.catalogue is not None:
        problems += catalogue.compare(expected.catalogue, found.catalogue, f"{where}: ")
    if another:
        return problems
    if expected.entries is not None:
        return problems + schema.compare(expected.entries, found.entries, where)
    if expected.schema is None:
        return [*problems, f"{where}: the set has no record of its schema"]
    before, after = schema.lines("\n".join(expected.schema)), schema.lines(found.text)  # of the first release
    if sorted(before) != sorted(after):
        gone, new = sorted(set(before) - set(after))[:2], sorted(set(after) - set(before))[:2]
        problems.append(f"{where}: the schema differs; missing {gone}, new {new}")
    return problems


def _same_extensions(expected: DatabaseFacts, found: t.Mapping[str, str | None]) -> bool:
    """Whether the extensions are those of the dump, with the version of the dump or of the image."""
    before, updates = expected.extensions, expected.extension_updates
    return set(before) == set(found) and all(found[name] in (before[name], updates.get(name)) for name in before)


def renewed(expected: DatabaseFacts, found: Contents, where: str) -> list[str]:
    """Notes on objects that a restore updates: materialized views and extensions."""
    views, extensions = expected.views, expected.extensions
    return [
        f"{where}: extension {name} is of version {found.extensions.get(name)}, in the dump {extensions[name]}: "
        "the image installs its own version"
        for name in expected.extension_updates
        if extensions.get(name) is not None and found.extensions.get(name) != extensions[name]
    ] + [
        f"{where}: materialized view {'.'.join(json.loads(key))} was refreshed by the restore and has other rows "
        "than in the dump"
        for key in sorted(views)
        if key in found.views and views[key] != found.views[key]
    ]


def _compare_tables(expected: Tables, found: Tables, where: str) -> list[str]:
    problems = []
    for key in sorted(set(expected) | set(found)):
        name = ".".join(json.loads(key))
        before, after = expected.get(key), found.get(key)
        if before is None or after is None:
            problems.append(f"{where}: table {name} is {'missing' if after is None else 'not in the backup'}")
        elif before[0] != after[0]:
            problems.append(f"{where}: table {name} has {after[0]} rows, in the dump {before[0]}")
        elif before[1] != after[1]:
            problems.append(f"{where}: table {name} has the same number of rows and other contents")
    return problems


def _compare_sequences(expected: DatabaseFacts, found: t.Mapping[str, t.Sequence[t.Any]], where: str) -> list[str]:
    problems = []
    before, after = expected.sequences_before, expected.sequences_after
    for key in sorted(set(before) | set(found)):
        name = ".".join(json.loads(key))
        if key not in found:
            problems.append(f"{where}: sequence {name} is missing")
            continue
        if key not in before or key not in after:
            continue  # created or dropped during the dump: the bounds are unknown
        value = list(found[key])
        if len(before[key]) == 2:  # a set of the first release: a value (NULL if unused), and cycle
            value = [value[0] if value[1] else None, value[2]]
        bounds, value = [list(before[key][:-1]), list(after[key][:-1])], value[:-1]
        # Writers advance a sequence during the dump: the restored value is between those before and after it.
        if bounds[0] == bounds[1]:
            fits = value == bounds[0]
        elif found[key][2] or None in bounds[0] + bounds[1] + value:
            fits = True  # it wrapped around, was first used or was reset during the dump
        else:
            fits = min(bounds) <= value <= max(bounds)
        if not fits:
            shown = [" ".join(map(_worded, one)) for one in (value, *bounds)]
            problems.append(f"{where}: sequence {name} is at {shown[0]}, in the dump {shown[1]} to {shown[2]}")
    return problems


def _worded(part: int | bool | None) -> str:
    return {True: "(used)", False: "(not used)"}[part] if isinstance(part, bool) else str(part)
