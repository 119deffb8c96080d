# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploy a stack: take in its files, carry out the plan, and keep a healthy stack as a release."""

from __future__ import annotations

import dataclasses
import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose import pull
from ansible_collections.onebox.stack.plugins.module_utils.compose import result as results
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import declaration
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers import find
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.engine_traits import traits_of
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose import (
    secrets as podman_secrets,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.quadlet import boot as quadlet_boot
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, Unhealthy
from ansible_collections.onebox.stack.plugins.module_utils.compose.files import move_in
from ansible_collections.onebox.stack.plugins.module_utils.compose.files.incoming import Incoming
from ansible_collections.onebox.stack.plugins.module_utils.compose.files.staging import Staging, staged
from ansible_collections.onebox.stack.plugins.module_utils.compose.health import mounts
from ansible_collections.onebox.stack.plugins.module_utils.compose.health.acceptance import Acceptance
from ansible_collections.onebox.stack.plugins.module_utils.compose.health.gate import Gate, Settings
from ansible_collections.onebox.stack.plugins.module_utils.compose.health.restarts import Baseline
from ansible_collections.onebox.stack.plugins.module_utils.compose.inspect import Inspection
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan as planning
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import resources
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan.execute import Execution
from ansible_collections.onebox.stack.plugins.module_utils.compose.result import Result
from ansible_collections.onebox.stack.plugins.module_utils.compose.run import Run
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import (
    promise,
    record_run,
    releases,
    state_file,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.image_tags import Tagger
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.releases import Release
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.engine.project_containers import project_containers
from ansible_collections.onebox.stack.plugins.module_utils.mounts import promised


@dataclass
class Ended:
    """How a deploy ended.

    Attributes:
        result: the result so far.
        rows: the plan that was carried out.
        failure: why it failed; "" when it did not.
        before: the containers before the deploy.
        after: the containers after it.
        judged: path of each deployed file -> digest, as it was checked.
        began_at: when it began to change containers, seconds since 1970.
        can_roll_back: whether it failed while or after it changed containers.
    """

    result: Result
    rows: t.Sequence[planning.Row] = ()
    failure: str = ""
    before: t.Sequence[Container] = ()
    after: t.Sequence[Container] = ()
    judged: t.Mapping[str, str] = field(default_factory=dict)
    began_at: float = 0.0
    can_roll_back: bool = False


class Deploy:
    """Deploys the staged files of a stack.

    Args:
        run: the run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._request = run.request
        self._inspector = run.inspector

    def preview(self, tolerate_missing: bool) -> Result:
        """The plan, without a change.

        Args:
            tolerate_missing: a missing engine, tool or directory is a warning and not an error.

        Raises:
            ComposeError, EngineError: the stack cannot be inspected, or must not be deployed.
        """
        request = self._request
        if tolerate_missing and not request.staged_dir and not os.path.isdir(request.project_dir):
            note = f"{request.project_dir} does not exist yet. Check mode cannot plan without the files of the stack"
            return Result(request.name, changed=True, warnings=[note])
        with staged(request) as staging:
            try:
                seen = self._inspector.inspect(tolerate_missing, staging=staging)
            except find.NoTool as error:
                if not tolerate_missing:
                    raise
                note = f"{error} Check mode continues without a plan."
                return Result(request.name, changed=True, warnings=[note])
            return self._preview(seen, Incoming(request, staging, seen), tolerate_missing)

    def _preview(self, seen: Inspection, incoming: Incoming, tolerate_missing: bool) -> Result:
        problems = [*self._inspector.problems(seen), *incoming.problems]
        tolerated = [each for each in problems if tolerate_missing and each.code in declaration.MADE_BEFORE]
        if len(problems) > len(tolerated):
            raise BadStack(self._request.name, problems)
        result = self._inspector.result(seen)
        result.warnings += [f"{each.where}: {each.message}. Check mode continues without it." for each in tolerated]
        self._run.refuse_in_freeze([*planning.changes(seen.rows), *incoming.changes])
        result.changed = any(row.action != planning.KEEP for row in seen.rows)
        incoming.describe(result)
        pull.describe(self._request, seen, result)
        if (self._request.boot or seen.tool.traits.by_systemd) and seen.engine is not None:
            self._ensure_boot(seen, seen.engine, result, check=True)
        return result

    def run(self) -> Ended:
        """Deploy the stack.

        Raises:
            OneboxError: the stack must not be deployed. Nothing was changed.
        """
        with staged(self._request) as staging:
            seen, ended = self._take_in(staging)
        if ended.failure:
            return ended
        ended.rows, ended.before = seen.rows, seen.facts.containers
        ended.began_at = self._run.world.epoch()
        applier = Applier(self._run)
        ended.failure = applier.run(seen, ended.result)
        ended.after = applier.after
        ended.can_roll_back = bool(ended.failure)
        if not ended.failure:
            ended.failure = self._settle(seen, ended)
        return ended

    def _take_in(self, staging: Staging) -> tuple[Inspection, Ended]:
        """Check the staged files, then move them in.

        Returns:
            The stack that the plan is carried out for, and how the deploy would end now. It has a failure when only
            some of the files could be written.
        """
        request, world = self._request, self._run.world
        seen, incoming = self._check(staging)
        pulled = pull.Pull(self._run, seen)
        pulled.run()
        if pulled.changed:
            # The plan and the checks are those of the new images.
            seen, incoming = self._check(staging)
        judged = releases.digests(seen.source, seen.model, staging.main.target.items if staging.main else None)
        with self._inspector.timings.step("files"):
            if incoming.secrets and seen.engine is not None:
                podman_secrets.set_values(request, seen.engine, world, incoming.secrets)
                # Containers that are created from now on have the new secret, and the plan must know which these are.
                seen = self._inspector.inspect(staging=staging)
            ended = Ended(self._inspector.result(seen), judged=judged)
            incoming.describe(ended.result)
            pulled.report(ended.result)
            try:
                incoming.move_in(world, ended.result)
            except move_in.PartlyWritten as error:
                ended.failure = f"stack {request.name}: {error}"
        return dataclasses.replace(seen, source=seen.source.deployed()), ended

    def _check(self, staging: Staging) -> tuple[Inspection, Incoming]:
        """Inspect the stack with its staged files.

        Raises:
            BadStack: it must not be deployed.
            ComposeError: it must not be changed now.
        """
        seen = self._inspector.inspect(staging=staging)
        incoming = Incoming(self._request, staging, seen)
        problems = [*self._inspector.problems(seen), *incoming.problems]
        if problems:
            raise BadStack(self._request.name, problems)
        self._run.refuse_in_freeze([*planning.changes(seen.rows), *incoming.changes])
        return seen, incoming

    def _settle(self, seen: Inspection, ended: Ended) -> str:
        """Keep a healthy stack as a release, and let the host start it at boot. Returns a failure."""
        timings, result = self._inspector.timings, ended.result
        try:
            with timings.step("commit"):
                try:
                    result.last_good = self._keep(seen, ended).brief
                except releases.FilesDiffer as error:
                    known = self._run.releases.sets()
                    result.last_good = known[-1].brief if known else {}
                    result.warnings.append(str(error))
            if (self._request.boot or seen.tool.traits.by_systemd) and seen.engine is not None:
                with timings.step("boot"):
                    self._ensure_boot(seen, seen.engine, result, check=False)
        except OneboxError as error:
            return f"stack {self._request.name} is healthy, but: {error}"
        return ""

    def _keep(self, seen: Inspection, ended: Ended) -> Release:
        if seen.engine is None:
            raise AssertionError("a deploy needs an engine")
        release = self._run.releases.describe(
            seen.model,
            ended.after,
            ended.judged,
            at=self._run.world.now(),
            revision=self._request.revision,
            tool=f"{seen.tool.kind} {seen.tool.version_text}",
        )
        tagger = Tagger(seen.engine, self._run.world)
        return self._run.releases.commit(release, seen.source.project_dir, tagger, self._request.keep)

    def _ensure_boot(self, seen: Inspection, engine: Engine, result: Result, *, check: bool) -> None:
        if seen.tool.traits.by_systemd:
            quadlet_boot.ensure(self._run, seen, engine, result, check=check)
            return
        usual = traits_of(engine).usual_sockets
        socket = engine.socket if usual and engine.socket not in usual else ""
        grace = max((service.stop_seconds for service in seen.model.services.values()), default=0)
        result.boot = self._run.boot.ensure(
            engine.name,
            result.sources,
            check=check,
            socket=socket or "",
            grace=0 if seen.tool.traits.sets_stop_timeout else grace,
        )
        result.changed = result.changed or result.boot["changed"]


class Applier:
    """Carries out the plan of an inspected stack and checks the stack afterwards.

    Args:
        run: the run.

    Attributes:
        after: the containers after the last plan.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._request = run.request
        self._world = run.world
        self._timings = run.inspector.timings
        self.after: list[Container] = []

    def run(self, seen: Inspection, result: Result) -> str:
        """Carry out the plan.

        Args:
            seen: the stack that the plan was made for.
            result: filled in: changed, health, images, mounts, endpoints, targets.

        Returns:
            Why the stack is not healthy; "" when it is.
        """
        if seen.engine is None:
            raise AssertionError("only check mode inspects a stack without an engine")
        before = results.snapshot(seen.facts.containers)
        failure, self.after = self._carry_out(seen, seen.engine, result)
        result.changed = result.changed or before != results.snapshot(self.after)
        return failure

    def remove(self, seen: Inspection, engine: Engine, containers: t.Mapping[str, str]) -> None:
        """Stop and remove containers of an inspected stack, given as ``id -> service``."""
        self._run.commands(seen.tool, engine, seen.source, _grace_of(seen)).remove(containers)

    def _carry_out(self, seen: Inspection, engine: Engine, result: Result) -> tuple[str, list[Container]]:
        failure, gate = "", None
        try:
            gate = self._gate(seen, engine)
            self._apply(seen, engine, gate, result)
        except Unhealthy as error:
            failure, result.health = str(error), error.rows
        except OneboxError as error:
            failure = str(error)
        after = list(seen.facts.containers)
        acceptance = Acceptance(self._request, self._world, self._run.inspector, engine, seen)
        try:
            after = project_containers(engine, self._request.name)
            self._remember(seen, engine, after)
            result.images = results.images(seen.model, after)
            failure = failure or acceptance.failure(gate, after, result)
            if not failure and self._request.verify:
                made = promise.of(seen.model, after, acceptance.hosts)
                promised.save(os.path.join(self._request.state_folder, promised.NAME), made)
            acceptance.note_logs(after, result)
        except OneboxError as error:
            return failure or str(error), after
        return failure, after

    def _gate(self, seen: Inspection, engine: Engine) -> Gate:
        commands = self._run.commands(seen.tool, engine, seen.source, {})
        settings = Settings(
            settle=self._request.settle,
            probe=commands.probe if traits_of(engine).needs_probes else None,
            baseline=Baseline.of(seen.facts.containers, seen.facts.memory),
            local=self._request.vm == "none",
            shown=self._run.secrecy.printed,
        )
        return Gate(engine, self._request.name, self._world, settings)

    def _apply(self, seen: Inspection, engine: Engine, gate: Gate, result: Result) -> None:
        services, timeout = seen.model.services, self._request.wait_timeout
        if traits_of(engine).creates_sources:
            made = [services[row.service] for row in seen.rows if row.replaces]
            mounts.wait_out_ctime_ambiguity((bind.source for service in made for bind in service.binds), self._world)
        began_at = self._world.epoch()
        if any(row.action != planning.KEEP for row in seen.rows):
            with self._timings.step("apply"):
                missing = {reference for reference, found in seen.facts.images.items() if found is None}
                paused = {row.id: row.service for row in seen.facts.containers if row.status == "paused"}
                commands = self._run.commands(seen.tool, engine, seen.source, _grace_of(seen))
                execution = Execution(commands, engine, gate, seen.model, timeout)
                execution.run(seen.rows, missing, paused, seen.outside)
        with self._timings.step("gate"):
            result.health = gate.wait(services, timeout, began_at=began_at)

    def _remember(self, seen: Inspection, engine: Engine, after: t.Sequence[Container]) -> None:
        """Record what the containers were created from."""
        memory = record_run.after(seen, after, self._outside(seen, engine), self._world.epoch())
        state_file.save(
            self._request.state_folder,
            {
                "project": self._request.name,
                "project_dir": seen.model.project_dir,
                "engine": engine.name,
                **memory.as_dict(),
            },
        )

    def _outside(self, seen: Inspection, engine: Engine) -> resources.Found:
        """Networks and volumes after the run."""
        if all(row.action == planning.KEEP for row in seen.rows):
            return seen.facts.outside
        names = [body["name"] for body in resources.declared(seen.model, "volume").values()]
        networks = {network.name: network for network in engine.networks()}
        return resources.Found(networks, engine.volumes(names), seen.facts.outside.known)


def _grace_of(seen: Inspection) -> dict[str, int]:
    """Container id -> seconds it may take to stop: as recorded when it was created, else as declared now."""
    services = seen.model.services
    declared = {
        each.id: services[each.service].stop_seconds for each in seen.facts.containers if each.service in services
    }
    return {**declared, **seen.facts.memory.grace}
