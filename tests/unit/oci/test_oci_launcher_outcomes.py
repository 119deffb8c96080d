# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unknown outcomes, limits and late failures of a launch, against the simulated cloud with recorded refusals."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.oci import freetier
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.spec import Size
from launcher_case import start, stop_after, times, tried_domains, words
from oci_simulation import make_spec
from oci_world import COMPARTMENT

# --- unknown outcomes ---


@pytest.mark.parametrize("word", ["reset-after-create", "slow", "500-created", "limit-created"])
def test_created_instance_of_a_failed_answer_is_adopted(word: str) -> None:
    for lag in (0, 100, 5000):
        run = start(f"{word}:{lag}")
        outcome = run.block()
        assert outcome.captured is not None
        assert len(run.world.instances) == 1
        tokens = {token for unused, unused, token, unused in run.world.launches}
        assert len(tokens) == 1


@pytest.mark.parametrize("word", ["reset-before-create", "500-other", "502-html", "504-empty"])
def test_unknown_outcome_is_settled_by_the_same_request(word: str) -> None:
    run = start(word, "cap", "cap", domains=2)
    assert run.block().captured is not None
    first, second, third = run.world.launches[:3]
    assert first[2] == second[2] != third[2]
    assert first[3] == second[3]
    assert second[0] - first[0] >= 300


def test_429_on_the_replay_keeps_the_outcome_unknown() -> None:
    run = start("reset-before-create", "429", "cap", "ok")
    run.block()
    tokens = [token for unused, unused, token, unused in run.world.launches]
    assert tokens[0] == tokens[1] == tokens[2] != tokens[3]


def test_spent_token_is_replaced() -> None:
    run = start("reset-after-create:9000")
    run.hook = lambda place: None
    with pytest.raises(StopIteration):
        stop_after(run, "answered", lambda: run.world.terminate(next(iter(run.world.instances))))
    outcome = run.block()
    assert outcome.captured is not None
    assert len(run.world.instances) == 2
    assert len(run.world.alive()) == 1


# --- limits ---


def test_false_limit_alarm_does_not_stop_the_launch_loop() -> None:
    run = start("limit", "limit", "cap")
    assert run.block().captured is not None


def test_limit_that_lasts_is_accepted() -> None:
    run = start(otherwise="limit")
    with pytest.raises(OciError, match="too long for a false alarm.*Terminate unused instances"):
        run.block()
    assert 6 * 3600 <= run.clock.steady <= 8 * 3600


def test_limit_confirmed_by_our_own_count_stops() -> None:
    run = start("cap", "limit")
    run.world._create({"shape": freetier.ARM_SHAPE, "compartmentId": COMPARTMENT, "displayName": "other"}, "ok", 0)
    run.spec = make_spec(sizes=(Size(2, 12),))
    with pytest.raises(OciError, match=r"2 OCPU requested and 1 in use, 2 are free"):
        run.block()
    assert words(run) == []


# --- late failures ---


def test_late_capacity_failure_is_cleaned_up_and_the_launch_loop_continues() -> None:
    run = start("wr-capacity", "cap", "ok", domains=2)
    outcome = run.block()
    assert outcome.captured is not None
    failed = run.world.instances["ocid1.instance.oc1.ap-chuncheon-1.i0001"]
    assert failed.boot_volume_deleted
    assert tried_domains(run) == ["1", "2", "2"]
    assert [one.id for one in run.world.alive()] == [outcome.captured.id]


def test_instance_stuck_in_provisioning_is_terminated_first() -> None:
    run = start("stuck-provisioning", "ok")
    assert run.block().captured is not None
    first = run.world.instances["ocid1.instance.oc1.ap-chuncheon-1.i0001"]
    assert first.terminated is not None
    assert times(run)[1] >= first.terminated + run.world.terminate_seconds


def test_late_failure_for_another_reason_stops() -> None:
    run = start("wr-other")
    with pytest.raises(OciError, match=r"terminated while it started: The image is damaged\."):
        run.block()
    assert run.block().captured is not None


def test_termination_by_a_user_during_the_start_stops() -> None:
    run = start("ok")
    run.world.boot_seconds = 5000
    with pytest.raises(StopIteration):
        stop_after(run, "", lambda: run.world.terminate("ocid1.instance.oc1.ap-chuncheon-1.i0001"))
    with pytest.raises(OciError, match="a user terminated it"):
        run.block()


def test_termination_by_a_user_after_the_capture_stops() -> None:
    run = start("ok")
    run.block()
    run.world.terminate("ocid1.instance.oc1.ap-chuncheon-1.i0001")
    with pytest.raises(OciError, match="replace: true"):
        run.block()
    assert len(words(run)) == 1
    run.replace = True
    outcome = run.block()
    assert outcome.captured is not None
    assert outcome.created
    assert len(words(run)) == 2


def test_launcher_waits_for_a_late_network_card() -> None:
    run = start("ok")
    run.world.vnic_seconds = 400
    assert run.block().captured is not None
    assert len(words(run)) == 1
    assert run.clock.steady >= 400


def test_missing_public_address_is_reported() -> None:
    run = start("ok")
    run.world.address_of = lambda body: ""
    with pytest.raises(OciError, match="no public address"):
        run.block()
    assert len(words(run)) == 1


def test_changed_address_is_reported() -> None:
    run = start("ok")
    run.block()
    run.world.move("ocid1.instance.oc1.ap-chuncheon-1.i0001", "203.0.113.99")
    outcome = run.block()
    assert outcome.captured is not None
    assert outcome.captured.public_ip == "203.0.113.99"
