# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out a plan in the order in which the services depend on each other."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Commands
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.health.gate import Gate
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan as planning
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import pull_failure, resources
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine

_AWAITED = ("service_healthy", "service_completed_successfully")


class Execution:
    """Carries out plans for one model.

    Args:
        commands: changes the stack.
        engine: the engine that runs it.
        health_gate: waits for services that others depend on.
        model: the stack as declared.
        timeout: seconds to wait for a service that another one depends on.
    """

    def __init__(self, commands: Commands, engine: Engine, health_gate: Gate, model: Model, timeout: float) -> None:
        self._commands = commands
        self._engine = engine
        self._gate = health_gate
        self._model = model
        self._timeout = timeout

    def run(
        self,
        rows: t.Sequence[planning.Row],
        missing_images: t.Container[str],
        paused: t.Mapping[str, str],
        outside: t.Sequence[resources.Row] = (),
    ) -> None:
        """Carry out ``rows``.

        Args:
            missing_images: references that no local image has.
            paused: ids of paused containers -> service.
            outside: the plan for networks and volumes.

        Raises:
            ComposeError: a step failed. The steps before it are not undone.
            Unhealthy: a service that others wait for did not become healthy.
        """
        commands, model = self._commands, self._model
        acting = [row for row in rows if row.replaces or row.action == planning.START]
        built = [row.service for row in acting if row.action == planning.REBUILD]
        if built:
            commands.build(built)
            dropped = self._needless(rows)
            rows = [row for row in rows if row.service not in dropped]
            acting = [row for row in acting if row.service not in dropped]
        self._pull(acting, missing_images)
        commands.unpause(paused)
        # Before anything is created, as in Compose: a new container may need the name or the port of an orphan.
        commands.remove(_ids(row for row in rows if row.action == planning.REMOVE_ORPHAN))
        groups = self._without_networks(stages(model, acting), outside)
        for group in reversed(groups):
            for row in group:
                if row.replaces:
                    commands.clear(_ids([row]), in_namespace="parent_recreated" in row.reasons)
        for number, group in enumerate(groups):
            replaced = [row.service for row in group if row.action in (planning.RECREATE, planning.REBUILD)]
            commands.up([row.service for row in group], replaced)
            later = {row.service for rest in groups[number + 1 :] for row in rest}
            self._wait({row.service for row in group}, later)
        for group in stages(model, [row for row in rows if row.action == planning.RESTART]):
            seconds = {row.service: model.services[row.service].stop_seconds for row in group}
            commands.restart({row.service: row.container_ids for row in group}, seconds)

    def _pull(self, acting: t.Sequence[planning.Row], missing: t.Container[str]) -> None:
        """Pull images that are missing, before anything is stopped."""
        services = self._model.services
        made_here = [service.image for service in services.values() if service.build is not None]
        images = {row.service: services[row.service].image for row in acting if row.replaces}
        wanted = {name: image for name, image in images.items() if image in missing and image not in made_here}
        pull_failure.pull(self._commands, wanted)

    def _without_networks(
        self, groups: list[list[planning.Row]], outside: t.Sequence[resources.Row]
    ) -> list[list[planning.Row]]:
        """Remove the networks that must be created again, and the containers on them. Returns the remaining groups."""
        networks = {row.key: row for row in outside if row.kind == "network" and row.action == resources.RECREATE}
        if not networks:
            return groups
        for group in reversed(groups):
            self._commands.remove(_ids(row for row in group if _on(row, self._model, networks)))
        for network in networks.values():
            self._commands.remove_network(network.name, network.identity)
        return [[_gone(row) if _on(row, self._model, networks) else row for row in group] for group in groups]

    def _wait(self, here: t.Container[str], later: t.Container[str]) -> None:
        """Wait for those services of a group that services of later groups depend on."""
        awaited = _awaited(self._model, here, later)
        if awaited:
            completed = {name for name, condition in awaited.items() if condition == _AWAITED[1]}
            self._gate.wait({name: self._model.services[name] for name in awaited}, self._timeout, completed=completed)

    def _needless(self, rows: t.Sequence[planning.Row]) -> set[str]:
        """Services whose rebuild resulted in the image they run, for example after a change that no step copies."""
        built = {row.service for row in rows if row.action == planning.REBUILD}
        dropped: set[str] = set()
        for row in rows:
            if row.service in built or row.cascade_from in built:
                row.built_id = self._engine.image_id(self._model.services[row.service].image)
                if set(row.reasons) <= {"build_context_changed", "image_changed"} and self._runs(row):
                    dropped.add(row.service)
        while True:
            follow = {
                row.service
                for row in rows
                if row.cascade_from in dropped and set(row.reasons) <= {"parent_recreated", "dependency_restart"}
            }
            if follow <= dropped:
                return dropped
            dropped |= follow

    def _runs(self, row: planning.Row) -> bool:
        if not row.container_ids:
            return False
        present = self._engine.containers(names=row.container_ids)
        return all(container.running and container.image_id == row.built_id for container in present)


def stages(model: Model, rows: t.Sequence[planning.Row]) -> list[list[planning.Row]]:
    """Group ``rows`` so that a service comes after those it waits for to be healthy or done."""
    acting = {row.service: row for row in rows}
    level: dict[str, int] = {}

    def depth(name: str, path: tuple[str, ...]) -> int:
        if name in level:
            return level[name]
        if name in path:
            raise ComposeError(
                f"depends_on: these services depend on each other: {' -> '.join((*path, name))}. Remove one of the "
                "entries."
            )
        found = 0
        for dependency in model.services[name].depends_on:
            if dependency.service in model.services:
                below = depth(dependency.service, (*path, name))
                awaited = dependency.condition in _AWAITED and dependency.service in acting
                found = max(found, below + (1 if awaited else 0))
        for parent in model.services[name].namespaces:
            if parent in model.services:
                below = depth(parent, (*path, name))
                found = max(found, below + (1 if parent in acting else 0))
        level[name] = found
        return found

    grouped: dict[int, list[planning.Row]] = {}
    for name, row in acting.items():
        grouped.setdefault(depth(name, ()), []).append(row)
    return [grouped[number] for number in sorted(grouped)]


def _ids(rows: t.Iterable[planning.Row]) -> dict[str, str]:
    """Container id -> service."""
    return {identity: row.service for row in rows for identity in row.container_ids}


def _on(row: planning.Row, model: Model, networks: t.Container[str]) -> bool:
    """Whether the containers of a row are on one of the networks, or in the namespace of such a container."""
    return "parent_recreated" in row.reasons or any(
        key in networks for key in resources.keys_of(model.services[row.service], model)
    )


def _gone(row: planning.Row) -> planning.Row:
    """The row after its containers were removed."""
    return dataclasses.replace(row, container_ids=())


def _awaited(model: Model, here: t.Container[str], later: t.Container[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, service in model.services.items():
        if name in later:
            for dependency in service.depends_on:
                if dependency.service in here and dependency.condition in _AWAITED:
                    found[dependency.service] = dependency.condition
    return found
