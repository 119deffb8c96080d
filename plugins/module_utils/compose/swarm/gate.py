# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until all replicas of a stack on a Swarm are healthy, or report which are not, and why."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import Unhealthy
from ansible_collections.onebox.stack.plugins.module_utils.compose.health import evidence
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Service
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm.cluster import Cluster
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.swarm import SwarmService, Task

_INTERVAL = 0.5
_LINES = "15"
# Exists when the kernel has IPVS and a Swarm used it.
_IPVS = "/proc/net/ip_vs"
# Updates that Swarm gave up.
_GAVE_UP = ("paused", "rollback_started", "rollback_paused", "rollback_completed")


@dataclass(frozen=True)
class _Verdict:
    """How one service does: whether it is healthy, or failed for good, and a text for a person."""

    ok: bool
    failed: bool = False
    message: str = ""


class SwarmGate:
    """The health gate of one stack on a Swarm.

    Args:
        cluster: the Swarm.
        stack: name of the stack.
        world: the clock, and waiting.
        settle: seconds a service without a healthcheck must run.
        shown: masks the output of a container.
    """

    def __init__(
        self, cluster: Cluster, stack: str, world: World, *, settle: float, shown: t.Callable[[str], str]
    ) -> None:
        self._cluster = cluster
        self._stack = stack
        self._world = world
        self._settle = settle
        self._shown = shown
        # Task id -> since when we saw it run. The clocks of other nodes can differ from ours.
        self._since: dict[str, float] = {}

    def wait(
        self, services: t.Mapping[str, Service], timeout: float, before: t.Mapping[str, SwarmService]
    ) -> list[dict[str, t.Any]]:
        """Wait until all replicas of ``services`` run with the present specification, and are healthy.

        Args:
            timeout: seconds.
            before: the services before the deploy. An update that Swarm gave up earlier does not count.

        Returns:
            One row a task: service, container, node, state, health, evidence, restarts, exit_code, ok, message.

        Raises:
            Unhealthy: a service failed, or the time is over. The message names service, node and reason.
        """
        began = self._world.monotonic()
        while True:
            found = self._cluster.services(self._stack)
            tasks = self._cluster.tasks(self._stack, found.values())
            verdicts = {}
            for name, service in services.items():
                own = [row for row in tasks if name in found and row.service_id == found[name].id]
                update = before[name].update if name in before else {}
                verdicts[name] = self._verdict(service, found.get(name), own, update)
            elapsed = self._world.monotonic() - began
            failed = {name: row for name, row in verdicts.items() if row.failed}
            if failed or elapsed >= timeout:
                bad = failed or {name: row for name, row in verdicts.items() if not row.ok}
                if bad:
                    raise self._unhealthy(bad, found, self._rows(services, found, tasks, verdicts), elapsed)
            if all(row.ok for row in verdicts.values()):
                return self._rows(services, found, tasks, verdicts)
            self._world.sleep(_INTERVAL)

    def _verdict(
        self, service: Service, found: SwarmService | None, tasks: t.Sequence[Task], earlier: t.Mapping[str, t.Any]
    ) -> _Verdict:
        if found is None:
            return _Verdict(False, message="is not in the Swarm")
        state = str(found.update.get("State") or "")
        if state in _GAVE_UP and found.update != earlier:
            return _Verdict(False, True, f"was not updated: {found.update.get('Message') or state}{self._last(tasks)}")
        current = [row for row in tasks if row.current]
        good = sum(self._is_good(service, row) for row in current)
        if good >= found.replicas:
            if state == "updating" and found.update != earlier:
                return _Verdict(False, message="is still being updated")
            return _Verdict(True, message="healthy")
        ended = [row for row in current if row.state == "failed" and row.exit_code]
        if service.restart in ("", "no", "none") and ended:
            return _Verdict(False, True, f"ended with exit code {ended[-1].exit_code}")
        return _Verdict(False, message=f"runs {good} of {found.replicas} replicas{self._last(tasks)}")

    def _is_good(self, service: Service, task: Task) -> bool:
        if task.state == "complete":
            return service.one_shot
        if task.state != "running" or not task.wanted:
            return False
        # A task with a healthcheck is "starting" until it is healthy.
        since = self._since.setdefault(task.id, self._world.monotonic())
        return service.has_healthcheck or self._world.monotonic() - since >= self._settle

    def _last(self, tasks: t.Sequence[Task]) -> str:
        """The newest error of the service, with its node."""
        rows = [row for row in tasks if row.error and row.state in ("pending", "rejected", "failed", "assigned")]
        if not rows:
            waiting = [row.state for row in tasks if row.wanted and row.state != "running"]
            return f", and the newest task is {waiting[-1]}" if waiting else ""
        nodes = self._cluster.nodes()
        where = f" on {nodes.get(rows[-1].node, rows[-1].node)}" if rows[-1].node else ""
        return f". Newest error{where}: {self._shown(rows[-1].error)}"

    def _rows(
        self,
        services: t.Mapping[str, Service],
        found: t.Mapping[str, SwarmService],
        tasks: t.Sequence[Task],
        verdicts: t.Mapping[str, _Verdict],
    ) -> list[dict[str, t.Any]]:
        """The newest task of each slot as modules return it."""
        names = {each.id: name for name, each in found.items() if name in services}
        nodes = self._cluster.nodes()
        newest = {(row.service_id, row.slot or row.node): row for row in tasks if row.wanted or row.state == "complete"}
        rows = []
        for row in newest.values():
            name = names.get(row.service_id)
            if name is None:
                continue
            service = services[name]
            shown = evidence.HEALTHCHECK if service.has_healthcheck else evidence.NONE
            rows.append(
                {
                    "service": name,
                    "container": row.container,
                    "node": nodes.get(row.node, row.node),
                    "node_id": row.node,
                    "state": row.state,
                    "health": "healthy" if service.has_healthcheck and row.state == "running" else "",
                    "evidence": shown,
                    "restarts": 0,
                    "exit_code": row.exit_code,
                    "ok": verdicts[name].ok,
                    "message": verdicts[name].message,
                }
            )
        return sorted(rows, key=lambda row: (str(row["service"]), str(row["container"])))

    def _unhealthy(
        self,
        bad: t.Mapping[str, _Verdict],
        found: t.Mapping[str, SwarmService],
        rows: list[dict[str, t.Any]],
        elapsed: float,
    ) -> Unhealthy:
        parts = []
        for name, verdict in bad.items():
            tail = self._tail(name)
            lines = f". Its last lines:\n{tail}" if tail else ""
            parts.append(f"service {name} {verdict.message}{lines}")
        parts += _without_ipvs(found.values())
        return Unhealthy(f"stack {self._stack} is not healthy after {elapsed:.0f} s: " + "\n".join(parts), rows)

    def _tail(self, name: str) -> str:
        try:
            words = ("service", "logs", "--raw", "--tail", _LINES, f"{self._stack}_{name}")
            done = self._cluster.docker(*words, timeout=10.0)
        except process.CommandError:
            return ""
        return "\n".join(f"    {line}" for line in self._shown(done.stdout + done.stderr).splitlines())


def _without_ipvs(services: t.Iterable[SwarmService]) -> t.Iterator[str]:
    """A possible reason why services do not reach each other."""
    addresses = [each.name for each in services if (each.spec.get("EndpointSpec") or {}).get("Mode") != "dnsrr"]
    if len(addresses) > 1 and not os.path.exists(_IPVS):
        yield (
            "The kernel of this host shows no IPVS, which Swarm needs for the addresses of services. If the services "
            "do not reach each other, type: modprobe ip_vs. If that fails, set deploy: {endpoint_mode: dnsrr} for each "
            "service in compose.override.yml"
        )
