# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``state: absent``: the name terminates only an instance that never ran, all others need their OCID."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import terminate
from oci_simulation import DAY, Clock, Run
from oci_world import World

NAME = "coinpilot-ins"
BOOT = 100_000.0


def starting() -> tuple[Clock, World, Run, str]:
    """An instance that was launched a moment ago and does not run."""
    clock = Clock()
    world = World(lambda: clock.server, page_size=1, boot_seconds=BOOT)
    run = Run(world, clock, 1)
    run.tick()
    assert run.context.state.instance is not None
    return clock, world, run, run.context.state.instance.id


def absent(run: Run, confirm: str) -> None:
    rows = terminate.targets(run.cloud, run.context.state, NAME, confirm, now=run.clock.wall)
    terminate.remove(run.cloud, rows, confirm=confirm, poll=10, world=run.context.world, say=lambda text: None)


def shown_as(world: World, status: str) -> None:
    """The instance has this state until it is terminated."""
    real = World.status
    world.status = (  # type: ignore[method-assign]
        lambda instance: status if instance.terminated is None else real(world, instance)
    )


def refused(run: Run, world: World, identity: str) -> None:
    for confirm in (NAME, ""):
        with pytest.raises(OciError) as caught:
            absent(run, confirm)
        line = f"Nothing was done. To terminate it and delete its disk permanently, set confirm: {identity} "
        assert line in str(caught.value)
        assert f"oci_instance_confirm: {identity})" in str(caught.value)
    assert world.instances[identity].terminated is None
    absent(run, identity)
    assert world.alive() == []


@pytest.mark.parametrize("status", ["PROVISIONING", "STARTING"])
def test_name_ends_an_instance_that_never_ran(status: str) -> None:
    clock, world, run, identity = starting()
    shown_as(world, status)
    absent(run, NAME)
    assert world.instances[identity].terminated is not None


@pytest.mark.parametrize("status", ["RUNNING", "STOPPING", "STOPPED", "MOVING", "CREATING_IMAGE", "SOMETHING_NEW"])
def test_name_is_refused_for_an_instance_that_is_past_its_first_boot(status: str) -> None:
    clock, world, run, identity = starting()
    shown_as(world, status)
    refused(run, world, identity)


@pytest.mark.parametrize("status", ["PROVISIONING", "STARTING"])
def test_name_is_refused_for_an_instance_that_was_seen_running(status: str) -> None:
    clock, world, run, identity = starting()
    assert run.context.state.instance is not None
    run.context.state.instance.running = True
    shown_as(world, status)
    refused(run, world, identity)


@pytest.mark.parametrize("days", [-1, 1])
def test_name_is_refused_for_an_instance_that_starts_long_after_its_launch(days: int) -> None:
    """It may have run meanwhile, and a clock that was set back does not prove the opposite."""
    clock, world, run, identity = starting()
    shown_as(world, "STARTING")
    clock.wall += days * DAY
    refused(run, world, identity)


def test_name_is_refused_for_an_instance_that_another_state_file_launched() -> None:
    """An adopted instance may be in its hundredth boot."""
    clock, world, run, identity = starting()
    run.context.state.intent = "another"
    refused(run, world, identity)


def test_name_is_refused_when_the_instance_runs_before_the_termination_arrives() -> None:
    clock, world, run, identity = starting()

    def hook(place: str) -> None:
        if place == "before terminate":
            clock.sleep(BOOT)

    run.cloud._hook = hook
    with pytest.raises(OciError, match=f"changed after it was read.*Nothing was done.*set confirm: {identity} "):
        absent(run, NAME)
    assert [one.id for one in world.alive()] == [identity]
    absent(run, identity)
    assert world.alive() == []


def test_missing_confirmation_is_refused_for_an_instance_that_never_ran() -> None:
    clock, world, run, identity = starting()
    with pytest.raises(OciError, match=rf"Nothing was done.*set confirm: {NAME} \(with the role: oci_instance_confirm"):
        absent(run, "")
    assert [one.id for one in world.alive()] == [identity]


def test_name_ends_a_launch_loop_without_an_instance() -> None:
    clock = Clock()
    world = World(lambda: clock.server, page_size=1, otherwise="cap")
    run = Run(world, clock, 1)
    run.tick()
    assert terminate.targets(run.cloud, run.context.state, NAME, NAME, now=clock.wall) == []
    with pytest.raises(OciError, match=f"set confirm: {NAME} "):
        terminate.targets(run.cloud, run.context.state, NAME, "", now=clock.wall)
