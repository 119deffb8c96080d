# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inspect a stack without changing it: its model, its containers, the plan, and problems."""

from __future__ import annotations

import dataclasses
import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose import result as results
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import (
    anonymous_volumes,
    command_line,
    container_names,
    declaration,
    exposure,
    log_bound,
    other_target,
    outside,
    ports,
    quadlets,
    secrets,
    source_links,
    sources,
    vm_shares,
    without_effect,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.data.check import DataChecks
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Driver
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose import (
    secrets as podman_secrets,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack
from ansible_collections.onebox.stack.plugins.module_utils.compose.files.staging import Staging
from ansible_collections.onebox.stack.plugins.module_utils.compose.health import mounts, restarts
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import bound_files
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.digests import Content, Piece, Reader
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source, locate, moved
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import gather, resources
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan as planning
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import EVERYTHING, Request
from ansible_collections.onebox.stack.plugins.module_utils.compose.result import Result, Timings
from ansible_collections.onebox.stack.plugins.module_utils.compose.secrecy import Secrecy
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import deployed_files, state_file
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.records import Memory
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import databases, discover
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.mounts.source_links import ForeignLinks
from ansible_collections.onebox.stack.plugins.module_utils.mounts.sources import SourceFacts
from ansible_collections.onebox.stack.plugins.module_utils.vm.shares import Machine


@dataclass
class Inspection:
    """An inspected stack.

    Attributes:
        coming: secrets that the run sets in Podman.
        outside: the networks and volumes that are not as declared.
        sources: the facts of each bind source; empty with a virtual machine.
        places: the data map of the running containers, as ``bind_mount_verify`` returns it.
        listening: the listening sockets of this host; empty without an engine.
        unsafe: problems of mounts that a restart would fix, but must not, because a container could redirect it.
    """

    model: Model
    source: Source
    tool: Driver
    engine: Engine | None
    facts: planning.Facts
    rows: list[planning.Row]
    warnings: list[str]
    cache: dict[str, list[t.Any]]
    coming: tuple[str, ...] = ()
    outside: list[resources.Row] = field(default_factory=list)
    sources: t.Mapping[str, SourceFacts] = field(default_factory=dict)
    unsafe: tuple[Problem, ...] = ()
    places: t.Sequence[t.Mapping[str, t.Any]] = ()
    listening: t.Sequence[ports.Listener] = ()


def find_engine(request: Request, world: World) -> Engine:
    """The engine of the request; with ``auto``, the engine on which the stack was deployed.

    If that does not answer, another engine would start the stack a second time, on the same data.

    Raises:
        EngineError: the engine does not answer.
    """
    known = str(state_file.load(request.state_folder).get("engine") or "")
    if request.engine != "auto" or request.socket or known not in discover.ENGINES:
        return discover.find(request.engine, request.socket, world=world)
    try:
        return discover.find(known, world=world)
    except EngineError as error:
        raise EngineError(
            f"stack {request.name} was deployed on {known}, which does not answer: {error} To move the stack to "
            "another engine, remove it from this one first, and set engine to the other."
        ) from error


class Inspector:
    """Inspects one stack.

    Args:
        request: the wanted state.
        world: processes, clock and environment.
        timings: counts the time of each step.

    Attributes:
        secrecy: masks secrets.
    """

    def __init__(self, request: Request, world: World, timings: Timings) -> None:
        self._request = request
        self._world = world
        self.timings = timings
        self.secrecy = Secrecy(request)

    def inspect(
        self, tolerate_missing: bool = False, judge_builds: bool = True, staging: Staging | None = None
    ) -> Inspection:
        """Resolve the model, query the engine, and plan.

        Args:
            tolerate_missing: a missing engine is a warning.
            judge_builds: whether a changed build context counts. A rollback has its images already.
            staging: the staged files; without them, the deploy directory is read.

        Raises:
            ComposeError, EngineError: the stack cannot be inspected.
        """
        request, world = self._request, self._world
        source = self._locate(staging)
        warnings: list[str] = []
        unsafe: list[Problem] = []
        with self.timings.step("engine"):
            engine = self._engine(tolerate_missing, warnings)
        memory = Memory.parse(state_file.load(request.state_folder))
        with self.timings.step("config"):
            self.secrecy.learn_source(source)
            gathered = gather.gather(request, source, engine, memory, world, self.secrecy.printed)
        tool, model, containers = gathered.tool, gathered.model, gathered.containers
        self.secrecy.learn_model(model)
        self.secrecy.learn_containers(containers, gathered.images)
        with self.timings.step("sources"):
            at_sources = self._sources(model)
        with self.timings.step("plan"):
            coming = podman_secrets.coming(request, engine, world) if staging else {}
            reader = self._reader(memory, {**secrets.pieces(model, engine), **coming}, source, staging)
            content = _content(reader, model, judge_builds)
            stale, places = self._stale(engine, containers, unsafe)
            facts = planning.Facts(
                containers,
                gathered.images,
                memory,
                content,
                stale,
                gathered.outside,
                gathered.names,
                quadlets.digests(model, source, tool, engine, world),
                quadlets.edited(model, tool, world),
            )
            changed = resources.plan(model, gathered.outside, tool)
            rows = planning.make(
                model,
                facts,
                driver=tool,
                remove_orphans=request.remove_orphans,
                networks=[row.key for row in changed if row.kind == "network"],
            )
        if any(row.diff for row in rows) or any(row.diff for row in changed):
            self.secrecy.learn_releases()
        return Inspection(
            model,
            source,
            tool,
            engine,
            facts,
            rows,
            warnings,
            reader.cache,
            tuple(coming),
            changed,
            at_sources,
            tuple(unsafe),
            places,
            gathered.listening,
        )

    def _locate(self, staging: Staging | None) -> Source:
        request = self._request
        return locate(
            request.name,
            request.project_dir,
            request.files,
            request.env_file,
            request.profiles,
            request.staged_dir if staging else "",
            staging.instead if staging else None,
        )

    def _engine(self, tolerate_missing: bool, warnings: list[str]) -> Engine | None:
        """The engine; None, with a warning, if a missing engine is tolerated."""
        try:
            return find_engine(self._request, self._world)
        except EngineError as error:
            if not tolerate_missing or self._request.engine not in discover.ENGINES:
                raise
            warnings.append(f"{error} Check mode continues without it and plans every service as missing.")
            return None

    def _sources(self, model: Model) -> dict[str, SourceFacts]:
        """The facts of the bind sources. All later steps read them, and would wait for a dead share forever.

        Raises:
            BadStack: a source does not answer.
        """
        if self._request.vm != "none":
            return {}
        found = sources.inspect(model, self._world)
        unanswered = sources.unanswered(model, found)
        if unanswered:
            raise BadStack(self._request.name, unanswered)
        return found

    def _reader(
        self, memory: Memory, external: t.Mapping[str, Piece], source: Source, staging: Staging | None
    ) -> Reader:
        request = self._request
        return Reader(
            memory.cache,
            external,
            self._place(source, staging),
            staging.links if staging else (),
            deployed_files.load(request.state_folder).deployed_to(request.project_dir),
            staging.digests if staging else {},
        )

    def _place(self, source: Source, staging: Staging | None) -> t.Callable[[str], str]:
        """The function from a path to the path where it is read: content and deployed files are still staged."""
        content = self._request.content if staging else ()

        def place(path: str) -> str:
            for staged, directory in content:
                found = moved(path, directory, staged)
                if found != path and os.path.isfile(found):
                    return found
            return source.place(path)

        return place

    def _stale(
        self, engine: Engine | None, containers: t.Sequence[Container], unsafe: list[Problem]
    ) -> tuple[dict[str, list[str]], list[dict[str, t.Any]]]:
        """Service -> destinations that a restart fixes, and the data map.

        If a restart is not safe, ``unsafe`` gets a problem.
        """
        if engine is None or not self._request.verify or not any(row.running for row in containers):
            return {}, []
        links = ForeignLinks.of(engine, self._world)
        running = [row.id for row in containers if row.running]
        report = mounts.prove(engine, self._request, self._world, names=running, access="none")
        found: dict[str, list[str]] = {}
        for container in report["containers"]:
            for row in container["mounts"]:
                if row["verdict"] == "ok" or row["fix"] != "restart":
                    continue
                root = links.lies_in(row["source"]) if row["type"] == "bind" else ""
                if root:
                    unsafe.append(source_links.changed_inside(container["service"], row, root))
                else:
                    found.setdefault(container["service"], []).append(row["destination"])
        return found, report["data_places"]

    def problems(self, seen: Inspection) -> list[Problem]:
        """All reasons to refuse the deploy."""
        request = self._request
        problems = declaration.declared(seen.model, seen.source, request.rules, seen.facts.images)
        problems += other_target.problems(request.name, seen.facts.names)
        problems += outside.declared(seen.model)
        if not request.adopt:
            problems += declaration.foreign(request.name, request.project_dir, seen.facts.containers)
        problems += secrets.problems(seen.model, seen.tool, seen.engine, seen.coming)
        problems += command_line.problems(seen.model, seen.tool, self.secrecy.text)
        images = seen.facts.images
        problems += quadlets.problems(seen.model, seen.source, seen.tool, seen.engine, images, self._world)
        if request.vm != "none":
            machine = Machine.of(request.vm, request.vm_name, environ=self._world.environ)
            problems += vm_shares.problems(seen.model, machine, self._world)
        if seen.sources:
            problems += sources.changed(seen.model, seen.sources, request.state_folder)
        problems += seen.unsafe
        problems += declaration.platforms(seen.model, seen.facts.images, os.uname().machine)
        # On other systems, containers run in a virtual machine, which has its own devices.
        if request.vm == "none" and os.uname().sysname == "Linux":
            problems += outside.devices(seen.model)
        engine = seen.engine
        if engine is not None:
            problems += self._outside(seen, engine)
            problems += declaration.occupied(
                seen.model, seen.rows, seen.facts.containers, engine.containers, seen.listening, ports.owner
            )
            problems += source_links.problems(seen.model, engine, self._world)
            present = seen.facts.containers
            problems += anonymous_volumes.problems(seen.model, seen.rows, present, engine, seen.tool)
            problems += self._data(seen, engine).problems(seen.source.place)
        return problems

    def _data(self, seen: Inspection, engine: Engine) -> DataChecks:
        local = self._request.vm == "none"
        return DataChecks(seen.model, seen.facts, seen.rows, engine, self._world, local=local)

    def _outside(self, seen: Inspection, engine: Engine) -> list[Problem]:
        replaced = {row.service for row in seen.rows if row.replaces or row.action == planning.REMOVE_ORPHAN}
        ours = [row.name for row in seen.facts.containers if row.service in replaced]
        found = seen.facts.outside
        problems = outside.resources_problems(seen.model, found, seen.outside, seen.tool, engine.members, ours)
        created = self._request.rules.derive
        return [
            *(each for each in problems if not (created and each.code == "no_network")),
            *container_names.taken(seen.model, seen.rows, seen.facts.names, seen.tool, engine.name),
            *container_names.unknown(seen.rows, seen.facts.containers, seen.tool, engine.name),
        ]

    def _not_backed_up(self, seen: Inspection) -> list[str]:
        known = set(self._request.backed_up)
        if EVERYTHING in known:
            return []
        warnings = []
        for name, service in seen.model.services.items():
            names = {name, service.container_name, *(row.name for row in seen.facts.containers if row.service == name)}
            if databases.is_database(service.image) and not names & known:
                warnings.append(databases.not_backed_up(name, service.image))
        return warnings

    def _notes(self, seen: Inspection) -> list[str]:
        """Warnings about later surprises: ignored keys, restarts, unread files, unbounded logs."""
        engine = seen.engine.name if seen.engine is not None else ""
        found = without_effect.warnings(seen.model, seen.tool)
        found += quadlets.warnings(seen.model, seen.tool, seen.engine)
        found += quadlets.edited_warnings(seen.model, seen.facts.edited, self._world)
        found += exposure.warnings(seen.model.services.values(), self._request.rules.exposure)
        found += restarts.warnings(seen.facts.containers, seen.facts.memory, engine)
        found += [
            f"service {name}, volume {source}: has more than {bound_files.MOST_FILES} files or "
            f"{bound_files.MOST_BYTES >> 20} MiB, so a change there does not restart the service. Mount the files that "
            f"it reads at its start separately, or set the label {bound_files.RELOAD_LABEL}: {bound_files.BY_ITSELF}"
            for name, content in seen.facts.content.items()
            for source in content.unread
        ]
        if seen.engine is not None:
            found += self._data(seen, seen.engine).warnings(self._request.state_dir, seen.places)
        logs = log_bound.warning(seen.model, seen.facts.containers, engine, self._world) if engine else ""
        return [*found, logs] if logs else found

    def result(self, seen: Inspection) -> Result:
        """The part of a result that is known before anything is changed."""
        rows: list[planning.Row | resources.Row] = [*seen.rows, *seen.outside]
        containers, model = seen.facts.containers, seen.model
        notes = [*seen.warnings, *resources.warnings(seen.outside), *self._not_backed_up(seen), *self._notes(seen)]
        return Result(
            self._request.name,
            backend=results.backend(seen.tool, seen.engine),
            plan=[{**row.as_dict(), "diff": self.secrecy.diff(row.diff)} for row in rows],
            orphans=sorted({row.service for row in containers} - set(model.services)),
            warnings=notes,
            images=results.images(model, containers),
            files_read=seen.source.files_read,
            sources=declaration.sources_of(model),
            health=results.health(containers, model, self._request.vm == "none"),
            timings_ms=dict(self.timings.ms),
        )


def _content(reader: Reader, model: Model, judge_builds: bool) -> dict[str, Content]:
    """The digests of the files of each service."""
    written = {realpath(path) for path in declaration.written_to(model)}
    content = {
        name: reader.content(service, model.variables, model.project_dir, written)
        for name, service in model.services.items()
    }
    if judge_builds:
        return content
    return {name: dataclasses.replace(each, context=None) for name, each in content.items()}
