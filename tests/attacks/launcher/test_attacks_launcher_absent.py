# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``state: absent`` terminates only a confirmed instance. The cloud is the recorded simulation (oci_world)."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import terminate
from launcher_parts import NAME, Tally, absent, alive, captured, clone, start
from oci_simulation import DAY


def test_absent_with_the_name_refuses_a_server_that_runs_or_ran(tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    tried, bad = 0, 0
    for days in (0, 1, 30):
        for status in ("RUNNING", "STARTING", "PROVISIONING", "STOPPING", "STOPPED", "MOVING", "CREATING_IMAGE", ""):
            clock, world, run = start()
            first = captured(run.block(3600))
            clock.sleep(days * DAY)
            monkeypatch.setattr(world, "status", lambda instance, status=status: status)
            said = ""
            try:
                absent(run, NAME)
            except OciError as error:
                said = str(error)
            tried += 1
            bad += (
                f"Nothing was done. To terminate it and delete its disk permanently, set confirm: {first} " not in said
                or world.instances[first].terminated is not None
            )
    tally("absent with the name terminates a server that runs or ran", tried, bad)


def test_absent_terminates_only_the_confirmed_instance(tally: Tally) -> None:
    clock, world, run = start()
    first = captured(run.block(3600))
    copies = [clone(world, run), clone(world, run, displayName="clone")]
    clock.sleep(600)
    absent(run, first)
    assert first not in alive(world)
    tally("absent terminates an instance that was not confirmed", len(copies), len(copies) - len(world.alive()))


def test_absent_without_a_state_file_lists_the_instances_and_terminates_none() -> None:
    clock, world, run = start()
    first = captured(run.block(3600))
    with pytest.raises(OciError, match=f"state_file does not name an instance.*for example confirm: {first}"):
        terminate.targets(run.cloud, None, NAME, NAME, now=clock.wall)
    rows = terminate.targets(run.cloud, None, NAME, first, now=clock.wall)
    assert [row["id"] for row in rows] == [first]


def test_absent_refuses_the_ocid_of_an_instance_without_the_tag() -> None:
    clock, world, run = start()
    captured(run.block(3600))
    stranger = clone(world, run, freeformTags={})
    with pytest.raises(OciError, match="does not have the tag"):
        absent(run, stranger)


@pytest.mark.parametrize("listed", [True, False])
def test_absent_with_a_404_keeps_the_state_file(listed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, world, run = start()
    first = captured(run.block(3600))
    world.forgotten.add(first)
    if not listed:
        monkeypatch.setattr(world, "listed", lambda compartment: [])
    with pytest.raises(OciError, match="the state file is kept"):
        absent(run, NAME)
