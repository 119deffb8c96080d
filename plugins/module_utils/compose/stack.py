# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run on one stack: look, judge, plan, and if asked for: lock, apply, wait for health, prove the mounts."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose import (
    apply,
    compare,
    endpoints,
    environ,
    images,
    lock,
    outcome,
    ports,
    resolve,
    state,
    strict,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose import plan as planning
from ansible_collections.onebox.stack.plugins.module_utils.compose import provider as providers
from ansible_collections.onebox.stack.plugins.module_utils.compose.boot import Boot
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import (
    BadStack,
    ComposeError,
    Problem,
    Unhealthy,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.gate import Gate, project_containers
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import Model
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request, World
from ansible_collections.onebox.stack.plugins.module_utils.engine import find as engines
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.mounts import verify as mounts

Result = dict[str, t.Any]


@dataclass
class Look:
    """What a run saw, and what it made of it."""

    model: Model
    source: resolve.Source
    tool: providers.Provider
    engine: Engine | None
    containers: list[Container]
    images: images.Images
    rows: list[planning.Row]
    warnings: list[str]


class Stack:
    """One stack on this host.

    Args:
        request: what is wanted.
        world: what it may use.
    """

    def __init__(self, request: Request, world: World) -> None:
        self._request = request
        self._world = world
        self._env = environ.clean(world.environ)
        self._timings: dict[str, float] = {}

    def look(self, *, blind_is_fine: bool = False) -> Result:
        """The plan and the state, read only.

        Args:
            blind_is_fine: in check mode an engine or a directory that is not there yet is no error: an earlier step of
                the same playbook would make it.

        Raises:
            ComposeError, EngineError: the stack cannot be judged, or must not be deployed.
        """
        request = self._request
        if request.state != "present":
            return self._look_at_containers(blind_is_fine)
        unknown = self._not_yet(blind_is_fine)
        if unknown:
            return unknown
        try:
            look = self._look(blind_is_fine)
        except providers.NoTool as error:
            if not blind_is_fine:
                raise
            note = f"{error} Check mode goes on without: the plan is known once there is one."
            return {**outcome.empty(request.name), "changed": True, "warnings": [note]}
        self._judge(look)
        result = self._result(look)
        result["changed"] = any(row.action != planning.KEEP for row in look.rows)
        if request.boot and look.engine is not None:
            result["boot"] = self._boot().ensure(look.engine.name, result["sources"], check=True)
            result["changed"] = result["changed"] or result["boot"]["changed"]
        return result

    def info(self) -> Result:
        """The plan, the state, and the problems that would make a deploy refuse; never ``changed``.

        Raises:
            ComposeError, EngineError: the stack cannot be judged at all.
        """
        try:
            look = self._look()
        except BadStack as error:
            result = outcome.empty(self._request.name)
            problems = list(error.problems)
        else:
            result = self._result(look)
            problems = self._problems(look)
        result["problems"] = [vars(problem) for problem in problems]
        result["would_change"] = any(row["action"] != planning.KEEP for row in result["plan"])
        return result

    def converge(self) -> Result:
        """Bring the stack to the wanted state. A failure after the first change is in the result, not raised.

        Raises:
            ComposeError, EngineError: nothing was changed.
        """
        request = self._request
        with lock.held(
            os.path.join(request.state_folder, "lock"),
            timeout=request.lock_timeout,
            user=self._world.user,
            purpose=f"state {request.state}",
            monotonic=self._world.clock.monotonic,
            sleep=self._world.clock.sleep,
            now=self._world.now(),
        ) as waited:
            self._timings["lock"] = round(waited * 1000, 1)
            if request.state == "present":
                return self._deploy()
            return self._take_down()

    # Looking

    def _not_yet(self, blind_is_fine: bool) -> Result | None:
        if not blind_is_fine or os.path.isdir(self._request.project_dir):
            return None
        note = f"{self._request.project_dir} does not exist yet; the plan is known once the stack's files are there"
        return {**outcome.empty(self._request.name), "changed": True, "warnings": [note]}

    def _look(self, blind_is_fine: bool = False) -> Look:
        request, run = self._request, self._world.run
        source = resolve.locate(request.name, request.project_dir, request.files, request.env_file, request.profiles)
        warnings: list[str] = []
        engine: Engine | None = None
        with self._timed("engine"):
            try:
                engine = engines.find(request.engine, request.socket, run=run, environ=self._world.environ)
            except EngineError as error:
                if not blind_is_fine or request.engine not in engines.ENGINES:
                    raise
                warnings.append(f"{error} Check mode goes on without: every service counts as not there.")
        with self._timed("provider"):
            tool = providers.find(request.provider, engine, self._env, executable=request.provider_path, run=run)
        with self._timed("config"):
            model = resolve.resolve(tool, source, run)
        with self._timed("inspect"):
            containers = project_containers(engine, request.name) if engine is not None else []
            references = [service.image for service in model.services.values()]
            references += [container.image_id for container in containers]
            found = images.look(engine, references, run) if engine is not None else {}
        with self._timed("plan"):
            facts = planning.Facts(containers, found, self._digests(), self._stale(engine, containers))
            rows = planning.make(
                model, facts, kind=tool.kind, version=tool.version, remove_orphans=request.remove_orphans
            )
        return Look(model, source, tool, engine, containers, found, rows, warnings)

    def _digests(self) -> dict[str, str]:
        known = state.load(self._request.state_folder).get("containers") or {}
        return {identity: str(row.get("digest")) for identity, row in known.items()}

    def _stale(self, engine: Engine | None, containers: t.Sequence[Container]) -> dict[str, list[str]]:
        if engine is None or not self._request.verify or not any(row.running for row in containers):
            return {}
        report = mounts.verify(engine, names=[row.id for row in containers if row.running], access="none")
        found: dict[str, list[str]] = {}
        for container in report["containers"]:
            for row in container["mounts"]:
                if row["verdict"] != "ok" and row["fix"] == "restart":
                    found.setdefault(container["service"], []).append(row["destination"])
        return found

    def _judge(self, look: Look) -> None:
        problems = self._problems(look)
        if problems:
            raise BadStack(self._request.name, problems)

    def _problems(self, look: Look) -> list[Problem]:
        request = self._request
        problems = strict.declared(look.model, look.source, request.rules)
        if not request.adopt:
            problems += strict.foreign(request.name, request.project_dir, look.containers)
        engine = look.engine
        if engine is not None:
            problems += strict.occupied(
                look.model, look.rows, look.containers, engine.containers, ports.listeners(), ports.owner
            )
        return problems

    def _look_at_containers(self, blind_is_fine: bool) -> Result:
        result = outcome.empty(self._request.name)
        try:
            engine = engines.find(
                self._request.engine, self._request.socket, run=self._world.run, environ=self._world.environ
            )
        except EngineError as error:
            if not blind_is_fine:
                raise
            result["warnings"] = [str(error)]
            return result
        present = project_containers(engine, self._request.name)
        self._own(present)
        if self._request.state == "stopped":
            present = [row for row in present if row.running or row.status == "restarting"]
        unit = self._request.state == "absent" and self._boot().remove(check=True)
        result["changed"] = bool(present) or unit
        result["actions"] = [{"service": row.service, "container": row.name} for row in present]
        return result

    # Changing

    def _deploy(self) -> Result:
        look = self._look()
        self._judge(look)
        assert look.engine is not None  # without blind_is_fine a missing engine was an error
        before = outcome.snapshot(look.containers)
        actor = apply.Actor(look.tool, look.engine, self._request.name, look.source, self._world.run)
        gate = self._gate(look.engine, actor)
        result = self._result(look)
        failure = ""
        try:
            if any(row.action != planning.KEEP for row in look.rows):
                with self._timed("apply"):
                    self._apply(look, actor, gate)
            with self._timed("gate"):
                result["health"] = gate.wait(look.model.services, self._request.wait_timeout)
        except Unhealthy as error:
            failure, result["health"] = str(error), error.rows
        except ComposeError as error:
            failure = str(error)
        after = project_containers(look.engine, self._request.name)
        self._remember(look.model, after)
        result["changed"] = before != outcome.snapshot(after)
        result["images"] = outcome.images(look.model, after)
        failure = failure or self._prove(look, result) or self._ask(result) or self._at_boot(look, result)
        result["timings_ms"] = dict(self._timings)
        if failure:
            result.update(failed=True, msg=failure)
        return result

    def _apply(self, look: Look, actor: apply.Actor, gate: Gate) -> None:
        absent = {reference for reference, found in look.images.items() if found is None}
        paused = {row.id: row.service for row in look.containers if row.status == "paused"}
        apply.run_plan(actor, gate, look.model, look.rows, absent, self._request.wait_timeout, paused)

    def _gate(self, engine: Engine, actor: apply.Actor) -> Gate:
        probe = actor.probe if engine.name == "podman" else None
        return Gate(engine, self._request.name, self._world.clock, settle=self._request.settle, probe=probe)

    def _prove(self, look: Look, result: Result) -> str:
        if not self._request.verify or look.engine is None:
            return ""
        with self._timed("verify"):
            expected = [
                {
                    "service": service.name,
                    "source": bind.source,
                    "destination": bind.target,
                    "read_only": bind.read_only,
                }
                for service in look.model.services.values()
                for bind in service.binds
            ]
            done = [service.name for service in look.model.services.values() if service.one_shot]
            report = mounts.verify(look.engine, project=self._request.name, expected=expected or None, one_shots=done)
        result["mounts"] = report
        return "" if report["ok"] else outcome.mount_failure(self._request.name, report)

    def _ask(self, result: Result) -> str:
        if not self._request.http_checks:
            return ""
        with self._timed("endpoints"):
            rows = endpoints.check(self._request.http_checks, self._request.wait_timeout, self._world.clock)
        result["endpoints"] = rows
        bad = [f"{row['url']}: {row['message']}" for row in rows if not row["ok"]]
        if not bad:
            return ""
        return f"stack {self._request.name} runs and does not answer: " + "; ".join(bad)

    def _at_boot(self, look: Look, result: Result) -> str:
        if not self._request.boot or look.engine is None:
            return ""
        try:
            with self._timed("boot"):
                result["boot"] = self._boot().ensure(look.engine.name, result["sources"], check=False)
        except ComposeError as error:
            return f"stack {self._request.name} is well, but: {error}"
        result["changed"] = result["changed"] or result["boot"]["changed"]
        return ""

    def _boot(self) -> Boot:
        return Boot(self._world.host, self._request.name, self._request.state_folder)

    def _take_down(self) -> Result:
        request = self._request
        result = outcome.empty(request.name)
        engine = engines.find(request.engine, request.socket, run=self._world.run, environ=self._world.environ)
        present = project_containers(engine, request.name)
        self._own(present)
        before = outcome.snapshot(present)
        if present:
            tool = providers.find(
                request.provider, engine, self._env, executable=request.provider_path, run=self._world.run
            )
            actor = apply.Actor(tool, engine, request.name, None, self._world.run)
            if request.state == "stopped":
                live = {row.id: row.service for row in present if row.running or row.status == "restarting"}
                actor.stop(live)
            else:
                actor.down({row.id: row.service for row in present})
        after = project_containers(engine, request.name)
        result["changed"] = before != outcome.snapshot(after)
        result["timings_ms"] = dict(self._timings)
        if request.state == "absent":
            result["changed"] = self._boot().remove(check=False) or result["changed"]
            state.forget(request.state_folder)
        return result

    def _own(self, present: t.Sequence[Container]) -> None:
        if not self._request.adopt:
            problems = strict.foreign(self._request.name, self._request.project_dir, present)
            if problems:
                raise BadStack(self._request.name, problems)

    def _remember(self, model: Model, containers: t.Sequence[Container]) -> None:
        # By container id: a container someone else made is unknown here, and judged by what the engine says of it.
        known = state.load(self._request.state_folder).get("containers") or {}
        rows = {}
        for container in containers:
            service = model.services.get(container.service)
            if service is None:
                continue
            rows[container.id] = known.get(container.id) or {
                "service": container.service,
                "digest": compare.digest(service),
            }
        state.save(
            self._request.state_folder,
            {"project": self._request.name, "project_dir": model.project_dir, "containers": rows},
        )

    def _result(self, look: Look) -> Result:
        result = outcome.empty(self._request.name)
        result["backend"] = outcome.backend(look.tool, look.engine)
        result["plan"] = [row.as_dict() for row in look.rows]
        result["orphans"] = sorted({row.service for row in look.containers} - set(look.model.services))
        result["warnings"] = list(look.warnings)
        result["images"] = outcome.images(look.model, look.containers)
        result["sources"] = strict.sources_of(look.model)
        result["health"] = outcome.health(look.containers)
        result["timings_ms"] = dict(self._timings)
        return result

    def _timed(self, name: str) -> _Timer:
        return _Timer(self._timings, name, self._world.clock.monotonic)


class _Timer:
    def __init__(self, store: dict[str, float], name: str, monotonic: t.Callable[[], float]) -> None:
        self._store, self._name, self._monotonic = store, name, monotonic

    def __enter__(self) -> None:
        self._began = self._monotonic()

    def __exit__(self, *unused: object) -> None:
        self._store[self._name] = round((self._monotonic() - self._began) * 1000, 1)
