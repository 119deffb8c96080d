"""The timer of the controller: a laptop with a real systemd for its user, and a simulation of a Mac's launchd.

The laptop is a container with systemd and an ordinary user who has this checkout and its Python. launchd is not
available here: the simulated launchctl saves its jobs in a file, and the test runs the agent's argv as launchd would.
"""

from __future__ import annotations

import json
import os
import pathlib
import plistlib
import shlex
import subprocess
import sys
import time
import typing as t

import pytest

pytest.importorskip("oci.base_client", reason="Oracle's SDK is not installed (requirements-oci.txt)")

import yaml
from oci_server import Server
from oci_signature import make_account
from oci_world import COMPARTMENT, World
from onebox_testbed import docker, hosts, images
from onebox_testbed.base import CHECKOUT, LABEL

ROOT = pathlib.Path(__file__).resolve().parents[3]
UNIT = "onebox-launch-oci-vm"
NAME = f"obx-{CHECKOUT}-laptop"
pytestmark = pytest.mark.skipif(
    sys.base_prefix == "/usr", reason="this Python is the system's own and cannot be lent to another system"
)


class Laptop:
    """A user's host: runs playbooks of this checkout, as user 1000."""

    def __init__(self, socket: str, folder: pathlib.Path) -> None:
        self.socket, self.folder = socket, folder
        self.units = folder / ".config" / "systemd" / "user"
        self.captured = folder / "inventories" / "oci-vm.captured.yml"
        self.agent = folder / "Library" / "LaunchAgents" / f"dev.{UNIT}.plist"
        self.launchd = folder / "launchd.json"

    def run(self, *argv: str, root: bool = False, **environ: str) -> subprocess.CompletedProcess[str]:
        settings = {
            "HOME": str(self.folder),
            "XDG_RUNTIME_DIR": "/run/user/1000",
            "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/user/1000/bus",
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "PYTHONDONTWRITEBYTECODE": "1",
            **environ,
        }
        command = ["docker", "exec", "-w", str(self.folder)]
        for key, value in settings.items() if not root else ():
            command += ["-e", f"{key}={value}"]
        command += [] if root else ["-u", "1000:1000"]
        return subprocess.run(
            [*command, NAME, *argv],
            env={**os.environ, **docker.environment(self.socket)},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def play(self, *words: str, **environ: str) -> str:
        """Run launch.yml in one tick, with a timer; returns what it printed."""
        command = [str(ROOT / ".venv/bin/ansible-playbook"), str(ROOT / "playbooks/launch.yml")]
        command += ["-i", str(self.folder / "inventories"), "-l", "oci-vm", "-e", "oci_instance_mode=tick"]
        done = self.run(*command, "-e", '{"oci_instance_timer": true}', *words, **environ)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def manager(self, *words: str) -> str:
        return self.run("systemctl", "--user", *words).stdout.strip()


def wait_until(condition: t.Callable[[], bool], what: str, seconds: float = 400) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: it did not come about"
        time.sleep(0.2)


@pytest.fixture
def cloud(tmp_path: pathlib.Path) -> t.Iterator[tuple[Server, Laptop]]:
    socket = docker.find()
    assert socket is not None, "no Docker engine answers; run: make testbed"
    image = images.ensure(socket, "debian13-cloud")
    clear(socket)
    docker.docker(socket, "network", "create", NAME)
    gateway = docker.docker(socket, "network", "inspect", NAME, "-f", "{{(index .IPAM.Config 0).Gateway}}")
    folder = tmp_path / "me"
    folder.mkdir()
    account = make_account(folder)
    world = World(time.time, boot_seconds=0.2, vnic_seconds=0.2)
    try:
        with Server(world, account.keys, bind=gateway) as server:
            inventory(folder, server, account.config_file)
            argv = [
                "run",
                "-d",
                "--name",
                NAME,
                "--network",
                NAME,
                "--label",
                f"{LABEL}={CHECKOUT}",
                *hosts.run_arguments(),
            ]
            for place in (ROOT, pathlib.Path(sys.base_prefix)):
                argv += ["-v", f"{place}:{place}:ro"]
            docker.docker(socket, *argv, "-v", f"{folder}:{folder}", image)
            laptop = Laptop(socket, folder)
            parents = " ".join(shlex.quote(str(place)) for place in (*folder.parents, *ROOT.parents) if place.parts[1:])
            prefix = " ".join(str(place) for place in pathlib.Path(sys.base_prefix).parents if place.parts[1:])
            made = laptop.run(
                *("sh", "-c"),
                f"useradd -u 1000 -d {folder} me && chown -R me: {folder} && chmod a+x {parents} {prefix} 2>/dev/null; "
                "mkdir -p /var/lib/systemd/linger && touch /var/lib/systemd/linger/me; "
                "until loginctl enable-linger me && [ -S /run/user/1000/bus ]; do sleep 0.2; done",
                root=True,
            )
            assert made.returncode == 0, made.stderr
            yield server, laptop
    finally:
        clear(socket)


def clear(socket: str) -> None:
    docker.docker(socket, "rm", "-f", "-v", NAME, check=False)
    docker.docker(socket, "network", "rm", NAME, check=False)


def inventory(folder: pathlib.Path, server: Server, config_file: pathlib.Path) -> None:
    values = {
        "onebox_stack": "coinpilot",
        "compose_stack_source": "",
        "oci_instance_name": "coinpilot-ins",
        "oci_instance_compartment_id": COMPARTMENT,
        "oci_instance_config_file": str(config_file),
        "oci_instance_endpoint": server.endpoint,
        "oci_instance_ssh_key_file": str(folder / "keys" / "coinpilot"),
        "oci_instance_ssh_timeout": 0,
        "oci_instance_capacity_interval": 1,
        "oci_instance_jitter_max": 0,
        "oci_instance_interval_floor": 1,
        "oci_instance_timer_interval": 2,
        # No host answers at the address, so the timer cannot deploy the stack there, as site.yml would.
        "oci_instance_timer_playbook": str(ROOT / "playbooks" / "launch.yml"),
        "oci_instance_launchctl": str(folder / "launchctl"),
    }
    (folder / "inventories").mkdir()
    (folder / "inventories" / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"oci-vm": values}}}))


