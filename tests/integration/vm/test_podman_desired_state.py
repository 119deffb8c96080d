# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``podman_machine`` on real podman 5.4.2, 5.8.6 and 6.1.1, without booting a guest."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import subprocess
import time
import typing as t

import pytest
from machine_lab import AS_USER, Lab

NAME = "97layerOS"


def made(lab: Lab, **args: t.Any) -> t.Any:
    """The sizes of the seed's machine, with the two CPUs that every test machine has."""
    size = {
        "cpus": 2,
        "memory_mib": "5GB",
        "disk_gib": "93 GiB",
        "timezone": "UTC",
        "image": str(lab.image),
        "provider": "qemu",
    }
    result = lab.module(name=NAME, **{"state": "present", **size, **args})
    assert not result.get("failed"), result["msg"]
    return result


def test_machine_is_created_once_with_the_seeds_sizes(lab: Lab) -> None:
    """Cases 1 and 2."""
    first = made(lab)
    assert first["changed"]
    assert first["actions"][0][:3] == ["podman", "machine", "init"]
    again = made(lab)
    assert (again["changed"], again["actions"]) == (False, [])
    machine = again["machine"]
    assert (machine["memory_mib"], machine["disk_gib"], machine["provider"], machine["state"]) == (
        4768, 93, "qemu", "stopped",
    )  # fmt: skip
    assert "4.656GiB" in lab.podman("machine", "list").stdout
    assert "93GiB" in lab.podman("machine", "list").stdout


def test_disk_grows_and_never_shrinks(lab: Lab) -> None:
    """Cases 3, 4 and 5."""
    made(lab, disk_gib="20")
    assert (
        lab.podman("machine", "set", "--disk-size", "20", NAME).returncode == 125
    )  # the error that the module must avoid
    assert not made(lab, disk_gib="20")["changed"]
    grown = made(lab, disk_gib="21")
    assert grown["actions"] == [["podman", "machine", "set", "--disk-size", "21", NAME]]
    assert (grown["diff"]["before"], grown["diff"]["after"]) == ({"disk_gib": 20}, {"disk_gib": 21})
    before = lab.tree()
    refused = lab.module(name=NAME, state="present", disk_gib="10", cpus=1)
    assert refused["failed"]
    assert "a machine's disk can only grow" in refused["msg"]
    assert lab.tree() == before


def test_settings_are_changed_in_one_call(lab: Lab) -> None:
    """Case 6 for a stopped machine; a running one needs a boot."""
    made(lab)
    result = made(lab, cpus=1, memory_mib="2048", rootful=True)
    assert result["actions"] == [["podman", "machine", "set", "--cpus", "1", "--memory", "2048", "--rootful", NAME]]
    assert (result["machine"]["cpus"], result["machine"]["memory_mib"], result["machine"]["rootful"]) == (1, 2048, True)


def test_rootful_changes_the_default_connection(lab: Lab) -> None:
    """Case 7. ``list`` shows Default false for a rootful machine; that is not a difference."""
    made(lab, default_connection=True)
    flipped = made(lab, default_connection=True, rootful=True)
    assert flipped["machine"]["connection"] == f"{NAME}-root"
    assert flipped["machine"]["default_connection"]
    assert not made(lab, default_connection=True, rootful=True)["changed"]
    assert not made(lab, default_connection=True)["changed"]
    back = made(lab, default_connection=True, rootful=False)
    assert (back["machine"]["connection"], back["machine"]["default_connection"]) == (NAME, True)
    lab.podman("system", "connection", "default", f"{NAME}-root")
    assert made(lab, default_connection=True)["actions"] == [["podman", "system", "connection", "default", NAME]]


def test_changed_volumes_need_a_new_machine(lab: Lab) -> None:
    """Case 8, and the creation of a new machine with permission."""
    made(lab)
    if lab.version < (6, 0, 0):  # later, the defaults contain ~/.config/containers as well
        assert not made(lab, volumes=["$HOME"])["changed"]
    before = lab.tree()
    shared = lab.home / "work"
    shared.mkdir()
    wish = {
        "volumes": ["$HOME", f"{shared}:/mnt/work:ro"],
        "state": "present",
        "image": str(lab.image),
        "provider": "qemu",
    }
    refused = lab.module(name=NAME, timezone="UTC", **wish)
    assert refused["failed"]
    assert refused["recreate_required"] == ["volumes"]
    assert "would be lost" in refused["msg"]
    assert lab.tree() == before
    done = lab.module(name=NAME, timezone="UTC", recreate="when_needed", allow_destroy=True, **wish)
    assert done["changed"]
    assert done["machine"]["volumes"] == [f"{lab.home}:{lab.home}", f"{shared}:/mnt/work:ro"]
    assert (done["machine"]["memory_mib"], done["machine"]["disk_gib"]) == (4768, 93)
    assert not lab.module(name=NAME, timezone="UTC", **wish)["changed"]


