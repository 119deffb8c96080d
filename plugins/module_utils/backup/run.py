# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One backup run: capture every source, commit all or nothing, verify, then prune and copy.

A source that fails does not stop the others from being tried, so that one run tells everything that is wrong; but a set
is only committed when all of it is there.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import (
    drops,
    foreign,
    guard,
    interrupted,
    partial,
    sources,
    status,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.declaration import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    BackupError,
    OffsiteError,
    RoomLimit,
    SourceError,
    SourceLimit,
    StoreError,
    file_errors,
    of_files,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import retention
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import Store, StoredSet, numbers
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Manifest, Source
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.restic import ResticStore
from ansible_collections.onebox.stack.plugins.module_utils.core import trees
from ansible_collections.onebox.stack.plugins.module_utils.core.files import FileError

Report = t.Dict[str, t.Any]  # noqa: UP006
# Freed space is only handed back every so many sets: a prune rewrites packs, and is the longest part of a run.
_PRUNE_EVERY = 7


def backup(
    context: Context, *, wait: float = 0.0, accept_drop: t.Sequence[str] = (), force_prune: bool = False
) -> Report:
    """Run a backup and return its report; ``error`` in it is "" when all went well.

    Args:
        wait: seconds to wait for another run of this stack.
        accept_drop: sources that may be empty or much smaller this once.
        force_prune: lift the limit of deletions in one run.

    Raises:
        Busy: another run holds the lock and did not end in time.
        StoreError: the state directory cannot be used at all.
    """
    for name in accept_drop:
        if name not in {spec.name for spec in context.declaration.sources}:
            raise SourceError(f"--accept-drop {name}: there is no such source")
    with context.locked("backup", wait):
        began = context.world.monotonic()
        report: Report = {
            "stack": context.declaration.stack,
            "snapshot": {},
            "sources": [],
            "verified": False,
            "pruned": [],
            "prune_plan": {},
            "offsite": {},
            "warnings": [],
            "error": "",
            "exit_code": 0,
        }
        try:
            with guard.everything():
                _run(context, report, accept_drop, force_prune)
        except BackupError as error:
            report["error"] = str(error)
            report["exit_code"] = error.exit_code
        except (FileError, OSError) as error:
            report["error"] = f"the run stopped: {error}; nothing that was committed is lost"
            report["exit_code"] = of_files(error).exit_code
        if context.offsite is not None and not report["offsite"]:
            # It did not come so far: what was missing there still is, and must not fall silent.
            report["offsite"] = {"lag": status.offsite_lag(context)}
        report["seconds"] = round(context.world.monotonic() - began, 3)
        status.finish(context, "backup", report)
        return report


def _run(context: Context, report: Report, accept_drop: t.Sequence[str], force_prune: bool) -> None:
    store = context.store
    _require_known_place(context, store)
    interrupted.require_none(context)
    store.prepare()
    there = store.sets()
    report["warnings"] += [f"set {found.seq} is not understood: {found.problem}" for found in there if found.problem]
    before = _before(context, there, report)
    newest = next((found for found in reversed(before) if found.manifest), None)
    report["warnings"] += sources.no_longer_declared(context.declaration, newest)
    _require_space(context, newest)
    seq = context.state.next_seq(numbers(before), [found.seq for found in there])
    # Given once and never again, also when this run is killed: a number that came twice would be an order lost.
    context.state.took_seq(seq)
    taken = context.now()
    staging = store.stage(seq)
    try:
        manifest, capturer = _capture(context, report, seq, taken.isoformat(), staging, before, accept_drop)
        context.log(f"committing set {seq}")
        manifest, identity = partial.commit(store, staging, manifest, capturer, report)
        context.keys.signed(seq)
        report["warnings"] += store.warnings
        capturer.keep_lists(staging, manifest.sources)
    finally:
        store.abandon()
        trees.remove_tree(staging)
    report["snapshot"] = {"seq": seq, "id": identity, "taken": manifest.taken, "size": manifest.size}
    context.log(f"verifying set {seq}")
    store.verify(StoredSet(seq, identity, manifest))
    report["verified"] = True
    context.state.committed(seq, store.place)
    offsite_error = _offsite(context, report)
    _prune(context, store, report, "local", force_prune)
    if manifest.left_out:
        text = "; ".join([*manifest.left_out.values(), *([str(offsite_error)] if offsite_error else [])])
        kind = RoomLimit if capturer.no_room else SourceLimit
        raise kind(
            f"set {seq} is committed without {', '.join(manifest.left_out)}, which could not be backed up: {text}"
        )
    if offsite_error:
        raise offsite_error


def _require_known_place(context: Context, store: Store) -> None:
    """Refuse a place that had sets and has none: its disk is not mounted, and below it a new one would be begun."""
    seq, place = context.state.last_committed()
    if seq and place == store.place and not store.sets():
        raise StoreError(
            f"{place} holds no set, and set {seq} was committed there: is its disk mounted? To begin anew there, "
            f"remove {context.state.committed_note}"
        )


def _before(context: Context, there: t.Sequence[StoredSet], report: Report) -> t.Sequence[StoredSet]:
    """The sets that a new one comes after: those that are ``there``, else those off-site.

    A box that was rebuilt goes on after the sets its forerunner left there: their numbers are taken, and a stack that
    is still empty must not become the newest of them.
    """
    if there or context.offsite is None:
        return there
    try:
        with file_errors():
            return context.offsite.sets()
    except StoreError as error:
        report["warnings"].append(f"whether there are sets off-site could not be asked: {error}")
        return []


def _capture(
    context: Context,
    report: Report,
    seq: int,
    taken: str,
    staging: str,
    history: t.Sequence[StoredSet],
    accept_drop: t.Sequence[str],
) -> tuple[Manifest, sources.Capturer]:
    declaration = context.declaration
    capturer = sources.Capturer(declaration, context.open_cli, context.world, archive=not context.store.trees)
    good: list[Source] = []
    errors: list[BackupError] = []
    hanging = foreign.hanging(context)
    early = _begin_at(declaration.sources)
    for number, spec in enumerate(declaration.sources):
        if number == early and not errors and not hanging:
            trees = [each.path for each in declaration.sources if each.kind == "directory"]
            context.store.begin(seq, staging, trees)
        context.log(f"reading {spec.kind} {spec.name}")
        row: Report = {"name": spec.name, "kind": spec.kind, "ok": False, "error": "", "count": 0, "size": 0}
        report["sources"].append(row)
        try:
            # What a directory holds, also when nobody thought of it, keeps the directory out, and nothing else.
            unexpected = SourceLimit if spec.kind == "directory" else SourceError
            with file_errors(), guard.everything(unexpected):
                if spec.name in hanging:
                    raise SourceLimit(hanging[spec.name])
                source = capturer.capture(spec, staging)
            row.update(
                count=source.count,
                size=sum(artefact.size for artefact in source.artefacts),
                seconds=round(source.seconds, 3),
                warnings=list(source.warnings),
            )
            if spec.name not in accept_drop:
                before = drops.last(history, spec.name)
                report["warnings"] += [f"{spec.name}: {text}" for text in drops.check(spec, source, before)]
        except BackupError as error:
            row["error"] = str(error)
            errors.append(error)
            capturer.no_room = capturer.no_room or isinstance(error, RoomLimit)
            if number >= early:
                context.store.abandon()  # it would store the directory that failed
            continue
        row["ok"] = True
        good.append(source)
        report["warnings"] += [f"{spec.name}: {warning}" for warning in source.warnings]
    kind: type[BackupError]
    left_out = {row["name"]: row["error"][:1000] for row in report["sources"] if not row["ok"]}
    if errors and (not good or not all(isinstance(error, SourceLimit) for error in errors)):
        text = "; ".join(str(error) for error in errors)
        kind = type(errors[0]) if len({type(error) for error in errors}) == 1 else SourceError
        raise kind(f"{len(errors)} of {len(declaration.sources)} sources failed, nothing was committed: {text}")
    if capturer.used_engine:
        report["warnings"] += sources.uncovered(context.open_cli().engine, declaration)
    runner: Report = {"version": 1, "engine": declaration.repository.engine}
    if left_out:
        runner["left_out"] = left_out
    return Manifest(declaration.stack, seq, taken, context.host, tuple(good), runner), capturer


def _begin_at(specs: t.Sequence[SourceSpec]) -> int:
    """Before which source the store gets ready: the first directory that no database, which may take long, follows."""
    number = len(specs)
    while number and specs[number - 1].kind not in ("postgresql", "redis"):
        number -= 1
    return next((each for each in range(number, len(specs)) if specs[each].kind == "directory"), len(specs))


def _require_space(context: Context, newest: StoredSet | None) -> None:
    last = newest.manifest.size if newest and newest.manifest else 0
    if not context.store.trees:
        context.require_room(context.store.place, last, "a run")
        return
    context.require_room(context.declaration.state_dir, last, "a run")
    if os.path.isabs(context.store.place):
        context.require_room(context.store.place, 0, "a run")


def _offsite(context: Context, report: Report) -> OffsiteError | None:
    if context.offsite is None:
        return None
    try:
        with file_errors():
            _copy(context, context.offsite, report)
    except StoreError as error:
        # Where it cannot be asked, it lacks what it lacked before and the set of this run.
        report["offsite"].setdefault("lag", (status.offsite_lag(context) or 0) + 1)
        report["offsite"]["error"] = str(error)
        return OffsiteError(f"the set is committed here, but not off-site: {error}")
    try:
        with file_errors():
            _prune(context, context.offsite, report["offsite"], "offsite", False)
    except StoreError as error:
        report["offsite"]["error"] = str(error)
        return OffsiteError(f"the set is committed here and off-site, but old ones there could not be deleted: {error}")
    return None


def _copy(context: Context, offsite: ResticStore, report: Report) -> None:
    """Copy to off-site what it lacks, and note what it lacks then. Raises :class:`StoreError`."""
    context.log(f"copying to {offsite.place}")
    offsite.prepare_copy()
    away = {found.seq: found for found in offsite.sets()}
    here = [found for found in context.store.sets() if found.manifest]
    for found in here:
        other = away.get(found.seq)
        if other and other.manifest and other.manifest != found.manifest:
            raise StoreError(
                f"set {found.seq} there is another than set {found.seq} here: the place belongs to another box, or "
                "to this one before it was rebuilt; name a new place off-site and keep the old one to restore from"
            )
    missing = [found for found in here if found.seq not in away]
    if missing:
        # A declaration with off-site has restic here, too.
        local = t.cast(ResticStore, context.store)
        offsite.copy_from(local, [found.id for found in missing])
    # One that cannot be read there is none: the copy here must not be deleted for it.
    good = {found.seq for found in offsite.sets() if found.manifest}
    lag = [found.seq for found in here if found.seq not in good]
    copied = sum(found.seq in good for found in missing)
    report["offsite"] = {"place": offsite.place, "copied": copied, "lag": len(lag)}
    if lag:
        raise StoreError(f"after the copy it lacks, or cannot read, {len(lag)} of the sets here, such as {lag[0]}")


def _prune(context: Context, store: Store, report: Report, where: str, force: bool) -> None:
    offsite = report.get("offsite") or {}
    plan = plan_retention(
        context,
        store,
        where,
        run_verified=True,
        safe_elsewhere=where == "offsite" or context.offsite is None or _confirmed(context, offsite),
        force=force,
    )
    report["prune_plan"] = describe(plan)
    report["pruned"] = store.delete(plan.delete) if plan.delete else []
    if report["pruned"] and isinstance(store, ResticStore) and min(report["pruned"]) % _PRUNE_EVERY == 0:
        store.prune()


def _confirmed(context: Context, offsite: Report) -> bool:
    """Whether off-site has every set, as far as is known: also that nothing of them was lost there."""
    return offsite.get("lag") == 0 and not status.offsite_damage(context)


def plan_retention(
    context: Context, store: Store, where: str, *, run_verified: bool, safe_elsewhere: bool = True, force: bool = False
) -> retention.Plan:
    """What retention would do in ``store`` now."""
    proven = context.state.proven(where)
    pinned = context.state.pinned()
    now = context.now().replace(tzinfo=None)
    candidates = [
        retention.Candidate(
            seq=found.seq,
            taken=found.manifest.when if found.manifest else now,
            proven=found.seq in proven,
            pinned=found.seq in pinned,
            understood=found.manifest is not None,
            complete=found.manifest is None or not found.manifest.left_out,
        )
        for found in store.sets()
    ]

    def plan(trusted: bool) -> retention.Plan:
        return retention.plan(
            candidates,
            now,
            context.declaration.retention,
            clock_trusted=trusted,
            run_verified=run_verified,
            safe_elsewhere=safe_elsewhere,
            force=force,
        )

    found = plan(True)
    # Another program is asked about the clock: only where something would be deleted by it.
    return found if not found.delete or context.clock_trusted() else plan(False)


@file_errors()
def preview(context: Context, *, force_prune: bool = False) -> Report:
    """What a run would find and delete, without doing it; in the shape stack_backup returns.

    Raises:
        StoreError: the repository cannot be read.
    """
    there = context.store.sets()
    usable = [found.seq for found in there if found.manifest]
    plan = plan_retention(context, context.store, "local", run_verified=True, force=force_prune)
    return {
        "snapshot": {},
        "sources": [
            {"name": spec.name, "kind": spec.kind, "ok": True, "error": "", "count": 0}
            for spec in context.declaration.sources
        ],
        "verified": False,
        "pruned": [],
        "prune_plan": describe(plan),
        "last_good": usable[-1] if usable else None,
        "offsite": {},
        "warnings_found": [f"set {found.seq} is not understood: {found.problem}" for found in there if found.problem]
        + _uncovered(context),
    }


def _uncovered(context: Context) -> list[str]:
    """Databases of the stack that no source names, where an engine can be asked: a plan needs none."""
    try:
        return sources.uncovered(context.open_cli().engine, context.declaration)
    except SourceError:
        return []


def describe(plan: retention.Plan) -> Report:
    """A plan as plain data."""
    return {
        "keep": {str(seq): list(why) for seq, why in plan.keep.items()},
        "surplus": list(plan.surplus),
        "delete": list(plan.delete),
        "reason": plan.reason,
    }
