# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot tier's second half: ``site.yml -l macbook`` from eight agents and host Python to one machine and its stack.

See macbook.py for what is real in it. Run by tests/testbed/mac/boot_tier; the tests build on each other.
"""

from __future__ import annotations

import os
import pathlib
import plistlib
import signal
import subprocess
import sys
import time
import typing as t

import pytest
from macbook import AGENT, RETIRED, MacBook
from machine_lab import ROOT

NAME = "97layerOS"
PYTHON = "docker.io/library/python:3.11-slim"
THREE = ("97layer-gcp-mgmt", "97layer-receiver", "97layer-snapshot")


@pytest.fixture(scope="module")
def mac(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[MacBook]:
    import boot_lab

    sys.path.insert(0, str(ROOT / "tests/testbed"))
    from onebox_testbed import compose

    tree = boot_lab.build(os.environ.get("ONEBOX_BOOT_PODMAN", "5.8.6"))
    tool = str(compose.CONFIG / "cli-plugins/docker-compose")
    one = MacBook(pathlib.Path(tmp_path_factory.mktemp("b")) / "h", tree, tool)
    yield one
    one.module(name=NAME, state="absent", recover="kill_stale", timeout_stop=60)
    for process in one.own_processes():
        os.kill(process.pid, signal.SIGKILL)
    one.close()


def _until(true: t.Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "the condition was not met in time"
        time.sleep(0.2)


def test_check_mode_on_an_empty_mac_reports_the_plan(mac: MacBook) -> None:
    before = mac.tree()
    play = mac.play("site.yml", "--check")
    assert (play.code, play.counts["failed"]) == (0, 0), play.said
    assert mac.tree() == before
    assert len(mac.loaded()) == len(RETIRED) + 1
    assert (mac.workspace / ".DS_Store").exists()


def test_brew_installs_and_the_machine_sees_the_workspace(mac: MacBook) -> None:
    play = mac.play("site.yml", "--tags", "reach")
    assert (play.code, play.counts["changed"]) == (0, 2), play.said
    # On a Mac, this image comes from the registry.
    archive = next((ROOT / ".cache/testbed/images").glob("python-*.tar"))
    done = mac.podman("import", str(archive), PYTHON, seconds=900)
    assert done.returncode == 0, done.stderr


def test_unreachable_stack_keeps_the_agents(mac: MacBook) -> None:
    """Agents are retired last, and only if the stack is healthy: a check of an unused port fails the deploy."""
    checks = [{"url": "http://127.0.0.1:9/status"}]
    play = mac.play(compose_stack_http_checks=checks, compose_stack_wait_timeout=60)
    assert play.code != 0, play.said
    assert "127.0.0.1:9" in play.said
    assert len(mac.loaded()) == len(RETIRED) + 1
    assert (mac.workspace / ".DS_Store").exists()


def test_daemon_on_the_host_is_an_error_until_it_ends(mac: MacBook) -> None:
    """The stack runs and is proven through the machine, and agents are retired. The owner has to end the daemon."""
    script = mac.workspace / "daemon.py"
    script.write_text("import time; print(flush=True); time.sleep(3600)\n")
    argv = [*mac.prefix(), sys.executable, str(script)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=mac.env) as daemon:
        assert daemon.stdout is not None
        daemon.stdout.readline()
        try:
            play = mac.play()
        finally:
            daemon.kill()
    script.unlink()
    assert play.code != 0, play.said
    assert "run on the host instead of in a container" in play.said


def test_stack_runs_with_proven_mounts_and_agents_are_retired(mac: MacBook) -> None:
    play = mac.play()
    assert play.code == 0, play.said
    assert mac.containers() == dict.fromkeys(THREE, "running")
    assert "3 of 3 services healthy, 3 of 3 mounts proven, 2 of 2 endpoints answer" in play.said
    assert f"machine   {NAME} running, qemu, 2 CPUs, 2048 MiB, disk 10 GiB, rootless, podman" in play.said
    assert mac.get("http://127.0.0.1:9876/status")["server"] == "running"
    # A file that a container writes exists on the Mac and belongs to the Mac's user.
    posted = mac.post("http://127.0.0.1:9876/sync", {"messages": ["from the host"]})
    stored = mac.workspace / "knowledge/inbox" / posted["stored"]
    assert "from the host" in stored.read_text()
    assert stored.stat().st_uid == mac.workspace.stat().st_uid
    # Eight agents are retired, the machine's agent is loaded. Clutter and the project's Python caches are removed.
    assert mac.loaded() == [AGENT, f"{AGENT}.logs"]
    assert not (mac.workspace / ".DS_Store").exists()
    assert not list(mac.workspace.rglob("__pycache__"))


def test_second_run_changes_nothing_and_prints_its_time(mac: MacBook) -> None:
    play = mac.play()
    assert (play.code, play.counts["changed"]) == (0, 0), play.said
    print(f"no-op of the whole macbook run: {play.seconds:.1f} s\n{play.said[play.said.index('PLAY RECAP') :]}")


def test_verify_proves_over_both_hops(mac: MacBook) -> None:
    play = mac.play("playbooks/verify.yml")
    assert play.code == 0, play.said
    assert "3 of 3 mounts proven" in play.said


def test_log_of_a_container_is_rotated_without_loss(mac: MacBook) -> None:
    """Run the agent's script while a process in a container has the log open."""
    words = plistlib.loads((mac.agents / f"{AGENT}.logs.plist").read_bytes())["ProgramArguments"]
    log = mac.workspace / "logs/receiver.log"
    loop = (
        "exec >>/app/logs/receiver.log; head -c 11000000 /dev/zero | tr '\\0' x; echo; "
        "until [ -e /app/logs/go ]; do sleep 1; done; echo after"
    )
    with mac.start("podman", "exec", "97layer-receiver", "sh", "-c", loop) as writer:
        _until(lambda: log.exists() and log.stat().st_size > 11_000_000, 120)
        done = mac.call(*words, seconds=300)
        assert done.returncode == 0, done.stderr
        (mac.workspace / "logs/go").touch()
        assert writer.wait(120) == 0
    assert log.read_bytes() == b"after\n"
    assert (mac.workspace / "logs/receiver.log.1.gz").stat().st_size > 1000


