# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plans for the seed's machine: running libkrun, 5 CPUs, 4768 MiB, 93 GiB, macOS's default shares."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import plan
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.volumes import Volume
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.wanted import Host, Wanted
from recorded import seed

HOST = Host((5, 8, 6), "/Users/97layer", 8, 32768, 500, lambda path: path != "/nowhere")
DEFAULTS = (Volume("/Users", "/Users"), Volume("/private", "/private"), Volume("/var/folders", "/var/folders"))


def decide(current: t.Any, host: Host = HOST, **wishes: t.Any) -> plan.Plan:
    return plan.make(Wanted("97layerOS", **wishes), current, host)


def verbs(decided: plan.Plan) -> list[str]:
    return [step.verb for step in decided.steps]


def test_machine_with_the_requested_numbers_is_unchanged() -> None:
    decided = decide(
        seed(), provider="libkrun", cpus=5, memory_mib=4768, disk_gib=93, rootful=False, volumes=DEFAULTS,
        username="core", swap_mib=0, default_connection=True,
    )  # fmt: skip
    assert (decided.steps, decided.refusal, decided.before, decided.restart_required) == ([], "", {}, False)


def test_settings_that_are_not_set_are_not_compared() -> None:
    assert not decide(seed(cpus=1, memory_mib=1, config_username="x", default=False)).changed


def test_all_settings_need_one_stop_one_set_one_start() -> None:
    decided = decide(seed(), cpus=4, memory_mib=8192, disk_gib=100, rootful=True, allow_restart=True)
    assert [step.words for step in decided.steps] == [
        ("machine", "stop", "97layerOS"),
        ("machine", "set", "--cpus", "4", "--memory", "8192", "--disk-size", "100", "--rootful", "97layerOS"),
        ("machine", "start", "--quiet", "--no-info", "97layerOS"),
    ]
    assert decided.restart_required
    assert decided.before == {"cpus": 5, "memory_mib": 4768, "disk_gib": 93, "rootful": False}
    assert any("20564" in text for text in decided.warnings)


def test_running_machine_is_not_stopped_without_permission() -> None:
    decided = decide(seed(), cpus=4)
    assert not decided.changed
    assert "Set allow_restart to allow that" in decided.refusal
    assert decided.after == {"cpus": 4}


@pytest.mark.parametrize("apply", ["never", "when_stopped"])
def test_settings_of_a_running_machine_can_wait(apply: str) -> None:
    decided = decide(seed(), cpus=4, apply=apply)
    assert (decided.steps, decided.refusal, decided.restart_required) == ([], "", True)
    assert decided.warnings == ["cpus remains 5 until the machine may be stopped"]


def test_stopped_machine_gets_settings_before_its_start() -> None:
    stopped = seed(state="stopped", healthy=False)
    assert verbs(decide(stopped, cpus=4)) == ["set", "start"]
    assert verbs(decide(stopped, cpus=4, state="present")) == ["set"]
    assert verbs(decide(stopped, cpus=4, apply="never")) == ["start"]
    assert verbs(decide(stopped, cpus=4, apply="when_stopped")) == ["set", "start"]


@pytest.mark.parametrize(
    ("state", "running", "expected"),
    [
        ("present", True, []),
        ("present", False, []),
        ("started", True, []),
        ("started", False, ["start"]),
        ("stopped", True, ["stop"]),
        ("stopped", False, []),
        ("restarted", True, ["stop", "start"]),
        ("restarted", False, ["start"]),
        ("absent", True, ["stop", "rm"]),
        ("absent", False, ["rm"]),
    ],
)
def test_requested_state_has_its_steps(state: str, running: bool, expected: list[str]) -> None:
    current = seed() if running else seed(state="stopped", healthy=False)
    assert verbs(decide(current, state=state)) == expected


@pytest.mark.parametrize(("state", "steps"), [("started", 2), ("present", 1), ("stopped", 1), ("absent", 0)])
def test_missing_machine_is_created_for_each_state(state: str, steps: int) -> None:
    assert len(decide(None, state=state).steps) == steps


def test_requested_stop_also_applies_settings() -> None:
    assert verbs(decide(seed(), state="stopped", cpus=4)) == ["stop", "set"]
    assert verbs(decide(seed(), state="restarted", cpus=4)) == ["stop", "set", "start"]


def test_equal_disk_size_is_not_in_the_set_command() -> None:
    decided = decide(seed(), disk_gib=93, cpus=4, allow_restart=True)
    assert "--disk-size" not in decided.steps[1].words


