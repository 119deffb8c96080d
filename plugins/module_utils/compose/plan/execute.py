# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do what the plan says, and nothing else, in the order the services depend on each other."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import re
import tempfile
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers import find as providers
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.docker_compose import model as resolve
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.find import DOCKER_COMPOSE, Provider
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.health.gate import Gate
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan as planning
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import resources
from ansible_collections.onebox.stack.plugins.module_utils.core import mask, process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import changes
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine

# Building and pulling may take as long as the network does.
_BUILD_TIMEOUT = 3600.0
_CALL_TIMEOUT = 600.0
_PROBE_TIMEOUT = 30.0
_AWAITED = ("service_healthy", "service_completed_successfully")


class Actor:
    """Changes one stack through its compose tool.

    Args:
        tool: the compose tool.
        engine: the engine it drives.
        project: the stack's name.
        source: where the stack is declared; None when only its containers are known (removal).
        world: starts processes.
        lock: the stack's lock. A command that outlives a killed run holds it, so that the next run waits for its end.
        grace: container id -> seconds it may take to end, which podman-compose does not pass to Podman.
        shown: masks what a command printed.
    """

    def __init__(
        self,
        tool: Provider,
        engine: Engine,
        project: str,
        source: Source | None,
        world: World,
        *,
        lock: int | None,
        grace: t.Mapping[str, int],
        shown: t.Callable[[str], str] = mask.printed,
    ) -> None:
        self._tool = tool
        self._engine = engine
        self._project = project
        self._source = source
        self._world = world
        self._lock = lock
        self._grace = grace
        self._shown = shown

    @property
    def _docker(self) -> bool:
        return self._tool.kind == DOCKER_COMPOSE

    def build(self, services: t.Sequence[str]) -> None:
        """Build the images of ``services``; running containers go on."""
        if services:
            self._compose(["build", *services], _BUILD_TIMEOUT, f"build {', '.join(services)}")

    def needless(self, model: Model, rows: t.Sequence[planning.Row]) -> set[str]:
        """Services that a rebuild left with the image they run, as when only files changed that no step copies."""
        built = {row.service for row in rows if row.action == planning.REBUILD}
        dropped: set[str] = set()
        for row in rows:
            if row.service in built or row.cascade_from in built:
                row.built_id = self._engine.image_id(model.services[row.service].image)
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

    def pull(self, model: Model, services: t.Sequence[str], missing: t.Container[str]) -> None:
        """Fetch images that are not here, before anything is stopped."""
        absent = [name for name in services if model.services[name].image in missing]
        if not absent:
            return
        what = f"pull {', '.join(sorted({model.services[name].image for name in absent}))}"
        if self._docker:
            self._compose(["pull", "--quiet", *absent], _BUILD_TIMEOUT, what)
            return
        for image in dict.fromkeys(model.services[name].image for name in absent):
            self._command(["podman", "pull", "--quiet", image], _BUILD_TIMEOUT, what)

    def up(self, rows: t.Sequence[planning.Row]) -> None:
        """Create, replace or start the containers of ``rows``; what they depend on is left alone."""
        replaced = [row for row in rows if row.action in (planning.RECREATE, planning.REBUILD)]
        words = ["up", "-d", "--no-build"]
        if not planning.takes_dependencies_along(self._tool.kind, self._tool.version):
            words.append("--no-deps")
        what = "start " + ", ".join(row.service for row in rows)
        if self._docker:
            # One call for all: services that are only created or started are not touched by --force-recreate.
            groups = [
                (replaced, ["--force-recreate"]),
                ([row for row in rows if row not in replaced], ["--no-recreate"]),
            ]
            for group, flags in groups:
                if group:
                    self._compose([*words, *flags, *(row.service for row in group)], _CALL_TIMEOUT, what)
            return
        self._compose([*words, *(row.service for row in rows)], _CALL_TIMEOUT, what)

    def clear(self, model: Model, groups: t.Sequence[t.Sequence[planning.Row]]) -> None:
        """Remove what is to be replaced, last group first, where the tool or the engine cannot replace it in place.

        podman-compose would take running dependents down as well; this way it only has to create what is missing.
        """
        for group in reversed(groups):
            for row in group:
                if not row.replaces:
                    continue
                if not self._docker:
                    self.remove(row.container_ids)
                elif self._engine.name == "podman" and "parent_recreated" in row.reasons:
                    # Podman refuses to remove a container while another one lives in its namespaces.
                    self.remove_services(dict.fromkeys(row.container_ids, row.service))

    def restart(self, model: Model, rows: t.Sequence[planning.Row]) -> None:
        """Restart the containers of ``rows`` in place; binds are looked up anew."""
        if not rows:
            return
        names = [row.service for row in rows]
        if self._docker:
            self._project_call(["restart", *names], f"restart {', '.join(names)}")
            return
        for row in rows:
            # podman-compose does not tell Podman the service's own grace period.
            seconds = model.services[row.service].stop_seconds
            self._podman_each(["restart", "--time", str(seconds)], row.container_ids)

    def unpause(self, ids: t.Mapping[str, str]) -> None:
        """Let paused containers go on: ``id -> service``."""
        if not ids:
            return
        if self._docker:
            self._project_call(["unpause", *sorted(set(ids.values()))], "unpause")
        else:
            self._podman_each(["unpause"], list(ids))

    def stop(self, ids: t.Mapping[str, str]) -> None:
        """Stop containers, ``id -> service``, and keep them."""
        if not ids:
            return
        if self._docker:
            self._project_call(["stop", *sorted(set(ids.values()))], "stop")
        else:
            self._stop(list(ids))

    def remove_services(self, ids: t.Mapping[str, str]) -> None:
        """Stop and remove containers, ``id -> service``; volumes and directories stay."""
        if not ids:
            return
        if self._docker:
            self._project_call(["rm", "--stop", "--force", *sorted(set(ids.values()))], "remove")
        else:
            self.remove(list(ids))

    def _stop(self, ids: t.Sequence[str]) -> None:
        groups: dict[int, list[str]] = {}
        for identity in ids:
            groups.setdefault(self._grace.get(identity, 10), []).append(identity)
        for seconds, group in groups.items():
            self._podman_each(["stop", "--time", str(seconds)], group)

    def remove(self, ids: t.Sequence[str]) -> None:
        """Stop Podman containers, killing each after its time, and remove them; their volumes stay."""
        if ids:
            self._stop(ids)
            self._command(["podman", "rm", "--force", *ids], _CALL_TIMEOUT, "remove former containers")

    def down(self, ids: t.Mapping[str, str]) -> None:
        """Remove the whole stack: containers and networks, never a volume."""
        if self._docker:
            self._project_call(["down", "--remove-orphans"], "take down")
            return
        self.remove(list(ids))
        listed = self._command(
            ["podman", "network", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={self._project}"],
            _CALL_TIMEOUT,
            "list networks",
        )
        for network in listed.stdout.split():
            self._command(["podman", "network", "rm", network], _CALL_TIMEOUT, f"remove network {network}")

    def remove_network(self, row: resources.Row) -> None:
        """Remove a network that has no containers of this stack any more; the next start makes it as declared.

        Raises:
            ComposeError: another container is on it, or the engine refused.
        """
        what = f"remove network {row.name}, which was changed"
        if not self._engine.socket:
            self._command(["podman", "network", "rm", row.name], _CALL_TIMEOUT, what)
            return
        status, said = changes.change(self._engine.socket, "DELETE", f"/networks/{row.identity}")
        if status >= 400 and status != 404:
            raise ComposeError(f"could not {what} (stack {self._project}): {said}")

    def probe(self, ids: t.Sequence[str]) -> None:
        """Run healthchecks now, side by side; Podman records the result."""

        def one(identity: str) -> None:
            words = ["podman", "healthcheck", "run", identity]
            # One that hangs, or a podman that is not on PATH here: then the gate sees what Podman itself recorded.
            with contextlib.suppress(process.CommandError):
                self._world.run(words, timeout=_PROBE_TIMEOUT, env=self._tool.env, check=False)

        with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(one, ids))

    def _podman_each(self, words: t.Sequence[str], ids: t.Sequence[str]) -> None:
        if ids:
            self._command(["podman", *words, *ids], _CALL_TIMEOUT, words[0])

    def _compose(self, words: t.Sequence[str], timeout: float, what: str) -> None:
        if self._source is None:
            raise ComposeError(f"cannot {what} {self._project}: its compose file is not known")
        argv = [*resolve.arguments(self._tool, self._source), *words]
        with contextlib.ExitStack() as until_done:
            if not self._docker:
                folder = until_done.enter_context(tempfile.TemporaryDirectory(suffix=".onebox"))
                argv = providers.without_values(self._tool, folder, argv)
            self._command(argv, timeout, what, cwd=self._source.project_dir)

    def _project_call(self, words: t.Sequence[str], what: str) -> None:
        # By labels, without any file: what runs is what is meant, not what the file says now.
        self._command([*self._tool.argv, "-p", self._project, *words], _CALL_TIMEOUT, what, cwd="/")

    def _command(self, argv: t.Sequence[str], timeout: float, what: str, cwd: str | None = None) -> process.Result:
        try:
            return self._world.run(argv, timeout=timeout, env=self._tool.env, cwd=cwd, holding=self._lock)
        except process.CommandError as error:
            # Masked before it is cut: the rest of a secret of many lines is not recognised.
            out, err = self._shown(error.result.stdout), self._shown(error.result.stderr)
            said = process.last_words(err or out, 4) or str(error)
            said += _failed_step(out)
            raise ComposeError(f"could not {what} (stack {self._project}): {said}") from error


