# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Delete the sets that the retention policy does not keep."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import status
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.reports import BackupReport, Dict, OffsiteResult
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import retention
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import Store
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.restic import ResticStore

# A prune runs once for so many deleted sets: it rewrites packs, and is the longest part of a run.
_PRUNE_EVERY = 7


def prune_local(context: Context, report: BackupReport, force: bool) -> None:
    """Delete local sets. With an off-site repository, only sets that it has.

    Args:
        force: lift the limit of deletions in one run.
    """
    safe = context.offsite is None or _confirmed(context, report.offsite)
    plan = plan_retention(context, context.store, "local", run_verified=True, safe_elsewhere=safe, force=force)
    report.prune_plan = describe(plan)
    report.pruned = _delete(context.store, plan)


def prune_offsite(context: Context, offsite: ResticStore, entry: OffsiteResult) -> None:
    """Delete sets off-site."""
    plan = plan_retention(context, offsite, "offsite", run_verified=True)
    entry.prune_plan = describe(plan)
    entry.pruned = _delete(offsite, plan)


def _delete(store: Store, plan: retention.Plan) -> list[int]:
    deleted = store.delete(plan.delete) if plan.delete else []
    if deleted and isinstance(store, ResticStore) and min(deleted) % _PRUNE_EVERY == 0:
        store.prune()
    return deleted


def _confirmed(context: Context, offsite: OffsiteResult | t.Mapping[str, t.Any]) -> bool:
    """Whether the off-site repository is known to have every set, undamaged."""
    return isinstance(offsite, OffsiteResult) and offsite.lag == 0 and not status.offsite_damage(context)


def plan_retention(
    context: Context, store: Store, where: str, *, run_verified: bool, safe_elsewhere: bool = True, force: bool = False
) -> retention.Plan:
    """The plan of retention for ``store`` now."""
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
            context.config.retention,
            clock_trusted=trusted,
            run_verified=run_verified,
            safe_elsewhere=safe_elsewhere,
            force=force,
        )

    found = plan(True)
    # Checking the clock runs another program, so it is only done when a set would be deleted.
    return found if not found.delete or context.clock_trusted() else plan(False)


def describe(plan: retention.Plan) -> Dict:
    """A plan as a mapping."""
    return {
        "keep": {str(seq): list(why) for seq, why in plan.keep.items()},
        "surplus": list(plan.surplus),
        "delete": list(plan.delete),
        "reason": plan.reason,
    }