@pytest.mark.parametrize("leave", [{}, {"recreate": True, "allow_destroy": True, "allow_restart": True}])
def test_smaller_disk_is_refused(leave: dict[str, bool]) -> None:
    decided = decide(seed(), disk_gib=50, **leave)
    assert not decided.changed
    assert decided.refusal.startswith("disk_gib: 50 GiB is less than the 93 GiB")


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"volumes": (Volume("/Users", "/Users"),)}, "volumes"),
        ({"volumes": (*DEFAULTS[:2], Volume("/var/folders", "/var/folders", True))}, "volumes"),
        ({"provider": "applehv"}, "provider"),
        ({"username": "me"}, "username"),
        ({"swap_mib": 1024}, "swap_mib"),
    ],
)
def test_fixed_setting_needs_recreate_and_allow_destroy(wish: dict[str, t.Any], field: str) -> None:
    for leave in ({}, {"recreate": True}, {"allow_destroy": True}, {"allow_restart": True}):
        decided = decide(seed(), **wish, **leave)
        assert not decided.changed
        assert decided.recreate_required == [field]
        assert "every container, image and volume in 97layerOS (93 GiB disk) would be lost" in decided.refusal
    decided = decide(seed(), **wish, recreate=True, allow_destroy=True)
    assert verbs(decided) == ["stop", "rm", "init", "start", "default"]


def test_recreated_machine_keeps_settings_that_are_not_set() -> None:
    decided = decide(seed(rootful=True), volumes=(*DEFAULTS, Volume("/Volumes/W", "/Volumes/W")), recreate=True,
                     allow_destroy=True)  # fmt: skip
    words = decided.steps[2].words
    assert words[:10] == (
        "machine", "init", "--cpus", "5", "--memory", "4768", "--disk-size", "93", "--username", "core",
    )  # fmt: skip
    assert words[10] == "--rootful"
    assert words.count("--volume") == 4
    assert decided.steps[-1].words == ("system", "connection", "default", "97layerOS-root")


def test_machine_without_its_disk_is_recreated() -> None:
    gone = seed(state="stopped", healthy=False, image_there=False)
    assert decide(gone).recreate_required == ["disk"]
    assert verbs(decide(gone, recreate=True, allow_destroy=True)) == ["rm", "init", "start", "default"]


@pytest.mark.parametrize("broken", [{"starting": True, "healthy": False}, {"healthy": False}])
def test_hung_machine_needs_kill_stale(broken: dict[str, bool]) -> None:
    decided = decide(seed(**broken))
    assert not decided.changed
    assert "Set recover: kill_stale" in decided.refusal
    decided = decide(seed(**broken), recover="kill_stale")
    assert verbs(decided) == ["recover", "start"]
    assert decided.changed
    assert verbs(decide(seed(**broken), recover="kill_stale", state="absent")) == ["recover", "rm"]
    assert "rm --force" not in decide(seed(**broken), state="absent").refusal
    assert decide(seed(**broken), state="present").steps == []


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"cpus": 0}, "cpus: 0 is too few"),
        ({"memory_mib": 511}, "too little"),
        ({"memory_mib": 40000}, "more than this host's 32768 MiB"),
        ({"disk_gib": 0}, "is not a disk"),
        ({"volumes": (Volume("/a", "/m"), Volume("/b", "/m"))}, "target of both /a and /b"),
        ({"volumes": (Volume("/nowhere", "/m"),)}, "/nowhere does not exist"),
    ],
)
def test_wrong_setting_is_refused_before_podman_runs(wish: dict[str, t.Any], words: str) -> None:
    decided = decide(None, **wish)
    assert words in decided.refusal
    assert not decided.changed


@pytest.mark.parametrize("name", ["bad name", "-x", "a" * 31, "libkrun", ""])
def test_invalid_name_is_refused(name: str) -> None:
    assert plan.make(Wanted(name), None, HOST).refusal.startswith("name: ")


