# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of fault becomes a finding with the command to type, and nothing else does."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import RULES
from watch_facts import DAY, HOUR, STEP, Watch, healthy, live, one
from watch_fault_table import FAULTS, Fault, stack


def runs_for(fault: Fault) -> int:
    """Runs until the fault must be reported. Forecasts and growth first need samples."""
    slow = fault.code in ("disk_fills", "inodes_fill", "log_grows", "crash_loop")
    return 24 if slow else max(RULES[fault.code].sightings, 5 if "every other" in fault.name else 2)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_becomes_a_finding_with_the_command_to_type(fault: Fault, shown: t.Callable[..., None]) -> None:
    watch = Watch()
    for _run in range(runs_for(fault)):
        facts = healthy(watch.now)
        fault.change(facts, watch.now)
        watch.run(facts)
    found = [row for row in watch.outcome.active if row["code"] == fault.code]
    assert found, [row["key"] for row in (*watch.outcome.active, *watch.outcome.pending)]
    assert fault.fix in found[0]["fix"]
    assert "\n" not in found[0]["what"]
    assert 0 < found[0]["since"] <= watch.now
    shown(fault.name, found[0]["what"], found[0]["fix"])


def test_faults_of_every_kind_are_injected() -> None:
    # The others are judged from the watch's own notes, see below and test_watch_restart.py.
    of_the_watch = {"watch_gap", "watch_silent", "report_failed", "restart_refused"}
    assert {fault.code for fault in FAULTS} == set(RULES) - of_the_watch
    assert len(FAULTS) >= 40


def test_host_without_faults_has_no_finding() -> None:
    watch = Watch()
    for _run in range(50):
        watch.run(healthy(watch.now))
        assert (watch.outcome.active, watch.outcome.pending) == ([], [])
    assert watch.document["ok"] is True


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_that_is_over_is_cleared(fault: Fault) -> None:
    watch = Watch()
    for _run in range(runs_for(fault)):
        facts = healthy(watch.now)
        fault.change(facts, watch.now)
        watch.run(facts)
    watch.now += 9 * DAY  # held events and windows of growth end
    watch.notes.update(at=watch.now - STEP, uptime=healthy(watch.now - STEP)["uptime"])
    for _run in range(8):
        facts = healthy(watch.now)
        one(facts, "web").update(restarts=one(facts, "web")["restarts"], oom_kills=0)
        watch.run(facts)
    assert [row["key"] for row in watch.outcome.active] == []


def test_watch_that_did_not_run_is_reported(shown: t.Callable[..., None]) -> None:
    watch = Watch()
    watch.run(healthy(watch.now), step=3 * HOUR)
    watch.run(healthy(watch.now))
    (row,) = watch.outcome.active
    assert (row["code"], row["fix"]) == ("watch_gap", "systemctl status onebox-watch-demo.timer")
    shown("the watch itself stopped for hours", row["what"], row["fix"])


def test_host_that_was_off_does_not_count_as_a_gap() -> None:
    watch = Watch()
    watch.run(healthy(watch.now), step=3 * HOUR)
    watch.run({**healthy(watch.now), "uptime": 120.0})
    assert watch.outcome.active == []


def test_first_run_knows_no_gap() -> None:
    watch = Watch()
    watch.notes.clear()
    watch.run(healthy(watch.now))
    assert watch.outcome.active == []


def test_silent_engine_clears_nothing_that_it_reported_before() -> None:
    watch = Watch()
    for _run in range(3):
        facts = healthy(watch.now)
        one(facts, "web").update(health="unhealthy")
        watch.run(facts)
    for _run in range(10):
        facts = healthy(watch.now)
        stack(facts).update(live={"error": "no docker answers"}, mounts=None, plan=None)
        watch.run(facts)
    rows = {row["code"]: row for row in watch.outcome.active}
    assert sorted(rows) == ["engine_no_answer", "unhealthy"]
    assert rows["unhealthy"]["current"] is False


def test_stack_that_was_taken_down_promises_nothing() -> None:
    watch = Watch()
    for _run in range(4):
        facts = healthy(watch.now)
        live(facts).update(containers=[])
        stack(facts).update(promise={"services": {}}, mounts={"rows": []})
        watch.run(facts)
    assert watch.outcome.active == []


def test_stack_that_nothing_promised_is_reported_even_when_it_runs() -> None:
    watch = Watch()
    for _run in range(2):
        facts = healthy(watch.now)
        stack(facts).update(promise={"error": "no deploy has promised anything yet"})
        watch.run(facts)
    assert [row["code"] for row in watch.outcome.active] == ["promise_no_data"]


def test_texts_of_containers_become_one_printable_line() -> None:
    watch = Watch()
    for _run in range(2):
        facts = healthy(watch.now)
        one(facts, "web").update(health="unhealthy", health_output="a\nb\x1b[31m\u202ec" + "x" * 1000)
        watch.run(facts)
    (line,) = watch.document["lines"]
    assert line.isprintable()
    assert len(line) < 400
