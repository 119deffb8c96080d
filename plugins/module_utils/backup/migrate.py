# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Import data from elsewhere into the running stack, then apply the SQL of the stack.

Everything is tested before the first change, and previous data is renamed, never deleted. Imports are recorded, so that
the run after a killed one continues, and a repeated run changes nothing.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.backup import status
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    BackupError,
    ConfigError,
    MigrationError,
    RestoreRefused,
    of_files,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.reports import (
    Dict,
    ImportResult,
    MigrationReport,
    MigrationResult,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import registry
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.base import Datum, Import
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import migrations as sql_migrations
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.migrations import Migration
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.server import Server
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.source import server_of
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.core import trees
from ansible_collections.onebox.stack.plugins.module_utils.core.files import FileError

MOVE, THERE, MOVED = "move", "there", "moved"
_AGAIN = "previous copies are untouched, run it again"


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
    """An import with its paths, relative ones below ``base``."""

    def absolute(path: str | None) -> str:
        return os.path.normpath(os.path.join(base, path)) if path else ""

    return Datum(source, absolute(file), database or "", owners, absolute(globals), absolute(facts))


@dataclass(frozen=True)
class Request:
    """The imports and SQL files of a run."""

    data: tuple[Datum, ...] = ()
    migrations: tuple[Migration, ...] = ()


def migrate(context: Context, request: Request, *, confirm: str = "", wait: float = 0.0, dry: bool = False) -> Dict:
    """Plan a migration, and run it. ``error`` in the report is "" when it succeeded.

    With data to import, the run only starts when ``confirm`` is the stack's name. SQL alone needs no confirmation: the
    stack configures it.

    Args:
        dry: only plan.

    Raises:
        ConfigError: the request does not fit the backup configuration.
        MigrationError: a file is not usable, or an applied migration was changed. Nothing was changed.
        RestoreRefused: ``confirm`` is another name.
        Busy: another run holds the lock.
    """
    stack = context.config.stack
    if confirm and confirm != stack:
        raise RestoreRefused(f"to move data, type the name of the stack: {stack}, not {confirm!r}; nothing was changed")
    _check(context, request)
    with context.locked("migration", wait):
        began = context.world.monotonic()
        scratch = os.path.join(context.config.state_dir, "migration")
        trees.remove_tree(scratch)
        trees.private_dir(scratch)
        report = MigrationReport(stack)
        try:
            work = _Migration(context, request, scratch, report)
            if not dry:
                work.recover()
            work.plan()
            waits = any(entry.state == MOVE for entry in report.data) and not confirm
            if not dry and not waits:
                _run(work, report)
                report.seconds = round(context.world.monotonic() - began, 3)
                if report.changed or report.error:
                    status.finish(context, "migration", report)
        finally:
            trees.remove_tree(scratch)
        return report.as_dict()


def _run(work: _Migration, report: MigrationReport) -> None:
    try:
        work.run()
        report.done = True
    except BackupError as error:
        report.failed(error)
    except FileError as error:
        report.failed(of_files(error), f"the migration stopped: {error}; {_AGAIN}")
    except OSError as error:
        report.failed(MigrationError(f"the migration stopped: {error}; {_AGAIN}"))


def _check(context: Context, request: Request) -> None:
    specs = {spec.name: spec for spec in context.config.sources}
    seen = set()
    for number, datum in enumerate(request.data):
        where = f"data[{number}]"
        spec = _spec(specs, datum.source, where)
        registry.of(spec).check_datum(spec, datum, where)
        if not os.path.isabs(datum.file):
            raise ConfigError(f"{where}: file must be an absolute path on the host, not {datum.file!r}")
        if (datum.source, datum.database) in seen:
            raise ConfigError(f"{where}: {datum.source} {datum.database} has two imports".replace("  ", " "))
        seen.add((datum.source, datum.database))
    for one in request.migrations:
        if not registry.of(_spec(specs, one.source, f"migrations: {one.name}")).speaks_sql:
            raise ConfigError(f"migrations: {one.name} is SQL, and source {one.source} is not PostgreSQL")
    sql_migrations.check(request.migrations)


def _spec(specs: t.Mapping[str, SourceSpec], name: str, where: str) -> SourceSpec:
    if name not in specs:
        known = ", ".join(specs)
        raise ConfigError(f"{where}: there is no source {name!r} in the backup configuration; there are {known}")
    return specs[name]


class _Migration:
    def __init__(self, context: Context, request: Request, scratch: str, report: MigrationReport) -> None:
        self.context = context
        self.request = request
        self.scratch = scratch
        self.report = report
        self.specs = {spec.name: spec for spec in context.config.sources}
        self.stamp = context.now().strftime("%Y%m%d-%H%M%S")
        self.imports: list[tuple[Datum, Import, ImportResult]] = []
        self.pending: list[tuple[Migration, MigrationResult]] = []

    def recover(self) -> None:
        """Finish the half-done steps of a killed run."""
        found = []
        for name, kind in registry.all_kinds():
            found += kind.finish_import(self.context, [spec for spec in self.specs.values() if spec.kind == name])
        self.report.warnings += found
        self.report.changed = bool(found)

    def plan(self) -> None:
        """Inspect every file and every database, and fill in the report and its steps."""
        moving = set()
        for number, datum in enumerate(self.request.data):
            spec = self.specs[datum.source]
            scratch = os.path.join(self.scratch, str(number))
            trees.private_dir(scratch)
            work = registry.of(spec).import_(self.context, spec, datum, scratch)
            self.report.warnings += [f"{spec.name}: {warning}" for warning in work.warnings]
            state = THERE if work.already_imported() else MOVE
            entry = ImportResult(spec.name, spec.kind, datum.file, work.sha256, datum.database, state)
            self.report.data.append(entry)
            if state == MOVE:
                moving.add((datum.source, datum.database))
                self.imports.append((datum, work, entry))
                self.report.steps.append(work.step(self.stamp))
        self._plan_sql(moving)

    def _plan_sql(self, moving: t.Collection[tuple[str, str]]) -> None:
        by_database: dict[tuple[str, str], dict[str, str]] = {}
        for one in self.request.migrations:
            key = (one.source, one.database)
            if key not in by_database:
                if key in moving:
                    by_database[key] = {}  # the record in the dump is only readable after the import
                else:
                    server = self._server(one)
                    mine = [other for other in self.request.migrations if (other.source, other.database) == key]
                    by_database[key] = sql_migrations.state(server, one.database, mine)
            state = by_database[key].get(one.name, sql_migrations.PENDING)
            entry = MigrationResult(one.name, one.source, one.database, one.sha256, state, one.required)
            self.report.migrations.append(entry)
            if state == sql_migrations.PENDING:
                self.pending.append((one, entry))
                how = "" if one.required else " (optional)"
                self.report.steps.append(f"database {one.database}: {one.name} applied{how}")

    def _server(self, one: Migration) -> Server:
        return server_of(self.context, self.specs[one.source], one.database, one.name)

    def run(self) -> None:
        """Test all data, then import them, then apply the SQL. The first failure ends the run."""
        if self.imports:
            self.context.open_cli().remove_leftovers(self.context.config.stack)
        for datum, work, entry in self.imports:
            self.context.log(f"testing {datum.file}")
            entry.found = work.try_out()
        for datum, work, entry in self.imports:
            self.context.log(f"importing {datum.file}")
            entry.aside = work.move_in(self.stamp)
            entry.state = MOVED
            self.report.changed = True
            if entry.aside:
                self.report.aside.append(f"{work.prefix}{entry.aside}")
        self._apply()

    def _apply(self) -> None:
        moved = {(entry.source, entry.database) for entry in self.report.data if entry.state == MOVED}
        for key in moved:
            # A dump of such a stack includes its record of migrations.
            mine = [one for one, _entry in self.pending if (one.source, one.database) == key]
            if mine:
                known = sql_migrations.state(self._server(mine[0]), key[1], mine)
                for one, entry in self.pending:
                    if (one.source, one.database) == key:
                        entry.state = known[one.name]
        for one, entry in self.pending:
            if entry.state == sql_migrations.APPLIED:
                continue
            self.context.log(f"applying {one.name}")
            try:
                sql_migrations.apply(self._server(one), one)
            except MigrationError as error:
                entry.state, entry.error = sql_migrations.FAILED, str(error)
                if one.required:
                    raise MigrationError(f"{error}; earlier files are applied, later ones are not") from error
                self.report.warnings.append(f"optional, retried on the next run: {error}")
                continue
            entry.state = sql_migrations.APPLIED
            entry.now = True
            self.report.changed = True
