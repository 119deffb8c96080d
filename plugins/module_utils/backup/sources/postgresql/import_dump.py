# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Import a dump from elsewhere as a database of the stack.

It is restored twice: first into a throwaway server of the stack's own image, which yields its contents without risk.
Then next to the live database under another name, where the contents must be equal. The two swap names in one
transaction. If this is killed at any time, the stack has the previous or the new database, complete.
"""

from __future__ import annotations

import gzip
import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    BackupError,
    MigrationError,
    MismatchError,
    SourceError,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import lookup
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.base import Datum
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import facts as pgfacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import ledger, load, requirements
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import server as postgresql
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.model import (
    Contents,
    DatabaseFacts,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.server import (
    Server,
    ident,
    literal,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.throwaway import throwaway
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.core import files, process, trees

_NEW_SUFFIX = "_onebox_arriving"
_HEAD = b"-- PostgreSQL database dump"
_TAIL = b"-- PostgreSQL database dump complete"
_MISSING_ROLE = re.compile(r'role "([^"]+)" does not exist')


@dataclass(frozen=True)
class Dump:
    """An unpacked dump. ``custom`` is pg_dump's own format, else it is SQL."""

    path: str
    custom: bool


def open_dump(path: str, scratch: str) -> Dump:
    """Determine the format of ``path``, and unpack it below ``scratch`` when it is compressed.

    Raises:
        MigrationError: it is not a complete dump of one database.
    """
    if _first(path).startswith(b"\x1f\x8b"):
        plain = os.path.join(scratch, "dump")
        try:
            with gzip.open(path) as source, files.HashedFile(plain) as copy:
                while chunk := source.read(files.CHUNK):
                    copy.write(chunk)
        except (OSError, EOFError) as error:
            raise MigrationError(f"{path} is not a whole gzip file: {error}") from error
        path = plain
    head = _first(path)
    if head.startswith(b"PGDMP"):
        return Dump(path, custom=True)  # a truncated one fails in the throwaway server, which reads it to the end
    if _HEAD not in head:
        what = "a dump of all databases (pg_dumpall)" if b"cluster dump" in head else "not a dump of pg_dump"
        raise MigrationError(f"{path} is {what}; dump each database with: pg_dump -Fc DATABASE")
    with files.open_regular(path) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 4096))
        if _TAIL not in file.read():
            # psql exits with 0 on a truncated dump.
            raise MigrationError(f"{path} is truncated: pg_dump's last line is missing; copy it again")
    return Dump(path, custom=False)


def _first(path: str) -> bytes:
    try:
        with files.open_regular(path) as file:
            return file.read(4096)
    except OSError as error:
        raise MigrationError(f"the dump {path} cannot be read: {error.strerror}") from error


