# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot tier: ``podman_machine`` on a machine that really boots (emulated, one to three minutes a start).

Not collected with the other tests: tests/testbed/mac/boot_tier runs it. The tests build on each other, in this order,
so that one machine and two boots show all of it.
"""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time
import typing as t

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "testbed" / "mac")]

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World  # noqa: E402
from ansible_collections.onebox.stack.plugins.module_utils.mac import bringback  # noqa: E402
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import health  # noqa: E402
from machine_lab import AS_USER, Lab  # noqa: E402

NAME = "97layerOS"
START_TIMEOUT = 500
# The kernel does not find an init and panics, so the guest never gets ready.
PANIC = "root=/dev/vda rw console=ttyS0 init=/nowhere"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Lab]:
    import boot_lab

    tree = boot_lab.build(os.environ.get("ONEBOX_BOOT_PODMAN", "5.8.6"))
    # Short: a unix socket's path has at most 107 characters.
    home = pathlib.Path(tmp_path_factory.mktemp("m"))
    one = Lab(home / "h", tree)
    one.env["ONEBOX_LAB_CONSOLE"] = str(home / "console.log")
    (one.home / "work").mkdir()
    (one.home / "work" / "index.html").write_text("from the host\n")
    yield one
    one.module(name=NAME, state="absent", recover="kill_stale", timeout_stop=60)
    for process in one.own_processes():
        os.kill(process.pid, signal.SIGKILL)


def ask(lab: Lab, **args: t.Any) -> t.Any:
    size = {"cpus": 2, "memory_mib": "2048", "disk_gib": "10", "timezone": "UTC", "provider": "qemu"}
    given = {"image": str(lab.bin.parent / "vm/disk.qcow2"), "timeout_start": START_TIMEOUT, "timeout_stop": 200}
    return lab.module(name=NAME, **{**size, **given, **args})


def guest(lab: Lab, *words: str) -> str:
    done = lab.podman("--connection", NAME, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def states(lab: Lab) -> dict[str, str]:
    rows = guest(lab, "ps", "--all", "--format", "{{.Names}} {{.State}}").splitlines()
    return dict(row.split() for row in rows)


def test_guest_that_panics_times_out_and_is_ended_by_kill_stale(lab: Lab) -> None:
    """Case 12: podman would wait forever and report the machine as running."""
    lab.env["ONEBOX_LAB_KERNEL_ARGS"] = PANIC
    began = time.monotonic()
    result = ask(lab, timeout_start=25)
    assert result["failed"]
    assert "was not ready after 25 s" in result["msg"]
    assert time.monotonic() - began < 90
    found = lab.module("podman_machine_info", name=NAME)["machines"][0]
    assert (found["starting"], found["healthy"]) == (True, False)
    cleared = ask(lab, state="stopped", recover="kill_stale", timeout_stop=20)
    assert not cleared.get("failed"), cleared["msg"]
    assert cleared["machine"]["state"] == "stopped"
    assert lab.own_processes() == []


def test_killed_start_leaves_processes_that_kill_stale_ends(lab: Lab) -> None:
    """Case 13, with SIGTERM and with SIGKILL: the VM and its helpers remain, and are found."""
    argv = [*AS_USER, str(lab.bin / "podman"), "machine", "start", NAME]
    env = {**lab.env, "CONTAINERS_MACHINE_PROVIDER": "qemu"}
    for number in (signal.SIGTERM, signal.SIGKILL):
        start = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while not any("qemu-system" in one.command for one in lab.own_processes()):
            assert time.monotonic() < until, "the VM did not start"
            time.sleep(0.2)
        os.kill(start.pid, number)
        start.wait(30)
        assert lab.own_processes(), "the killed start left no process, so the test has nothing to end"
        refused = ask(lab, state="stopped")
        if refused.get("failed"):
            assert "recover: kill_stale" in refused["msg"]
        cleared = ask(lab, state="stopped", recover="kill_stale", timeout_stop=20)
        assert not cleared.get("failed"), cleared["msg"]
        assert lab.own_processes() == []
    del lab.env["ONEBOX_LAB_KERNEL_ARGS"]


def test_started_machine_answers_and_sees_the_directory(lab: Lab) -> None:
    """Case 1: the machine that was ended before boots."""
    result = ask(lab, must_see=[str(lab.home / "work")])
    assert not result.get("failed"), result["msg"]
    machine = result["machine"]
    assert (machine["state"], machine["healthy"], machine["starting"]) == ("running", True, False)
    assert machine["podman_server"] == (lab.bin.parent / "ready").read_text().strip()
    assert abs(machine["clock_drift"]) < 30
    assert result["visible"][0]["ok"]
    assert sorted(os.listdir(lab.home / "work")) == ["index.html"]
    assert result["actions"][-1][:3] == ["podman", "machine", "start"]


def test_run_without_changes_needs_three_calls(lab: Lab) -> None:
    counter, spy = lab.home / "calls", lab.home / "spy"
    spy.write_text(f'#!/bin/sh\necho "$*" >>"{counter}"\nexec "{lab.bin}/podman" "$@"\n')
    spy.chmod(0o755)
    began = time.monotonic()
    result = ask(lab, executable=str(spy))
    elapsed = time.monotonic() - began
    assert (result["changed"], result["actions"]) == (False, [])
    assert len(counter.read_text().splitlines()) <= 3
    began = time.monotonic()
    lab.podman("--version")
    lab.podman("machine", "inspect", NAME)
    health.ping(str(lab.home / f"run/podman/{NAME}-api.sock"), timeout=60, world=World.real())
    bare = time.monotonic() - began
    print(f"no-op: {elapsed:.2f} s, its two calls and the API's answer alone: {bare:.2f} s")
    assert elapsed < 3 * bare + 2.0


def test_directory_outside_of_every_share_is_refused(lab: Lab, tmp_path: pathlib.Path) -> None:
    """Case 19, before any container gets an empty directory."""
    result = ask(lab, must_see=[str(tmp_path)])
    assert result["failed"]
    assert "is not below any directory" in result["msg"]
    assert list(tmp_path.iterdir()) == []


def test_second_machine_is_not_started_while_one_runs(lab: Lab) -> None:
    """Case 11."""
    result = lab.module(name="second", provider="qemu", timezone="UTC", image=str(lab.bin.parent / "vm/disk.qcow2"))
    assert result["failed"]
    assert f"the machine {NAME} (provider qemu) is running" in result["msg"]
    assert ask(lab)["machine"]["healthy"]
    assert lab.module(name="second", state="absent")["changed"]


def test_settings_of_a_running_machine_are_refused_without_allow_restart(lab: Lab) -> None:
    """Case 6, without allow_restart."""
    before = lab.file(NAME)
    result = ask(lab, memory_mib="2304")
    assert result["failed"]
    assert result["restart_required"]
    assert result["diff"]["after"] == {"memory_mib": 2304}
    assert lab.file(NAME) == before
    waiting = ask(lab, memory_mib="2304", apply="when_stopped")
    assert (waiting["changed"], waiting["restart_required"]) == (False, True)


def test_containers_run_before_the_restart(lab: Lab) -> None:
    busybox = pathlib.Path("/bin/busybox")
    assert busybox.exists(), "the guest has no registry: install busybox-static, of which its image is made"
    root = lab.home / "image"
    (root / "bin").mkdir(parents=True)
    (root / "bin/busybox").write_bytes(busybox.read_bytes())
    (root / "bin/busybox").chmod(0o755)
    for name in ("sh", "httpd", "sleep"):
        os.symlink("busybox", root / "bin" / name)
    subprocess.run(["tar", "-C", str(root), "-cf", str(lab.home / "image.tar"), "."], check=True)
    guest(lab, "import", str(lab.home / "image.tar"), "localhost/box")
    common = ["run", "-d", "--restart", "unless-stopped", "--label", "com.docker.compose.project=97layer"]
    bind = ["-v", f"{lab.home}/work:/app", "-p", "127.0.0.1:18081:8080"]
    guest(lab, *common, "--name", "web", *bind, "localhost/box", "/bin/httpd", "-f", "-p", "8080", "-h", "/app")
    guest(lab, *common, "--name", "plain", "localhost/box", "/bin/sleep", "9999")
    guest(lab, *common, "--name", "stopped", "localhost/box", "/bin/sleep", "9999")
    guest(lab, "stop", "-t", "0", "stopped")
    assert states(lab) == {"web": "running", "plain": "running", "stopped": "exited"}
    assert _get() == "from the host\n"


def _get() -> str:
    import urllib.request

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open("http://127.0.0.1:18081/index.html", timeout=20) as answer:
        return str(answer.read().decode())


def test_settings_with_allow_restart_need_one_stop_set_start(lab: Lab) -> None:
    """Case 6, with allow_restart; every process of the machine is replaced."""
    before = {one.pid for one in lab.own_processes()}
    assert before
    result = ask(lab, memory_mib="2304", allow_restart=True)
    assert not result.get("failed"), result["msg"]
    assert [words[2] for words in result["actions"]] == ["stop", "set", "start"]
    assert (result["machine"]["memory_mib"], result["machine"]["healthy"]) == (2304, True)
    assert not result["restart_required"]
    assert not before & {one.pid for one in lab.own_processes()}


def test_stack_starts_again_without_stopped_containers(lab: Lab) -> None:
    """Case 21, with the script of the agent; the guest's own unit is not enabled."""
    assert "running" not in states(lab).values()
    stack = bringback.Stack(
        machine=NAME, provider="qemu", connection=NAME, project="97layer", sources=(str(lab.home / "work"),),
        compose=("false",), podman=str(lab.bin / "podman"), timeout=120,
    )  # fmt: skip
    script = lab.home / "bring-back.sh"
    script.write_text(bringback.script(stack))
    done = lab.call("/bin/sh", str(script), seconds=START_TIMEOUT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert states(lab) == {"web": "running", "plain": "running", "stopped": "exited"}
    assert _get() == "from the host\n"
    again = lab.call("/bin/sh", str(script), seconds=START_TIMEOUT)
    assert (again.returncode, "starting" in again.stdout) == (0, False)


def test_killed_stop_is_completed_by_kill_stale(lab: Lab) -> None:
    """With SIGTERM and with SIGKILL: the next run completes the stop, and no process remains."""
    argv = [*AS_USER, str(lab.bin / "podman"), "machine", "stop", NAME]
    for number in (signal.SIGTERM, signal.SIGKILL):
        stop = subprocess.Popen(
            argv, env={**lab.env, "CONTAINERS_MACHINE_PROVIDER": "qemu"}, stdout=subprocess.PIPE, text=True
        )
        assert stop.stdout is not None
        stop.stdout.readline()  # "Waiting for VM to exit..."
        os.kill(stop.pid, number)
        stop.wait(30)
        stop.stdout.close()
    result = ask(lab, memory_mib="2304", state="stopped", recover="kill_stale", timeout_stop=120)
    assert not result.get("failed"), result["msg"]
    assert result["machine"]["state"] == "stopped"
    assert lab.own_processes() == []


def test_absent_removes_the_machine_and_its_files(lab: Lab) -> None:
    gone = lab.module(name=NAME, state="absent", timeout_stop=200)
    assert (gone["changed"], gone["machine"]) == (True, {})
    assert lab.own_processes() == []
