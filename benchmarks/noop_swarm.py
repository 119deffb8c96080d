# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of site.yml that finds nothing to do: coinpilot on a Swarm of three hosts against one host. Needs the testbed.

Both have the compose file of stacks/coinpilot and the values of oci-vm. The Swarm finds services by DNS, because the
kernel of a test machine can be without IPVS. All four hosts are containers on the cores of this machine.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "testbed"))
import machine  # noqa: E402 - the path is set above
from onebox_testbed import cli, docker, hosts, standins  # noqa: E402

BENCHMARK = "a run of site.yml that finds nothing to do: coinpilot on a Swarm of three hosts against one host"
STACK, ROUNDS = "coinpilot", 5
# What is to be reached: the time on the Swarm, as a multiple of the time on one host.
LIMIT = 1.5
BOX, *NODES = ("noop-swarm-box", "noop-swarm-one", "noop-swarm-two", "noop-swarm-three")
# The steps that the Swarm does not concern have their own tests.
SKIPPED = ("--skip-tags", "reach,baseline")
_CHANGED = re.compile(r" changed=(\d+) ")


class Bench:
    """The hosts, their inventory, and runs of playbooks.

    Args:
        place: a directory for the inventory.
        socket: the engine of the testbed.
    """

    def __init__(self, place: pathlib.Path, socket: str) -> None:
        self._place = place
        self._socket = socket
        self._names: dict[str, str] = {}
        self._env = {**os.environ, **cli.environment(), "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}

    def start(self) -> None:
        """Start the hosts, load the images on those with data, and write the inventory."""
        archive = f"{standins.archive(self._socket)}:/testbed/images.tar:ro"
        for host in (BOX, *NODES):
            self._names[host] = hosts.start(self._socket, host, "debian13-docker", mounts=[archive])
        for host in (BOX, NODES[0]):
            docker.docker(self._socket, "exec", self._names[host], "docker", "load", "-q", "-i", "/testbed/images.tar")
        nodes = {self._names[host]: self._variables("swarm" if host == NODES[0] else "") for host in NODES}
        inventory = {
            "all": {"hosts": {self._names[BOX]: self._variables("host")}},
            "swarm_managers": {"hosts": nodes},
        }
        (self._place / "hosts.json").write_text(json.dumps(inventory))

    def remove(self) -> None:
        """Remove the hosts."""
        for host in (BOX, *NODES):
            hosts.remove(self._socket, host)

    def _variables(self, target: str) -> dict[str, t.Any]:
        """The inventory values of a host; one without a target has no data."""
        common = {"ansible_connection": "community.docker.docker", "ansible_python_interpreter": "/usr/bin/python3"}
        if not target:
            return {**common, "onebox_engine": "docker"}
        source = self._place / target / STACK
        shutil.copytree(ROOT / "stacks" / STACK, source)
        services = yaml.safe_load((source / "compose.yml").read_text())["services"]
        if target == "swarm":
            by_dns = {name: {"deploy": {"endpoint_mode": "dnsrr"}} for name in services}
            (source / "compose.override.yml").write_text(yaml.safe_dump({"services": by_dns}))
        secrets = ("postgres_password", "redis_password", "n8n_webhook_secret", "n8n_encryption_key")
        return {
            **yaml.safe_load((ROOT / "inventories" / "host_vars" / "oci-vm.yml").read_text()),
            **common,
            "ansible_user": "root",
            "ansible_become": False,
            **{f"vault_coinpilot_{name}": "of-a-benchmark" for name in (*secrets, "grafana_admin_password")},
            "compose_stack_source": str(source),
            "compose_stack_target": target,
            "compose_stack_nodes": [self._names[host] for host in NODES] if target == "swarm" else [],
            # A Swarm does not publish the ports of 127.0.0.1.
            "compose_stack_http_checks": [],
            "compose_stack_prometheus_checks": [],
        }

    def play(self, playbook: str, hosts_of_play: t.Sequence[str], *words: str) -> tuple[float, int]:
        """Run a playbook on some hosts. Returns its seconds and the number of changed tasks."""
        limit = ",".join(self._names[host] for host in hosts_of_play)
        argv = ["ansible-playbook", "-i", str(self._place / "hosts.json"), "-l", limit, playbook, *words]
        began = time.monotonic()
        done = subprocess.run(argv, cwd=ROOT, env=self._env, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - began
        if done.returncode != 0:
            raise SystemExit(f"{playbook} failed:\n{done.stdout}{done.stderr}")
        return seconds, sum(map(int, _CHANGED.findall(done.stdout)))


def main(rounds: int = ROUNDS) -> None:
    """Measure; with fewer rounds, for a test of the benchmark itself."""
    before = machine.load()
    socket = docker.up()
    seconds: dict[str, list[float]] = {BOX: [], NODES[0]: []}
    with tempfile.TemporaryDirectory(prefix="obx-noop-swarm-") as folder:
        bench = Bench(pathlib.Path(folder), socket)
        try:
            bench.start()
            bench.play("playbooks/swarm.yml", NODES)
            for _run in ("deploy", "nothing to do"):
                bench.play("site.yml", list(seconds), *SKIPPED)
            for _round in range(rounds):
                for host, found in seconds.items():
                    taken, changed = bench.play("site.yml", [host], *SKIPPED)
                    if changed:
                        raise SystemExit(f"the run changed {changed} tasks, so it is not one that finds nothing to do")
                    found.append(taken)
        finally:
            bench.remove()
    one, swarm = seconds.values()
    ratio = statistics.median(swarm) / statistics.median(one)
    held = "ok:    " if ratio <= LIMIT else "MISSED:"
    print(before)
    for name, found in (("one host", one), ("three hosts", swarm)):
        print(
            f"site.yml on {name}: {statistics.median(found):.1f} s, least {min(found):.1f} s, {rounds} rounds in turn"
        )
    print(f"{held} {ratio:.2f}x the time of one host (to be at most {LIMIT}x)")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
