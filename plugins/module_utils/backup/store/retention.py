# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sets are kept: 7 daily and 4 weekly, by sequence number and count, never by age against the clock.

Both restic and borg delete the newest snapshots when the clock has gone back (40 daily ones, then three dated 1980:
they drop exactly those three), and tools that compare with *now* delete everything once backups stop. Here the order is
the sequence number, days without a backup are not counted, and a doubt means that nothing is deleted. Weekly follows
borg: a week whose newest set is a kept daily takes no weekly slot, so that 11 sets stay, the oldest 28 to 34 days old.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass

# A set may be dated this much after now (time zones, a clock stepped back by NTP) before the clock is suspect.
TOLERANCE = dt.timedelta(hours=26)


@dataclass(frozen=True)
class Candidate:
    """A set as retention sees it.

    ``taken`` is local wall time at the start of the run, without zone; it may be off. ``understood`` is False for a set
    whose manifest cannot be read or is of a newer version: it is kept and takes no slot. ``complete`` is False for one
    that lacks a source: as many of them as of daily sets are kept, too, and none takes the slot of another.
    """

    seq: int
    taken: dt.datetime
    proven: bool = False
    pinned: bool = False
    understood: bool = True
    complete: bool = True


@dataclass(frozen=True)
class Policy:
    """How many to keep. ``max_delete`` is the circuit breaker for a mistyped policy: deletions in one run."""

    daily: int = 7
    weekly: int = 4
    min_keep: int = 3
    max_delete: int = 3


@dataclass(frozen=True)
class Plan:
    """What retention would do.

    Attributes:
        keep: sequence number to reasons.
        surplus: every set outside the policy, oldest first.
        delete: what may be deleted in this run, oldest first.
        reason: why ``delete`` is shorter than ``surplus``, "" when it is not.
    """

    keep: t.Mapping[int, tuple[str, ...]]
    surplus: tuple[int, ...]
    delete: tuple[int, ...]
    reason: str


def plan(
    sets: t.Iterable[Candidate],
    now: dt.datetime,
    policy: Policy,
    *,
    clock_trusted: bool = True,
    run_verified: bool = True,
    safe_elsewhere: bool = True,
    force: bool = False,
) -> Plan:
    """Decide what to keep and what to delete.

    Args:
        sets: committed sets only.
        now: local wall time, without zone.
        clock_trusted: False when the system says its clock is not synchronised.
        run_verified: the run that asks committed and verified a set.
        safe_elsewhere: the off-site copies of what is kept are confirmed (or there is no off-site).
        force: lift the limit of ``max_delete`` (a person has seen the plan); no other guard is lifted.
    """
    newest_first = sorted(sets, key=lambda item: -item.seq)
    good = [item for item in newest_first if item.understood and item.complete]
    keep: dict[int, list[str]] = {}

    def hold(item: Candidate, why: str) -> None:
        keep.setdefault(item.seq, []).append(why)

    for item in newest_first:
        if not item.understood:
            hold(item, "not understood")
        if item.pinned:
            hold(item, "pinned")
    lacking = [item for item in newest_first if item.understood and not item.complete]
    for item in lacking[: policy.daily]:
        hold(item, "newest that lack a source")
    for position, item in enumerate(good[: max(policy.min_keep, 1)]):
        hold(item, "newest" if position == 0 else "min_keep")
    proven = [item for item in good if item.proven]
    if proven:
        hold(proven[0], "last rehearsed")
    _slots(good, now, policy, hold)

    surplus = tuple(sorted(item.seq for item in newest_first if item.seq not in keep))
    reason = _doubt(good, now, clock_trusted, run_verified, safe_elsewhere)
    delete = () if reason else surplus
    if len(delete) > policy.max_delete and not force:
        reason = f"at most {policy.max_delete} sets are deleted in one run, {len(delete)} are outside the policy"
        delete = delete[: policy.max_delete]
    return Plan({seq: tuple(why) for seq, why in sorted(keep.items())}, surplus, delete, reason)


def _slots(
    good: t.Sequence[Candidate], now: dt.datetime, policy: Policy, hold: t.Callable[[Candidate, str], None]
) -> None:
    # A set from the future uses no slot: it must not push real days out. It is kept while it is among the newest.
    dated = [item for item in good if item.taken <= now + TOLERANCE]
    days: list[dt.date] = []
    daily: set[int] = set()
    for item in dated:
        if len(days) < policy.daily and item.taken.date() not in days:
            days.append(item.taken.date())
            daily.add(item.seq)
            hold(item, f"daily {len(days)}")
    weeks = 0
    seen: set[tuple[int, int]] = set()
    for item in dated:
        week = item.taken.isocalendar()[:2]
        if weeks >= policy.weekly:
            break
        if week in seen:
            continue
        seen.add(week)
        if item.seq not in daily:
            weeks += 1
            hold(item, f"weekly {weeks}")
    if dated and (len(days) < policy.daily or weeks < policy.weekly):
        hold(dated[-1], "oldest")


def _doubt(
    good: t.Sequence[Candidate], now: dt.datetime, clock_trusted: bool, run_verified: bool, safe_elsewhere: bool
) -> str:
    if not good:
        return "there is no committed set"
    if not run_verified:
        return "this run did not commit and verify a set"
    if not clock_trusted:
        return "the clock is not synchronised"
    if good[0].taken > now + TOLERANCE:
        return f"set {good[0].seq} is dated in the future: the clock is suspect"
    if len(good) > 1 and now < good[1].taken - TOLERANCE:
        return f"it is earlier than set {good[1].seq}: the clock went back"
    # A clock that stays wrong for several runs agrees with its own sets, so most of the sets must agree, too.
    if now < sorted(item.taken for item in good)[len(good) // 2] - TOLERANCE:
        return "it is earlier than most of the sets: the clock went back"
    if not safe_elsewhere:
        return "the off-site copy of the kept sets is not confirmed"
    return ""