def _failed_step(text: str) -> str:
    """What the failed step of a build printed: BuildKit shows it between two lines of dashes, and not as an error."""
    parts = re.split(r"(?m)^------$", text)
    lines = parts[-2].strip().splitlines() if len(parts) > 2 else []
    return "".join(f"\n    {line.strip()}" for line in lines[-15:])


def stages(model: Model, rows: t.Sequence[planning.Row]) -> list[list[planning.Row]]:
    """Group ``rows`` so that a service comes after those it waits for to be healthy or done."""
    acting = {row.service: row for row in rows}
    level: dict[str, int] = {}

    def depth(name: str, path: tuple[str, ...]) -> int:
        if name in level:
            return level[name]
        if name in path:
            raise ComposeError(f"services depend on each other in a circle: {' -> '.join((*path, name))}")
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


def run_plan(
    actor: Actor,
    gate: Gate,
    model: Model,
    rows: t.Sequence[planning.Row],
    missing_images: t.Container[str],
    timeout: float,
    paused: t.Mapping[str, str],
    outside: t.Sequence[resources.Row] = (),
) -> None:
    """Carry out ``rows``.

    Args:
        missing_images: references no local image has.
        timeout: seconds for a service another one waits for.
        paused: ids of paused containers -> service.
        outside: the plan for networks and volumes.

    Raises:
        ComposeError: a step failed; what ran before it stays as it is.
        Unhealthy: a service others wait for did not get well.
    """
    acting = [row for row in rows if row.replaces or row.action == planning.START]
    built = [row.service for row in acting if row.action == planning.REBUILD]
    if built:
        actor.build(built)
        dropped = actor.needless(model, rows)
        rows = [row for row in rows if row.service not in dropped]
        acting = [row for row in acting if row.service not in dropped]
    made_here = [service.image for service in model.services.values() if service.build is not None]
    pullable = [row.service for row in acting if row.replaces and model.services[row.service].image not in made_here]
    actor.pull(model, pullable, missing_images)
    actor.unpause(paused)
    # Before anything is made, as Compose does it: the name or the port of one that left may be wanted.
    removed = [row for row in rows if row.action == planning.REMOVE_ORPHAN]
    actor.remove_services({identity: row.service for row in removed for identity in row.container_ids})
    groups = stages(model, acting)
    networks = {row.key: row for row in outside if row.kind == "network" and row.action == resources.RECREATE}
    if networks:
        for group in reversed(groups):
            doomed = [row for row in group if _on(row, model, networks)]
            actor.remove_services({identity: row.service for row in doomed for identity in row.container_ids})
        for network in networks.values():
            actor.remove_network(network)
        groups = [[_gone(row) if _on(row, model, networks) else row for row in group] for group in groups]
    actor.clear(model, groups)
    for number, group in enumerate(groups):
        actor.up(group)
        later = {row.service for rest in groups[number + 1 :] for row in rest}
        awaited = _awaited(model, {row.service for row in group}, later)
        if awaited:
            completed = {name for name, condition in awaited.items() if condition == _AWAITED[1]}
            gate.wait({name: model.services[name] for name in awaited}, timeout, completed=completed)
    for group in stages(model, [row for row in rows if row.action == planning.RESTART]):
        actor.restart(model, group)


def _on(row: planning.Row, model: Model, networks: t.Container[str]) -> bool:
    """Whether a row is about containers on one of the networks, or in the namespace of such a container."""
    return "parent_recreated" in row.reasons or any(
        key in networks for key in resources.keys_of(model.services[row.service], model)
    )


def _gone(row: planning.Row) -> planning.Row:
    """The row once its containers were removed."""
    return dataclasses.replace(row, container_ids=())


def _awaited(model: Model, here: t.Container[str], later: t.Container[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, service in model.services.items():
        if name in later:
            for dependency in service.depends_on:
                if dependency.service in here and dependency.condition in _AWAITED:
                    found[dependency.service] = dependency.condition
    return found
