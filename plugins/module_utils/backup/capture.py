# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture the sources of one run, and compare the backup configuration with the stack and the newest set."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.configuration import BackupConfig
from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import Cli
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import lookup, registry
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.volume import uncovered as volumes
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Manifest, Source
from ansible_collections.onebox.stack.plugins.module_utils.core import trees
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import databases

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import StoredSet
    from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine


class Capturer:
    """Captures the sources of one run.

    Args:
        open_cli: returns the engine's command line. Called only for a source that needs a container.
        world: the clock.
        archive: directories become tar files. Otherwise the store reads them.

    Attributes:
        used_engine: whether a source needed a container.
        no_room: whether a source failed because the disk is full.
        trees: directories that the store reads.
        excludes: absolute paths in them that it leaves out.
    """

    def __init__(self, config: BackupConfig, open_cli: t.Callable[[], Cli], world: World, *, archive: bool) -> None:
        self.config = config
        self.world = world
        self.archive = archive
        self.lists = os.path.join(config.state_dir, "lists")
        self._open_cli = open_cli
        self.used_engine = False
        self.no_room = False
        self.trees: list[str] = []
        self.excludes: list[str] = []

    @property
    def cli(self) -> Cli:
        """The engine's command line."""
        self.used_engine = True
        return self._open_cli()

    def capture(self, spec: SourceSpec, staging: str) -> Source:
        """Read one source into ``staging``. Raises :class:`SourceError`."""
        began = self.world.monotonic()
        got = registry.of(spec).capture(self, spec, staging)
        seconds = self.world.monotonic() - began
        return Source(spec.name, spec.kind, tuple(got.artefacts), got.count, got.facts, seconds, tuple(got.warnings))

    def keep_lists(self, staging: str, committed: t.Iterable[Source]) -> None:
        """Keep the lists of a committed set: the next run hashes only files that differ from them."""
        if self.archive:
            return
        trees.private_dir(self.lists)
        for source in committed:
            registry.of(source).keep(source, staging, self.lists)


def uncovered(engine: Engine, config: BackupConfig) -> list[str]:
    """A warning for each database and each volume of the stack that no source names."""
    named = {spec.service for spec in config.sources} | {spec.container for spec in config.sources}
    warnings = []
    containers = lookup.stack_containers(engine, config.stack)
    for container in containers:
        if container.service in named or container.name in named:
            continue
        if databases.is_database(container.image_ref):
            warnings.append(databases.not_backed_up(container.service, container.image_ref))
    return [*warnings, *volumes.warnings(engine, config.sources, containers)]


def no_longer_declared(config: BackupConfig, newest: StoredSet | None) -> list[str]:
    """A warning for each source of the newest set that is no longer configured: later sets do not hold it."""
    if newest is None or newest.manifest is None:
        return []
    declared = {spec.name for spec in config.sources}
    return [
        f"source {source.name} ({source.kind}) is in set {newest.seq} and no longer configured: later sets do not hold "
        f"it. To keep its last copy, run onebox-backup with: pin {newest.seq}"
        for source in newest.manifest.sources
        if source.name not in declared
    ]


def in_no_set(config: BackupConfig, newest: Manifest | None) -> list[str]:
    """A note for each configured source that is newer than the newest set."""
    return [
        f"source {spec.name} ({spec.kind}) is in no set yet: the next backup includes it"
        for spec in config.sources
        if newest is not None and newest.source(spec.name) is None and spec.name not in newest.left_out
    ]
