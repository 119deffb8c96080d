# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The launch loop against the simulated cloud: order, pauses, stops. The clock moves only when it sleeps."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import events
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.spec import Size
from launcher_case import start, times, tried_domains, words
from oci_simulation import DAY, make_spec


def test_launch_at_the_first_attempt_is_captured() -> None:
    run = start("ok")
    outcome = run.block()
    assert outcome.captured is not None
    assert outcome.created
    assert outcome.captured.state == "RUNNING"
    assert outcome.captured.public_ip == "203.0.113.10"
    assert words(run) == ["ok"]
    # a second run finds the instance and does not send a request
    again = run.block()
    assert again.captured == outcome.captured
    assert not again.created
    assert words(run) == ["ok"]


def test_capacity_answers_rotate_the_domains() -> None:
    run = start(*["cap"] * 7, domains=3)
    assert run.block().captured is not None
    assert tried_domains(run) == ["1", "2", "3", "2", "3", "1", "3", "1"]
    gaps = [later - earlier for earlier, later in zip(times(run), times(run)[1:])]
    # Evenly: no two requests close together, and no round earlier than the interval after the previous one.
    assert all(100 <= gap <= 110 for gap in gaps)
    assert all(later - earlier >= 300 for earlier, later in zip(times(run), times(run)[3:]))


def test_several_sizes_lengthen_the_round_without_more_requests_a_minute() -> None:
    run = start(otherwise="cap", domains=3, spec=make_spec(sizes=(Size(2, 12), Size(1, 6))))
    run.block(max_duration=3600)
    gaps = [later - earlier for earlier, later in zip(times(run), times(run)[1:])]
    assert len(gaps) > 20
    assert min(gaps) >= 100


def test_429_stops_the_round_and_continues_with_the_same_domain() -> None:
    run = start("cap", "429", "429", "429", "429", domains=3)
    assert run.block().captured is not None
    assert tried_domains(run) == ["1", "2", "2", "2", "2", "2"]
    gaps = [later - earlier for earlier, later in zip(times(run)[1:], times(run)[2:])]
    for gap, wait in zip(gaps, (900, 1800, 3600, 3600)):
        assert wait <= gap <= wait + 120


def test_retry_after_header_extends_the_wait() -> None:
    run = start("429:7000")
    assert run.block().captured is not None
    assert 7000 <= times(run)[1] - times(run)[0] <= 7120


def test_throttling_survives_a_restart() -> None:
    run = start("429", "429", "429")
    for _unused in range(200):
        if run.tick().captured:
            break
        run.clock.sleep(60)  # a timer that fires every minute
    gaps = [later - earlier for earlier, later in zip(times(run), times(run)[1:])]
    assert [gap >= wait for gap, wait in zip(gaps, (900, 1800, 3600))] == [True] * 3


def test_one_tick_is_one_round_and_not_more_often_than_allowed() -> None:
    run = start(otherwise="cap", domains=2)
    first = run.tick()
    assert first.captured is None
    assert tried_domains(run) == ["1", "2"]
    assert first.next_attempt_at is not None
    assert 150 <= first.next_attempt_at - run.clock.wall <= 165
    for _unused in range(5):
        run.tick()
    assert len(words(run)) == 2
    run.clock.sleep(166)
    run.tick()
    assert tried_domains(run) == ["1", "2", "2", "1"]


def test_max_duration_ends_before_the_next_wait() -> None:
    run = start(otherwise="cap")
    outcome = run.block(max_duration=3000)
    assert outcome.captured is None
    assert run.clock.steady <= 3000
    assert "Out of host capacity" in outcome.text
    assert run.events[-1].kind == events.STOPPED


def test_max_attempts_reached_ends_the_launch_loop() -> None:
    run = start(otherwise="cap")
    run.max_attempts = 3
    with pytest.raises(OciError, match="3 launch requests.*max_attempts"):
        run.block()
    assert len(words(run)) == 3


def test_domain_without_the_shape_is_skipped_for_a_day() -> None:
    run = start("404-shape", *["cap"] * 360, domains=2)
    run.block(max_duration=DAY - 100)
    assert tried_domains(run).count("1") == 1
    assert 250 < tried_domains(run).count("2") <= 288  # it has the whole round for itself
    run.block(max_duration=4000)
    assert tried_domains(run).count("1") > 1


def test_shape_missing_in_every_domain_is_refused() -> None:
    run = start("404-shape", "404-shape", domains=2)
    with pytest.raises(OciError, match="no availability domain .* has the shape"):
        run.block()
    assert len(words(run)) == 2


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("404-auth", "subnet_id is a subnet"),
        ("401", "clock"),
        ("403-home", "home region"),
        ("400-key", "Invalid ssh public key"),
        ("quota", "administrator"),
        ("404-volume", "boot volume"),
    ],
)
def test_permanent_refusal_stops_at_once(word: str, says: str) -> None:
    run = start(word)
    with pytest.raises(OciError) as caught:
        run.block()
    assert says in str(caught.value)
    assert "restricted" not in str(caught.value)
    assert len(words(run)) == 1
    # corrected and run again: a new request, no replay of the refused one
    assert run.block().captured is not None


def test_account_restriction_is_reported() -> None:
    run = start("cap", "cap", "404-auth")
    with pytest.raises(OciError, match="accepted 2 times before: the account may have been restricted"):
        run.block()


def test_new_network_that_is_not_known_everywhere_is_retried() -> None:
    assert start("400-related").block().captured is not None
    with pytest.raises(OciError, match="subnet_id and policies"):
        start("400-related", "400-related").block()


def test_busy_answers_are_retried_a_limited_number_of_times() -> None:
    run = start(otherwise="409-state")
    with pytest.raises(OciError, match="11 times"):
        run.block()
    assert len(words(run)) == 11


def test_network_failure_for_hours_is_not_an_attempt() -> None:
    run = start(*["unreachable"] * 60)
    assert run.block().captured is not None
    assert run.clock.steady > 4 * 3600
    assert run.context.state.attempts == 1  # requests that were not sent do not count


def test_failed_reads_never_cause_a_launch() -> None:
    faults = iter(["502-html", "429", "unreachable", "reset", "500-other"])
    run = start("ok", reads=lambda: next(faults, ""))
    assert run.block().captured is not None
    assert words(run) == ["ok"]


def test_refused_list_stops_the_launch_loop() -> None:
    run = start("ok", reads=lambda: "404-auth")
    with pytest.raises(OciError, match="Reading the state"):
        run.block()
    assert words(run) == []