def test_systemd_timer_continues_after_a_reboot_until_the_capture(cloud: tuple[Server, Laptop]) -> None:
    server, laptop = cloud
    server.world.otherwise = "cap"
    announced = laptop.play("--check", "--diff")
    assert "OnUnitInactiveSec=2\n" in announced
    start = next(line for line in announced.splitlines() if "ExecStart=" in line)
    assert f"-i {laptop.folder}/inventories -l oci-vm -e oci_instance_mode=tick" in start
    assert not laptop.units.exists()
    assert "does not exist yet" in laptop.play()
    assert laptop.manager("is-active", f"{UNIT}.timer") == "active"
    assert laptop.manager("is-enabled", f"{UNIT}.timer") == "enabled"
    first = server.posts()
    wait_until(lambda: server.posts() > first, "the timer sends another request")

    docker.docker(laptop.socket, "restart", "-t", "5", NAME)
    before = server.posts()
    wait_until(lambda: server.posts() > before, "the timer sends another request after a reboot")

    server.world.otherwise = "ok"
    wait_until(lambda: not (laptop.units / f"{UNIT}.timer").exists(), "the timer removes itself")
    wait_until(lambda: laptop.manager("is-active", f"{UNIT}.service") == "inactive", "its last run ends well")
    assert laptop.manager("is-active", f"{UNIT}.timer") == "inactive"
    assert list(laptop.units.glob("**/onebox*")) == []
    assert laptop.captured.exists()
    assert len(server.world.instances) == 1
    after = server.posts()
    time.sleep(5)  # two intervals: no further request may be sent
    assert server.posts() == after


def simulate_mac(laptop: Laptop) -> dict[str, str]:
    """Simulate uname and launchctl; returns the environment in which they are found."""
    laptop.launchd.write_text(json.dumps({"jobs": {}, "disabled": {}, "domains": ["gui/1000"], "macos": 15, "slow": 0}))
    for name, text in {
        "uname": "echo Darwin",
        "launchctl": f"FAKE_LAUNCHD={laptop.launchd} exec {ROOT}/.venv/bin/python "
        f'{ROOT}/tests/testbed/mac/fake_launchctl.py "$@"',
    }.items():
        (laptop.folder / name).write_text(f"#!/bin/sh\n{text}\n")
    made = laptop.run(
        "sh", "-c", f"cd {laptop.folder} && chmod 755 uname launchctl && chown 1000 launchd.json*", root=True
    )
    assert made.returncode == 0, made.stderr
    return {"PATH": f"{laptop.folder}:/usr/bin:/bin:/usr/sbin:/sbin"}


def jobs(laptop: Laptop) -> dict[str, t.Any]:
    return json.loads(laptop.launchd.read_text())["jobs"]


def fire(laptop: Laptop, environ: dict[str, str]) -> str:
    """Start the agent as launchd does: its argv, folder and environment, with a locale that this system has."""
    agent = plistlib.loads(laptop.agent.read_bytes())
    assert agent["RunAtLoad"] is True
    assert agent["StartInterval"] == 2
    settings = {**agent["EnvironmentVariables"], **environ, "LC_ALL": "C.UTF-8"}
    command = [
        "sh",
        "-c",
        f'cd {shlex.quote(agent["WorkingDirectory"])} && exec "$@"',
        "sh",
        *agent["ProgramArguments"],
    ]
    done = laptop.run(*command, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_launchd_agent_runs_until_the_capture(cloud: tuple[Server, Laptop]) -> None:
    server, laptop = cloud
    environ = simulate_mac(laptop)
    server.world.script[:] = ["cap", "cap", "ok"]
    laptop.play(**environ)
    assert list(jobs(laptop)) == [f"gui/1000/dev.{UNIT}"]
    time.sleep(1.1)  # the interval between two requests
    assert "does not exist yet" in fire(laptop, environ)
    assert list(jobs(laptop)) == [f"gui/1000/dev.{UNIT}"]
    time.sleep(1.1)
    fire(laptop, environ)
    assert jobs(laptop) == {}
    assert not laptop.agent.exists()
    assert laptop.captured.exists()
    assert server.posts() == 3


def test_launchd_agent_is_removed_when_a_user_ends_the_launch_loop(cloud: tuple[Server, Laptop]) -> None:
    server, laptop = cloud
    environ = simulate_mac(laptop)
    server.world.otherwise = "cap"
    laptop.play(**environ)
    assert len(jobs(laptop)) == 1
    laptop.play("-e", "oci_instance_state=absent", "-e", "oci_instance_confirm=coinpilot-ins", **environ)
    assert jobs(laptop) == {}
    assert not laptop.agent.exists()
