# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two controllers launch the same instance. The cloud is the recorded simulation of the testbed (oci_world)."""

from __future__ import annotations

import pytest
from launcher_parts import absent, alive, captured, die_after, second, start
from oci_simulation import DAY, Clock, Killed, Run
from oci_world import World


@pytest.mark.parametrize("lag", [0, 60, 140])
def test_second_controller_that_launches_at_the_same_moment_leaves_one_instance(lag: float) -> None:
    clock, world, run = start(list_lag=lag, boot_seconds=400)
    other, found = second(world, clock), []

    def hook(place: str) -> None:
        if place == "before launch" and not found:
            found.append(other)
            found.append(captured(other.block(3600)))

    run.hook = run.cloud._hook = hook
    assert captured(run.block(3600)) == found[1] == captured(other.block(3600))
    assert alive(world) == [found[1]]


@pytest.mark.parametrize("lag", [0, 60, 140])
def test_second_controller_that_starts_after_the_first_launch_finds_it(lag: float) -> None:
    clock, world, run = start(list_lag=lag)
    other, found = second(world, clock), []

    def hook(place: str) -> None:
        if place == "after launch" and not found:
            clock.sleep(20)
            found.append(captured(other.block(3600)))

    run.hook = run.cloud._hook = hook
    assert captured(run.block(3600)) == found[0]
    assert len(world.instances) == 1


def test_unknown_outcome_with_an_instance_of_another_controller_creates_no_second_one() -> None:
    """A replay with the same token would create a second instance: Oracle never got the first request."""
    clock, world, run = start(script=["reset-before-create"])
    other = second(world, clock)
    run.hook = run.cloud._hook = die_after("after launch")
    with pytest.raises(Killed):
        run.block(3600)
    run.hook = run.cloud._hook = lambda place: None
    first = captured(other.block(3600))
    assert captured(run.block(2 * 3600)) == first
    assert len(world.instances) == 1


def two_running() -> tuple[Clock, World, Run, Run]:
    """Two controllers that could not see each other's instance before both ran: a list that lags for a day."""
    clock, world, run = start(list_lag=DAY)
    other = second(world, clock)
    captured(run.block(3600))
    captured(other.block(3600))
    clock.sleep(2 * DAY)
    return clock, world, run, other


def test_two_running_instances_are_reported_by_ocid_and_none_is_terminated() -> None:
    clock, world, run, other = two_running()
    before = alive(world)
    assert len(before) == 2
    for controller in (run, other):
        controller.block(3600)
        (warning,) = controller.context.warnings
        assert all(identity in warning for identity in before)
        assert "confirm: ocid1.instance." in warning
    assert alive(world) == before


def test_second_instance_terminated_by_the_owner_leaves_the_first_to_both_controllers() -> None:
    clock, world, run, other = two_running()
    keep, drop = alive(world)
    absent(run, drop)
    assert captured(run.block(3600)) == keep
    assert captured(other.block(3600)) == keep
    assert alive(world) == [keep]