def test_rules_depend_on_the_version_of_podman() -> None:
    def on(version: tuple[int, int, int], **wishes: t.Any) -> plan.Plan:
        return decide(None, Host(version, "/Users/97layer", 2, 32768, 500, lambda path: True), **wishes)

    space = (Volume("/Volumes/Extreme SSD", "/mnt/ssd"),)
    assert "diskutil rename" in on((5, 4, 2), volumes=space).refusal
    assert on((5, 8, 6), volumes=space).refusal == ""
    assert "this host's 2" in on((6, 1, 1), cpus=5).refusal
    assert on((5, 8, 6), cpus=5).refusal == ""
    assert on((5, 8, 6), cpus=5).warnings == ["cpus: 5 is more than this host's 2"]
    assert "swap requires podman 5.6" in on((5, 4, 2), swap_mib=1).refusal
    assert "libkrun requires podman 5.2" in on((5, 1, 0), provider="libkrun").refusal
    assert "Upgrade podman" in on((4, 9, 4)).refusal
    assert "--provider" not in on((5, 8, 6), provider="qemu").steps[0].words
    assert on((6, 1, 1), provider="qemu").steps[0].words[2:4] == ("--provider", "qemu")


def test_existing_machine_is_not_changed_by_podman_4() -> None:
    old = Host((4, 9, 4), "/Users/97layer", 8, None, None, lambda path: True)
    assert decide(seed(), old).refusal == ""
    for wish in ({"state": "stopped"}, {"state": "absent"}, {"cpus": 4, "allow_restart": True}):
        assert "are not changed" in decide(seed(), old, **wish).refusal


def test_warnings_name_unexpected_effects() -> None:
    assert "home directory /Users/97layer is not shared" in decide(None, volumes=(Volume("/V", "/V"),)).warnings[0]
    assert decide(None, volumes=(Volume("/Users", "/Users"),)).warnings == []
    assert "600 GiB, but this host has only 500 GiB left" in decide(None, disk_gib=600).warnings[0]


def test_default_connection_follows_the_store_in_use() -> None:
    stopped = seed(state="stopped", healthy=False, default=False)
    decided = decide(stopped, default_connection=True, rootful=True, state="present")
    assert decided.steps[-1].words == ("system", "connection", "default", "97layerOS-root")
    assert verbs(decide(seed(default=False), default_connection=True)) == ["default"]
    assert not decide(seed(default=False), default_connection=False).changed


def test_leftover_connections_are_removed_before_the_creation() -> None:
    """Podman refuses to create a machine whose connections exist."""
    host = dataclasses.replace(HOST, leftovers=("97layerOS", "97layerOS-root"))
    decided = decide(None, host, state="present")
    assert verbs(decided) == ["forget", "forget", "init"]
    assert decided.steps[0].words == ("system", "connection", "remove", "97layerOS")
    gone = decide(None, host, state="absent")
    assert (verbs(gone), gone.changed) == (["forget", "forget"], True)
    assert decide(None, host, state="present", cpus=0).steps == []


@pytest.mark.parametrize(
    ("state", "expected"),
    [("stopped", ["recover"]), ("started", ["recover", "start"]), ("absent", ["recover", "rm"])],
)
def test_processes_left_by_a_killed_stop_are_ended_with_kill_stale(state: str, expected: list[str]) -> None:
    host = dataclasses.replace(HOST, orphans=2)
    assert verbs(decide(seed(state="stopped", healthy=False), host, state=state, recover="kill_stale")) == expected


@pytest.mark.parametrize(
    ("current", "wishes", "said"),
    [
        (seed(), {"disk_gib": 102400}, "more than 65536 GiB"),
        (None, {"disk_gib": 102400}, "more than 65536 GiB"),
        (None, {"disk_gib": 20480}, "more than 10 times the 500 GiB"),
        (seed(), {"disk_gib": 9216}, "more than 10 times the 500 GiB"),
        (None, {"disk_gib": 100, "swap_mib": 102400}, "swap_mib: 102400 MiB does not fit"),
        (None, {"memory_mib": 8 << 20}, "more than this host's 32768 MiB"),
    ],
)
def test_implausible_size_is_refused(current: t.Any, wishes: dict[str, int], said: str) -> None:
    decided = decide(current, allow_restart=True, **wishes)
    assert said in decided.refusal
    assert not decided.changed


def test_disk_larger_than_the_free_space_is_a_warning() -> None:
    decided = decide(seed(), disk_gib=1024, allow_restart=True)
    assert decided.refusal == ""
    assert "may grow by 931 GiB" in " ".join(decided.warnings)


def test_disk_of_the_requested_size_is_not_compared_with_the_free_space() -> None:
    host = dataclasses.replace(HOST, free_disk_gib=1)
    assert decide(seed(), host, disk_gib=93).refusal == ""
