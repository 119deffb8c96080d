# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks on the launcher against the recorded fake of the testbed (oci_world), never Oracle's cloud."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import terminate
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.launcher import Outcome
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.spec import INTENT_TAG
from oci_simulation import DAY, KEY, Clock, Killed, Run
from oci_world import Json, Refused, World

Tally = t.Callable[[str, int, int], None]
NAME = "coinpilot-ins"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA stranger"


def start(**options: t.Any) -> tuple[Clock, World, Run]:
    clock = Clock()
    world = World(lambda: clock.server, page_size=1, **options)
    return clock, world, Run(world, clock, 1)


def second(world: World, clock: Clock) -> Run:
    run = Run(world, clock, 2)
    run._token = lambda: "other"  # type: ignore[method-assign]
    return run


def captured(outcome: Outcome) -> str:
    assert outcome.captured is not None
    return outcome.captured.id


def alive(world: World) -> list[str]:
    return [one.id for one in world.alive()]


# --- two controllers ---


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


def test_an_unknown_outcome_beside_the_instance_of_the_other_controller_creates_no_second_one() -> None:
    """A replay with the same token would create one: the first request never arrived."""
    clock, world, run = start(script=["reset-before-create"])
    other = second(world, clock)
    run.hook = run.cloud._hook = die_after("after launch")
    with pytest.raises(Killed):
        run.block(3600)
    run.hook = run.cloud._hook = lambda place: None
    first = captured(other.block(3600))
    assert captured(run.block(2 * 3600)) == first
    assert len(world.instances) == 1


def die_after(word: str) -> t.Callable[[str], None]:
    def hook(place: str) -> None:
        if place == word:
            raise Killed

    return hook


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


def test_owner_ends_the_second_instance_and_both_controllers_use_the_first() -> None:
    clock, world, run, other = two_running()
    keep, drop = alive(world)
    absent(run, drop)
    assert captured(run.block(3600)) == keep
    assert captured(other.block(3600)) == keep
    assert alive(world) == [keep]


# --- a 404, replace: true and slow servers ---


@pytest.mark.parametrize("times", [1, 3, 10_000])
@pytest.mark.parametrize("confirm", [False, True])
def test_a_404_and_replace_left_behind_never_end_a_running_server(times: int, confirm: bool) -> None:
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

    world.get = get  # type: ignore[method-assign]
    if times > 100:
        with pytest.raises(OciError, match=f"the instance {first} is RUNNING in the list"):
            run.block(3600)
    else:
        assert captured(run.block(3600)) == first
    world.get = real  # type: ignore[method-assign]
    assert captured(run.block(3600)) == first
    assert alive(world) == [first]
    assert not world.instances[first].boot_volume_deleted


def test_a_404_while_the_list_is_empty_asks_the_owner_and_launches_nothing() -> None:
    """A user who lost the rights gets exactly this; the server runs."""
    clock, world, run = start()
    first = captured(run.block(3600))
    run.replace = True
    world.forgotten.add(first)
    listed, world.listed = world.listed, lambda compartment: []  # type: ignore[method-assign, assignment]
    with pytest.raises(OciError, match=f"cannot be found.*confirm: {first}"):
        run.block(3600)
    world.listed = listed  # type: ignore[method-assign]
    world.forgotten.clear()
    assert captured(run.block(3600)) == first
    assert len(world.launches) == 1


def test_a_server_that_is_gone_for_long_is_replaced_after_the_owner_confirmed_its_ocid() -> None:
    clock, world, run = start()
    first = captured(run.block(3600))
    world.terminate(first)
    clock.sleep(30 * DAY)
    del world.instances[first]  # Oracle has forgotten it
    run.replace, run.confirm = True, first
    assert captured(run.block(3600)) != first
    assert len(world.alive()) == 1


def test_a_slow_server_that_was_to_be_discarded_is_kept_when_it_runs(tally: Tally) -> None:
    tried, bad = 0, 0
    for boot in (1300, 2000, 2500, 3500):
        for dead in ("after save", "before terminate"):
            clock, world, run = start(boot_seconds=boot)
            volumes, world.boot_volumes = world.boot_volumes, lambda identity: []  # type: ignore[method-assign]
            world.status = early(world)  # type: ignore[method-assign]
            died: list[str] = []

            def hook(place: str) -> None:
                if place == dead and '"discard": "PROVISIONING' in run.disk and not died:  # noqa: B023
                    died.append(place)  # noqa: B023
                    raise Killed

            run.hook = run.cloud._hook = hook
            with pytest.raises((Killed, OciError)):
                run.block(2600)
            clock.sleep(3600)
            world.boot_volumes = volumes  # type: ignore[method-assign]
            instance = next(iter(world.instances.values()))
            tried += bool(died)
            captured(run.block(3600))
            bad += instance.terminated is not None or instance.boot_volume_deleted
    tally("a slow server that runs by now is discarded", tried, bad)


def early(world: World) -> t.Callable[[t.Any], str]:
    """A server that stays in PROVISIONING until it runs."""
    real = World.status

    def status(instance: t.Any) -> str:
        word = real(world, instance)
        return "PROVISIONING" if word == "STARTING" else word

    return status


