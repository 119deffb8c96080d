# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention: 7 daily and 4 weekly sets, by sequence number and count, never by age against the clock.

restic and borg delete the newest snapshots after the clock was set back (40 daily ones, then three dated 1980: they
delete those three). Tools that compare with *now* delete everything once backups stop. Here sets are ordered by their
sequence number, days without a backup are not counted, and nothing is deleted while the clock is suspect. Weekly sets
follow borg: a week whose newest set is a kept daily uses no weekly slot. So 11 sets are kept, up to 28 to 34 days old.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass

# A set may be dated this much after now (time zones, a clock stepped back by NTP) before the clock is suspect.
TOLERANCE = dt.timedelta(hours=26)


@dataclass(frozen=True)
class Candidate:
    """The properties of a set for retention.

    ``taken`` is local wall time at the start of the run, without zone; it may be wrong. ``understood`` is False for a
    set whose manifest cannot be read or is of a newer version: it is kept and uses no slot. ``complete`` is False for
    one that lacks a source: the daily number of them is kept in addition, and they do not use slots of complete sets.
    """

    seq: int
    taken: dt.datetime
    proven: bool = False
    pinned: bool = False
    understood: bool = True
    complete: bool = True


@dataclass(frozen=True)
class Policy:
    """The numbers of sets to keep. ``max_delete`` limits the deletions in one run, against a mistyped policy."""

    daily: int = 7
    weekly: int = 4
    min_keep: int = 3
    max_delete: int = 3


@dataclass(frozen=True)
class Plan:
    """The sets to keep and to delete.

    Attributes:
        keep: sequence number to reasons.
        surplus: every set outside the policy, oldest first.
        delete: the sets to delete in this run, oldest first.
        reason: the reason why ``delete`` is shorter than ``surplus``, "" when it is not.
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
    """Decide which sets to keep and which to delete.

    Args:
        sets: committed sets only.
        now: local wall time, without zone.
        clock_trusted: False when the system reports that its clock is not synchronised.
        run_verified: whether this run committed and verified a set.
        safe_elsewhere: whether the off-site copies of the kept sets are confirmed (or off-site is not configured).
        force: lift the limit of ``max_delete`` (a person has checked the plan). Other guards are not lifted.
    """
    newest_first = sorted(sets, key=lambda item: -item.seq)
    good = [item for item in newest_first if item.understood and item.complete]
    keep: dict[int, list[str]] = {}

    def hold(item: Candidate, why: str) -> None:
        keep.setdefault(item.seq, []).append(why)

    for item in newest_first:
        if not item.understood:
            hold(item, "not readable")
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
    # A set from the future uses no slot, so that it does not displace real days. It is kept while it is among the
    # newest.
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
        return f"it is earlier than set {good[1].seq}: the clock was set back"
    # A clock that is wrong for several runs agrees with its own sets, so it must agree with most of the sets.
    if now < sorted(item.taken for item in good)[len(good) // 2] - TOLERANCE:
        return "it is earlier than most of the sets: the clock was set back"
    if not safe_elsewhere:
        return "the off-site copy of the kept sets is not confirmed"
    return ""
