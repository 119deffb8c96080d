# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore a set, or parts of it, into the stack. Previous data is renamed, never deleted.

A database is compared with the manifest before it counts as restored. If it differs, the previous database is renamed
back. Stop the services that write to the data: a connection to the previous database is ended.
"""

from __future__ import annotations

import contextlib
import os
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.backup import guard, interrupted, status
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    BackupError,
    RestoreRefused,
    StoreError,
    file_errors,
    of_files,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.reports import Dict, RestoreReport, SourceResult
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import registry
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.base import RestoreJob
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import Store, StoredSet, passed_over, pick
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Source
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.schema import of_set
from ansible_collections.onebox.stack.plugins.module_utils.core import trees
from ansible_collections.onebox.stack.plugins.module_utils.core.files import FileError


@dataclass(frozen=True)
class Request:
    """The request of a restore. Empty ``sources`` and ``databases`` mean all; ``into`` restores files alone, elsewhere.

    ``accepted`` is the number of a set that its owner accepts without authentication, 0 for none.
    """

    wanted: str = "latest"
    where: str = "local"
    sources: tuple[str, ...] = ()
    databases: tuple[str, ...] = ()
    into: str = ""
    accepted: int = 0


def restore(context: Context, request: Request, *, confirm: str = "", wait: float = 0.0) -> Dict:
    """Plan a restore, and run it when ``confirm`` is the stack's name. ``error`` is "" when it succeeded.

    Raises:
        RestoreRefused: ``confirm`` is another name, or a source is not in the set.
        StoreError: there is no such repository or set.
        Busy: another run holds the lock.
    """
    with context.locked("restore", wait):
        recovered = _recover(context) if confirm else []
        work, report = _prepare(context, request, confirm)
        report.warnings += recovered
        if not confirm:
            return report.as_dict()
        began = context.world.monotonic()
        try:
            with file_errors(), guard.everything():
                work.run(report)
            report.done = True
        except BackupError as error:
            advice = interrupted.advice(context)
            report.failed(error, f"{error}; {advice}" if advice else "")
        report.seconds = round(context.world.monotonic() - began, 3)
        status.finish(context, "restore", report)
        return report.as_dict()


def _recover(context: Context) -> list[str]:
    """Finish the half-done steps of a killed restore. Returns a line for each action. Raises :class:`BackupError`."""
    done = []
    with file_errors(), guard.everything():
        for name, kind in registry.all_kinds():
            done += kind.finish_restore(context, [spec for spec in context.config.sources if spec.kind == name])
    return done


@file_errors()
def preview(context: Context, request: Request, confirm: str) -> Dict:
    """The report with the steps, without changes and without a lock. Raises as :func:`restore`."""
    return _prepare(context, request, confirm)[1].as_dict()


def _prepare(context: Context, request: Request, confirm: str) -> tuple[_Restore, RestoreReport]:
    stack = context.config.stack
    if confirm and confirm != stack:
        raise RestoreRefused(f"to restore, type the name of the stack: {stack}, not {confirm!r}; nothing was changed")
    store: Store | None = context.store if request.where == "local" else context.offsite
    if store is None:
        raise StoreError("there is no off-site repository in the backup configuration")
    there = store.sets()
    chosen = pick(there, request.wanted, store.location, request.accepted)
    work = _Restore(context, store, chosen, request)
    lacking = [] if request.sources else _lacking(there, chosen)
    steps = work.plan()
    job = work.job
    job.warnings[:] = [*passed_over(there, chosen), *lacking, *job.warnings]
    return work, RestoreReport(
        stack,
        seq=chosen.seq,
        snapshot={"seq": chosen.seq, "id": chosen.id},
        steps=steps,
        # The job and the report share each list.
        finished=job.finished,
        aside=job.aside,
        warnings=job.warnings,
    )


def _lacking(sets: t.Sequence[StoredSet], chosen: StoredSet) -> list[str]:
    """A warning for each configured source that the chosen set lacks, with the set that has it."""
    warnings = []
    for name, why in chosen.understood().left_out.items():
        usable = [found for found in sets if found.manifest and not found.not_authentic]
        others = [found.seq for found in usable if found.manifest and found.manifest.source(name)]
        where = (
            f"set {others[-1]} has it: restore it with --set {others[-1]} --source {name}"
            if others
            else "no set has it"
        )
        warnings.append(f"set {chosen.seq} lacks {name}, which stays as it is ({why}); {where}")
    return warnings


class _Restore:
    """The restore of one set: its sources and their targets.

    Raises:
        RestoreRefused: the request does not fit the set or the backup configuration.
    """

    def __init__(self, context: Context, store: Store, chosen: StoredSet, request: Request) -> None:
        stamp = context.now().strftime("%Y%m%d-%H%M%S")
        self.context = context
        self.chosen = chosen
        self.request = request
        self.job = RestoreJob(context, store, chosen, request.into, request.databases, stamp, context.world.is_root)
        if chosen.not_authentic:
            self.job.warnings.append(f"set {chosen.seq}: {chosen.not_authentic}; you accepted it by number")
        if request.into and request.databases:
            raise RestoreRefused("a database cannot be restored into a directory; omit into, or omit databases")
        specs = {spec.name: spec for spec in context.config.sources}
        self.work = [self._pair(name, specs) for name in request.sources or self._of_both(specs)]
        dumped = {name for _spec, source in self.work for name in registry.of(source).databases(source)}
        for name in request.databases:
            if name not in dumped:
                raise RestoreRefused(
                    f"set {chosen.seq} holds no database {name!r}; it holds {', '.join(sorted(dumped))}"
                )

    def _pair(self, name: str, specs: t.Mapping[str, SourceSpec]) -> tuple[SourceSpec, Source]:
        seq, manifest, into = self.chosen.seq, self.chosen.understood(), self.request.into
        source = manifest.source(name)
        if source is None:
            known = ", ".join(source.name for source in manifest.sources)
            raise RestoreRefused(f"set {seq} holds no source {name!r}; it holds {known}")
        if name not in specs:
            raise RestoreRefused(f"source {name!r} of set {seq} is not in the backup configuration. Add it there first")
        if into and not registry.of(source).as_files:
            raise RestoreRefused(f"source {name!r} ({source.kind}) cannot be restored into a directory; omit into")
        if specs[name].kind != source.kind and not into:
            raise RestoreRefused(
                f"source {name!r} is {source.kind} in set {seq} and {specs[name].kind} in the backup configuration: "
                "restore it with into, or restore the others by their names"
            )
        return specs[name], source

    def _of_both(self, specs: t.Mapping[str, SourceSpec]) -> list[str]:
        """The sources in both the set and the configuration; a warning for each that is only in one of them."""
        seq, manifest = self.chosen.seq, self.chosen.understood()
        names = [each.name for each in manifest.sources if not self.request.into or registry.of(each).as_files]
        self.job.warnings += [
            f"source {name!r} is in set {seq} and not in the backup configuration (any more): it is not restored. "
            "To restore it, add it there again"
            for name in names
            if name not in specs
        ]
        self.job.warnings += [
            f"set {seq} holds no source {name!r}: it stays as it is"
            for name in specs
            if manifest.source(name) is None and name not in manifest.left_out
        ]
        return [name for name in names if name in specs]

    def plan(self) -> list[str]:
        """The steps, one sentence each. Raises :class:`RestoreRefused` for an impossible step."""
        return [step for spec, source in self.work for step in registry.of(source).plan(self.job, spec, source)]

    def run(self, report: RestoreReport) -> None:
        """Restore source by source until the first failure. Restored data and previous copies are kept."""
        scratch = os.path.join(self.context.config.state_dir, "scratch")
        trees.remove_tree(scratch)
        self._require_room(scratch)
        trees.private_dir(scratch)
        staged = os.path.join(scratch, "set")
        trees.private_dir(staged)
        if any(registry.of(source).in_container for _spec, source in self.work):
            self.context.open_cli().remove_leftovers(self.context.config.stack)
        try:
            wanted = [artefact.path for _spec, source in self.work for artefact in source.artefacts]
            self.context.log(f"fetching set {self.chosen.seq} from {self.job.store.location}")
            self.job.store.fetch(self.chosen, staged, wanted)
            for spec, source in self.work:
                self._one(spec, source, staged, report)
        finally:
            trees.remove_tree(scratch)
        interrupted.end(self.context, [source.name for _spec, source in self.work])

    def _require_room(self, scratch: str) -> None:
        size = sum(artefact.size for _spec, source in self.work for artefact in source.artefacts)
        self.context.require_room(scratch, size, "a restore")
        for spec, source in self.work:
            kind = registry.of(source)
            target = kind.target(self.job, spec)
            if target:
                self.context.require_room(os.path.dirname(target), kind.room(source), "a restore")

    def _one(self, spec: SourceSpec, source: Source, staged: str, report: RestoreReport) -> None:
        entry = SourceResult(source.name, source.kind, count=source.count)
        report.sources.append(entry)
        self.context.log(f"restoring {source.kind} {source.name}")
        kind = registry.of(source)
        try:
            with of_set(f"set {self.chosen.seq}: source {source.name}"), self._reported():
                kind.verify(source, staged)
                if not self.request.into and not kind.notes_itself:
                    interrupted.begin(self.context, self.chosen.seq, source.name)
                kind.restore(self.job, spec, source, staged)
        except (FileError, OSError) as error:
            entry.error = f"{error}; previous copies are untouched"
            raise of_files(error, f"source {source.name}: {entry.error}") from error
        except BackupError as error:
            entry.error = str(error)
            raise
        entry.ok = True

    @contextlib.contextmanager
    def _reported(self) -> t.Iterator[None]:
        """Clear the note when one of our errors ends the restore: its text names the unchanged data.

        An error in a damaged file of the set does not say that: then the note is kept, see :mod:`interrupted`.
        """
        try:
            yield
        except BackupError:
            interrupted.end(self.context, [source.name for _spec, source in self.work])
            raise
