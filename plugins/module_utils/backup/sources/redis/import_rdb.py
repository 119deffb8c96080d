# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Import an RDB from another server into a running Redis or Valkey, with the steps of a restore."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import MigrationError, MismatchError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import lookup
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.imports import FileImport, note_import
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis import load as redis_load
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis import server as redis
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis.model import RedisFacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis.restore import restore_redis
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.core import files


class RdbImport(FileImport):
    """An RDB to import into a running Redis or Valkey."""

    def __init__(self, context: Context, spec: SourceSpec, file: str, scratch: str) -> None:
        super().__init__(context, spec, file, scratch)
        try:
            with files.open_regular(file) as rdb:
                magic = rdb.read(9)
        except OSError as error:
            raise MigrationError(f"the RDB {file} cannot be read: {error.strerror}") from error
        if not magic.startswith((b"REDIS", b"VALKEY")):
            raise MigrationError(f"{file} is not an RDB. Create one on the old server with: redis-cli --rdb FILE")
        self.sha256 = files.digest(file)[0]

    def step(self, stamp: str) -> str:
        return (
            f"{self.spec.where}: {self.file} tried in a throwaway server; the service stopped, its data moved to "
            f"pre-restore-{stamp}, the RDB loaded, the service started"
        )

    def try_out(self) -> dict[str, t.Any]:
        """Load it in a throwaway container of the service's own image: another version may refuse it."""
        cli = self.context.open_cli()
        stack = self.context.config.stack
        container = lookup.find_container(cli.engine, stack, self.spec)
        server = redis.of_container(cli, container, self.spec)
        settings = redis.settings(server, server.info())
        spare = cli.throwaway(
            container.image_id,
            lookup.throwaway_name(stack, self.spec.name),
            stack,
            entrypoint="sleep",
            command=["infinity"],
        )
        try:
            cli.run(spare, ["mkdir", "-p", "/tmp/obx"])
            cli.copy_in(self.file, spare, "/tmp/obx/dump.rdb")
            throwaway = redis_load.ThrowawayServer(cli, spare, "/tmp/obx")
            counts = throwaway.check("dump.rdb")
            facts = RedisFacts(
                **vars(settings),
                path=os.path.basename(self.file),
                keys=counts["keys"],
                expires=counts["expires"],
                expired=counts["expired"],
            )
            self.require_content(facts.keys, "key")
            self._facts = dataclasses.replace(facts, digest=redis_load.load(throwaway, facts).digest)
        except MismatchError as error:
            raise MigrationError(f"{self.file} does not load in {container.image_ref}: {error}") from error
        finally:
            cli.remove(spare)
        return {"keys": facts.keys}

    def move_in(self, stamp: str) -> str:
        """Load it in the stack. Returns the path of the previous data."""
        if files.digest(self.file)[0] != self.sha256:
            raise MismatchError(f"{self.file} was changed after its test: its checksum differs")
        warnings: list[str] = []
        aside = restore_redis(self.context, self.spec, self._facts, self.file, stamp, warnings)
        for warning in warnings:
            self.context.log(warning)
        note_import(self.context, self.spec.name, self.sha256, self.file)
        return aside