class DumpImport:
    """A dump to import into one database of a running server.

    Args:
        datum: the dump, whether its owners and privileges are restored, and the files of roles and facts from the old
            server (playbooks/files/onebox-facts.sql).
        scratch: a private directory for the import.

    Raises:
        MigrationError: the file is not a complete dump of one database.
    """

    prefix = "database "

    def __init__(self, context: Context, spec: SourceSpec, datum: Datum, scratch: str) -> None:
        self.context = context
        self.spec = spec
        self.datum = datum
        self.database = datum.database
        self.file = datum.file
        self.scratch = scratch
        self.warnings: list[str] = []
        open_dump(self.file, scratch)
        trees.remove_tree(scratch)
        trees.private_dir(scratch)
        self.cli = context.open_cli()
        self.container = lookup.find_container(self.cli.engine, context.config.stack, spec)
        self.server = postgresql.of_container(self.cli, self.container, spec)
        self.sha256 = files.digest(self.file)[0]

    @property
    def _new_name(self) -> str:
        return postgresql.with_suffix(self.database, _NEW_SUFFIX)

    def already_imported(self) -> bool:
        """Whether the database was created from this file."""
        return self.database in self.server.databases() and ledger.imported(self.server, self.database, self.sha256)

    def step(self, stamp: str) -> str:
        aside = postgresql.aside_name(self.database, stamp)
        return (
            f"database {self.database} of {self.spec.where}: {self.file} tried in a throwaway server, restored, "
            f"compared; the previous one becomes {aside}"
        )

    def try_out(self) -> dict[str, t.Any]:
        """Restore into a throwaway server. Returns the counts of the dump."""
        stack = self.context.config.stack
        owners = self.datum.owners
        self._restore_words = () if owners else ("--no-owner", "--no-privileges")
        self._globals_file = self.datum.globals_file
        self._dump = open_dump(self.file, self.scratch)
        if not self._dump.custom and not owners:
            raise MigrationError(f"{self.file} is SQL and sets its owners; owners: false needs a pg_dump -Fc")
        with self.server.at_home() as session:
            carried = requirements.carried(session)
        with throwaway(
            self.cli,
            stack,
            name=lookup.throwaway_name(stack, self.spec.name),
            image=self.container.image_id,
            user=self.server.user,
            initdb_args=lookup.variable(self.container, "POSTGRES_INITDB_ARGS"),
            carried=carried,
        ) as spare:
            roles = os.path.join(self.scratch, "roles.sql")
            files.write_new(roles, self._roles().encode(), durable=False)
            load.restore_globals(spare, roles)
            # A name that neither the server nor the dump creates: the database may be postgres itself.
            self._fill(spare, self._new_name)
            self.facts = _bounds(load.inspect(spare, self._new_name, True))
            others = set(spare.databases()) - {"postgres", self._new_name}
            if others:
                raise MigrationError(
                    f"{self.file} creates the database {', '.join(sorted(others))} (pg_dump --create); dump it "
                    "without that option"
                )
        rows = self.facts.rows
        if not rows and not self.spec.allow_empty:
            raise MigrationError(f"{self.file} contains no rows; if that is right, set allow_empty for this source")
        if self.datum.facts_file:
            self._compare_with_old_server(self.datum.facts_file)
        return {"tables": len(self.facts.tables), "rows": rows}

    def _compare_with_old_server(self, path: str) -> None:
        try:
            with open(path, encoding="utf-8") as file:
                problems = pgfacts.compare_rows(file.read(), self.facts.tables)
        except (OSError, ValueError) as error:
            raise MigrationError(f"the facts {path} cannot be read: {error}") from error
        if problems:
            raise MismatchError(
                f"{self.file} does not match the facts of the old server: {'; '.join(problems[:5])}. Stop the "
                "programs that write there, then create the dump and the facts again"
            )

    def move_in(self, stamp: str) -> str:
        """Restore it under another name, compare it, and swap it with the live database. Returns the previous copy.

        Raises:
            MismatchError: it differs from the copy in the throwaway server; the stack is unchanged.
        """
        fresh = self._new_name
        if self._globals_file:
            load.restore_globals(self.server, self._globals_file)
        postgresql.drop(self.server, fresh)  # left by a killed run
        try:
            self._fill(self.server, fresh)
            problems = pgfacts.compare(self.facts, load.inspect(self.server, fresh, True), self.database)
            if problems:
                raise MismatchError(f"{self.file} differs after its restore in the stack: {'; '.join(problems[:5])}")
            ledger.note_import(self.server, fresh, self.sha256, os.path.basename(self.file))
        except BackupError:
            postgresql.drop(self.server, fresh)
            raise
        return self._swap_names(fresh, stamp)

    def _swap_names(self, fresh: str, stamp: str) -> str:
        previous = postgresql.aside_name(self.database, stamp) if self.database in self.server.databases() else ""
        renames = f"ALTER DATABASE {ident(fresh)} RENAME TO {ident(self.database)};"
        if previous:
            renames = f"ALTER DATABASE {ident(self.database)} RENAME TO {ident(previous)}; {renames}"
        self.server.administer(self.database, f"BEGIN; {renames} COMMIT;")
        return previous

    def _roles(self) -> str:
        words = self.server.argv("pg_dumpall", "--globals-only", "--no-tablespaces")
        text = self.cli.run(self.server.container, words, env=self.server.env).stdout
        if self._globals_file:
            with files.open_regular(self._globals_file) as file:
                text += "\n" + file.read().decode("utf-8", "replace")
        return text

    def _fill(self, server: Server, name: str) -> None:
        """Create the database ``name`` like the stack's own, and restore into it."""
        result = server.script(server.home(), self._create(name))
        if result.rc != 0:
            raise SourceError(f"database {name} cannot be created: {process.last_words(result.stderr)}")
        try:
            if self._dump.custom:
                load.restore_database(server, name, self._dump.path, False, *self._restore_words)
            else:
                words = server.argv("psql", "-Xq", "-1", "-v", "ON_ERROR_STOP=1", "-d", postgresql.connect(name))
                with files.open_regular(self._dump.path) as file:
                    self.cli.stream(server.container, words, None, env=server.env, source=file)
        except SourceError as error:
            role = _MISSING_ROLE.search(str(error))
            hint = (
                f"; role {role.group(1)} is not in the stack: set globals (pg_dumpall --globals-only) or owners: false"
                if role
                else ""
            )
            raise MigrationError(f"{self.file} cannot be restored: {error}{hint}") from error

    def _create(self, name: str) -> str:
        """SQL that creates a database like the stack's: encoding, locale, owner, settings and privileges."""
        if self.database not in self.server.databases():
            return f"CREATE DATABASE {ident(name)} TEMPLATE template0;"
        words = self.server.argv("pg_dump", "--schema-only", "--create", "-d", postgresql.connect(self.database))
        text = self.cli.run(self.server.container, words, env=self.server.env).stdout
        (quoted,) = self.server.query(self.server.home(), f"SELECT pg_catalog.quote_ident({literal(self.database)});")
        found = []
        for line in text.splitlines():
            for start in ("CREATE DATABASE ", "ALTER DATABASE ", "COMMENT ON DATABASE "):
                if line.startswith(f"{start}{quoted} ") and line.endswith(";"):
                    found.append(f"{start}{ident(name)} {line[len(start) + len(quoted) + 1 :]}")
            if re.match(r"(GRANT|REVOKE) ", line) and f" ON DATABASE {quoted} " in line:
                found.append(line.replace(f" ON DATABASE {quoted} ", f" ON DATABASE {ident(name)} ", 1))
        return "\n".join(found)


def _bounds(found: Contents) -> DatabaseFacts:
    """Facts of a database without writers, as a manifest records them."""
    return DatabaseFacts(
        tables=found.tables,
        config_tables=found.config_tables,
        views=found.views,
        extensions=found.extensions,
        extension_updates=found.extension_updates,
        sequences_before=found.sequences,
        sequences_after=found.sequences,
        entries=found.entries,
        # Owner, settings and privileges of the database are the stack's. A dump from elsewhere does not contain them.
        catalogue={group: rows for group, rows in found.catalogue.items() if group not in ("database", "settings")},
        large_objects=found.large_objects,
    )
