# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL as a source."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import ConfigError, MigrationError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import lookup
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.base import (
    Captured,
    Datum,
    Import,
    Kind,
    Rehearsed,
    RehearseJob,
    RestoreJob,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import (
    drops,
    load,
    replace,
    requirements,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import server as postgresql
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import (
    tamper as tampering,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.import_dump import DumpImport
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.model import ServerFacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.throwaway import throwaway
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Source

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.capture import Capturer
    from ansible_collections.onebox.stack.plugins.module_utils.backup.selftest import SelfTest


class PostgresqlKind(Kind):
    """The databases of a PostgreSQL server in a container."""

    name = "postgresql"
    speaks_sql = True
    damages = (tampering.CUT_DUMP, tampering.ALTERED_ROW)

    def capture(self, run: Capturer, spec: SourceSpec, staging: str) -> Captured:
        container = lookup.find_container(run.cli.engine, run.config.stack, spec)
        server = postgresql.of_container(run.cli, container, spec)
        there = server.databases() if not spec.databases else []
        aside = [name for name in there if drops.is_aside(name)]
        wanted = spec.databases or [name for name in there if name not in aside]
        artefacts, facts, warnings = postgresql.capture(
            server,
            wanted,
            staging,
            f"pg/{spec.name}",
            image=lookup.image_facts(run.cli.engine, container),
            initdb_args=lookup.variable(container, _INITDB_ARGS),
        )
        kept = [f"database {name} is a previous copy from a restore, and in no set. Drop it" for name in aside]
        rows = sum(facts.database(name).rows for name in facts.databases)
        return Captured(artefacts, rows, facts.as_dict(), [*kept, *warnings])

    def plan(self, job: RestoreJob, spec: SourceSpec, source: Source) -> list[str]:
        return [_step(job, spec, name) for name in self._wanted(job, source)]

    def restore(self, job: RestoreJob, spec: SourceSpec, source: Source, staged: str) -> None:
        cli = job.context.open_cli()
        facts = ServerFacts.from_dict(source.facts)
        image = lookup.as_image(facts.image)
        container = lookup.find_container(cli.engine, job.context.config.stack, spec)
        if container.image_id != image.image_id:
            job.warnings.append(
                f"{source.name} was dumped from {image.image} ({facts.version}) and is restored into "
                f"{container.image_ref} of another build"
            )
        server = postgresql.of_container(cli, container, spec)
        requirements.require_libraries(server, facts, f"source {source.name} ({container.name})")
        kept = server.roles()
        load.restore_globals(server, os.path.join(staged, f"pg/{source.name}/globals.sql"))
        problems, notes = load.compare_roles(server, facts, kept=kept, alone=False)
        load.require_equal(problems)
        job.warnings += [f"{source.name}: {note}" for note in notes]
        there = server.databases()
        another = postgresql.major(server) != facts.major
        if another:
            job.warnings.append(
                f"{source.name}: rows, sequences and large objects are compared, but not the text of the schema: "
                "another major version words it differently"
            )
        for name in self._wanted(job, source):
            database = facts.database(name)
            previous = postgresql.aside_name(name, job.stamp) if name in there else ""
            dump = os.path.join(staged, database.path)
            notes = replace.replace_database(server, name, dump, database, previous, job.aside, another=another)
            job.finished.append(_step(job, spec, name))
            job.warnings += [f"{source.name}: {note}" for note in notes]

    def rehearse(self, job: RehearseJob, source: Source) -> Rehearsed:
        cli = job.context.open_cli()
        stack = job.context.config.stack
        facts = ServerFacts.from_dict(source.facts)
        with throwaway(
            cli,
            stack,
            name=lookup.throwaway_name(stack, source.name),
            image=lookup.image_of(cli, facts.image),
            user=facts.user,
            initdb_args=facts.initdb_args,
            carried=facts.carried,
        ) as server:
            kept = server.roles()
            load.restore_globals(server, os.path.join(job.staged, f"pg/{source.name}/globals.sql"))
            there = server.databases()
            for name in facts.databases:
                if name in there:
                    postgresql.drop(server, name)
                load.restore_database(server, name, os.path.join(job.staged, facts.database(name).path), create=True)
            if job.damage is not None:
                job.damage(server)
            problems, notes = load.judge(server, facts, kept)
            load.require_equal(problems)
        found = {"databases": len(facts.databases), "rows": source.count, "not_compared": list(facts.not_compared)}
        return Rehearsed(found, notes)

    def tamper(self, test: SelfTest, source: Source) -> None:
        tampering.controls(test, source)

    def import_(self, context: Context, spec: SourceSpec, datum: Datum, scratch: str) -> Import:
        return DumpImport(context, spec, datum, scratch)

    def check_datum(self, spec: SourceSpec, datum: Datum, where: str) -> None:
        if not datum.database:
            raise ConfigError(f"{where}: database is missing. Name the database to create from {datum.file}")

    def databases(self, source: Source) -> list[str]:
        return list(source.facts.get("databases", ()))

    def not_expected(self, spec: SourceSpec, before: Source) -> tuple[int, t.Collection[str]]:
        return drops.not_expected(spec, before)

    def shrunk(self, spec: SourceSpec, now: Source, before: Source) -> tuple[list[str], list[str]]:
        return drops.shrunk(spec, now, before)

    def _wanted(self, job: RestoreJob, source: Source) -> list[str]:
        return [name for name in self.databases(source) if not job.databases or name in job.databases]


_INITDB_ARGS = "POSTGRES_INITDB_ARGS"


def _step(job: RestoreJob, spec: SourceSpec, name: str) -> str:
    aside = postgresql.aside_name(name, job.stamp)
    return f"database {name} of {spec.where}: the previous one renamed to {aside}, restored, compared"


def server_of(context: Context, spec: SourceSpec, database: str, needed_by: str) -> postgresql.Server:
    """The running server of a source, if it has the database.

    Args:
        needed_by: the file that needs it, for the message.

    Raises:
        MigrationError: there is no such database.
    """
    cli = context.open_cli()
    container = lookup.find_container(cli.engine, context.config.stack, spec)
    server = postgresql.of_container(cli, container, spec)
    there = server.databases()
    if database not in there:
        raise MigrationError(
            f"{needed_by}: there is no database {database!r} in {container.name}; there are {', '.join(there)}"
        )
    return server
