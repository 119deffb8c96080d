# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of site.yml that finds nothing to do, for 20 hosts at once against one host. Needs the testbed.

The hosts are local connections of this machine, each with its own stack and directories. So the work of all
hosts is on these cores too, which real hosts would do themselves: the ratio is an upper limit. On a busy machine the
figures have no meaning.
"""

from __future__ import annotations

import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "testbed"))
import machine  # noqa: E402 - the path is set above
from onebox_testbed import cli, images  # noqa: E402

BENCHMARK = "a run of site.yml that finds nothing to do, for 20 hosts with 10 forks against one host"
HOSTS, FORKS, ROUNDS = 20, 10, 3
# What is to be reached: the time for all hosts, as a multiple of the time for one.
LIMIT = 4.0
_CHANGED = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


def name(number: int) -> str:
    """A host, and its stack."""
    return f"obx-noop-hosts-{number:02}"


def variables(number: int, place: pathlib.Path) -> dict[str, t.Any]:
    """The inventory values of a host: one service with one mount."""
    source = place / "sources" / name(number)
    source.mkdir(parents=True)
    service = {
        "image": images.TINY,
        "command": ["sleep", "100000"],
        "stop_grace_period": "0s",
        "volumes": [f"{place}/data/{name(number)}:/data"],
        "logging": {"options": {"max-size": "1m"}},
    }
    (source / "compose.yml").write_text(json.dumps({"name": name(number), "services": {"web": service}}))
    return {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "onebox_stack": name(number),
        "onebox_engine": "docker",
        "onebox_root": f"{place}/root/{name(number)}",
        "onebox_state_dir": f"{place}/state/{name(number)}",
        "compose_stack_source": str(source),
        "compose_stack_boot": False,
        "data_dirs_base": f"{place}/data/{name(number)}",
        "data_dirs_directories": [{"path": ".", "class": "data"}],
    }


class Hosts:
    """The inventory, and runs of playbooks over some of its hosts."""

    def __init__(self, place: pathlib.Path, count: int) -> None:
        self.names = [name(number) for number in range(count)]
        self._inventory = place / "hosts.json"
        rows = {name(number): variables(number, place) for number in range(count)}
        self._inventory.write_text(json.dumps({"all": {"hosts": rows}}))
        self._env = machine.environment(**cli.environment(), ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"))
        self._env["ANSIBLE_REMOTE_TMP"] = self._env["ANSIBLE_LOCAL_TEMP"] = str(place / "tmp")

    def play(self, playbook: str, count: int, *words: str) -> tuple[float, int]:
        """Run a playbook over the first ``count`` hosts. Returns its seconds and the number of changed tasks."""
        limit = ",".join(self.names[:count])
        argv = ["ansible-playbook", "-i", str(self._inventory), "-f", str(FORKS), "-l", limit, playbook, *words]
        began = time.monotonic()
        done = subprocess.run(argv, cwd=ROOT, env=self._env, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - began
        rows = _CHANGED.findall(done.stdout)
        if done.returncode != 0 or {row[0] for row in rows} < set(self.names[:count]):
            raise SystemExit(f"{playbook} failed:\n{done.stdout}{done.stderr}")
        return seconds, sum(int(row[1]) for row in rows)


def main(count: int = HOSTS, rounds: int = ROUNDS) -> None:
    """Measure; with fewer hosts and rounds, for a test of the benchmark itself."""
    before = machine.load()
    with tempfile.TemporaryDirectory(prefix="obx-noop-hosts-") as folder:
        hosts = Hosts(pathlib.Path(folder), count)
        one, all_of_them = [], []
        try:
            hosts.play("site.yml", count)
            hosts.play("site.yml", count)
            for _round in range(rounds):
                for found, number in ((one, 1), (all_of_them, count)):
                    seconds, changed = hosts.play("site.yml", number)
                    if changed:
                        raise SystemExit(f"the run changed {changed} tasks, so it is not one that finds nothing to do")
                    found.append(seconds)
        finally:
            hosts.play("playbooks/down.yml", count, "-e", json.dumps({"yes": "all"}))
    ratio = statistics.median(all_of_them) / statistics.median(one)
    held = "ok:    " if ratio <= LIMIT else "MISSED:"
    print(before)
    print(
        f"site.yml for 1 host {statistics.median(one):.1f} s, for {count} hosts {statistics.median(all_of_them):.1f} s"
    )
    print(f"{held} {ratio:.1f}x the time for {count}x the hosts with {FORKS} forks (to be at most {LIMIT:.0f}x)")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
