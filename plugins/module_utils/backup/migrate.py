# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Data from another place into the running stack, then the SQL the stack declares.

Everything is tried out before anything is touched; what was there before is moved aside and never deleted; what came in
is remembered, so that a run that was killed goes on where it is, and one too many changes nothing.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.backup import import_files, sources, status
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.declaration import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    BackupError,
    DeclarationError,
    MigrationError,
    RestoreRefused,
    of_files,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.postgresql import import_dump
from ansible_collections.onebox.stack.plugins.module_utils.backup.postgresql import migrations as sql_migrations
from ansible_collections.onebox.stack.plugins.module_utils.backup.postgresql import server as postgresql
from ansible_collections.onebox.stack.plugins.module_utils.backup.postgresql.migrations import Migration
from ansible_collections.onebox.stack.plugins.module_utils.backup.redis import restore as redis_restore
from ansible_collections.onebox.stack.plugins.module_utils.backup.run import Report
from ansible_collections.onebox.stack.plugins.module_utils.core import trees
from ansible_collections.onebox.stack.plugins.module_utils.core.files import FileError

MOVE, THERE, MOVED = "move", "there", "moved"
_KINDS = ("postgresql", "redis", "directory")
_AGAIN = "what was moved aside is untouched, run it again"


@dataclass(frozen=True)
class Datum:
    """One file or directory that shall become the data of a source.

    Attributes:
        file: a dump of pg_dump, an RDB, or a directory, as the source's kind wants it; an absolute path on this host.
        database: for PostgreSQL, which one it becomes.
        owners: for PostgreSQL, whether owners and privileges in the dump count.
        globals_file: for PostgreSQL, roles to make first.
        facts_file: for PostgreSQL, what the old place says it had.
    """

    source: str
    file: str
    database: str = ""
    owners: bool = True
    globals_file: str = ""
    facts_file: str = ""


def datum(
    base: str,
    *,
    source: str,
    file: str,
    database: str | None,
    owners: bool,
    globals: str | None,  # noqa: A002
    facts: str | None,
) -> Datum:
    """A datum with its paths, relative ones below ``base``."""

    def place(path: str | None) -> str:
        return os.path.normpath(os.path.join(base, path)) if path else ""

    return Datum(source, place(file), database or "", owners, place(globals), place(facts))


@dataclass(frozen=True)
class Request:
    """What a migration shall do."""

    data: tuple[Datum, ...] = ()
    migrations: tuple[Migration, ...] = ()


_Arrival = t.Union[import_dump.Arrival, import_files.Rdb, import_files.Tree]


def migrate(context: Context, request: Request, *, confirm: str = "", wait: float = 0.0, dry: bool = False) -> Report:
    """Plan a migration, and do it. ``error`` in the report is "" when all went well.

    Data are only moved when ``confirm`` is the stack's name; without it, and while there are data to move, nothing is
    done at all. SQL alone needs no such word: the stack declares it.

    Args:
        dry: only plan.

    Raises:
        DeclarationError: the request does not fit the declaration.
        MigrationError: a file is not what it should be, or an applied migration was changed; nothing was touched.
        RestoreRefused: ``confirm`` is another name.
        Busy: another run holds the lock.
    """
    stack = context.declaration.stack
    if confirm and confirm != stack:
        raise RestoreRefused(f"to move data, type the name of the stack: {stack}, not {confirm!r}; nothing was changed")
    _check(context, request)
    with context.locked("migration", wait):
        began = context.world.monotonic()
        scratch = os.path.join(context.declaration.state_dir, "migration")
        trees.remove_tree(scratch)
        trees.private_dir(scratch)
        report: Report = {
            "stack": stack, "steps": [], "data": [], "migrations": [], "aside": [], "warnings": [], "done": False,
            "changed": False, "error": "", "exit_code": 0,
        }  # fmt: skip
        try:
            work = _Migration(context, request, scratch, report)
            if not dry:
                work.recover()
            work.plan()
            waits = any(row["state"] == MOVE for row in report["data"]) and not confirm
            if not dry and not waits:
                _run(work, report)
                report["seconds"] = round(context.world.monotonic() - began, 3)
                if report["changed"] or report["error"]:
                    status.finish(context, "migration", report)
        finally:
            trees.remove_tree(scratch)
        return report