def test_changed_memory_is_refused_while_the_machine_runs(mac: MacBook) -> None:
    play = mac.play("site.yml", "--tags", "reach", podman_machine_memory="2304 MiB")
    assert play.code != 0
    assert "Set allow_restart to allow that" in play.said
    assert mac.containers() == dict.fromkeys(THREE, "running")


def test_slow_clock_is_reported_and_set(mac: MacBook) -> None:
    """As after a laptop's sleep, the guest is ten minutes behind."""
    done = mac.podman("machine", "ssh", NAME, "sudo date --utc --set @$(($(date +%s) - 600))", seconds=120)
    assert done.returncode == 0, done.stderr
    play = mac.play("site.yml", "--tags", "reach")
    assert (play.code, play.counts["changed"]) == (0, 0), play.said
    assert "s off (it stops while a laptop sleeps)" in play.said
    play = mac.play("site.yml", "--tags", "reach", podman_machine_mend_clock=True)
    assert (play.code, play.counts["changed"]) == (0, 1), play.said
    assert mac.play("site.yml", "--tags", "reach", podman_machine_mend_clock=True).counts["changed"] == 0


def test_hung_guest_is_reported_and_recovered_with_new_settings(mac: MacBook) -> None:
    """The guest hangs, as after an overload or a failed wake-up, and podman reports it as running."""
    assert mac.podman("stop", "--time", "5", "97layer-snapshot", seconds=120).returncode == 0
    vm = next(one.pid for one in mac.own_processes() if "qemu-system" in one.command)
    os.kill(vm, signal.SIGSTOP)
    began = time.monotonic()
    play = mac.play("site.yml", "--tags", "reach", podman_machine_timeout_start=20.0)
    assert play.code != 0, play.said
    assert "the virtual machine's own process does not answer podman" in play.said
    print(f"reported after {time.monotonic() - began:.0f} s")
    fixes = {"podman_machine_recover": "kill_stale", "podman_machine_allow_restart": True}
    play = mac.play("site.yml", "--tags", "reach", podman_machine_memory="2304 MiB", **fixes)
    assert (play.code, play.counts["changed"]) == (0, 1), play.said
    assert vm not in {one.pid for one in mac.own_processes()}
    assert mac.containers()["97layer-receiver"] == "exited"


def test_agent_starts_the_stack_after_a_login_without_stopped_services(mac: MacBook) -> None:
    """Case 21, with the plist that launchd has loaded."""
    words = plistlib.loads((mac.agents / f"{AGENT}.plist").read_bytes())["ProgramArguments"]
    # launchd's environment is almost empty.
    done = mac.call("env", "-i", f"HOME={mac.home}", f"XDG_RUNTIME_DIR={mac.home}/run", *words, seconds=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert mac.containers() == {THREE[0]: "running", THREE[1]: "running", THREE[2]: "exited"}
    assert mac.get("http://127.0.0.1:8081/status")
    again = mac.call("env", "-i", f"HOME={mac.home}", f"XDG_RUNTIME_DIR={mac.home}/run", *words, seconds=600)
    assert (again.returncode, "starting" in again.stdout) == (0, False)


def test_unretire_restores_the_agents_and_absent_removes_the_machine(mac: MacBook) -> None:
    """unretire restores the agents byte for byte, and absent removes the machine completely."""
    play = mac.play("playbooks/unretire.yml")
    assert play.code == 0, play.said
    assert len(mac.loaded()) == len(RETIRED) + 2
    play = mac.play("site.yml", "--tags", "reach", podman_machine_state="absent", podman_machine_packages=[])
    assert (play.code, play.counts["changed"]) == (0, 1), play.said
    assert mac.own_processes() == []
    assert sorted(path.name for path in mac.workspace.iterdir() if path.name == "knowledge") == ["knowledge"]
