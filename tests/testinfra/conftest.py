# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Molecule host from outside: its engine, its address, its answers."""

import json
import os
import pathlib
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE = 15.0  # seconds


@pytest.fixture
def engine(host) -> str:
    """The command of the engine on this host, by the group it is in."""
    (group,) = {"docker", "podman"}.intersection(host.ansible.get_variables()["group_names"])
    return group


@pytest.fixture
def containers(host, engine):
    """The containers of a compose project, by service, as the engine inspects them."""

    def ask(project: str) -> dict:
        found = {}
        listed = host.check_output("%s ps -aq --filter label=com.docker.compose.project=%s", engine, project).split()
        for entry in json.loads(host.check_output(" ".join([engine, "inspect", *listed]))) if listed else []:
            found[entry["Config"]["Labels"]["com.docker.compose.service"]] = entry
        return found

    return ask


@pytest.fixture
def get(host):
    """Request a URL path of this host from outside, with JSON if ``data`` is set: (status, body)."""
    address = host.interface("eth0").addresses[0]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(port: int, path: str, data: bytes | None = None) -> tuple[int, str]:
        request = urllib.request.Request(f"http://{address}:{port}{path}", data)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with opener.open(request, timeout=PATIENCE) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()
            except OSError:
                # A port that was published a moment ago: its service may not listen yet.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    return ask


@pytest.fixture
def playbook(host):
    """Run one of our playbooks on this host alone, with Molecule's inventory."""

    def run(name: str) -> subprocess.CompletedProcess:
        inventory, me = os.environ["MOLECULE_INVENTORY_FILE"], host.backend.get_hostname()
        return subprocess.run(
            ["ansible-playbook", "-i", inventory, "-l", me, str(ROOT / "playbooks" / name)],
            env={**os.environ, "ANSIBLE_FORCE_COLOR": "false"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture
def checked_by_timer(host):
    """Wait for the next run of the mount check that the timer starts, and hold its result against the expected one."""

    def show() -> dict:
        text = host.check_output(
            "systemctl show -p Result -p ExecMainExitTimestampMonotonic onebox-verify-observer.service"
        )
        told = dict(line.split("=", 1) for line in text.splitlines())
        return {"result": told["Result"], "at": int(told["ExecMainExitTimestampMonotonic"])}

    def wait(result: str) -> dict:
        before = show()["at"]
        deadline = time.monotonic() + 3 * PATIENCE
        # The run that was under way when the mounts changed may still report the old result: check later ones too.
        while True:
            now = show()
            if now["at"] > before and now["result"] == result:
                return now
            assert time.monotonic() < deadline, f"no run of the timer ended with {result}: {now}"
            time.sleep(0.2)

    return wait


@pytest.fixture
def eventually():
    """Repeat a query until its answer is true, and return it."""

    def wait(ask, seconds: float = 60.0):
        deadline = time.monotonic() + seconds
        while not (found := ask()):
            assert time.monotonic() < deadline, f"still not so after {seconds:.0f} s: {found!r}"
            time.sleep(0.5)
        return found

    return wait


@pytest.fixture
def reached(host):
    """Whether a connection from outside of the host to one of its ports comes about."""
    address = host.interface("eth0").addresses[0]

    def ask(port: int) -> bool:
        try:
            with socket.create_connection((address, port), timeout=5):
                return True
        except OSError:
            return False

    return ask