def test_machine_is_removed_once_and_created_again(lab: Lab) -> None:
    """Case 9: the lock file that podman leaves is not a machine."""
    made(lab)
    gone = lab.module(name=NAME, state="absent")
    assert (gone["changed"], gone["machine"]) == (True, {})
    assert (lab.config / f"{NAME}.lock").exists()
    assert not lab.module(name=NAME, state="absent")["changed"]
    assert lab.podman("machine", "list", "--format", "json").stdout.strip() == "[]"
    assert made(lab)["changed"]


def test_stopped_machine_is_not_stopped_again(lab: Lab) -> None:
    """Case 10."""
    made(lab)
    assert lab.podman("machine", "stop", NAME).returncode == 0
    result = lab.module(name=NAME, state="stopped")
    assert (result["changed"], result["actions"]) == (False, [])


def test_check_mode_predicts_and_changes_nothing(lab: Lab) -> None:
    """Case 18: every kind of change is predicted and not made."""
    before = lab.tree()
    planned = lab.module(name=NAME, state="started", cpus=2, check=True)
    assert planned["changed"]
    assert [words[2] for words in planned["actions"]] == ["init", "start"]
    assert lab.tree() == before
    made(lab)
    before = lab.tree()
    for wish in ({"cpus": 1}, {"state": "started"}, {"state": "absent"}, {"rootful": True}, {"disk_gib": "94"}):
        assert lab.module(name=NAME, check=True, **{"state": "present", **wish})["changed"]
    assert not lab.module(name=NAME, check=True, state="present", cpus=2, memory_mib="4768MiB")["changed"]
    assert lab.tree() == before


def test_path_with_a_space_depends_on_the_version(lab: Lab) -> None:
    """Case 22, without the boot: refused by versions that would fail in the guest, otherwise kept as one path."""
    disk = lab.home / "Extreme SSD"
    disk.mkdir()
    wish = {
        "volumes": ["$HOME", f"{disk}:/mnt/Extreme SSD"],
        "state": "present",
        "image": str(lab.image),
        "provider": "qemu",
    }
    result = lab.module(name=NAME, timezone="UTC", **wish)
    if lab.version < (5, 5, 0):
        assert result["failed"]
        assert "does not mount paths with spaces" in result["msg"]
        assert not lab.config.exists() or not list(lab.config.glob("*.json"))
    else:
        assert f"{disk}:/mnt/Extreme SSD" in result["machine"]["volumes"]


@pytest.mark.parametrize("target", ["/home", "/etc", "/tmp", "/var"])
def test_share_over_directories_of_the_guest_is_refused(lab5: Lab, target: str) -> None:
    """podman before 5.5 accepts these and the guest does not boot."""
    result = lab5.module(
        name=NAME, state="present", provider="qemu", image=str(lab5.image), volumes=[f"{lab5.home}:{target}"]
    )
    assert result["failed"]
    assert f"would cover {target}" in result["msg"]


def test_more_cpus_than_the_host_warn_or_are_refused(lab: Lab) -> None:
    count = (os.cpu_count() or 1) + 1
    result = lab.module(name=NAME, state="present", cpus=count, provider="qemu", image=str(lab.image), timezone="UTC")
    if lab.version >= (6, 0, 0):
        assert result["failed"]
        assert "refuses that" in result["msg"]
        said = lab.podman("machine", "init", "--cpus", str(count), "--image", str(lab.image), "x")
        assert said.returncode == 125  # podman refuses it itself
    else:
        assert result["machine"]["cpus"] == count
        assert "more than this host's" in str(result["warnings"])


