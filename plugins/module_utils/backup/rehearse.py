# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rehearse a set: restore it into throwaway containers and directories, and compare it with the manifest.

A checksum shows that the bytes are the same; only a restore shows that they are a database. The running stack is not
touched: the containers are new, have our label and no compose project, and are removed with their volumes.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import guard, status
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    BackupError,
    MismatchError,
    StoreError,
    of_files,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.reports import Dict, RehearsalReport, SourceResult
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import registry
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.base import Rehearsed, RehearseJob
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import Store, StoredSet, passed_over, pick
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Source
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.schema import of_set
from ansible_collections.onebox.stack.plugins.module_utils.core import trees
from ansible_collections.onebox.stack.plugins.module_utils.core.files import FileError


def rehearse(
    context: Context, *, wanted: str = "latest", where: str = "local", wait: float = 0.0, accepted: int = 0
) -> Dict:
    """Rehearse a set and save the evidence; ``error`` in the report is "" when everything is equal.

    When the newest set fails, the previous one is rehearsed, so that the report shows whether a restore is possible.

    Args:
        wanted: sequence number, or latest.
        where: local or offsite.
        accepted: the number of a set that its owner accepts without authentication, 0 for none.

    Raises:
        Busy: another run holds the lock.
        StoreError: there is no such repository or set, or it is not authentic.
    """
    store: Store | None = context.store if where == "local" else context.offsite
    if store is None:
        raise StoreError("there is no off-site repository in the backup configuration")
    with context.locked("rehearsal", wait):
        there = store.sets()
        chosen = pick(there, wanted, store.location, accepted)
        report = _try(context, store, chosen, where)
        report.warnings += passed_over(there, chosen)
        if report.error and wanted == "latest":
            older = [found for found in there if found.seq < chosen.seq and found.manifest and not found.not_authentic]
            if older:
                context.log(f"set {chosen.seq} failed; trying set {older[-1].seq}")
                fallback = _try(context, store, older[-1], where)
                report.fallback = {"seq": fallback.seq, "ok": fallback.ok, "error": fallback.error}
        context.state.write(f"last-rehearsal-{where}", report.as_dict())
        status.finish(context, "rehearsal", report)
        return report.as_dict()


def _try(context: Context, store: Store, chosen: StoredSet, where: str) -> RehearsalReport:
    began = context.world.monotonic()
    report = RehearsalReport(
        context.config.stack, where=where, seq=chosen.seq, set=chosen.id, at=context.now().timestamp()
    )
    judged = True  # a stopped engine, a full disk or a missing image does not show damage of the set
    try:
        with guard.everything():
            work = _Rehearsal(context, store, chosen, report)
            report.restore_seconds = round(work.run(), 3)
        failed = [entry for entry in report.sources if not entry.ok]
        if failed:
            # A difference matters more than a source that could not be restored.
            report.exit_code = max(work.codes, key=lambda code: code == MismatchError.exit_code)
            report.error = "; ".join(f"{entry.name}: {entry.error}" for entry in failed)
        report.ok = not failed
    except BackupError as error:
        report.failed(error)
    except (FileError, OSError) as error:
        report.failed(of_files(error))
        judged = False
    if report.error:
        differs = report.exit_code == MismatchError.exit_code
        what = "differs after its restore" if differs else "could not be restored on this host"
        report.error = f"set {chosen.seq} ({where}) {what}: {report.error}"
    report.seconds = round(context.world.monotonic() - began, 3)
    judged = judged and report.exit_code in (0, MismatchError.exit_code, StoreError.exit_code)
    report.evidence = context.state.add_evidence(where, chosen.seq, report.as_dict(), keep_good=not judged)
    return report


class _Rehearsal:
    """The rehearsal of all sources of a set. ``codes`` are the exit codes of those that failed."""

    def __init__(self, context: Context, store: Store, chosen: StoredSet, report: RehearsalReport) -> None:
        self.context = context
        self.store = store
        self.chosen = chosen
        self.report = report
        self.codes: list[int] = []

    def run(self) -> float:
        """Rehearse them. Returns the seconds that the restore took."""
        context, manifest = self.context, self.chosen.understood()
        scratch = os.path.join(context.config.state_dir, "scratch")
        trees.remove_tree(scratch)
        # One directory after the other is restored there, and removed.
        largest = max((registry.of(source).room(source) for source in manifest.sources), default=0)
        context.require_room(scratch, manifest.size + largest, "a rehearsal")
        trees.private_dir(scratch)
        if any(registry.of(source).in_container for source in manifest.sources):
            context.open_cli().remove_leftovers(context.config.stack)
        try:
            began = context.world.monotonic()
            staged = os.path.join(scratch, "set")
            trees.private_dir(staged)
            context.log(f"fetching set {self.chosen.seq} from {self.store.location}")
            self.store.fetch(self.chosen, staged)
            fetching = context.world.monotonic() - began
            return fetching + sum(self._one(source, staged, scratch) for source in manifest.sources)
        finally:
            trees.remove_tree(scratch)

    def _one(self, source: Source, staged: str, scratch: str) -> float:
        self.context.log(f"restoring {source.kind} {source.name}")
        began = self.context.world.monotonic()
        entry = SourceResult(source.name, source.kind, count=source.count)
        self.report.sources.append(entry)
        try:
            with of_set(f"set {self.chosen.seq}: source {source.name}"):
                result = check_source(self.context, self.store, self.chosen, source, staged, scratch)
            entry.ok, entry.found = True, result.found
            self.report.warnings += [f"{source.name}: {warning}" for warning in result.warnings]
        except BackupError as error:
            entry.error = str(error)
            self.codes.append(error.exit_code)
        except FileError as error:
            entry.error = str(error)
            self.codes.append(of_files(error).exit_code)
        entry.seconds = round(self.context.world.monotonic() - began, 3)
        return entry.seconds


def check_source(
    context: Context,
    store: Store,
    chosen: StoredSet,
    source: Source,
    staged: str,
    scratch: str,
    tamper: t.Callable[[t.Any], None] | None = None,
) -> Rehearsed:
    """Restore one source of fetched files outside of the stack and compare it.

    Args:
        tamper: the damage that a negative control does to the restored PostgreSQL or Redis before the comparison.

    Raises:
        MismatchError: it differs from the backup.
        BackupError: it could not be restored.
    """
    kind = registry.of(source)
    kind.verify(source, staged)
    return kind.rehearse(RehearseJob(context, store, chosen, staged, scratch, tamper), source)
