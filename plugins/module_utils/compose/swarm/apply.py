# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out the plan of a stack on a Swarm, and check the stack afterwards."""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose import result as results
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import Unhealthy
from ansible_collections.onebox.stack.plugins.module_utils.compose.health import http as endpoints
from ansible_collections.onebox.stack.plugins.module_utils.compose.health import mounts, prometheus
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan as planning
from ansible_collections.onebox.stack.plugins.module_utils.compose.render.parts import File
from ansible_collections.onebox.stack.plugins.module_utils.compose.result import Result
from ansible_collections.onebox.stack.plugins.module_utils.compose.run import Run
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import state_file
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm import render
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm.gate import SwarmGate
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm.seen import PUBLISHED, SPECS, Seen
from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.engine.swarm import SwarmService

_SUFFIX = ".swarm"


def apply(run: Run, seen: Seen, result: Result) -> str:
    """Carry out the plan, wait for all replicas, verify the mounts on this node, and query the declared URLs.

    Args:
        result: filled in: changed, health, mounts, endpoints, targets.

    Returns:
        Why the stack is not healthy; "" when it is.
    """
    stack, timings = run.request.name, run.inspector.timings
    try:
        if any(row.action != planning.KEEP for row in seen.rows):
            with timings.step("apply"):
                _deploy(run, seen)
        with timings.step("gate"):
            gate = SwarmGate(seen.cluster, stack, run.world, settle=run.request.settle, shown=run.secrecy.printed)
            result.health = gate.wait(seen.base.model.services, run.request.wait_timeout, seen.live)
        failure = _prove_mounts(run, seen, result) or _request_urls(run, result) or _query_prometheus(run, seen, result)
    except Unhealthy as error:
        failure, result.health = str(error), error.rows
    except OneboxError as error:
        failure = str(error)
    try:
        after = seen.cluster.services(stack)
        result.changed = result.changed or _specs(after) != _specs(seen.live)
        _remember(run, seen, after)
    except OneboxError as error:
        failure = failure or str(error)
    if not failure:
        try:
            seen.cluster.remove_unused(stack, after.values())
        except OneboxError as error:
            result.warnings.append(f"a previous secret or config was not removed from the Swarm: {error}")
    return failure


def remove_services(seen: Seen, stack: str, names: t.Iterable[str]) -> None:
    """Remove services of a stack.

    Raises:
        CommandError: Docker refused.
    """
    for name in names:
        seen.cluster.docker("service", "rm", f"{stack}_{name}")


def _deploy(run: Run, seen: Seen) -> None:
    files.make_directories(run.request.state_folder, 0o750)
    for left in glob.glob(os.path.join(glob.escape(run.request.state_folder), f"*{_SUFFIX}")):
        shutil.rmtree(left, ignore_errors=True)  # of a killed run. It can have secrets
    folder = tempfile.mkdtemp(suffix=_SUFFIX, dir=run.request.state_folder)
    try:
        for each in seen.wanted.files:
            _write(folder, each)
        prune = ["--prune"] if any(row.action == planning.REMOVE_ORPHAN for row in seen.rows) else []
        # The images have their digests already, so no registry is queried for them.
        words = ("stack", "deploy", "--with-registry-auth", "--resolve-image", "never", *prune)
        seen.cluster.docker(*words, "-c", render.NAME, run.request.name, cwd=folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(folder: str, each: File) -> None:
    path = os.path.normpath(os.path.join(folder, each.path))
    files.make_directories(os.path.dirname(path), 0o700)
    files.replace(path, each.content.encode("utf-8", "surrogateescape"), 0o600, durable=False)


def _prove_mounts(run: Run, seen: Seen, result: Result) -> str:
    """Verify the mounts of the containers on this node. The role verifies those of the other nodes."""
    cluster = seen.cluster
    tasks = cluster.tasks(run.request.name, cluster.services(run.request.name).values())
    names = [row.container for row in tasks if row.node == cluster.node_id and row.state == "running" and row.wanted]
    if not run.request.verify or not names or seen.base.engine is None:
        return ""
    with run.inspector.timings.step("verify"):
        report = mounts.prove(seen.base.engine, run.request, run.world, names=names)
    report.pop("hosts", None)
    result.mounts = report
    return "" if mounts.proven(report) else results.mount_failure(run.request.name, report)


def _request_urls(run: Run, result: Result) -> str:
    if not run.request.http_checks:
        return ""
    with run.inspector.timings.step("endpoints"):
        result.endpoints = endpoints.check(run.request.http_checks, run.request.wait_timeout, run.world)
    return endpoints.failure(run.request.name, result.endpoints)


def _query_prometheus(run: Run, seen: Seen, result: Result) -> str:
    if not run.request.prometheus_checks:
        return ""
    with run.inspector.timings.step("prometheus"):
        # A scrape from before the change would report the previous containers.
        acted = any(row.action != planning.KEEP for row in seen.rows)
        since = run.world.epoch() if acted else 0.0
        result.targets = prometheus.check(run.request.prometheus_checks, run.request.wait_timeout, since, run.world)
    return prometheus.failure(run.request.name, result.targets)


def _specs(services: t.Mapping[str, SwarmService]) -> dict[str, tuple[str, str]]:
    return {name: (each.id, each.digest) for name, each in services.items()}


def _remember(run: Run, seen: Seen, after: t.Mapping[str, SwarmService]) -> None:
    """Record the specifications, so that the next run finds a change by others."""
    state_file.save(
        run.request.state_folder,
        {
            "project": run.request.name,
            "project_dir": run.request.project_dir,
            "engine": "docker",
            SPECS: {name: each.digest for name, each in after.items()},
            "builds": seen.base.facts.memory.as_dict()["builds"],
            "cache": seen.base.cache,
            PUBLISHED: dict(seen.published),
        },
    )