def _run(work: _Migration, report: Report) -> None:
    try:
        work.run()
        report["done"] = True
    except BackupError as error:
        report["error"], report["exit_code"] = str(error), error.exit_code
    except FileError as error:
        report["error"], report["exit_code"] = f"the migration stopped: {error}; {_AGAIN}", of_files(error).exit_code
    except OSError as error:
        report["error"], report["exit_code"] = f"the migration stopped: {error}; {_AGAIN}", MigrationError.exit_code


def _check(context: Context, request: Request) -> None:
    specs = {spec.name: spec for spec in context.declaration.sources}
    seen = set()
    for number, datum in enumerate(request.data):
        where = f"data[{number}]"
        spec = _spec(specs, datum.source, where)
        if spec.kind not in _KINDS:
            raise DeclarationError(f"{where}: source {spec.name} is of kind {spec.kind}, which takes no data")
        if not os.path.isabs(datum.file):
            raise DeclarationError(f"{where}: file must be an absolute path on the host, not {datum.file!r}")
        if spec.kind == "postgresql" and not datum.database:
            raise DeclarationError(f"{where}: database is missing: which one shall {datum.file} become?")
        only = datum.database or datum.globals_file or datum.facts_file or not datum.owners
        if spec.kind != "postgresql" and only:
            raise DeclarationError(f"{where}: database, globals, facts and owners are for PostgreSQL, not {spec.kind}")
        if (datum.source, datum.database) in seen:
            raise DeclarationError(f"{where}: {datum.source} {datum.database} is given data twice".replace("  ", " "))
        seen.add((datum.source, datum.database))
    for one in request.migrations:
        if _spec(specs, one.source, f"migrations: {one.name}").kind != "postgresql":
            raise DeclarationError(f"migrations: {one.name} is SQL, and source {one.source} is no PostgreSQL")
    sql_migrations.check(request.migrations)


def _spec(specs: t.Mapping[str, SourceSpec], name: str, where: str) -> SourceSpec:
    if name not in specs:
        known = ", ".join(specs)
        raise DeclarationError(f"{where}: there is no source {name!r} in the backup declaration; there are {known}")
    return specs[name]


