# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run on one stack: look, judge, plan, and if asked for: lock, apply, wait for health, prove the mounts."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose import result as outcome
from ansible_collections.onebox.stack.plugins.module_utils.compose import rollback
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import declaration, freeze
from ansible_collections.onebox.stack.plugins.module_utils.compose.deploy import Deploy
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers import find as providers
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose import (
    secrets as podman_secrets,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.files import move_in
from ansible_collections.onebox.stack.plugins.module_utils.compose.files import removal as teardown
from ansible_collections.onebox.stack.plugins.module_utils.compose.files.incoming import Incoming
from ansible_collections.onebox.stack.plugins.module_utils.compose.files.staging import Staging, staged
from ansible_collections.onebox.stack.plugins.module_utils.compose.inspect import Look, Looker, Result, find_engine
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import environment
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan as planning
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.compose.rollback import Rollback
from ansible_collections.onebox.stack.plugins.module_utils.compose.secrecy import masked
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import history, releases, state_file
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.boot import Boot, Host
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.image_tags import Tagger
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.records import Memory
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.releases import GoodSet, LastGood
from ansible_collections.onebox.stack.plugins.module_utils.compose.timing import Timings
from ansible_collections.onebox.stack.plugins.module_utils.core import files, lock
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError, Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.engine.project_containers import project_containers
from ansible_collections.onebox.stack.plugins.module_utils.mounts import promised

_USUAL_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")
_GOING_BACK = "all of it (going back)"


class Stack:
    """One stack on this host.

    Args:
        request: what is wanted.
        world: processes, clock and environment.
        host: where systemd keeps its units.
    """

    def __init__(self, request: Request, world: World, host: Host) -> None:
        self._request = request
        self._world = world
        self._host = host
        self._env = environment.clean(world.environ)
        self._timings = Timings(world)
        self._looker = Looker(request, world, self._timings)
        self.secrecy = self._looker.secrecy
        self._good = LastGood(request.state_folder, request.name)

    @masked
    def look(self, *, blind_is_fine: bool = False) -> Result:
        """The plan and the state, read only.

        Args:
            blind_is_fine: in check mode an engine or a directory that is not there yet is no error: an earlier step of
                the same playbook would make it.

        Raises:
            ComposeError, EngineError: the stack cannot be judged, or must not be deployed.
        """
        request = self._request
        if request.state == "rolled_back":
            return self._look_at_sets()
        if request.state != "present":
            return self._look_at_containers(blind_is_fine)
        unknown = self._not_yet(blind_is_fine)
        if unknown:
            return unknown
        with staged(request) as staging:
            return self._look_at(staging, blind_is_fine)

    def _look_at(self, staging: Staging, blind_is_fine: bool) -> Result:
        request = self._request
        try:
            look = self._looker.look(blind_is_fine, staging=staging)
        except providers.NoTool as error:
            if not blind_is_fine:
                raise
            note = f"{error} Check mode goes on without: the plan is known once there is one."
            return {**outcome.empty(request.name), "changed": True, "warnings": [note]}
        incoming = Incoming(request, staging, look)
        problems = [*self._looker.problems(look), *incoming.problems]
        doubts = [each for each in problems if blind_is_fine and each.code in declaration.MADE_BEFORE]
        if len(problems) > len(doubts):
            raise BadStack(request.name, problems)
        result = self._looker.result(look)
        result["warnings"] += [f"{each.where}: {each.message}. Check mode goes on without." for each in doubts]
        self._not_frozen([*planning.changes(look.rows), *incoming.changes])
        result["changed"] = any(row.action != planning.KEEP for row in look.rows)
        incoming.describe(result)
        if request.boot and look.engine is not None:
            result["boot"] = self._ensure_boot(look, look.engine, result["sources"], check=True)
            result["changed"] = result["changed"] or result["boot"]["changed"]
        return result

    @masked
    def info(self) -> Result:
        """The plan, the state, and the problems that would make a deploy refuse; never ``changed``.

        Raises:
            ComposeError, EngineError: the stack cannot be judged at all.
        """
        try:
            result, problems = self._plan()
        except BadStack as error:
            result, problems = outcome.empty(self._request.name), list(error.problems)
        result["problems"] = [vars(problem) for problem in problems]
        result["history"] = history.last(self._request.state_folder, 10)
        if sets := self._good.sets():
            result["last_good"] = sets[-1].brief
        result["text"] = outcome.lines(result)
        result["would_change"] = any(row["action"] != planning.KEEP for row in result["plan"]) or result["changed"]
        result["changed"] = False
        return result

    def _plan(self) -> tuple[Result, list[Problem]]:
        with staged(self._request) as staging:
            look = self._looker.look(staging=staging)
            incoming = Incoming(self._request, staging, look)
            # With a model that is partly made up, there is no plan.
            result = outcome.empty(self._request.name) if look.model.problems else self._looker.result(look)
            incoming.describe(result)
            return result, [*self._looker.problems(look), *incoming.problems]

    @masked
    def converge(self) -> Result:
        """Bring the stack to the wanted state. A failure after the first change is in the result, not raised.

        Raises:
            ComposeError, EngineError: nothing was changed.
            LockHeld: another run works on the stack.
        """
        request = self._request
        with self._locked() as descriptor:
            deploy = Deploy(request, self._world, self._timings, descriptor, self.secrecy)
            if request.state == "present":
                return self._deploy(deploy)
            if request.state == "rolled_back":
                return self._roll_back(deploy)
            return self._take_down(deploy)

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
                    world=self._world,
                    mode=0o640,
                )
                descriptor, waited = while_held.enter_context(held)
            except lock.LockHeld as error:
                raise lock.LockHeld(f"stack {request.name}: {error} Or raise lock_timeout.") from error
            except lock.LockError as error:
                raise ComposeError(f"stack {request.name}: {error} The option state_dir names it.") from error
            except files.FileError as error:
                advice = "Set state_dir to a directory you may write to."
                raise ComposeError(f"stack {request.name}: {error}. {advice}") from error
            self._timings.add("lock", waited)
            yield descriptor

    # Looking

    def _not_yet(self, blind_is_fine: bool) -> Result | None:
        if not blind_is_fine or self._request.staged_dir or os.path.isdir(self._request.project_dir):
            return None
        note = f"{self._request.project_dir} does not exist yet; the plan is known once the stack's files are there"
        return {**outcome.empty(self._request.name), "changed": True, "warnings": [note]}

    def _look_at_sets(self) -> Result:
        found = rollback.earlier(self._request, self._looker, self._good)
        result = self._looker.result(found.look) if found.look else outcome.empty(self._request.name)
        self._not_frozen([_GOING_BACK])
        result["changed"] = True
        result["last_good"] = found.sets[-1].brief
        return result

    def _look_at_containers(self, blind_is_fine: bool) -> Result:
        result = outcome.empty(self._request.name)
        try:
            engine = find_engine(self._request, self._world)
        except EngineError as error:
            if not blind_is_fine:
                raise
            result["warnings"] = [str(error)]
            return result
        present = project_containers(engine, self._request.name)
        self._own(present)
        present = self._to_go(present)
        self._not_frozen(freeze.stops(present))
        unit = self._request.state == "absent" and self._boot().remove(check=True)
        result["changed"] = bool(present) or unit
        if self._request.state == "absent":
            result["files"], result["foreign_files"], kept = teardown.remove(self._request, check=True)
            result["warnings"] += kept
            result["changed"] = result["changed"] or bool(result["files"])
        result["actions"] = [{"service": row.service, "container": row.name} for row in present]
        return result

    # Changing

    def _deploy(self, deploy: Deploy) -> Result:
        with staged(self._request) as staging:
            look, judged, result, failure = self._take_in(staging)
        if failure:
            return self._finish(result, [], failure)
        began_at = self._world.epoch()
        failure = deploy.run(look, result)
        if not failure:
            failure = self._settle(look, judged, deploy.after, result)
        elif self._request.rollback and result["changed"]:
            back = Rollback(self._request, self._world, self._looker, self._good, deploy)
            failure = back.after_failure(failure, result, look.facts.containers, judged, began_at)
        return self._finish(result, look.rows, failure)

    def _take_in(self, staging: Staging) -> tuple[Look, dict[str, str], Result, str]:
        """Judge the staged files, then move them in.

        Returns:
            The stack as it is to be applied, the digests of what was judged, the result so far, and why the files are
            only partly there, "" when all of them are.
        """
        request, world = self._request, self._world
        look = self._looker.look(staging=staging)
        incoming = Incoming(request, staging, look)
        problems = [*self._looker.problems(look), *incoming.problems]
        if problems:
            raise BadStack(request.name, problems)
        self._not_frozen([*planning.changes(look.rows), *incoming.changes])
        judged = releases.digests(look.source, look.model, staging.main.target.items if staging.main else None)
        with self._timings.step("files"):
            if incoming.secrets and look.engine is not None:
                podman_secrets.give(request, look.engine, world, incoming.secrets)
                # A container made from now on has the new secret, and the plan must know which one that is.
                look = self._looker.look(staging=staging)
            result = self._looker.result(look)
            incoming.describe(result)
            failure = ""
            try:
                incoming.move_in(world, result)
            except move_in.PartlyWritten as error:
                failure = f"stack {request.name}: {error}"
        return dataclasses.replace(look, source=look.source.deployed()), judged, result, failure

    def _roll_back(self, deploy: Deploy) -> Result:
        found = rollback.earlier(self._request, self._looker, self._good)
        result = self._looker.result(found.look) if found.look else outcome.empty(self._request.name)
        self._own(project_containers(find_engine(self._request, self._world), self._request.name))
        self._not_frozen([_GOING_BACK])
        back = Rollback(self._request, self._world, self._looker, self._good, deploy)
        declared = self._good.digests(found.look.source, found.look.model) if found.look else {}
        before = found.look.facts.containers if found.look else ()
        failure = back.to(found.sets[-1], found.present, result, declared, before)
        return self._finish(result, back.rows, failure)

    def _settle(self, look: Look, judged: t.Mapping[str, str], after: t.Sequence[Container], result: Result) -> str:
        """A stack that is well is worth keeping, and worth starting at boot."""
        try:
            with self._timings.step("commit"):
                try:
                    result["last_good"] = self._keep(look, judged, after).brief
                except releases.FilesDiffer as error:
                    known = self._good.sets()
                    result["last_good"] = known[-1].brief if known else {}
                    result["warnings"].append(str(error))
            if self._request.boot and look.engine is not None:
                with self._timings.step("boot"):
                    result["boot"] = self._ensure_boot(look, look.engine, result["sources"], check=False)
                result["changed"] = result["changed"] or result["boot"]["changed"]
        except OneboxError as error:
            return f"stack {self._request.name} is well, but: {error}"
        return ""

    def _keep(self, look: Look, judged: t.Mapping[str, str], after: t.Sequence[Container]) -> GoodSet:
        if look.engine is None:
            raise AssertionError("what was deployed had an engine")
        good = self._good.describe(
            look.model,
            after,
            judged,
            at=self._world.now(),
            revision=self._request.revision,
            tool=f"{look.tool.kind} {look.tool.version_text}",
        )
        tagger = Tagger(look.engine, self._world)
        return self._good.commit(good, look.source.project_dir, tagger, self._request.keep)

    def _not_frozen(self, changes: t.Sequence[str]) -> None:
        if self._request.force or not changes:
            return
        until = freeze.until(self._request.freeze, self._world.epoch())
        if until:
            raise ComposeError(
                f"stack {self._request.name} must not be changed until {until} (freeze), and this would change "
                f"{', '.join(changes)}; run it again then, or set force"
            )

    def _finish(self, result: Result, rows: t.Sequence[planning.Row], failure: str) -> Result:
        result["timings_ms"] = dict(self._timings.ms)
        if result["changed"] or failure:
            failure = self._write_down(result, rows, failure)
        if failure:
            result.update(failed=True, msg=failure)
        return result

    def _write_down(self, result: Result, rows: t.Sequence[planning.Row], failure: str) -> str:
        entry = {
            "at": self._world.now(),
            "user": self._world.user,
            "state": self._request.state,
            "revision": self._request.revision,
            "plan": {row.service: [row.action, *row.reasons] for row in rows if row.action != planning.KEEP},
            "ok": not failure,
            "rolled_back": result["rolled_back"],
            "message": self.secrecy.text(failure),
            "ms": round(sum(self._timings.ms.values())),
        }
        try:
            result["history_file"] = history.append(self._request.state_folder, entry)
        except ComposeError as error:
            # What happened to the stack is told all the same.
            return "\n".join(filter(None, (failure, f"stack {self._request.name}: {error}")))
        return failure

    def _ensure_boot(self, look: Look, engine: Engine, sources: t.Sequence[str], *, check: bool) -> Result:
        socket = engine.socket if engine.name == "docker" and engine.socket not in _USUAL_SOCKETS else ""
        grace = max((service.stop_seconds for service in look.model.services.values()), default=0)
        return self._boot().ensure(
            engine.name,
            sources,
            check=check,
            socket=socket or "",
            # Docker Compose tells the engine how long a container may take, podman-compose does not.
            grace=grace if look.tool.kind == providers.PODMAN_COMPOSE else 0,
        )

    def _boot(self) -> Boot:
        return Boot(self._host, self._request.name, self._request.state_folder)

    def _take_down(self, deploy: Deploy) -> Result:
        request = self._request
        result = outcome.empty(request.name)
        engine = find_engine(request, self._world)
        present = project_containers(engine, request.name)
        self._own(present)
        self._not_frozen(freeze.stops(self._to_go(present)))
        before = outcome.snapshot(present)
        if present:
            tool = providers.find(request.provider, engine, self._env, self._world, executable=request.provider_path)
            grace = Memory.parse(state_file.load(request.state_folder)).grace
            actor = deploy.actor(tool, engine, None, grace)
            if request.state == "stopped":
                actor.stop({row.id: row.service for row in self._to_go(present)})
            else:
                actor.down({row.id: row.service for row in present})
        after = project_containers(engine, request.name)
        result["changed"] = before != outcome.snapshot(after)
        if request.state == "absent":
            result["changed"] = self._boot().remove(check=False) or result["changed"]
            self._good.forget(self._good.sets(), Tagger(engine, self._world))
            result["files"], result["foreign_files"], kept = teardown.remove(request, check=False)
            result["warnings"] += kept
            result["changed"] = result["changed"] or bool(result["files"])
            state_file.forget(request.state_folder)
            promised.keep_memory(os.path.join(request.state_folder, promised.NAME))
        return self._finish(result, [], "")

    def _to_go(self, present: t.Sequence[Container]) -> list[Container]:
        if self._request.state == "absent":
            return list(present)
        return [row for row in present if row.running or row.status == "restarting"]

    def _own(self, present: t.Sequence[Container]) -> None:
        if not self._request.adopt:
            problems = declaration.foreign(self._request.name, self._request.project_dir, present)
            if problems:
                raise BadStack(self._request.name, problems)
