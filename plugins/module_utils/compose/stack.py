# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry of the domain: one run on one stack, by the wanted state."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose import pull
from ansible_collections.onebox.stack.plugins.module_utils.compose.deploy import Deploy
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.files.incoming import Incoming
from ansible_collections.onebox.stack.plugins.module_utils.compose.files.staging import staged
from ansible_collections.onebox.stack.plugins.module_utils.compose.inspect import Inspector
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan as planning
from ansible_collections.onebox.stack.plugins.module_utils.compose.proposals import needs
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.compose.result import Result, Timings
from ansible_collections.onebox.stack.plugins.module_utils.compose.rollback import Rollback
from ansible_collections.onebox.stack.plugins.module_utils.compose.run import Run
from ansible_collections.onebox.stack.plugins.module_utils.compose.secrecy import masked
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import history
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.boot import Host
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.releases import Releases
from ansible_collections.onebox.stack.plugins.module_utils.compose.stop import Stop
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm import runs as swarm
from ansible_collections.onebox.stack.plugins.module_utils.core import files, lock
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


class Stack:
    """One stack on this host.

    Args:
        request: the wanted state.
        world: processes, clock and environment.
        host: where systemd keeps its units.
    """

    def __init__(self, request: Request, world: World, host: Host) -> None:
        self._request = request
        inspector = Inspector(request, world, Timings(world))
        self._run = Run(request, world, host, inspector, Releases(request.state_folder, request.name))
        self.secrecy = inspector.secrecy

    @masked
    def preview(self, *, tolerate_missing: bool = False) -> dict[str, t.Any]:
        """The plan and the state, read only.

        Args:
            tolerate_missing: tolerate a missing engine or directory, as in check mode: an earlier step of the same
                playbook would create it.

        Raises:
            ComposeError, EngineError: the stack cannot be inspected, or must not be deployed.
        """
        if self._request.target == "swarm":
            return swarm.preview(self._run, tolerate_missing).as_dict()
        if self._request.state == "present":
            return Deploy(self._run).preview(tolerate_missing).as_dict()
        if self._request.state == "rolled_back":
            return Rollback(self._run).preview().as_dict()
        return Stop(self._run).preview(tolerate_missing).as_dict()

    @masked
    def info(self) -> dict[str, t.Any]:
        """The plan, the state, and the problems that would make a deploy refuse; never ``changed``.

        Raises:
            ComposeError, EngineError: the stack cannot be inspected.
        """
        try:
            result, problems = self._plan()
        except BadStack as error:
            result, problems = Result(self._request.name), list(error.problems)
        result.problems = [problem.as_dict() for problem in problems]
        result.needs = needs.of(problems)
        result.history = history.last(self._request.state_folder, 10)
        if sets := self._run.releases.sets():
            result.last_good = sets[-1].brief
        result.text = result.lines()
        result.would_change = any(row["action"] != planning.KEEP for row in result.plan) or result.changed
        result.changed = False
        return result.as_dict()

    def _plan(self) -> tuple[Result, list[Problem]]:
        if self._request.target == "swarm":
            return swarm.info(self._run)
        inspector = self._run.inspector
        with staged(self._request) as staging:
            seen = inspector.inspect(staging=staging)
            incoming = Incoming(self._request, staging, seen)
            # A model with problems has placeholders in it, so it has no plan.
            result = Result(self._request.name) if seen.model.problems else inspector.result(seen)
            incoming.describe(result)
            pull.describe(self._request, seen, result)
            return result, [*inspector.problems(seen), *incoming.problems]

    @masked
    def converge(self) -> dict[str, t.Any]:
        """Bring the stack to the wanted state. A failure after the first change is in the result, not raised.

        Raises:
            ComposeError, EngineError: nothing was changed.
            LockHeld: another run works on the stack.
        """
        with self._locked() as descriptor:
            run = dataclasses.replace(self._run, lock=descriptor)
            if self._request.target == "swarm":
                return swarm.converge(run).as_dict()
            if self._request.state == "present":
                return _deploy(run).as_dict()
            if self._request.state == "rolled_back":
                return Rollback(run).run().as_dict()
            return Stop(run).run().as_dict()

    @contextlib.contextmanager
    def _locked(self) -> t.Iterator[int]:
        """Hold the stack's lock, so that only one run works on it. Yields its descriptor."""
        request, folder = self._request, self._request.state_folder
        with contextlib.ExitStack() as while_held:
            try:
                files.make_directories(folder, 0o750)
                held = lock.held(
                    os.path.join(folder, "lock"),
                    purpose=f"state {request.state}",
                    timeout=request.lock_timeout,
                    world=self._run.world,
                    mode=0o640,
                )
                descriptor, waited = while_held.enter_context(held)
            except lock.LockHeld as error:
                raise lock.LockHeld(f"stack {request.name}: {error} Or raise lock_timeout.") from error
            except lock.LockError as error:
                raise ComposeError(f"stack {request.name}: {error} Correct state_dir.") from error
            except files.FileError as error:
                advice = "Set state_dir to a directory you may write to."
                raise ComposeError(f"stack {request.name}: {error}. {advice}") from error
            self._run.inspector.timings.add("lock", waited)
            yield descriptor


def _deploy(run: Run) -> Result:
    """Deploy, and roll back when the deploy fails after its first change, or after those of a killed run."""
    deploy = Deploy(run)
    ended = deploy.run()
    failure = ended.failure
    if failure and ended.can_roll_back and run.request.rollback:
        rollback = Rollback(run)
        if ended.result.changed or rollback.is_due(ended):
            failure = rollback.after_failure(ended)
    return run.finish(ended.result, ended.rows, failure)
