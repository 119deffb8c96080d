# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Final answers and the tenancy's free allowance. The cloud is the recorded simulation (oci_world)."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import OciError
from launcher_parts import Tally, captured, start
from oci_world import World


# --- a final answer ---
def test_ticks_after_a_final_answer_send_no_request(tally: Tally) -> None:
    tried, bad = 0, 0
    for word in ("404-auth", "401", "403-home", "quota", "400-key", "404-volume", "404-shape", "wr-other"):
        for before in ([], ["cap", "cap"]):
            clock, world, run = start(script=[*before, word], otherwise="ok" if word == "wr-other" else word)
            sent = 0
            for number in range(400):  # more than a day of ticks: a domain without the shape is retried after one
                try:
                    run.tick()
                except OciError:
                    sent = sent or len(world.launches)
                clock.sleep(300)
                if number > 20 and not sent:
                    break
            tried += 1
            bad += sent == 0 or len(world.launches) > sent
    tally("a tick sends a launch request after a final answer", tried, bad)


def test_user_continues_after_a_final_answer() -> None:
    for way in ("block", "changed"):
        clock, world, run = start(script=["404-auth"])
        with pytest.raises(OciError, match="Oracle answered 404"):
            run.tick()
        with pytest.raises(OciError, match="this tick sent nothing.*Oracle answered 404.*mode: block"):
            run.tick()
        if way == "block":
            captured(run.block(3600))
        else:
            run.max_attempts = 500
            captured(run.tick())


# --- the free allowance of the whole tenancy ---
ELSEWHERE = "ocid1.compartment.oc1..theirs"


def elsewhere(world: World, shape: str = "VM.Standard.A1.Flex", ocpus: float = 2, memory: float = 12) -> str:
    body = {"compartmentId": ELSEWHERE, "displayName": "theirs", "shape": shape, "freeformTags": {}}
    return world._create({**body, "shapeConfig": {"ocpus": ocpus, "memoryInGBs": memory}}, "ok", 0).id


def test_instance_in_another_compartment_counts_before_the_first_request() -> None:
    clock, world, run = start()
    identity = elsewhere(world, ocpus=1, memory=6)
    with pytest.raises(OciError, match="2 OCPU requested and 1 in use, 2 are free"):
        run.block(3600)
    assert world.launches == []
    world.terminate(identity)
    clock.sleep(600)
    captured(run.block(3600))


def test_instance_in_another_compartment_counts_while_the_launch_waits() -> None:
    clock, world, run = start(otherwise="cap")
    run.block(3600)
    sent = len(world.launches)
    elsewhere(world)
    world.otherwise = "ok"
    with pytest.raises(OciError, match="2 OCPU requested and 2 in use, 2 are free"):
        run.block(3600)
    assert len(world.launches) == sent > 0


def test_figures_of_the_limits_service_count_only_before_the_first_request() -> None:
    clock, world, run = start(script=["wr-capacity"])
    run.cloud.used = {"ocpus": 2.0, "memory_gb": 12.0}
    with pytest.raises(OciError, match="2 in use in the tenancy by Oracle's limits"):
        run.block(3600)
    assert world.launches == []
    run.cloud.used = {"storage_gb": 160}
    with pytest.raises(OciError, match="160 GB of volumes exist in the tenancy"):
        run.block(3600)
    run.cloud.used = {}
    # The figures contain the instance that failed late for another hour, which must not end the launch.
    world.ended = lambda identity: run.cloud.used.update(ocpus=2.0, memory_gb=12.0)
    captured(run.block(3 * 3600))
