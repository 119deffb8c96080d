# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redis and Valkey as sources."""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import on_swarm
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
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
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis import load as redis_load
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis import server as redis
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis import tamper as tampering
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis.import_rdb import RdbImport
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis.model import RedisFacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis.restore import recover, restore_redis
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Source

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.capture import Capturer
    from ansible_collections.onebox.stack.plugins.module_utils.backup.selftest import SelfTest


class RedisKind(Kind):
    """A Redis or Valkey in a container."""

    name = "redis"
    damages = (tampering.EMPTY_RDB,)

    def capture(self, run: Capturer, spec: SourceSpec, staging: str) -> Captured:
        container = lookup.find_container(run.cli.engine, run.config.stack, spec)
        server = redis.of_container(run.cli, container, spec)
        image = lookup.image_facts(run.cli.engine, container)
        artefacts, facts, warnings = redis.capture(server, staging, f"redis/{spec.name}.rdb", image)
        return Captured(artefacts, facts.keys, facts.as_dict(), warnings)

    def verify(self, source: Source, staged: str) -> None:
        redis_load.require_as_dumped(source, os.path.join(staged, RedisFacts.from_dict(source.facts).path))

    def plan(self, job: RestoreJob, spec: SourceSpec, source: Source) -> list[str]:
        # Before the first source is restored. Without a container, the restore itself reports that.
        with contextlib.suppress(SourceError):
            container = lookup.find_container(job.context.open_cli().engine, job.context.config.stack, spec)
            on_swarm.require_other_tool(container, f"source {spec.name}: {spec.where}")
        return [_step(job, spec, source)]

    def restore(self, job: RestoreJob, spec: SourceSpec, source: Source, staged: str) -> None:
        facts = RedisFacts.from_dict(source.facts)
        path = os.path.join(staged, facts.path)
        job.aside.append(restore_redis(job.context, spec, facts, path, job.stamp, job.warnings))
        job.finished.append(_step(job, spec, source))

    def rehearse(self, job: RehearseJob, source: Source) -> Rehearsed:
        cli = job.context.open_cli()
        stack = job.context.config.stack
        facts = RedisFacts.from_dict(source.facts)
        path = os.path.join(job.staged, facts.path)
        name = lookup.throwaway_name(stack, source.name)
        image = lookup.image_of(cli, facts.image)
        container = cli.throwaway(image, name, stack, entrypoint="sleep", command=["infinity"])
        try:
            cli.run(container, ["mkdir", "-p", "/tmp/obx"])
            cli.copy_in(path, container, "/tmp/obx/dump.rdb")
            loaded = redis_load.load(redis_load.ThrowawayServer(cli, container, "/tmp/obx"), facts, job.damage)
            return Rehearsed({**vars(loaded), "not_compared": list(facts.not_compared)})
        finally:
            cli.remove(container)

    def tamper(self, test: SelfTest, source: Source) -> None:
        tampering.controls(test, source)

    def import_(self, context: Context, spec: SourceSpec, datum: Datum, scratch: str) -> Import:
        return RdbImport(context, spec, datum.file, scratch)

    def shrunk(self, spec: SourceSpec, now: Source, before: Source) -> tuple[list[str], list[str]]:
        """Compare each numbered database by itself."""
        keyspace = RedisFacts.from_dict(now.facts).keyspace
        gone = [
            f"database {number} went from {counts[0]} to {keyspace.get(number, [0])[0]} keys"
            for number, counts in RedisFacts.from_dict(before.facts).keyspace.items()
            if counts[0] > 0 and keyspace.get(number, [0])[0] < max(spec.least(counts[0]), 1)
        ]
        return (gone, []) if spec.max_drop_percent < 100 else ([], gone)

    def finish_restore(self, context: Context, specs: t.Sequence[SourceSpec]) -> list[str]:
        done = recover(context)
        return [done] if done else []

    finish_import = finish_restore


def _step(job: RestoreJob, spec: SourceSpec, source: Source) -> str:
    aside = f"pre-restore-{job.stamp}"
    return f"{spec.where}: stopped, its data moved to {aside}, {source.count} keys loaded, started"
