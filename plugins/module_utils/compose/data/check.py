# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All checks of a plan that concern data: where it lies, where it would lie, and whether it would still be read."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.data import (
    declared,
    formats,
    moved,
    renamed,
    unmounted,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan as planning
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.membership import project_of
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state import amounts, servers

# For the files of containers whose storage has no directory for them.
_SECONDS = 20.0


class DataChecks:
    """The checks of one plan.

    Args:
        model: the stack.
        facts: the facts of the host about it.
        rows: the plan.
        engine: the engine.
        world: the clock.
        local: whether the containers run on this host, so that their files can be read.
    """

    def __init__(
        self,
        model: Model,
        facts: planning.Facts,
        rows: t.Sequence[planning.Row],
        engine: Engine,
        world: World,
        *,
        local: bool,
    ) -> None:
        self._model = model
        self._facts = facts
        self._rows = {row.service: row for row in rows}
        self._engine = engine
        self._world = world
        self._local = local and os.uname().sysname == "Linux"
        volumes = facts.outside.volumes
        self._mounts = {name: declared.of_service(model, one, volumes) for name, one in model.services.items()}

    def problems(self, read_at: t.Callable[[str], str]) -> list[Problem]:
        """The reasons to refuse the deploy. A row whose data would stay behind gets the reason ``data_moved``.

        Args:
            read_at: where a path of the stack is read; its files may still be staged.
        """
        found: list[Problem] = []
        moves: list[moved.Move] = []
        counter = amounts.Counter(_SECONDS, self._engine, self._world)
        for name, service in self._model.services.items():
            row, mounts = self._rows[name], self._mounts[name]
            image = self._facts.images.get(service.image)
            present = [each for each in self._facts.containers if each.service == name]
            found += unmounted.problems(service, image, mounts, row, self._homes(name))
            if not self._local or not (row.replaces or row.action == planning.START):
                continue
            found += formats.problems(service, image, mounts, read_at)
            home = declared.server_of(service, image).home() if image is not None else None
            moves += moved.candidates(name, present, mounts, home, self._homes(name), counter)
        left = moved.problems(moves, self._model.project, self._engine.name, read_at, self._world) if moves else []
        for problem in left:
            row = self._rows[problem.where.partition(",")[0].partition(" ")[2]]
            if "data_moved" not in row.reasons:
                row.reasons.append("data_moved")
        return found + left

    def _homes(self, service: str) -> dict[str, servers.Home]:
        """The data directory of the database in each present container of a service, by name."""
        found = {}
        for container in self._facts.containers:
            if container.service == service:
                config = (self._facts.images.get(container.image_id) or {}).get("Config") or {}
                home = servers.of_container(container, config).home()
                if home is not None:
                    found[container.name] = home
        return found

    def warnings(self, state_dir: str, places: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
        """The warnings about data that stays behind, or will.

        Args:
            state_dir: where the records of stacks lie.
            places: the data map of the running containers.
        """
        found = at_risk(places)
        known = {row["service"] for row in places if row["at_risk"]}
        for name, service in self._model.services.items():
            problem = unmounted.problems(
                service, self._facts.images.get(service.image), self._mounts[name], self._rows[name], self._homes(name)
            )
            if not problem and name not in known:
                found += unmounted.warnings(service, self._facts.images.get(service.image), self._mounts[name])
        if self._local:
            running = {project_of(labels) for labels in self._facts.names.values()}
            outside = self._facts.outside
            found += renamed.warnings(self._model, outside, self._engine, running, state_dir, self._world)
        return found


def at_risk(places: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """The warnings about data of running containers that would be lost."""
    return [str(row["message"]) for row in places if row["at_risk"]]
