# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observer and coinpilot on a Swarm of three hosts, queried on one of its managers and in its containers."""

import json
import os

import pytest
import testinfra


def name_of(node: str) -> str:
    """The name of a host, which is a container of the testbed."""
    return f"obx-{os.environ['OBX_CHECKOUT']}-systems-{node}"


class Systems:
    """The Swarm, and those of its hosts that run."""

    def __init__(self) -> None:
        running = testinfra.get_host("local://").check_output("docker ps --format %s", "{{.Names}}").splitlines()
        names = {node: name_of(node) for node in ("one", "two", "three")}
        self.hosts = {node: testinfra.get_host(f"docker://{name}") for node, name in names.items() if name in running}
        self.manager = next(iter(self.hosts.values()))

    def tasks(self, service: str) -> list[tuple[str, str, str]]:
        """Node, state and error of each task that must run. The node is "" without one."""
        form = "{{.Node}}|{{.CurrentState}}|{{.Error}}"
        words = "docker service ps --no-trunc --filter desired-state=running --format %s %s"
        rows = [line.split("|") for line in self.manager.check_output(words, form, service).splitlines()]
        return [(node.rpartition("-")[2], state.split()[0], error) for node, state, error in rows]

    def services(self) -> list[str]:
        """The names of all services."""
        return sorted(self.manager.check_output("docker service ls --format %s", "{{.Name}}").splitlines())

    def run_in(self, service: str, command: str) -> str:
        """The output of a command in the container of a service."""
        ((node, _state, _error),) = self.tasks(service)
        label = f"label=com.docker.swarm.service.name={service}"
        return self.hosts[node].check_output(f"docker exec $(docker ps -q --filter {label}) {command}")

    def page(self, service: str, url: str) -> dict:
        """The JSON at a URL, requested by the container of a service with Python."""
        program = f"import urllib.request as r; print(r.urlopen('{url}', timeout=10).read().decode())"
        return json.loads(self.run_in(service, f'python3 -c "{program}"'))


@pytest.fixture
def systems() -> Systems:
    """The Swarm and its hosts."""
    return Systems()
