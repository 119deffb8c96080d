# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults on a real podman without a boot: full disk, killed commands, incomplete machines."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import time
import typing as t

import pytest
from machine_lab import AS_USER, ROOT, RUN_MODULE, Lab
from test_podman_desired_state import NAME, made


@pytest.fixture
def small_disk(lab5: Lab) -> t.Iterator[pathlib.Path]:
    """Podman's data directory on a disk of 8 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    folder = lab5.home / ".local/share/containers"
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=0777", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_is_reported_and_the_next_run_with_space_succeeds(lab5: Lab, small_disk: pathlib.Path) -> None:
    big = lab5.home / "big.raw"
    big.write_bytes(os.urandom(12 << 20))
    image = lab5.home / "big.qcow2"
    done = lab5.call("qemu-img", "convert", "-O", "qcow2", str(big), str(image))
    assert done.returncode == 0, done.stderr
    wish: dict[str, t.Any] = {"state": "present", "provider": "qemu", "timezone": "UTC", "image": str(image)}
    result = lab5.module(name=NAME, **wish)
    assert result["failed"]
    assert "no space left on device" in result["msg"]
    assert "Traceback" not in str(result)
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    result = lab5.module(name=NAME, **wish)
    assert not result.get("failed"), result["msg"]
    assert result["machine"]["state"] == "stopped"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_killed_set_is_completed_by_the_next_run(lab5: Lab, number: int) -> None:
    """The configuration is never damaged: it has the old or the new values, and the next run sets the new ones."""
    made(lab5)
    argv = [*AS_USER, str(lab5.bin / "podman"), "machine", "set", "--cpus", "1", "--memory", "3000", NAME]
    env = {**lab5.env, "CONTAINERS_MACHINE_PROVIDER": "qemu"}
    for moment in range(12):
        process = subprocess.Popen(
            argv, env=env, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(0.008 * moment)  # each moment is a case of the test
        os.killpg(process.pid, number)
        process.wait()
        resources = lab5.file(NAME)["Resources"]
        assert (resources["CPUs"], resources["Memory"]) in ((2, 4768), (1, 3000))
    result = made(lab5, cpus=1, memory_mib="3000")
    assert (result["machine"]["cpus"], result["machine"]["memory_mib"]) == (1, 3000)


def test_killed_module_is_completed_by_the_next_run(lab5: Lab) -> None:
    """SIGKILL of the module and of its processes, at moments of its whole run."""
    given = {
        "name": NAME, "state": "present", "provider": "qemu", "image": str(lab5.image), "timezone": "UTC",
        "default_connection": True, "executable": str(lab5.bin / "podman"), "environment": lab5.env,
    }  # fmt: skip
    argv = [*AS_USER, str(ROOT / ".venv/bin/python"), str(RUN_MODULE), "podman_machine"]
    for moment in range(1, 9):
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            cwd=ROOT,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(json.dumps(given).encode())
        process.stdin.close()
        time.sleep(0.15 * moment)  # each moment is a case of the test
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    result = made(lab5, default_connection=True, memory_mib=None, disk_gib=None, cpus=None)
    assert result["machine"]["default_connection"]
    assert not made(lab5, default_connection=True, memory_mib=None, disk_gib=None, cpus=None)["changed"]


def test_disk_left_by_a_removal_is_replaced(lab5: Lab) -> None:
    """The opposite incomplete removal: disk and connections exist, the configuration does not."""
    made(lab5)
    (lab5.config / f"{NAME}.json").unlink()
    result = made(lab5)
    assert result["changed"]
    assert result["machine"]["disk_gib"] == 93


def test_missing_connections_are_reported_with_the_fix(lab5: Lab) -> None:
    """Without its connections a machine cannot be podman's default: the text has the fix."""
    made(lab5, default_connection=True)
    (lab5.home / ".config/containers/podman-connections.json").unlink()
    result = lab5.module(name=NAME, state="present", default_connection=True)
    assert result["failed"]
    assert "podman system connection add" in result["msg"]
    assert not lab5.module(name=NAME, state="present")["changed"]
