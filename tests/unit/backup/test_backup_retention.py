# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The retention rule: properties over random histories with wrong clocks, and examples."""

from __future__ import annotations

import datetime as dt
import random

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.retention import Candidate, Plan, Policy, plan
from hypothesis import given, settings
from hypothesis import strategies as st

POLICY = Policy()
DAY = dt.timedelta(days=1)
START = dt.datetime(2026, 1, 1, 2, 0)


def daily_history(days: int, start: dt.datetime = START) -> list[Candidate]:
    return [Candidate(number + 1, start + number * DAY) for number in range(days)]


def test_steady_state_is_eleven_sets_of_28_to_34_days():
    sets: list[Candidate] = []
    counts, ages = set(), set()
    for number in range(200):
        now = START + number * DAY
        sets.append(Candidate(number + 1, now))
        gone = plan(sets, now, POLICY).delete
        sets = [item for item in sets if item.seq not in gone]
        if number > 80:
            counts.add(len(sets))
            ages.add((now - min(item.taken for item in sets)).days)
    assert counts == {11}
    assert (min(ages), max(ages)) == (28, 34)


def test_clock_set_back_does_not_delete_sets():
    sets = daily_history(40)
    sets += [Candidate(41 + number, dt.datetime(1980, 1, 1 + number)) for number in range(3)]
    outcome = plan(sets, dt.datetime(1980, 1, 3, 1), POLICY)
    assert outcome.delete == ()
    assert {41, 42, 43} <= set(outcome.keep)
    back = plan([*sets, Candidate(44, START + 43 * DAY)], START + 43 * DAY, POLICY)
    assert not {42, 43, 44} & set(back.delete)


def test_sets_from_the_future_do_not_displace_real_days():
    sets = daily_history(20)
    future = [Candidate(21 + number, START + (400 + number) * DAY) for number in range(3)]
    later = [Candidate(24 + number, START + (20 + number) * DAY) for number in range(4)]
    outcome = plan([*sets, *future, *later], START + 24 * DAY, POLICY)
    kept_daily = [seq for seq, why in outcome.keep.items() if any(word.startswith("daily") for word in why)]
    assert sorted(kept_daily) == [18, 19, 20, 24, 25, 26, 27]


@pytest.mark.parametrize(
    ("guard", "words"),
    [
        ({"clock_trusted": False}, "not synchronised"),
        ({"run_verified": False}, "did not commit"),
        ({"safe_elsewhere": False}, "off-site"),
    ],
)
def test_failed_guard_deletes_no_set_and_is_reported(guard, words):
    outcome = plan(daily_history(40), START + 40 * DAY, POLICY, **guard)
    assert outcome.surplus
    assert outcome.delete == ()
    assert words in outcome.reason


def test_missed_days_do_not_count():
    sets = [Candidate(number + 1, START + number * 3 * DAY) for number in range(7)]
    long_after = START + 400 * DAY
    assert plan(sets, long_after, POLICY).surplus == ()


def test_limit_of_deletions_stops_a_mistyped_policy_and_force_lifts_only_the_limit():
    sets = daily_history(60)
    now = START + 60 * DAY
    mistyped = Policy(daily=1, weekly=0)
    outcome = plan(sets, now, mistyped)
    assert outcome.delete == (1, 2, 3)
    assert "at most 3" in outcome.reason
    assert len(plan(sets, now, mistyped, force=True).delete) == 57
    assert plan(sets, now, mistyped, force=True, clock_trusted=False).delete == ()


def test_later_of_two_sets_of_a_day_is_kept():
    sets = [*daily_history(12), Candidate(13, START + 11 * DAY + dt.timedelta(hours=5))]
    outcome = plan(sets, START + 12 * DAY, Policy(min_keep=1))
    assert 12 in outcome.surplus
    assert 13 in outcome.keep


def test_unreadable_and_pinned_sets_are_kept():
    sets = daily_history(60)
    sets[3] = Candidate(4, START, understood=False)
    sets[4] = Candidate(5, START + 4 * DAY, pinned=True)
    sets[5] = Candidate(6, START + 5 * DAY, proven=True)
    outcome = plan(sets, START + 60 * DAY, POLICY, force=True)
    assert outcome.keep[4] == ("not readable",)
    assert outcome.keep[5] == ("pinned",)
    assert outcome.keep[6] == ("last rehearsed",)


def check(outcome: Plan, sets: list[Candidate], policy: Policy, guarded: bool) -> None:
    good = sorted((item for item in sets if item.understood), key=lambda item: item.seq)
    gone = set(outcome.delete)
    assert gone <= {item.seq for item in sets}
    assert not gone & {item.seq for item in sets if item.pinned or not item.understood}
    assert not gone & {item.seq for item in good[-policy.min_keep :]}
    proven = [item.seq for item in good if item.proven]
    assert not proven or proven[-1] not in gone
    assert len(gone) <= policy.max_delete
    assert list(outcome.delete) == sorted(outcome.delete)
    if guarded:
        assert not gone


CANDIDATES = st.lists(
    st.tuples(
        st.datetimes(min_value=dt.datetime(1971, 1, 1), max_value=dt.datetime(2200, 1, 1)),
        st.booleans(),
        st.sampled_from([False] * 9 + [True]),
        st.sampled_from([True] * 9 + [False]),
    ),
    max_size=60,
).map(lambda rows: [Candidate(n + 1, *row) for n, row in enumerate(rows)])


@settings(max_examples=300, deadline=None)
@given(
    sets=CANDIDATES,
    now=st.datetimes(min_value=dt.datetime(1971, 1, 1), max_value=dt.datetime(2200, 1, 1)),
    policy=st.builds(
        Policy,
        daily=st.integers(1, 9),
        weekly=st.integers(0, 6),
        min_keep=st.integers(1, 5),
        max_delete=st.integers(0, 5),
    ),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_random_input_does_not_delete_protected_sets(sets, now, policy, flags):
    outcome = plan(sets, now, policy, clock_trusted=flags[0], run_verified=flags[1], safe_elsewhere=flags[2])
    check(outcome, sets, policy, guarded=not all(flags))


def test_histories_with_failed_runs_missed_days_and_jumping_clocks_keep_the_guarantees():
    rng = random.Random(7)
    for _history in range(200):
        now = dt.datetime(2026, rng.randint(1, 12), rng.randint(1, 28), 2)
        sets: list[Candidate] = []
        skew = dt.timedelta()
        seq = 0
        for _step in range(120):
            now += DAY * (1 if rng.random() < 0.9 else rng.randint(2, 25))
            if rng.random() < 0.02:
                skew = DAY * rng.choice([400, -9000, -3, 10, 0])
            clock = now + skew + dt.timedelta(minutes=rng.randint(0, 90))
            for _repeat in range(1 if rng.random() < 0.9 else 3):
                committed = rng.random() > 0.15
                if committed:
                    seq += 1
                    sets.append(Candidate(seq, clock, rng.random() < 0.2, rng.random() < 0.005))
                trusted = rng.random() > 0.05
                outcome = plan(sets, clock, POLICY, clock_trusted=trusted, run_verified=committed)
                check(outcome, sets, POLICY, guarded=not (trusted and committed))
                sets = [item for item in sets if item.seq not in outcome.delete]
