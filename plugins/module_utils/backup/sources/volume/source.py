# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes of the stack as sources: read, restored and compared as the directory in which the engine keeps each."""

from __future__ import annotations

import copy
import dataclasses
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import interrupted
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import ConfigError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.base import (
    Captured,
    Datum,
    Rehearsed,
    RehearseJob,
    RestoreJob,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import source as directories
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import swap
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory.source import DirectoryKind
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.volume import find, users
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.volume.model import KIND, VolumeFacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.volume.namespace import Namespace, is_mapped
from ansible_collections.onebox.stack.plugins.module_utils.backup.state import State
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Artefact, Source
from ansible_collections.onebox.stack.plugins.module_utils.core import trees

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.capture import Capturer

# Restored copies for a rehearsal in Podman's user namespace: outside of it this user cannot remove them.
_SCRATCH = "scratch-mapped"


class VolumeKind(DirectoryKind):
    """A volume of the stack in the engine."""

    name = KIND
    damages = ("altered file of a volume",)

    def capture(self, run: Capturer, spec: SourceSpec, staging: str) -> Captured:
        cli = run.cli
        stack = run.config.stack
        volume = find.find(cli, stack, spec)
        mapped = is_mapped(cli.engine, run.world)
        located = dataclasses.replace(spec, path=find.directory(volume, spec))
        got = self._capture_mapped(run, located, staging) if mapped else super().capture(run, located, staging)
        return dataclasses.replace(got, facts={**got.facts, "volume": volume.name, "mapped": mapped})

    def _capture_mapped(self, run: Capturer, spec: SourceSpec, staging: str) -> Captured:
        # The store reads as this user, who may not: so an archive, whatever the store.
        own = copy.copy(run)
        own.archive, own.trees, own.excludes = True, [], []
        namespace = Namespace(State(run.config.state_dir), run.world, 10 * run.config.timeout)

        def work(enter: t.Callable[[], None]) -> dict[str, t.Any]:
            enter()
            got = super(VolumeKind, self).capture(own, spec, staging)
            return {**vars(got), "artefacts": [vars(artefact) for artefact in got.artefacts]}

        answer = namespace.run(spec.path, work, self.unexpected)
        return Captured(**{**answer, "artefacts": [Artefact(**row) for row in answer["artefacts"]]})

    def plan(self, job: RestoreJob, spec: SourceSpec, source: Source) -> list[str]:
        if job.into:
            return super().plan(job, spec, source)
        cli, stack = job.context.open_cli(), job.context.config.stack
        volume = find.existing(cli, stack, spec)
        if volume is None:
            name = spec.volume_name or VolumeFacts.from_dict(source.facts).volume
            return [f"volume {name}: created in {cli.engine.name}, then filled"]
        using = users.running(cli, users.of_volume(volume.name), f"the volume {volume.name}")
        stops = f"; meanwhile {', '.join(using)} stops" if using else ""
        located = dataclasses.replace(spec, path=find.directory(volume, spec))
        return [f"volume {volume.name}: {step}{stops}" for step in super().plan(job, located, source)]

    def restore(self, job: RestoreJob, spec: SourceSpec, source: Source, staged: str) -> None:
        context, facts = job.context, VolumeFacts.from_dict(source.facts)
        cli = context.open_cli()
        if job.into:
            self._put(job, spec, source, staged)
            return
        volume = find.existing(cli, context.config.stack, spec)
        if volume is None:
            volume = find.create(cli, context.config.stack, spec, facts.volume)
        located = dataclasses.replace(spec, path=find.directory(volume, spec))
        interrupted.begin(context, job.chosen.seq, source.name)
        with users.stopped(context, users.of_volume(volume.name), f"the volume {volume.name}"):
            self._put(job, located, source, staged)

    def _put(self, job: RestoreJob, spec: SourceSpec, source: Source, staged: str) -> None:
        cli = job.context.open_cli()
        if not is_mapped(cli.engine, job.context.world):
            directories.restore_directory(job, spec, source, staged)
            return

        def work(enter: t.Callable[[], None]) -> dict[str, t.Any]:
            inner = dataclasses.replace(job, owners=True, warnings=[], finished=[], aside=[])
            job.store.lock = -1  # a child has no descriptor of it
            directories.restore_directory(inner, spec, source, staged, enter)
            return {"warnings": inner.warnings, "finished": inner.finished, "aside": inner.aside}

        done = Namespace.of(job.context).run(spec.path, work)
        job.warnings += done["warnings"]
        job.finished += done["finished"]
        job.aside += done["aside"]

    def rehearse(self, job: RehearseJob, source: Source) -> Rehearsed:
        world = job.context.world
        # Owned by ids of the namespace: only there they can be restored and compared.
        if not VolumeFacts.from_dict(source.facts).mapped or world.is_root:
            return directories.rehearse_directory(job, source, world.is_root)

        def work(enter: t.Callable[[], None]) -> dict[str, t.Any]:
            enter()
            scratch = os.path.join(job.context.state.path, _SCRATCH)
            trees.remove_tree(scratch)
            trees.private_dir(scratch)
            try:
                got = directories.rehearse_directory(dataclasses.replace(job, scratch=scratch), source, True)
            finally:
                trees.remove_tree(scratch)
            return {"found": got.found, "warnings": list(got.warnings)}

        return Rehearsed(**Namespace.of(job.context).run(job.context.state.path, work))

    def check_datum(self, spec: SourceSpec, datum: Datum, where: str) -> None:
        raise ConfigError(
            f"{where}: data cannot be imported into a volume. Move it with playbooks/move_data.yml, or restore a set"
        )

    def paths(self, spec: SourceSpec) -> list[str]:
        return []  # only a capture finds it

    def trees(self, spec: SourceSpec) -> list[str]:
        return []

    def target(self, job: RestoreJob, spec: SourceSpec) -> str:
        if job.into:
            return super().target(job, spec)
        volume = find.existing(job.context.open_cli(), job.context.config.stack, spec)
        return find.directory(volume, spec) if volume else ""

    def keep(self, source: Source, staging: str, lists: str) -> None:
        if not source.facts["archive"]:
            super().keep(source, staging, lists)

    def finish_restore(self, context: Context, specs: t.Sequence[SourceSpec]) -> list[str]:
        return interrupted.finish_swaps(context, _found(context, specs), lambda path: _settle(context, path))

    def finish_import(self, context: Context, specs: t.Sequence[SourceSpec]) -> list[str]:
        return []


def _found(context: Context, specs: t.Sequence[SourceSpec]) -> t.Iterator[str]:
    """The directories of those volumes that exist. Reads nothing until it is iterated."""
    for spec in specs:
        volume = find.existing(context.open_cli(), context.config.stack, spec)
        if volume:
            yield find.directory(volume, spec)


def _settle(context: Context, path: str) -> bool:
    if not is_mapped(context.open_cli().engine, context.world):
        return swap.settle(path)

    def work(enter: t.Callable[[], None]) -> dict[str, t.Any]:
        return {"settled": swap.settle(path, enter)}

    return bool(Namespace.of(context).run(path, work)["settled"])
