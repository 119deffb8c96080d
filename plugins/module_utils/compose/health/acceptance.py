# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks after a plan was carried out: mounts, URLs, Prometheus, and containers that ended in the meantime."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose import result as results
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import log_bound
from ansible_collections.onebox.stack.plugins.module_utils.compose.data import check
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import Unhealthy
from ansible_collections.onebox.stack.plugins.module_utils.compose.health import evidence, mounts, prometheus
from ansible_collections.onebox.stack.plugins.module_utils.compose.health import http as endpoints
from ansible_collections.onebox.stack.plugins.module_utils.compose.health.gate import Gate
from ansible_collections.onebox.stack.plugins.module_utils.compose.inspect import Inspection, Inspector
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan as planning
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.compose.result import Result
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.engine.project_containers import project_containers
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state.place import PERSISTENT


class Acceptance:
    """Checks a stack after its services became healthy.

    Args:
        request: the wanted state.
        world: processes, clock and environment.
        inspector: counts the time of each step.
        engine: the engine that runs the stack.
        seen: the stack before the change.

    Attributes:
        hosts: the source of each mount as the proof found it on the host.
    """

    def __init__(self, request: Request, world: World, inspector: Inspector, engine: Engine, seen: Inspection) -> None:
        self._request = request
        self._world = world
        self._timings = inspector.timings
        self._engine = engine
        self._seen = seen
        self._acted = any(row.action != planning.KEEP for row in seen.rows)
        self.hosts: list[dict[str, t.Any]] = []

    def failure(self, health_gate: Gate | None, after: t.Sequence[Container], result: Result) -> str:
        """Run all checks.

        Args:
            health_gate: the one that the services passed; None when the run did not get that far.
            after: the containers of the stack.
            result: gets the outcome of each check.

        Returns:
            The first failure; "" when all checks passed.

        Raises:
            OneboxError: a check could not be run.
        """
        return (
            self._prove_mounts(after, result)
            or self._request_urls(after, result)
            or self._query_prometheus(result)
            or self._wait_again(health_gate, after, result)
        )

    def note_logs(self, after: t.Sequence[Container], result: Result) -> None:
        """Correct the warning about unbounded logs: only containers show for certain which driver they have."""
        model, engine = self._seen.model, self._engine.name
        known = log_bound.warning(model, self._seen.facts.containers, engine, self._world)
        now = log_bound.warning(model, after, engine, self._world)
        result.warnings = [each for each in result.warnings if each != known or now == known]
        if now and now not in result.warnings:
            result.warnings.append(now)

    def _prove_mounts(self, after: t.Sequence[Container], result: Result) -> str:
        services = self._seen.model.services
        # Not those of orphans: this deploy did not cause their problems.
        names = [container.id for container in after if container.service in services]
        if not self._request.verify or not names:
            return ""
        expected = [
            {
                "service": service.name,
                "source": bind.source,
                "destination": bind.target,
                "read_only": bind.read_only,
            }
            for service in services.values()
            if service.scale > 0
            for bind in service.binds
        ]
        with self._timings.step("verify"):
            report = mounts.prove(
                self._engine,
                self._request,
                self._world,
                project=self._request.name,
                names=names,
                expected=expected or None,
                one_shots=[service.name for service in services.values() if service.one_shot],
                remember=True,
            )
        self.hosts = report.pop("hosts")
        report["data_places"] = [row for row in report["data_places"] if row["verdict"] != PERSISTENT]
        result.mounts = report
        # Those of the plan are about the containers before the deploy.
        passed = check.at_risk(self._seen.places)
        result.warnings = [each for each in result.warnings if each not in passed]
        result.warnings += check.at_risk(report["data_places"])
        if not mounts.proven(report):
            return results.mount_failure(self._request.name, report)
        return mounts.data_failure(self._request.name, report, {row.service for row in self._seen.facts.containers})

    def _request_urls(self, after: t.Sequence[Container], result: Result) -> str:
        if not self._request.http_checks:
            return ""
        with self._timings.step("endpoints"):
            rows = endpoints.check(self._request.http_checks, self._request.wait_timeout, self._world)
        result.endpoints = rows
        evidence.answered(result.health, after, rows)
        return endpoints.failure(self._request.name, rows)

    def _query_prometheus(self, result: Result) -> str:
        if not self._request.prometheus_checks:
            return ""
        with self._timings.step("prometheus"):
            # A scrape from before the change would report the previous containers.
            since = self._world.epoch() if self._acted else 0.0
            rows = prometheus.check(self._request.prometheus_checks, self._request.wait_timeout, since, self._world)
        result.targets = rows
        return prometheus.failure(self._request.name, rows)

    def _wait_again(self, gate: Gate | None, after: t.Sequence[Container], result: Result) -> str:
        """Wait for services whose containers ended or restarted during the checks above."""
        if gate is None or not self._acted:
            return ""
        services = self._seen.model.services
        before = {container.id: (container.restart_count, container.started_at) for container in after}
        ended = [
            row
            for row in project_containers(self._engine, self._request.name)
            if row.service in services
            and (before.get(row.id) != (row.restart_count, row.started_at) or not row.running)
        ]
        if ended:
            with self._timings.step("gate again"):  # style: keep gate: a key of timings_ms
                try:
                    awaited = {row.service: services[row.service] for row in ended}
                    gate.wait(awaited, self._request.wait_timeout, began_at=self._world.epoch())
                except Unhealthy as error:
                    result.health = error.rows
                    return str(error)
        return ""