def test_root_is_refused(lab5: Lab) -> None:
    """Case 27."""
    if os.geteuid() != 0:
        pytest.skip("only root can be refused as root")
    result = lab5.module(name=NAME, root=True)
    assert result["failed"]
    assert "without become" in result["msg"]
    assert lab5.module("podman_machine_info", root=True)["failed"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"memory_mib": "5G"}, "'G' in '5G' is not a unit"),
        ({"cpus": 0}, "cpus: 0 is too few"),
        ({"name": "bad name"}, "name: 'bad name' must match"),
        ({"volumes": ["relative:/x"]}, "must be an absolute path"),
        ({"volumes": ["$NOT_SET_HERE"]}, "$NOT_SET_HERE, which is not set"),
        ({"executable": "/nowhere/podman"}, "brew install podman"),
        ({"executable": "/bin/false"}, "podman --version fails"),
        ({"colour": "red"}, "colour"),
        ({"provider": "vmware"}, "provider must be one of"),
    ],
)
def test_invalid_option_is_named_in_the_error(lab5: Lab, args: dict[str, t.Any], words: str) -> None:
    result = lab5.module(**{"name": NAME, "state": "present", **args})
    assert result["failed"]
    assert words in result["msg"]
    assert "Traceback" not in str(result)


def test_info_ignores_the_provider_of_the_environment(lab: Lab) -> None:
    """Case 17: no ``--all-providers``, which 6.x does not know."""
    assert lab.module("podman_machine_info")["machines"] == []
    made(lab)
    done = lab.podman("machine", "init", "--timezone", "UTC", "--image", str(lab.image), "second")
    assert done.returncode == 0, done.stderr
    found = lab.module("podman_machine_info")["machines"]
    assert [(one["name"], one["provider"], one["healthy"]) for one in found] == [
        (NAME, "qemu", False),
        ("second", "qemu", False),
    ]
    assert [one["name"] for one in lab.module("podman_machine_info", name="second")["machines"]] == ["second"]


def test_machine_without_its_disk_is_recreated(lab: Lab) -> None:
    """An incomplete removal: the configuration exists, the disk does not."""
    made(lab)
    disk = next((lab.home / ".local/share/containers/podman/machine/qemu").glob("*.qcow2"))
    disk.unlink()
    refused = lab.module(name=NAME, state="present")
    assert refused["recreate_required"] == ["disk"]
    done = made(lab, recreate="when_needed", allow_destroy=True)
    assert done["changed"]
    assert disk.exists()


def test_killed_init_is_completed_by_the_next_run(lab: Lab) -> None:
    """SIGKILL at ten moments of ``init``: the next run creates the machine."""
    argv = [*AS_USER, str(lab.bin / "podman"), "machine", "init", "--timezone", "UTC", "--image", str(lab.image), NAME]
    env = {**lab.env, "CONTAINERS_MACHINE_PROVIDER": "qemu"}
    for moment in range(10):
        process = subprocess.Popen(
            argv, env=env, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(0.004 * moment)  # each moment is a case of the test
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if (lab.config / f"{NAME}.json").exists():
            break
    result = lab.module(name=NAME, state="present", cpus=2, provider="qemu", image=str(lab.image), timezone="UTC")
    assert not result.get("failed"), result["msg"]
    assert result["machine"]["cpus"] == 2
    assert made(lab, memory_mib=str(result["machine"]["memory_mib"]), disk_gib=str(result["machine"]["disk_gib"]))


def test_two_runs_at_once_create_one_machine(lab: Lab) -> None:
    """Both request the same machine: one creates it, the other finds it, and neither fails."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        both = [run.result() for run in [pool.submit(made, lab) for _unused in range(2)]]
    assert sorted(one["changed"] for one in both) == [False, True]
    assert [one["machine"]["memory_mib"] for one in both] == [4768, 4768]


def test_run_without_changes_is_fast(lab5: Lab) -> None:
    """At most three calls of podman and under a second for the machine's part, Ansible's own start not counted."""
    made(lab5)
    counter = lab5.home / "calls"
    spy = lab5.home / "podman"
    spy.write_text(f'#!/bin/sh\necho "$*" >>"{counter}"\nexec "{lab5.bin}/podman" "$@"\n')
    spy.chmod(0o755)
    began = time.monotonic()
    result = lab5.module(name=NAME, state="present", cpus=2, executable=str(spy))
    elapsed = time.monotonic() - began
    assert not result["changed"]
    assert len(counter.read_text().splitlines()) <= 3
    assert elapsed < 5.0
