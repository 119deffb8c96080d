# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of imports and SQL migrations of a database: kept in the database itself, in the schema ``onebox``.

There it always matches the data: backups include it, restores replace it, and it is written in the same transaction as
the change that it records.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.server import Server, literal

_TABLES = """
SET client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS onebox;
CREATE TABLE IF NOT EXISTS onebox.arrivals (
  sha256 text PRIMARY KEY, file text NOT NULL, at timestamptz NOT NULL DEFAULT pg_catalog.now());
CREATE TABLE IF NOT EXISTS onebox.migrations (
  name text PRIMARY KEY, sha256 text NOT NULL, done boolean NOT NULL, at timestamptz NOT NULL DEFAULT pg_catalog.now());
RESET client_min_messages;
"""


class Applied(t.NamedTuple):
    """A migration as recorded in the database; ``done`` is false while its outcome is unknown."""

    sha256: str
    done: bool
    at: str


def imported(server: Server, database: str, sha256: str) -> bool:
    """Whether ``database`` was created from the dump with this digest."""
    if not _there(server, database, "arrivals"):
        return False
    return server.query(database, f"SELECT 1 FROM onebox.arrivals WHERE sha256 = {literal(sha256)};") == ["1"]


def note_import(server: Server, database: str, sha256: str, file: str) -> None:
    """Record in ``database`` the dump that it was created from."""
    server.query(
        database, f"{_TABLES}INSERT INTO onebox.arrivals (sha256, file) VALUES ({literal(sha256)}, {literal(file)});"
    )


def migrations(server: Server, database: str) -> dict[str, Applied]:
    """The migrations of ``database``, by name."""
    if not _there(server, database, "migrations"):
        return {}
    rows = server.query(
        database,
        "SELECT pg_catalog.json_build_array(name, sha256, done, pg_catalog.to_char(at AT TIME ZONE 'UTC', "
        "'YYYY-MM-DD HH24:MI')) FROM onebox.migrations;",
    )
    return {name: Applied(sha256, done, at) for name, sha256, done, at in map(json.loads, rows)}


def prepare(server: Server, database: str) -> None:
    """Create the tables."""
    server.query(database, _TABLES)


def migration_sql(name: str, sha256: str, done: bool) -> str:
    """The statement that records a migration."""
    return (
        f"INSERT INTO onebox.migrations (name, sha256, done) VALUES ({literal(name)}, {literal(sha256)}, {done}) "
        "ON CONFLICT (name) DO UPDATE SET sha256 = EXCLUDED.sha256, done = EXCLUDED.done, at = pg_catalog.now();"
    )


def _there(server: Server, database: str, table: str) -> bool:
    return server.query(database, f"SELECT pg_catalog.to_regclass('onebox.{table}') IS NOT NULL;") == ["t"]
