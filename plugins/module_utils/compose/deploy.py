# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out a plan and find out whether the stack is well afterwards."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose import result as outcome
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import log_bound
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.find import Provider
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import Unhealthy
from ansible_collections.onebox.stack.plugins.module_utils.compose.health import evidence, mounts, prometheus
from ansible_collections.onebox.stack.plugins.module_utils.compose.health import http as endpoints
from ansible_collections.onebox.stack.plugins.module_utils.compose.health.gate import Gate
from ansible_collections.onebox.stack.plugins.module_utils.compose.health.restarts import Baseline
from ansible_collections.onebox.stack.plugins.module_utils.compose.inspect import Look, Result
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import execute as apply
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan as planning
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import resources
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.compose.secrecy import Secrecy
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import promise, record_run, state_file
from ansible_collections.onebox.stack.plugins.module_utils.compose.timing import Timings
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.engine.project_containers import project_containers
from ansible_collections.onebox.stack.plugins.module_utils.mounts import promised


class Deploy:
    """Apply, gate, proof, URLs, for one look at a stack.

    Args:
        request: what is wanted.
        world: processes, clock and environment.
        timings: where the time of each step is counted.
        lock: descriptor of the stack's lock, which commands hold that outlive a killed run.
        secrecy: masks what programs print.

    Attributes:
        after: the containers after the last run.
    """

    def __init__(self, request: Request, world: World, timings: Timings, lock: int, secrecy: Secrecy) -> None:
        self._request = request
        self._world = world
        self._timings = timings
        self._lock = lock
        self._secrecy = secrecy
        self.after: list[Container] = []
        self._hosts: list[dict[str, t.Any]] = []
        self._gate: Gate | None = None

    def actor(self, tool: Provider, engine: Engine, source: Source | None, grace: t.Mapping[str, int]) -> apply.Actor:
        """What changes the stack; see :class:`apply.Actor`."""
        shown, lock = self._secrecy.printed, self._lock
        return apply.Actor(tool, engine, self._request.name, source, self._world, lock=lock, grace=grace, shown=shown)

    def actor_of(self, look: Look, engine: Engine) -> apply.Actor:
        """What changes a stack that was looked at."""
        return self.actor(look.tool, engine, look.source, grace_of(look))

    def run(self, look: Look, result: Result) -> str:
        """Carry out the plan.

        Args:
            look: what the plan was made from.
            result: filled in: changed, health, images, mounts, endpoints, targets.

        Returns:
            Why the stack is not well, "" when it is.
        """
        if look.engine is None:
            raise AssertionError("a look without an engine is only for check mode")
        before = outcome.snapshot(look.facts.containers)
        failure, self.after = self._carry_out(look, look.engine, result)
        result["changed"] = result["changed"] or before != outcome.snapshot(self.after)
        return failure

    def _carry_out(self, look: Look, engine: Engine, result: Result) -> tuple[str, list[Container]]:
        failure = ""
        try:
            self._apply(look, engine, self.actor_of(look, engine), result)
        except Unhealthy as error:
            failure, result["health"] = str(error), error.rows
        except OneboxError as error:
            failure = str(error)
        after = list(look.facts.containers)
        try:
            after = project_containers(engine, self._request.name)
            state_file.save(
                self._request.state_folder,
                {
                    "project": self._request.name,
                    "project_dir": look.model.project_dir,
                    "engine": engine.name,
                    **record_run.after(look, after, self._outside(look, engine), self._world.epoch()).as_dict(),
                },
            )
            result["images"] = outcome.images(look.model, after)
            failure = (
                failure
                or self._prove(look, engine, after, result)
                or self._ask(after, result)
                or self._watch(look, result)
                or self._still(look, engine, after, result)
            )
            if not failure and self._request.verify:
                made = promise.of(look.model, after, self._hosts)
                promised.save(os.path.join(self._request.state_folder, promised.NAME), made)
            self._note_logs(look, engine, after, result)
        except OneboxError as error:
            return failure or str(error), after
        return failure, after

    def _outside(self, look: Look, engine: Engine) -> resources.Found:
        """Networks and volumes after the run."""
        if all(row.action == planning.KEEP for row in look.rows):
            return look.facts.outside
        names = [body["name"] for body in resources.declared(look.model, "volume").values()]
        networks = {network.name: network for network in engine.networks()}
        return resources.Found(networks, engine.volumes(names), look.facts.outside.known)

    def _apply(self, look: Look, engine: Engine, actor: apply.Actor, result: Result) -> None:
        probe = actor.probe if engine.name == "podman" else None
        gate = Gate(
            engine,
            self._request.name,
            self._world,
            settle=self._request.settle,
            probe=probe,
            baseline=Baseline.of(look.facts.containers, look.facts.memory),
            local=self._request.vm == "none",
            shown=self._secrecy.printed,
        )
        self._gate = gate
        if engine.name == "podman":
            made = [look.model.services[row.service] for row in look.rows if row.replaces]
            mounts.outlast_the_doubt((bind.source for service in made for bind in service.binds), self._world)
        began_at = self._world.epoch()
        if any(row.action != planning.KEEP for row in look.rows):
            with self._timings.step("apply"):
                absent = {reference for reference, found in look.facts.images.items() if found is None}
                paused = {row.id: row.service for row in look.facts.containers if row.status == "paused"}
                apply.run_plan(
                    actor, gate, look.model, look.rows, absent, self._request.wait_timeout, paused, look.outside
                )
        with self._timings.step("gate"):
            result["health"] = gate.wait(look.model.services, self._request.wait_timeout, began_at=began_at)

    def _prove(self, look: Look, engine: Engine, after: t.Sequence[Container], result: Result) -> str:
        # Not of a service that is declared no more: whatever is wrong with an orphan, this deployment did not do it.
        names = [container.id for container in after if container.service in look.model.services]
        if not self._request.verify or not names:
            return ""
        services = look.model.services.values()
        expected = [
            {
                "service": service.name,
                "source": bind.source,
                "destination": bind.target,
                "read_only": bind.read_only,
            }
            for service in services
            if service.scale > 0
            for bind in service.binds
        ]
        done = [service.name for service in services if service.one_shot]
        with self._timings.step("verify"):
            report = mounts.prove(
                engine,
                self._request,
                self._world,
                project=self._request.name,
                names=names,
                expected=expected or None,
                one_shots=done,
                remember=True,
            )
        self._hosts = report.pop("hosts")
        result["mounts"] = report
        return "" if report["ok"] else outcome.mount_failure(self._request.name, report)

    def _still(self, look: Look, engine: Engine, after: t.Sequence[Container], result: Result) -> str:
        """Whether what a changed stack started still runs, after all that was asked of it. A failure is raised."""
        if self._gate is None or all(row.action == planning.KEEP for row in look.rows):
            return ""
        before = {container.id: (container.restart_count, container.started_at) for container in after}
        now = project_containers(engine, self._request.name)
        ended = [
            row
            for row in now
            if row.service in look.model.services
            and (before.get(row.id) != (row.restart_count, row.started_at) or not row.running)
        ]
        services = {row.service: look.model.services[row.service] for row in ended}
        if services:
            with self._timings.step("gate again"):
                try:
                    self._gate.wait(services, self._request.wait_timeout, began_at=self._world.epoch())
                except Unhealthy as error:
                    result["health"] = error.rows
                    return str(error)
        return ""

    def _note_logs(self, look: Look, engine: Engine, after: t.Sequence[Container], result: Result) -> None:
        """What the engine does with logs is known for sure once there are containers."""
        known = log_bound.warning(look.model, look.facts.containers, engine.name, self._world)
        now = log_bound.warning(look.model, after, engine.name, self._world)
        result["warnings"] = [each for each in result["warnings"] if each != known or now == known]
        if now and now not in result["warnings"]:
            result["warnings"].append(now)

    def _ask(self, after: t.Sequence[Container], result: Result) -> str:
        if not self._request.http_checks:
            return ""
        with self._timings.step("endpoints"):
            rows = endpoints.check(self._request.http_checks, self._request.wait_timeout, self._world)
        result["endpoints"] = rows
        evidence.answered(result["health"], after, rows)
        bad = [f"{row['url']}: {row['message']}" for row in rows if not row["ok"]]
        if not bad:
            return ""
        return f"stack {self._request.name} runs and does not answer: " + "; ".join(bad)

    def _watch(self, look: Look, result: Result) -> str:
        if not self._request.prometheus_checks:
            return ""
        acted = any(row.action != planning.KEEP for row in look.rows)
        with self._timings.step("prometheus"):
            # A scrape from before the change would say that all is well.
            since = self._world.epoch() if acted else 0.0
            patience = self._request.wait_timeout
            rows = prometheus.check(self._request.prometheus_checks, patience, since, self._world)
        result["targets"] = rows
        bad = [
            " ".join(filter(None, (row["url"], row["job"] and f"job {row['job']}", row["instance"])))
            + f": {row['message']}"
            for row in rows
            if not row["ok"]
        ]
        return f"stack {self._request.name} runs and Prometheus does not reach it: " + "; ".join(bad) if bad else ""


def grace_of(look: Look) -> dict[str, int]:
    """Container id -> seconds it may take to end: as recorded when it was created, else as declared now."""
    services = look.model.services
    declared = {
        each.id: services[each.service].stop_seconds for each in look.facts.containers if each.service in services
    }
    return {**declared, **look.facts.memory.grace}