def test_a_server_that_starts_to_run_between_read_and_termination_is_kept() -> None:
    clock, world, run = start(boot_seconds=3000)
    world.status = early(world)  # type: ignore[method-assign]
    world.boot_volumes = lambda identity: []  # type: ignore[method-assign]

    def hook(place: str) -> None:
        if place == "before terminate":
            clock.sleep(3000)

    run.hook = run.cloud._hook = hook
    assert captured(run.block(20_000)) == "ocid1.instance.oc1.ap-chuncheon-1.i0001"
    assert len(world.instances) == 1


def test_the_disk_of_a_server_that_ran_is_never_deleted_when_it_is_replaced() -> None:
    clock, world, run = start()
    first = captured(run.block(3600))
    world.terminate(first)
    world.instances[first].boot_volume_deleted = False  # terminated in the console, its boot volume kept
    clock.sleep(600)
    run.replace = True
    assert captured(run.block(3600)) != first
    assert not world.instances[first].boot_volume_deleted


# --- state: absent ---


def clone(world: World, run: Run, **changes: t.Any) -> str:
    """Somebody makes an instance from ours in the console; tags and metadata are copied."""
    body = copy.deepcopy(next(iter(world.instances.values())).body)
    return world._create({**body, **changes}, "ok", 0).id


def absent(run: Run, confirm: str) -> None:
    """What the action does with ``state: absent``."""
    rows = terminate.targets(run.cloud, run.context.state, NAME, confirm, now=run.clock.wall)
    terminate.remove(run.cloud, rows, confirm=confirm, poll=10, world=run.context.world, say=lambda text: None)


def test_absent_with_the_name_ends_no_server_that_runs_or_ran(tally: Tally) -> None:
    tried, bad = 0, 0
    for days in (0, 1, 30):
        for status in ("RUNNING", "STARTING", "PROVISIONING", "STOPPING", "STOPPED", "MOVING", "CREATING_IMAGE", ""):
            clock, world, run = start()
            first = captured(run.block(3600))
            clock.sleep(days * DAY)
            world.status = lambda instance: status  # type: ignore[method-assign]  # noqa: B023
            said = ""
            try:
                absent(run, NAME)
            except OciError as error:
                said = str(error)
            tried += 1
            bad += (
                f"Nothing was done. To terminate it and delete its disk for good, set confirm: {first} " not in said
                or world.instances[first].terminated is not None
            )
    tally("absent with the name ends a server that runs or ran", tried, bad)


def test_absent_ends_the_confirmed_instance_and_no_other(tally: Tally) -> None:
    clock, world, run = start()
    first = captured(run.block(3600))
    copies = [clone(world, run), clone(world, run, displayName="clone")]
    clock.sleep(600)
    absent(run, first)
    assert first not in alive(world)
    tally("absent ends an instance that nobody named", len(copies), len(copies) - len(world.alive()))


def test_absent_without_a_state_file_names_the_instances_and_ends_none() -> None:
    clock, world, run = start()
    first = captured(run.block(3600))
    with pytest.raises(OciError, match=f"state_file names no instance.*Set confirm: {first}"):
        terminate.targets(run.cloud, None, NAME, NAME, now=clock.wall)
    rows = terminate.targets(run.cloud, None, NAME, first, now=clock.wall)
    assert [row["id"] for row in rows] == [first]


def test_absent_refuses_the_ocid_of_an_instance_without_the_tag() -> None:
    clock, world, run = start()
    captured(run.block(3600))
    stranger = clone(world, run, freeformTags={})
    with pytest.raises(OciError, match="does not carry the tag"):
        absent(run, stranger)


@pytest.mark.parametrize("listed", [True, False])
def test_absent_does_not_take_a_404_for_gone(listed: bool) -> None:
    clock, world, run = start()
    first = captured(run.block(3600))
    world.forgotten.add(first)
    if not listed:
        world.listed = lambda compartment: []  # type: ignore[method-assign]
    with pytest.raises(OciError, match="the state file is kept"):
        absent(run, NAME)


# --- instances of others ---

FOREIGN: dict[str, Json] = {
    "key": {"metadata": {"ssh_authorized_keys": OTHER_KEY}},
    "image": {"sourceDetails": {"imageId": "ocid1.image.oc1..evil"}},
    "our key and another": {"metadata": {"ssh_authorized_keys": f"{KEY}\n{OTHER_KEY}"}},
    "our key with a command": {"metadata": {"ssh_authorized_keys": f'command="evil" {KEY}'}},
    "user data": {"metadata": {"ssh_authorized_keys": KEY, "user_data": "IyFldmls"}},
    "no metadata": {"metadata": {}},
    "metadata that is no mapping": {"metadata": ["x"], "sourceDetails": "x"},
    "our intent": {"metadata": {"ssh_authorized_keys": OTHER_KEY}, "freeformTags": {INTENT_TAG: "copied"}},
}


