# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A launcher and a cloud for the attacks. The cloud is the recorded simulation of the testbed (oci_world)."""

from __future__ import annotations

import copy
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import terminate
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.launcher import Outcome
from oci_simulation import Clock, Killed, Run
from oci_world import World

Tally = t.Callable[[str, int, int], None]
NAME = "coinpilot-ins"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA stranger"


def start(**options: t.Any) -> tuple[Clock, World, Run]:
    clock = Clock()
    world = World(lambda: clock.server, page_size=1, **options)
    return clock, world, Run(world, clock, 1)


def second(world: World, clock: Clock) -> Run:
    run = Run(world, clock, 2)
    run._token = lambda: "other"  # type: ignore[method-assign]  # the second controller has its own tokens
    return run


def captured(outcome: Outcome) -> str:
    assert outcome.captured is not None
    return outcome.captured.id


def alive(world: World) -> list[str]:
    return [one.id for one in world.alive()]


def die_after(word: str) -> t.Callable[[str], None]:
    def hook(place: str) -> None:
        if place == word:
            raise Killed

    return hook


def early(world: World) -> t.Callable[[t.Any], str]:
    """A server that stays in PROVISIONING until it runs."""
    real = World.status

    def status(instance: t.Any) -> str:
        word = real(world, instance)
        return "PROVISIONING" if word == "STARTING" else word

    return status


def clone(world: World, run: Run, **changes: t.Any) -> str:
    """Copy our instance as a user of the console can: with its tags and metadata."""
    body = copy.deepcopy(next(iter(world.instances.values())).body)
    return world._create({**body, **changes}, "ok", 0).id


def absent(run: Run, confirm: str) -> None:
    """Terminate as the action does with ``state: absent``."""
    rows = terminate.targets(run.cloud, run.context.state, NAME, confirm, now=run.clock.wall)
    terminate.remove(run.cloud, rows, confirm=confirm, poll=10, world=run.context.world, say=lambda text: None)
