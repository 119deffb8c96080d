# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MySQL and MariaDB as sources."""

from __future__ import annotations

import hashlib
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import ConfigError, SourceError
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
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.mysql import dump, load, replace
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.mysql import server as mysql
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.mysql import tamper as tampering
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.mysql.model import DatabaseFacts, MysqlFacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Artefact, Source
from ansible_collections.onebox.stack.plugins.module_utils.core import files, trees

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.capture import Capturer
    from ansible_collections.onebox.stack.plugins.module_utils.backup.selftest import SelfTest

# The previous databases of restores, as dumps.
_KEPT = "kept"


class MysqlKind(Kind):
    """The databases of a MySQL or MariaDB server in a container."""

    name = "mysql"
    damages = (tampering.CUT_DUMP, tampering.ALTERED_ROW)

    def capture(self, run: Capturer, spec: SourceSpec, staging: str) -> Captured:
        container = lookup.find_container(run.cli.engine, run.config.stack, spec)
        server = mysql.of_container(run.cli, container, spec)
        there = server.databases()
        lacking = [name for name in spec.databases if name not in there]
        if lacking:
            raise SourceError(
                f"source {spec.name}: {container.name} has no database {', '.join(lacking)}, it has "
                f"{', '.join(there)}. Correct the source's option databases"
            )
        artefacts, databases, warnings = [], {}, []
        for number, name in enumerate(spec.databases or there):
            # Numbered: a name may hold anything.
            path = f"mysql/{spec.name}/{number}.sql"
            place = trees.private_parents(staging, path)
            with files.HashedFile(place) as target:
                dump.write(server, name, target)
            artefacts.append(Artefact(path, target.size, target.sha256()))
            found = dump.parts(place)
            databases[name] = DatabaseFacts(path, there[name], found.tables, found.objects)
            loose = server.not_transactional(name)
            if loose:
                warnings.append(
                    f"database {name}: {', '.join(loose[:5])} are not transactional: rows that change during a dump "
                    "may not fit those of other tables. Convert them to InnoDB"
                )
        facts = MysqlFacts(
            version=server.version(),
            image=lookup.image_facts(run.cli.engine, container).as_dict(),
            lower_case=server.lower_case(),
            users=server.accounts(),
            databases={name: each.as_dict() for name, each in databases.items()},
        )
        return Captured(artefacts, sum(each.rows for each in databases.values()), facts.as_dict(), warnings)

    def plan(self, job: RestoreJob, spec: SourceSpec, source: Source) -> list[str]:
        return [
            f"database {name} of {spec.where}: the previous one dumped to {self._kept(job, spec, name)}, replaced, "
            "compared"
            for name in self._wanted(job, source)
        ]

    def restore(self, job: RestoreJob, spec: SourceSpec, source: Source, staged: str) -> None:
        cli = job.context.open_cli()
        facts = MysqlFacts.from_dict(source.facts)
        container = lookup.find_container(cli.engine, job.context.config.stack, spec)
        server = mysql.of_container(cli, container, spec)
        words = server.version() == facts.version
        if not words:
            job.warnings.append(
                f"{source.name} was dumped from {facts.version} and is restored into {server.version()}: rows are "
                "compared, the text of the schema is not"
            )
        if server.lower_case() != facts.lower_case:
            job.warnings.append(f"{source.name}: lower_case_table_names was {facts.lower_case} in the set")
        created, notes = load.create_accounts(server, facts)
        there = server.databases()
        wanted = self._wanted(job, source)
        kept = {name: self._kept(job, spec, name) for name in wanted if name in there}
        for path in kept.values():
            trees.private_dir(os.path.dirname(path))
        notes += replace.save(server, kept)
        replace.replace(server, wanted, facts, staged, kept, words=words)
        job.aside += [f"file {path}" for path in kept.values()]
        job.finished += self.plan(job, spec, source)
        notes += load.grant(server, facts, created)
        job.warnings += [f"{source.name}: {note}" for note in notes]

    def rehearse(self, job: RehearseJob, source: Source) -> Rehearsed:
        cli, stack = job.context.open_cli(), job.context.config.stack
        facts = MysqlFacts.from_dict(source.facts)
        image = lookup.image_of(cli, facts.image)
        with load.throwaway(cli, stack, lookup.throwaway_name(stack, source.name), image, facts) as server:
            created, kept = load.create_accounts(server, facts)
            names = list(facts.databases)
            load.load_all(server, facts, names, job.staged)
            refused = load.grant(server, facts, created)
            if job.damage is not None:
                job.damage(server)
            problems = load.compare_accounts(server, facts)
            load.require_equal([*kept, *refused, *problems, *load.compare(server, facts, names, job.scratch)])
        found = {"databases": len(names), "rows": source.count, "not_compared": list(facts.not_compared)}
        return Rehearsed(found)

    def tamper(self, test: SelfTest, source: Source) -> None:
        tampering.controls(test, source)

    def import_(self, context: Context, spec: SourceSpec, datum: Datum, scratch: str) -> Import:
        self.check_datum(spec, datum, spec.name)
        raise NotImplementedError

    def check_datum(self, spec: SourceSpec, datum: Datum, where: str) -> None:
        raise ConfigError(f"{where}: a dump of MySQL cannot be imported. Load it with the server's own client")

    def databases(self, source: Source) -> list[str]:
        return list(source.facts.get("databases", ()))

    def room(self, source: Source) -> int:
        return max((artefact.size for artefact in source.artefacts), default=0)

    def shrunk(self, spec: SourceSpec, now: Source, before: Source) -> tuple[list[str], list[str]]:
        """Judge each database by itself, and name emptied tables."""
        problems, warnings = [], []
        there, previous = MysqlFacts.from_dict(now.facts), MysqlFacts.from_dict(before.facts)
        for name in previous.databases:
            old = previous.database(name)
            if spec.databases and name not in spec.databases:
                warnings.append(f"database {name} was in the set before and is not configured any more")
                continue
            if name not in there.databases:
                problems.append(f"has no database {name} any more")
                continue
            new = there.database(name)
            if old.rows and (new.rows == 0 or (old.rows >= 100 and new.rows < spec.least(old.rows))):
                problems.append(f"database {name} went from {old.rows} to {new.rows} rows")
            warnings += [
                f"table {table} of database {name} went from {row[0]} rows to none"
                for table, row in old.tables.items()
                if row[0] >= 1000 and new.tables.get(table, [0])[0] == 0
            ]
        return (problems, warnings) if spec.max_drop_percent < 100 else ([], problems + warnings)

    def _kept(self, job: RestoreJob, spec: SourceSpec, name: str) -> str:
        safe = "".join(sign if sign.isalnum() and sign.isascii() else "_" for sign in name)
        number = hashlib.sha256(name.encode()).hexdigest()[:8]
        return os.path.join(job.context.state.path, _KEPT, f"{spec.name}-{safe}-{number}.before-{job.stamp}.sql")

    def _wanted(self, job: RestoreJob, source: Source) -> list[str]:
        return [name for name in self.databases(source) if not job.databases or name in job.databases]