@pytest.mark.parametrize("what", FOREIGN)
def test_a_foreign_instance_with_our_tag_is_not_adopted(what: str) -> None:
    clock, world, run = start(otherwise="cap")
    body = run.spec.body(world.domains[0], "", run.spec.sizes[0], "evil-intent")
    changes = copy.deepcopy(FOREIGN[what])
    if "freeformTags" in changes:
        run.tick()
        changes["freeformTags"] = {**body["freeformTags"], INTENT_TAG: run.context.state.intent}
    foreign = world._create({**body, **changes}, "ok", 0)
    clock.sleep(600)
    with pytest.raises(OciError, match=rf"name: the instance {foreign.id} carries the tag.*set confirm: {foreign.id}"):
        run.block(3600)
    assert run.context.state.instance is None
    run.confirm = foreign.id
    assert captured(run.block(3600)) == foreign.id


def test_a_foreign_instance_with_our_tag_does_not_take_the_place_of_ours() -> None:
    clock, world, run = start()

    def hook(place: str) -> None:
        if place == "before launch" and len(world.instances) == 0:
            body = run.spec.body(world.domains[0], "", run.spec.sizes[0], "evil-intent")
            world._create({**body, **copy.deepcopy(FOREIGN["key"])}, "ok", 0)

    run.hook = run.cloud._hook = hook
    assert captured(run.block(3600)).endswith("i0002")


# --- answers that are none ---


def test_a_success_that_names_no_instance_is_an_unknown_outcome() -> None:
    clock, world, run = start()
    real = run.cloud.launch

    def empty(body: Json, token: str) -> Json:
        real(body, token)
        return {}

    run.cloud.launch = empty  # type: ignore[method-assign]
    captured(run.block(3600))
    assert len(world.instances) == 1


@pytest.mark.parametrize("rows", [["login"], [{}], [{"id": 5}], [None]])
def test_a_list_of_something_else_launches_nothing(rows: list[t.Any]) -> None:
    clock, world, run = start()
    run.cloud.instances = lambda: rows  # type: ignore[method-assign]
    assert run.block(600).captured is None
    assert world.launches == []


# --- a final answer ---


def test_ticks_send_nothing_after_a_final_answer(tally: Tally) -> None:
    tried, bad = 0, 0
    for word in ("404-auth", "401", "403-home", "quota", "400-key", "404-volume", "404-shape", "wr-other"):
        for before in ([], ["cap", "cap"]):
            clock, world, run = start(script=[*before, word], otherwise="ok" if word == "wr-other" else word)
            sent = 0
            for number in range(400):  # more than a day of ticks: a domain without the shape is asked again after one
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


def test_a_person_goes_on_after_a_final_answer() -> None:
    for go_on in ("block", "changed"):
        clock, world, run = start(script=["404-auth"])
        with pytest.raises(OciError, match="Oracle answered 404"):
            run.tick()
        with pytest.raises(OciError, match="this tick sent nothing.*Oracle answered 404.*mode: block"):
            run.tick()
        if go_on == "block":
            captured(run.block(3600))
        else:
            run.max_attempts = 500
            captured(run.tick())


# --- the free allowance of the whole tenancy ---

ELSEWHERE = "ocid1.compartment.oc1..theirs"


def elsewhere(world: World, shape: str = "VM.Standard.A1.Flex", ocpus: float = 2, memory: float = 12) -> str:
    body = {"compartmentId": ELSEWHERE, "displayName": "theirs", "shape": shape, "freeformTags": {}}
    return world._create({**body, "shapeConfig": {"ocpus": ocpus, "memoryInGBs": memory}}, "ok", 0).id


def test_an_instance_in_another_compartment_counts_before_the_first_request() -> None:
    clock, world, run = start()
    identity = elsewhere(world, ocpus=1, memory=6)
    with pytest.raises(OciError, match="2 OCPU asked and 1 in use, 2 are free"):
        run.block(3600)
    assert world.launches == []
    world.terminate(identity)
    clock.sleep(600)
    captured(run.block(3600))


def test_an_instance_in_another_compartment_counts_while_the_launch_waits() -> None:
    clock, world, run = start(otherwise="cap")
    run.block(3600)
    sent = len(world.launches)
    elsewhere(world)
    world.otherwise = "ok"
    with pytest.raises(OciError, match="2 OCPU asked and 2 in use, 2 are free"):
        run.block(3600)
    assert len(world.launches) == sent > 0


def test_the_figures_of_the_limits_service_count_before_the_first_request_only() -> None:
    clock, world, run = start(script=["wr-capacity"])
    run.cloud.used = {"ocpus": 2.0, "memory_gb": 12.0}
    with pytest.raises(OciError, match="2 in use in the tenancy by Oracle's limits"):
        run.block(3600)
    assert world.launches == []
    run.cloud.used = {"storage_gb": 160}
    with pytest.raises(OciError, match="160 GB of volumes exist in the tenancy"):
        run.block(3600)
    run.cloud.used = {}
    # The instance that failed late stays in the figures for an hour, and must not end the launch.
    world.ended = lambda identity: run.cloud.used.update(ocpus=2.0, memory_gb=12.0)
    captured(run.block(3 * 3600))
