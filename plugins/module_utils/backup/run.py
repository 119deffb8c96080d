# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One backup run: capture every source, commit all or nothing, verify, then prune and copy.

The other sources are captured after one fails, so that one run reports every problem. A set is only committed when it
is complete, or lacks only sources whose content cannot be backed up.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import (
    capture,
    drops,
    foreign,
    guard,
    interrupted,
    offsite,
    partial,
    pruning,
    status,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.capture import Capturer
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    BackupError,
    RoomLimit,
    SourceError,
    SourceLimit,
    StoreError,
    file_errors,
    of_files,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.reports import (
    BackupReport,
    Dict,
    OffsiteResult,
    SourceResult,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import registry
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import Store, StoredSet, numbers
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Manifest, Source
from ansible_collections.onebox.stack.plugins.module_utils.core import trees
from ansible_collections.onebox.stack.plugins.module_utils.core.files import FileError


def backup(
    context: Context, *, wait: float = 0.0, accept_drop: t.Sequence[str] = (), force_prune: bool = False
) -> Dict:
    """Run a backup and return its report; ``error`` in it is "" when the run succeeded.

    Args:
        wait: seconds to wait for another run of this stack.
        accept_drop: sources that may be empty or much smaller in this run.
        force_prune: lift the limit of deletions in one run.

    Raises:
        Busy: another run holds the lock and did not end in time.
        StoreError: the state directory cannot be used at all.
    """
    for name in accept_drop:
        if name not in {spec.name for spec in context.config.sources}:
            raise SourceError(f"--accept-drop {name}: there is no such source")
    with context.locked("backup", wait):
        began = context.world.monotonic()
        report = BackupReport(context.config.stack)
        try:
            with guard.everything():
                _run(context, report, accept_drop, force_prune)
        except BackupError as error:
            report.failed(error)
        except (FileError, OSError) as error:
            report.failed(of_files(error), f"the run stopped: {error}; committed sets are not lost")
        if context.offsite is not None and not report.offsite:
            # The run ended before the copy: the same sets as before are missing off-site.
            report.offsite = OffsiteResult(lag=status.offsite_lag(context))
        report.seconds = round(context.world.monotonic() - began, 3)
        status.finish(context, "backup", report)
        return report.as_dict()


def _run(context: Context, report: BackupReport, accept_drop: t.Sequence[str], force_prune: bool) -> None:
    store = context.store
    _require_known_repository(context, store)
    interrupted.require_none(context)
    store.prepare()
    there = store.sets()
    report.warnings += _not_understood(there)
    before = _before(context, there, report)
    newest = next((found for found in reversed(before) if found.manifest), None)
    report.warnings += capture.no_longer_declared(context.config, newest)
    _require_space(context, newest)
    seq = context.state.next_seq(numbers(before), [found.seq for found in there])
    # Assigned once, even if this run is killed: a number used twice would break the order of sets.
    context.state.took_seq(seq)
    taken = context.now()
    staging = store.stage(seq)
    try:
        sources = _Sources(context, report, seq, staging, before, accept_drop)
        manifest = sources.capture(taken.isoformat())
        context.log(f"committing set {seq}")
        manifest, identity = partial.commit(store, staging, manifest, sources.capturer, report)
        context.keys.signed(seq)
        report.warnings += store.warnings
        sources.capturer.keep_lists(staging, manifest.sources)
    finally:
        store.abandon()
        trees.remove_tree(staging)
    report.snapshot = {"seq": seq, "id": identity, "taken": manifest.taken, "size": manifest.size}
    context.log(f"verifying set {seq}")
    store.verify(StoredSet(seq, identity, manifest))
    report.verified = True
    context.state.committed(seq, store.location)
    offsite_error = offsite.update(context, report)
    pruning.prune_local(context, report, force_prune)
    if manifest.left_out:
        text = "; ".join([*manifest.left_out.values(), *([str(offsite_error)] if offsite_error else [])])
        kind = RoomLimit if sources.capturer.no_room else SourceLimit
        raise kind(
            f"set {seq} is committed without {', '.join(manifest.left_out)}, which could not be backed up: {text}"
        )
    if offsite_error:
        raise offsite_error


def _not_understood(sets: t.Iterable[StoredSet]) -> list[str]:
    return [f"set {found.seq} cannot be read: {found.problem}" for found in sets if found.problem]


def _require_known_repository(context: Context, store: Store) -> None:
    """Refuse an empty repository that had sets: its disk may not be mounted, and the run would create a new one."""
    seq, path = context.state.last_committed()
    if seq and path == store.location and not store.sets():
        raise StoreError(
            f"{path} holds no set, and set {seq} was committed there: is its disk mounted? To start again there, "
            f"remove {context.state.committed_note}"
        )


def _before(context: Context, there: t.Sequence[StoredSet], report: BackupReport) -> t.Sequence[StoredSet]:
    """The sets that precede a new one: those ``there``, else the off-site ones.

    A rebuilt host continues after the off-site sets: their numbers are used, and a stack that is still empty
    must not become the newest of them.
    """
    if there or context.offsite is None:
        return there
    try:
        with file_errors():
            return context.offsite.sets()
    except StoreError as error:
        report.warnings.append(f"could not check for sets off-site: {error}")
        return []


class _Sources:
    """Captures all sources of one set.

    Args:
        before: the sets to compare with.
        accept_drop: sources that may be much smaller.
    """

    def __init__(
        self,
        context: Context,
        report: BackupReport,
        seq: int,
        staging: str,
        before: t.Sequence[StoredSet],
        accept_drop: t.Sequence[str],
    ) -> None:
        self.context = context
        self.report = report
        self.seq = seq
        self.staging = staging
        self.before = before
        self.accept_drop = accept_drop
        self.config = context.config
        self.capturer = Capturer(self.config, context.open_cli, context.world, archive=not context.store.trees)
        self.errors: list[BackupError] = []

    def capture(self, taken: str) -> Manifest:
        """Capture them. Returns the manifest of the set. Raises :class:`BackupError` when nothing can be committed."""
        specs = self.config.sources
        good: list[Source] = []
        hanging = foreign.hanging(self.context, lambda spec: registry.of(spec).paths(spec))
        early = _begin_at(specs)
        for number, spec in enumerate(specs):
            if number == early and not self.errors and not hanging:
                trees = [path for each in specs for path in registry.of(each).trees(each)]
                self.context.store.begin(self.seq, self.staging, trees)
            source = self._one(spec, hanging.get(spec.name, ""))
            if source is not None:
                good.append(source)
            elif number >= early:
                self.context.store.abandon()  # it would also store the failed directory
        self._require_some(good)
        if self.capturer.used_engine:
            self.report.warnings += capture.uncovered(self.context.open_cli().engine, self.config)
        left_out = {entry.name: entry.error[:1000] for entry in self.report.sources if not entry.ok}
        runner: Dict = {"version": 1, "engine": self.config.repository.engine}
        if left_out:
            runner["left_out"] = left_out
        return Manifest(self.config.stack, self.seq, taken, self.context.host, tuple(good), runner)

    def _one(self, spec: SourceSpec, hangs: str) -> Source | None:
        self.context.log(f"reading {spec.kind} {spec.name}")
        entry = SourceResult(spec.name, spec.kind, size=0)
        self.report.sources.append(entry)
        try:
            with file_errors(), guard.everything(registry.of(spec).unexpected):
                if hangs:
                    raise SourceLimit(hangs)
                source = self.capturer.capture(spec, self.staging)
            entry.count = source.count
            entry.size = sum(artefact.size for artefact in source.artefacts)
            entry.seconds = round(source.seconds, 3)
            entry.warnings = list(source.warnings)
            if spec.name not in self.accept_drop:
                shrunk = drops.check(spec, source, drops.last(self.before, spec.name))
                self.report.warnings += [f"{spec.name}: {text}" for text in shrunk]
        except BackupError as error:
            entry.error = str(error)
            self.errors.append(error)
            self.capturer.no_room = self.capturer.no_room or isinstance(error, RoomLimit)
            return None
        entry.ok = True
        self.report.warnings += [f"{spec.name}: {warning}" for warning in source.warnings]
        return source

    def _require_some(self, good: t.Sequence[Source]) -> None:
        """Refuse a set without sources, or after a failure with another cause than the content of a source."""
        errors = self.errors
        if errors and (not good or not all(isinstance(error, SourceLimit) for error in errors)):
            text = "; ".join(str(error) for error in errors)
            kind = type(errors[0]) if len({type(error) for error in errors}) == 1 else SourceError
            raise kind(f"{len(errors)} of {len(self.config.sources)} sources failed, nothing was committed: {text}")


def _begin_at(specs: t.Sequence[SourceSpec]) -> int:
    """The source before which the store prepares: the first directory after all databases, which can be slow.

    A volume is a directory that only its capture finds.
    """
    number = len(specs)
    while number and not (specs[number - 1].rules.in_container or specs[number - 1].rules.takes_volume):
        number -= 1
    found = (each for each in range(number, len(specs)) if registry.of(specs[each]).trees(specs[each]))
    return next(found, len(specs))


def _require_space(context: Context, newest: StoredSet | None) -> None:
    last = newest.manifest.size if newest and newest.manifest else 0
    if not context.store.trees:
        context.require_room(context.store.location, last, "a run")
        return
    context.require_room(context.config.state_dir, last, "a run")
    if os.path.isabs(context.store.location):
        context.require_room(context.store.location, 0, "a run")


@file_errors()
def preview(context: Context, *, force_prune: bool = False) -> Dict:
    """The plan of a run, with the keys that stack_backup returns.

    Raises:
        StoreError: the repository cannot be read.
    """
    there = context.store.sets()
    usable = [found.seq for found in there if found.manifest]
    plan = pruning.plan_retention(context, context.store, "local", run_verified=True, force=force_prune)
    report = BackupReport(
        context.config.stack,
        sources=[SourceResult(spec.name, spec.kind, ok=True) for spec in context.config.sources],
        prune_plan=pruning.describe(plan),
    )
    found = report.as_dict()
    keys = ("snapshot", "sources", "verified", "pruned", "prune_plan", "offsite")
    return {
        **{key: found[key] for key in keys},
        "last_good": usable[-1] if usable else None,
        "warnings_found": _not_understood(there) + _uncovered(context),
    }


def _uncovered(context: Context) -> list[str]:
    """Databases of the stack that no source names. Empty without an engine: a plan does not need one."""
    try:
        return capture.uncovered(context.open_cli().engine, context.config)
    except SourceError:
        return []
