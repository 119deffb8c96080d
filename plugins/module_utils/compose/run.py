# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part that all jobs of a run on one stack share: refusals, commands, history."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import declaration, freeze
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Commands, Driver, Target
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.inspect import Inspector
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan as planning
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.compose.result import Result
from ansible_collections.onebox.stack.plugins.module_utils.compose.secrecy import Secrecy
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import history
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.boot import Boot, Host
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.releases import Releases
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container


@dataclass(frozen=True)
class Run:
    """One run on a stack.

    Attributes:
        request: the wanted state.
        world: processes, clock and environment.
        host: where systemd keeps its units.
        inspector: reads the stack.
        releases: the kept releases of the stack.
        lock: descriptor of the stack's lock; None in a run that changes nothing.
    """

    request: Request
    world: World
    host: Host
    inspector: Inspector
    releases: Releases
    lock: int | None = None

    @property
    def secrecy(self) -> Secrecy:
        """Masks secrets."""
        return self.inspector.secrecy

    @property
    def boot(self) -> Boot:
        """The unit that starts the stack at boot."""
        return Boot(self.host, self.request.name, self.request.state_folder)

    def commands(self, driver: Driver, engine: Engine, source: Source | None, grace: t.Mapping[str, int]) -> Commands:
        """The commands that change the stack.

        Args:
            source: where it is declared; None when only its containers are known.
            grace: container id -> seconds it may take to stop.
        """
        shown = self.secrecy.printed
        return driver.on(Target(engine, self.request.name, source, self.world, self.lock, grace, shown))

    def refuse_in_freeze(self, changes: t.Sequence[str]) -> None:
        """Refuse a run that would change something during a change freeze.

        Raises:
            ComposeError: a freeze is active and the run is not forced.
        """
        if self.request.force or not changes:
            return
        until = freeze.until(self.request.freeze, self.world.epoch())
        if until:
            raise ComposeError(
                f"stack {self.request.name} must not be changed until {until} (freeze), but this run would change "
                f"{', '.join(changes)}. Run it again after the freeze, or set force"
            )

    def refuse_foreign(self, containers: t.Sequence[Container]) -> None:
        """Refuse to change containers of another deploy directory.

        Raises:
            BadStack: some are foreign and the run does not adopt them.
        """
        if not self.request.adopt:
            problems = declaration.foreign(self.request.name, self.request.project_dir, containers)
            if problems:
                raise BadStack(self.request.name, problems)

    def finish(self, result: Result, rows: t.Sequence[planning.Row], failure: str) -> Result:
        """Complete the result and record the run.

        Args:
            rows: the plan that was carried out.
            failure: why the run failed; "" when it did not.
        """
        result.timings_ms = dict(self.inspector.timings.ms)
        if result.changed or failure:
            failure = self._record(result, rows, failure)
        if failure:
            result.failed, result.msg = True, failure
        return result

    def _record(self, result: Result, rows: t.Sequence[planning.Row], failure: str) -> str:
        entry = {
            "at": self.world.now(),
            "user": self.world.user,
            "state": self.request.state,
            "revision": self.request.revision,
            "plan": {row.service: [row.action, *row.reasons] for row in rows if row.action != planning.KEEP},
            "ok": not failure,
            "rolled_back": result.rolled_back,
            "message": self.secrecy.text(failure),
            "ms": round(sum(self.inspector.timings.ms.values())),
        }
        try:
            result.history_file = history.append(self.request.state_folder, entry)
        except ComposeError as error:
            # The run itself is reported all the same.
            return "\n".join(filter(None, (failure, f"stack {self.request.name}: {error}")))
        return failure
