# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A 404, replace or a slow start never terminates a running server, on the recorded simulation (oci_world)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import OciError
from launcher_parts import Tally, alive, captured, early, start
from oci_simulation import DAY, Killed, Run
from oci_world import Refused


@pytest.mark.parametrize("times", [1, 3, 10_000])
@pytest.mark.parametrize("confirm", [False, True])
def test_running_server_is_kept_with_a_404_and_a_forgotten_replace(
    times: int, confirm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, world, run = start()
    first = captured(run.block(3600))
    clock.sleep(30 * DAY)
    run.replace = True
    run.confirm = first if confirm else ""
    real, left = world.get, [times]

    def get(identity: str) -> t.Any:
        left[0] -= 1
        if left[0] >= 0:
            raise Refused("404-auth")
        return real(identity)

    monkeypatch.setattr(world, "get", get)
    if times > 100:
        with pytest.raises(OciError, match=f"the instance {first} is RUNNING in the list"):
            run.block(3600)
    else:
        assert captured(run.block(3600)) == first
    monkeypatch.setattr(world, "get", real)
    assert captured(run.block(3600)) == first
    assert alive(world) == [first]
    assert not world.instances[first].boot_volume_deleted


def test_missing_server_in_an_empty_list_needs_the_owner_and_launches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle answers the same to a user who lost the permissions, while the server runs."""
    clock, world, run = start()
    first = captured(run.block(3600))
    run.replace = True
    world.forgotten.add(first)
    monkeypatch.setattr(world, "listed", lambda compartment: [])
    with pytest.raises(OciError, match=f"cannot be found.*confirm: {first}"):
        run.block(3600)
    monkeypatch.undo()
    world.forgotten.clear()
    assert captured(run.block(3600)) == first
    assert len(world.launches) == 1


def test_missing_server_is_replaced_after_the_owner_confirmed_its_ocid() -> None:
    clock, world, run = start()
    first = captured(run.block(3600))
    world.terminate(first)
    clock.sleep(30 * DAY)
    del world.instances[first]  # Oracle has forgotten it
    run.replace, run.confirm = True, first
    assert captured(run.block(3600)) != first
    assert len(world.alive()) == 1


@dataclass
class DiesBeforeDiscarding:
    """Kills a controller once at a step, when its state file plans the removal of the slow server."""

    run: Run
    place: str
    died: bool = False

    def __call__(self, place: str) -> None:
        if place == self.place and '"discard": "PROVISIONING' in self.run.disk and not self.died:
            self.died = True
            raise Killed


def test_slow_server_that_runs_before_its_removal_is_kept(tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    tried, bad = 0, 0
    for boot in (1300, 2000, 2500, 3500):
        for place in ("after save", "before terminate"):
            clock, world, run = start(boot_seconds=boot)
            monkeypatch.setattr(world, "status", early(world))
            hook = DiesBeforeDiscarding(run, place)
            run.hook = run.cloud._hook = hook
            with monkeypatch.context() as patch:
                patch.setattr(world, "boot_volumes", lambda identity: [])
                with pytest.raises((Killed, OciError)):
                    run.block(2600)
            clock.sleep(3600)
            instance = next(iter(world.instances.values()))
            tried += hook.died
            captured(run.block(3600))
            bad += instance.terminated is not None or instance.boot_volume_deleted
    tally("a slow server that runs by now is removed", tried, bad)


def test_server_that_starts_to_run_between_read_and_termination_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, world, run = start(boot_seconds=3000)
    monkeypatch.setattr(world, "status", early(world))
    monkeypatch.setattr(world, "boot_volumes", lambda identity: [])

    def hook(place: str) -> None:
        if place == "before terminate":
            clock.sleep(3000)

    run.hook = run.cloud._hook = hook
    assert captured(run.block(20_000)) == "ocid1.instance.oc1.ap-chuncheon-1.i0001"
    assert len(world.instances) == 1


def test_disk_of_a_server_that_ran_is_kept_when_it_is_replaced() -> None:
    clock, world, run = start()
    first = captured(run.block(3600))
    world.terminate(first)
    world.instances[first].boot_volume_deleted = False  # terminated in the console, its boot volume kept
    clock.sleep(600)
    run.replace = True
    assert captured(run.block(3600)) != first
    assert not world.instances[first].boot_volume_deleted
