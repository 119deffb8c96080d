# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Existing instances, sizes and clocks of a launch, against the simulated cloud with recorded refusals."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.oci import freetier
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import events
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.spec import Size
from launcher_case import existing, start, stop_after, words
from oci_simulation import make_spec

# --- existing instances ---


def test_instance_is_adopted_after_the_loss_of_the_state_file() -> None:
    run = start()
    run.block()
    run.disk = ""
    outcome = run.block()
    assert outcome.captured is not None
    assert len(run.world.instances) == 1


def test_two_running_instances_stop_the_launch_loop() -> None:
    run = start()
    existing(run, "coinpilot-ins", "coinpilot-ins")
    existing(run, "coinpilot-ins", "coinpilot-ins")
    with pytest.raises(OciError, match="2 instances have the tag"):
        run.block()


def test_foreign_instance_of_the_same_name_is_refused() -> None:
    run = start()
    existing(run, "coinpilot-ins", "")
    with pytest.raises(OciError, match="did not create"):
        run.block()
    assert words(run) == []


def test_instance_of_another_size_fails() -> None:
    run = start()
    existing(run, "coinpilot-ins", "coinpilot-ins", ocpus=1)
    with pytest.raises(OciError, match="1 OCPU / 12 GB, but .* 2 OCPU / 12 GB is requested"):
        run.block()


# --- opt-in ---


def test_smaller_size_is_requested_after_the_preferred_one() -> None:
    run = start("cap", "cap", "cap", "ok", domains=2, spec=make_spec(sizes=(Size(2, 12), Size(1, 6))))
    outcome = run.block()
    assert outcome.captured is not None
    assert outcome.captured.ocpus == 1
    sizes = [body["shapeConfig"]["ocpus"] for unused, unused, unused, body in run.world.launches]
    assert sizes == [2, 2, 1, 1]


def test_fault_domains_are_tried_in_turn() -> None:
    run = start("cap", "ok", spec=make_spec(fault_domains=("FAULT-DOMAIN-1", "FAULT-DOMAIN-2")))
    assert run.block().captured is not None
    assert [body["faultDomain"][-1] for unused, unused, unused, body in run.world.launches] == ["1", "2"]


def test_fixed_shape_is_requested_without_a_size() -> None:
    run = start("ok", spec=make_spec(shape=freetier.MICRO_SHAPE))
    assert run.block().captured is not None


@pytest.mark.parametrize("jump", [-(10**6), 10**6])
def test_clock_jump_during_a_wait_delays_at_most_one_wait(jump: float) -> None:
    run = start("cap", "ok")
    run.block(max_duration=100)
    run.clock.wall += jump
    before = run.clock.steady
    assert run.block().captured is not None
    assert run.clock.steady - before <= 1300


@pytest.mark.parametrize("word", ["reset-before-create", "wr-capacity"])
def test_unnamed_domains_are_found_after_a_restart(word: str) -> None:
    run = start(word, "cap", "ok", domains=2)
    run.discover = True
    with pytest.raises(StopIteration):
        stop_after(run, "", lambda: None)
    assert run.block().captured is not None


def test_region_without_domains_is_refused() -> None:
    run = start("ok")
    run.discover = True
    run.world.domains = []
    with pytest.raises(OciError, match="no availability domain"):
        run.block()


def test_ticks_continue_after_the_clock_was_set_back() -> None:
    run = start("cap", "ok")
    run.tick()
    run.clock.wall -= 10**6
    captured = []
    for _unused in range(60):
        captured.append(run.tick().captured)
        run.clock.sleep(30)
    assert any(captured)


def test_event_lines_are_readable_on_a_terminal() -> None:
    event = events.Event(events.ANSWERED, "vm", "AD-1: out of capacity", 3, 1_780_000_000, 1_779_990_000, 901)
    shown = events.line(event)
    assert shown.startswith("[vm] AD-1: out of capacity; next request at ")
    assert shown.endswith("(in 15 min); launching for 2 h 46 min")
    assert [events.duration(value) for value in (0, 119, 121, 7300, 190000)] == [
        "0 s",
        "119 s",
        "2 min",
        "2 h 01 min",
        "2 d 4 h",
    ]
