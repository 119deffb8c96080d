# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SQL files of a stack: applied in order, once each.

The SQL and its record are one transaction, so that a killed run has either applied and recorded a migration, or
neither.
"""

from __future__ import annotations

import hashlib
import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import ConfigError, MigrationError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import ledger
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.server import Server
from ansible_collections.onebox.stack.plugins.module_utils.core import process

# The statement of a file with its own transaction. BEGIN of a PL/pgSQL block does not have a ';'.
_TRANSACTION = re.compile(
    r"^\s*(?:BEGIN|START\s+TRANSACTION|COMMIT|ROLLBACK|END)(?:\s+(?:WORK|TRANSACTION))?\s*;",
    re.IGNORECASE | re.MULTILINE,
)
_BODY = re.compile(r"\$(\w*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)

APPLIED, PENDING, FAILED = "applied", "pending", "failed"


@dataclass(frozen=True)
class Migration:
    """One file of SQL for one database of a source.

    Attributes:
        name: identifies it permanently: the configured path of its file.
        required: whether its failure ends the run. Otherwise it is retried in each run.
        transaction: false for SQL outside of a transaction, such as CREATE INDEX CONCURRENTLY. It must be safe to run
            twice, because a killed run may have finished it.
    """

    source: str
    database: str
    name: str
    text: str
    required: bool = True
    transaction: bool = True

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def read(base: str, *, source: str, database: str, file: str, required: bool, transaction: bool) -> Migration:
    """The migration in ``file``, below ``base`` when that is a relative path. Raises :class:`MigrationError`."""
    path = os.path.join(base, file)
    try:
        with open(path, encoding="utf-8", newline="") as text:
            return Migration(source, database, file, text.read(), required, transaction)
    except OSError as error:
        raise MigrationError(f"migrations: {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise MigrationError(f"migrations: {path} is not UTF-8: {error}") from error


def check(migrations: t.Sequence[Migration]) -> None:
    """Refuse files that cannot be applied once and in order. Raises :class:`ConfigError` with the name."""
    seen = set()
    for one in migrations:
        key = (one.source, one.database, one.name)
        if key in seen:
            raise ConfigError(f"migrations: {one.name} is listed twice for database {one.database}")
        seen.add(key)
        if not one.text.strip():
            raise ConfigError(f"migrations: {one.name} is empty")
        found = _TRANSACTION.search(_BODY.sub(" ", one.text)) if one.transaction else None
        if found:
            raise ConfigError(
                f"migrations: {one.name} contains {found.group().strip()}. Remove it, because the file and its "
                "record are one transaction, or set transaction: false for this file"
            )


def state(server: Server, database: str, migrations: t.Sequence[Migration]) -> dict[str, str]:
    """The state of each migration, applied or pending, by name.

    Raises:
        MigrationError: the file of an applied migration was changed.
    """
    known = ledger.migrations(server, database)
    found = {}
    for one in migrations:
        before = known.get(one.name)
        if before is None or not before.done:
            found[one.name] = PENDING
        elif before.sha256 == one.sha256:
            found[one.name] = APPLIED
        else:
            raise MigrationError(
                f"{one.name} was applied to database {database} at {before.at} UTC with sha256 {before.sha256[:12]}, "
                f"and its file is {one.sha256[:12]} now: applied files cannot be changed. Restore the old "
                "file, and write the change as a new migration"
            )
    return found


def apply(server: Server, one: Migration) -> None:
    """Apply a migration and record it.

    Raises:
        MigrationError: it failed. A transaction was rolled back.
    """
    ledger.prepare(server, one.database)
    note = ledger.migration_sql(one.name, one.sha256, done=True)
    if one.transaction:
        # The empty statement ends a file without its last semicolon.
        _psql(server, one, f"BEGIN;\n{one.text}\n;\n{note}\nCOMMIT;\n")
    else:
        server.query(one.database, ledger.migration_sql(one.name, one.sha256, done=False))
        _psql(server, one, one.text)
        server.query(one.database, note)
    after = ledger.migrations(server, one.database).get(one.name)
    if after is None or not after.done or after.sha256 != one.sha256:
        # An unclosed comment or quote contains the rest of the script, and psql exits with 0.
        raise MigrationError(f"{one.name} was not read to its end. Check it for an unclosed comment or quote")


def _psql(server: Server, one: Migration, script: str) -> None:
    result = server.script(one.database, script)
    if result.rc != 0:
        raise MigrationError(f"{one.name} on database {one.database} failed: {process.last_words(result.stderr)}")