class _Migration:
    def __init__(self, context: Context, request: Request, scratch: str, report: Report) -> None:
        self.context = context
        self.request = request
        self.scratch = scratch
        self.report = report
        self.specs = {spec.name: spec for spec in context.declaration.sources}
        self.stamp = context.now().strftime("%Y%m%d-%H%M%S")
        self.arrivals: list[tuple[Datum, _Arrival, Report]] = []
        self.pending: list[tuple[Migration, Report]] = []

    def recover(self) -> None:
        """End what a killed run left half done."""
        done = [redis_restore.recover(self.context)]
        done += [import_files.finish_tree(self.context, spec) for spec in self.specs.values()]
        found = [text for text in done if text]
        self.report["warnings"] += found
        self.report["changed"] = bool(found)

    def plan(self) -> None:
        """Look at every file and every database; fill in the rows and the steps."""
        moving = set()
        for number, datum in enumerate(self.request.data):
            spec = self.specs[datum.source]
            place = os.path.join(self.scratch, str(number))
            trees.private_dir(place)
            arrival: _Arrival
            if spec.kind == "postgresql":
                import_dump.open_dump(datum.file, place)
                trees.remove_tree(place)
                trees.private_dir(place)
                arrival = import_dump.Arrival(self.context, spec, datum.database, datum.file, place)
            elif spec.kind == "redis":
                arrival = import_files.Rdb(self.context, spec, datum.file, place)
            else:
                arrival = import_files.Tree(self.context, spec, datum.file, place)
                self.report["warnings"] += [f"{spec.name}: {warning}" for warning in arrival.warnings]
            row: Report = {
                "source": spec.name, "kind": spec.kind, "file": datum.file, "sha256": arrival.sha256,
                "database": datum.database, "state": THERE if arrival.there() else MOVE, "aside": "",
            }  # fmt: skip
            self.report["data"].append(row)
            if row["state"] == MOVE:
                moving.add((datum.source, datum.database))
                self.arrivals.append((datum, arrival, row))
                self.report["steps"].append(self._words(spec, datum))
        self._plan_sql(moving)

    def _words(self, spec: SourceSpec, datum: Datum) -> str:
        place = f"service {spec.service}" if spec.service else f"container {spec.container}"
        if spec.kind == "postgresql":
            return (
                f"database {datum.database} of {place}: {datum.file} tried in a throwaway server, restored, compared; "
                f"the former one becomes {postgresql.aside_name(datum.database, self.stamp)}"
            )
        if spec.kind == "redis":
            return (
                f"{place}: {datum.file} tried in a throwaway server; the service stopped, its data moved to "
                f"pre-restore-{self.stamp}, the RDB loaded, the service started"
            )
        aside = f"{spec.path}.before-{self.stamp}"
        return f"directory {spec.path}: copied from {datum.file}, compared; the former one becomes {aside}"

    def _plan_sql(self, moving: t.Collection[tuple[str, str]]) -> None:
        by_database: dict[tuple[str, str], dict[str, str]] = {}
        for one in self.request.migrations:
            key = (one.source, one.database)
            if key not in by_database:
                if key in moving:
                    by_database[key] = {}  # what the dump has seen is only known once it is there
                else:
                    server = self._server(one)
                    mine = [other for other in self.request.migrations if (other.source, other.database) == key]
                    by_database[key] = sql_migrations.state(server, one.database, mine)
            state = by_database[key].get(one.name, sql_migrations.PENDING)
            row: Report = {
                "name": one.name, "source": one.source, "database": one.database, "sha256": one.sha256, "state": state,
                "required": one.required, "error": "",
            }  # fmt: skip
            self.report["migrations"].append(row)
            if state == sql_migrations.PENDING:
                self.pending.append((one, row))
                how = "" if one.required else " (optional)"
                self.report["steps"].append(f"database {one.database}: {one.name} applied{how}")

    def _server(self, one: Migration) -> t.Any:
        cli = self.context.open_cli()
        spec = self.specs[one.source]
        container = sources.find_container(cli.engine, self.context.declaration.stack, spec)
        server = sources.postgres_server(cli, container, spec)
        there = server.databases()
        if one.database not in there:
            raise MigrationError(
                f"{one.name}: there is no database {one.database!r} in {container.name}; there are {', '.join(there)}"
            )
        return server

    def run(self) -> None:
        """Try out all data, then move them in, then apply the SQL; the first failure ends it."""
        if self.arrivals:
            self.context.open_cli().remove_leftovers(self.context.declaration.stack)
        for datum, arrival, row in self.arrivals:
            self.context.log(f"trying {datum.file}")
            if isinstance(arrival, import_dump.Arrival):
                row["found"] = arrival.try_out(datum.owners, datum.globals_file, datum.facts_file)
            else:
                row["found"] = arrival.try_out()
        for datum, arrival, row in self.arrivals:
            self.context.log(f"moving in {datum.file}")
            row["aside"] = arrival.move_in(self.stamp)
            row["state"] = MOVED
            self.report["changed"] = True
            if row["aside"]:
                kind = "database " if row["kind"] == "postgresql" else ""
                self.report["aside"].append(f"{kind}{row['aside']}")
        self._apply()

    def _apply(self) -> None:
        moved = {(row["source"], row["database"]) for row in self.report["data"] if row["state"] == MOVED}
        for key in moved:
            # A dump of a stack like this one brings its own notes along.
            mine = [one for one, _row in self.pending if (one.source, one.database) == key]
            if mine:
                known = sql_migrations.state(self._server(mine[0]), key[1], mine)
                for one, row in self.pending:
                    if (one.source, one.database) == key:
                        row["state"] = known[one.name]
        for one, row in self.pending:
            if row["state"] == sql_migrations.APPLIED:
                continue
            self.context.log(f"applying {one.name}")
            try:
                sql_migrations.apply(self._server(one), one)
            except MigrationError as error:
                row["state"], row["error"] = sql_migrations.FAILED, str(error)
                if one.required:
                    raise MigrationError(f"{error}; what came before it is applied, nothing after it") from error
                self.report["warnings"].append(f"optional, and tried again next time: {error}")
                continue
            row["state"] = sql_migrations.APPLIED
            row["now"] = True
            self.report["changed"] = True
