# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop a stack, or remove it."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose import result as results
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import freeze
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers import find
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import QUADLET
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.quadlet.units import Units
from ansible_collections.onebox.stack.plugins.module_utils.compose.files import removal
from ansible_collections.onebox.stack.plugins.module_utils.compose.inspect import find_engine
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import environment
from ansible_collections.onebox.stack.plugins.module_utils.compose.result import Result
from ansible_collections.onebox.stack.plugins.module_utils.compose.run import Run
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import state_file
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.image_tags import Tagger
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.records import Memory
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.engine.project_containers import project_containers
from ansible_collections.onebox.stack.plugins.module_utils.mounts import promised


class Stop:
    """Stops the containers of a stack (state ``stopped``), or removes them and its files (state ``absent``).

    Args:
        run: the run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._request = run.request
        self._absent = run.request.state == "absent"

    def preview(self, tolerate_missing: bool) -> Result:
        """What a run would change.

        Args:
            tolerate_missing: a missing engine is a warning and not an error.

        Raises:
            ComposeError, EngineError: the stack must not be changed, or cannot be inspected.
        """
        result = Result(self._request.name)
        try:
            engine = find_engine(self._request, self._run.world)
        except EngineError as error:
            if not tolerate_missing:
                raise
            result.warnings = [str(error)]
            return result
        present = project_containers(engine, self._request.name)
        self._run.refuse_foreign(present)
        present = self._affected(present)
        self._run.refuse_in_freeze(freeze.stops(present))
        unit = self._absent and self._run.boot.remove(check=True)
        result.changed = bool(present) or unit or any(self._absent or _starts(name) for name in self._quadlets())
        if self._absent:
            result.files, result.foreign_files, kept = removal.remove(self._request, check=True)
            result.warnings += kept
            result.changed = result.changed or bool(result.files)
        result.actions = [{"service": row.service, "container": row.name} for row in present]
        return result

    def run(self) -> Result:
        """Stop or remove the stack.

        Raises:
            ComposeError, EngineError: the stack must not be changed, or a step failed.
        """
        run, request = self._run, self._request
        result = Result(request.name)
        engine = find_engine(request, run.world)
        present = project_containers(engine, request.name)
        run.refuse_foreign(present)
        run.refuse_in_freeze(freeze.stops(self._affected(present)))
        before = results.snapshot(present)
        quadlets = self._quadlets()
        if present or quadlets:
            env = environment.clean(run.world.environ)
            # Systemd would start containers again that another tool stops.
            wanted = QUADLET if quadlets else request.provider
            tool = find.find(wanted, engine, env, run.world, executable=request.provider_path)
            grace = Memory.parse(state_file.load(request.state_folder)).grace
            commands = run.commands(tool, engine, None, grace)
            if self._absent:
                commands.down(_ids(present))
            else:
                commands.stop(_ids(self._affected(present)))
        after = project_containers(engine, request.name)
        result.changed = before != results.snapshot(after) or quadlets != self._quadlets()
        if self._absent:
            result.changed = run.boot.remove(check=False) or result.changed
            run.releases.forget(run.releases.sets(), Tagger(engine, run.world))
            result.files, result.foreign_files, kept = removal.remove(request, check=False)
            result.warnings += kept
            result.changed = result.changed or bool(result.files)
            state_file.forget(request.state_folder)
            promised.keep_memory(os.path.join(request.state_folder, promised.NAME))
        return run.finish(result, [], "")

    def _quadlets(self) -> list[str]:
        """The files of the quadlets that run the stack."""
        return list(Units(self._request.name, self._run.world).installed())

    def _affected(self, present: t.Sequence[Container]) -> list[Container]:
        if self._absent:
            return list(present)
        return [row for row in present if row.running or row.status == "restarting"]


def _starts(name: str) -> bool:
    """Whether a file makes systemd start a container."""
    return name.endswith(".container")


def _ids(containers: t.Iterable[Container]) -> dict[str, str]:
    """Container id -> service."""
    return {row.id: row.service for row in containers}
