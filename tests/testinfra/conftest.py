# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What looking at a Molecule host from outside needs: its engine, its address, its answers."""

import json
import os
import pathlib
import subprocess
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


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
    """Ask a URL path of this host from outside it: (status, body)."""
    address = host.interface("eth0").addresses[0]

    def ask(port: int, path: str, data: bytes | None = None) -> tuple[int, str]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://{address}:{port}{path}", data=data, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

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
            timeout=120,
            check=False,
        )

    return run
