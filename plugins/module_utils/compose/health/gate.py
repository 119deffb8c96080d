# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until a stack is healthy, or report which service is not, and its last lines."""

from __future__ import annotations

import math
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import Unhealthy
from ansible_collections.onebox.stack.plugins.module_utils.compose.health import check_output, evidence, exit_reason
from ansible_collections.onebox.stack.plugins.module_utils.compose.health.restarts import (
    LOOP,
    UNKNOWN,
    Baseline,
    settle_factor,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Service
from ansible_collections.onebox.stack.plugins.module_utils.core import mask
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.engine.project_containers import project_containers
from ansible_collections.onebox.stack.plugins.module_utils.engine.times import epoch_of

HEALTHY, WAITING, FAILED = "healthy", "waiting", "failed"
# Seconds a container started by this run must stay healthy; it must have run for twice as long.
_STEADY = 1.0
_ENDED = ("exited", "stopped", "dead")
_RUNNING = ("running",)
_LISTENS = "running, its ports listen"


@dataclass
class _Seen:
    restarts: int
    since: float | None = None
    # Since when it has been healthy without a break.
    healthy_since: float | None = None
    # Podman reports 0 while a container runs again. A person needs the exit code from before.
    exit_code: int = 0
    # Its start by the engine's clock, and by our clock the first time that this start was seen.
    started_at: str = ""
    started_since: float = 0.0
    # Observed starts that the engine did not count, because something else caused them.
    starts: int = 0


@dataclass(frozen=True)
class Settings:
    """How a health gate judges.

    Attributes:
        settle: seconds a service without a healthcheck must run without a restart.
        tolerance: seconds ``unhealthy`` or ``exited`` must last to count as a failure. A restart policy, or the next
            healthcheck, may still fix it.
        interval: seconds between two inspections.
        probe: runs healthchecks of containers now. Podman leaves that to systemd timers: without systemd, nothing else
            runs them.
        kernel: returns whether the kernel killed a container, see :func:`exit_reason.kernel_says`.
        baseline: restarts from before the deploy, which do not count.
        local: whether the processes of the containers run on this host, so that their ports can be inspected.
        shown: masks the output of a container.
    """

    settle: float = 3.0
    tolerance: float = 3.0
    interval: float = 0.25
    probe: t.Callable[[t.Sequence[str]], None] | None = None
    kernel: t.Callable[[str], str] = exit_reason.kernel_says
    baseline: Baseline = UNKNOWN
    local: bool = True
    shown: t.Callable[[str], str] = mask.printed


@dataclass
class _Row:
    """The health of one container, or of a service without one."""

    service: str
    verdict: str
    message: str
    container: str = ""
    id: str = ""
    state: str = "missing"
    health: str = ""
    evidence: str = evidence.NONE
    restarts: int = 0
    exit_code: int = 0
    oom_killed: bool = False
    seconds: float = 0.0

    def as_dict(self) -> dict[str, t.Any]:
        """As modules return it."""
        shown = {key: value for key, value in vars(self).items() if key not in ("verdict", "id")}
        return {**shown, "ok": self.verdict == HEALTHY}


class Gate:
    """The health gate of one stack.

    Args:
        engine: where containers are inspected.
        project: the stack.
        world: the clock, and waiting.
        settings: how it judges.
    """

    def __init__(self, engine: Engine, project: str, world: World, settings: Settings | None = None) -> None:
        self._engine = engine
        self._project = project
        self._world = world
        self._settings = settings or Settings()
        self._longest = math.inf

    def wait(
        self,
        services: t.Mapping[str, Service],
        timeout: float,
        *,
        completed: t.Container[str] = (),
        began_at: float = math.inf,
    ) -> list[dict[str, t.Any]]:
        """Wait until all ``services`` are healthy.

        Args:
            timeout: seconds.
            completed: services that must have ended with exit code 0, because another one waits for that.
            began_at: seconds since 1970. A container started later must stay healthy for a second to count.

        Returns:
            One row a container: service, container, state, health, evidence, restarts, exit_code, seconds, ok, message.

        Raises:
            Unhealthy: a service failed, or the time is over. The message has its last lines.
        """
        began = self._world.monotonic()
        seen: dict[str, _Seen] = {}
        self._longest = max(timeout / 2, self._settings.settle)
        while True:
            started = self._world.monotonic()
            rows = self._inspect(services, seen, began, completed, began_at)
            bad = [row for row in rows if row.verdict == FAILED]
            if not bad and all(row.verdict == HEALTHY for row in rows):
                return [row.as_dict() for row in rows]
            now = self._world.monotonic()
            elapsed = now - began
            if bad or elapsed >= timeout:
                raise self._unhealthy(bad or [row for row in rows if row.verdict != HEALTHY], rows, elapsed)
            # Podman's command line is slow. Most of the time belongs to the services.
            self._world.sleep(min(max(self._settings.interval, 10 * (now - started)), 2.0))

    def _inspect(
        self,
        services: t.Mapping[str, Service],
        seen: dict[str, _Seen],
        began: float,
        completed: t.Container[str],
        began_at: float,
    ) -> list[_Row]:
        found = self._containers(services)
        if self._settings.probe is not None:
            checked = [row.id for row in found if row.running and evidence.has_healthcheck(services[row.service], row)]
            if checked:
                self._settings.probe(checked)
                found = self._containers(services)
        rows = []
        for container in found:
            service = services[container.service]
            verdict, message = self._verdict(service, container, seen, completed, began_at)
            rows.append(
                _Row(
                    container.service,
                    verdict,
                    message,
                    container=container.name,
                    id=container.id,
                    state=container.status,
                    health=container.health,
                    evidence=_evidence(service, container, verdict, message),
                    restarts=container.restart_count,
                    exit_code=container.exit_code,
                    oom_killed=container.oom_killed,
                    seconds=round(self._world.monotonic() - began, 3),
                )
            )
        there = {container.service for container in found}
        for name, service in services.items():
            if name not in there and service.scale > 0:
                rows.append(_Row(name, WAITING, "has no container"))
        return rows

    def _containers(self, services: t.Mapping[str, Service]) -> list[Container]:
        return [row for row in project_containers(self._engine, self._project) if row.service in services]

    def _verdict(
        self,
        service: Service,
        container: Container,
        seen: dict[str, _Seen],
        completed: t.Container[str],
        began_at: float,
    ) -> tuple[str, str]:
        now = self._world.monotonic()
        memory = seen.setdefault(container.id, _Seen(container.restart_count))
        memory.exit_code = container.exit_code or memory.exit_code
        restarts = self._restarts(memory, container)
        watched = max(container.restart_count - memory.restarts, memory.starts)
        job = service.retried and not evidence.has_healthcheck(service, container) and not service.ports
        if restarts >= LOOP and (watched or self._settings.baseline.is_new(container)) and not job:
            ended = exit_reason.words(replace(container, exit_code=memory.exit_code), self._settings.kernel)
            return FAILED, f"keeps restarting ({restarts} times), {ended}"
        if container.status in _ENDED:
            if service.name in completed or service.one_shot:
                if container.exit_code == 0:
                    return HEALTHY, "ended with exit code 0"
                ended = f"ended: {exit_reason.words(container, self._settings.kernel)}"
                # A service that is started again while it fails may be between two attempts.
                return self._lasting(memory, now, ended) if service.retried else (FAILED, ended)
            return self._lasting(memory, now, f"is not running: {exit_reason.words(container, self._settings.kernel)}")
        if service.name in completed:
            memory.since = None
            return WAITING, f"is still {container.status}, but another service waits for its end"
        if container.health == "unhealthy":
            return self._lasting(memory, now, self._with_output("its healthcheck fails", container))
        memory.since = None
        if container.status not in _RUNNING:
            return WAITING, self._after_end(f"is {container.status}", memory, container)
        loops = self._settings.baseline.short_lived(container, restarts, self._world.epoch())
        if evidence.has_healthcheck(service, container):
            if container.health == "healthy":
                must_last = loops or epoch_of(container.started_at) >= began_at
                return self._steady(memory, now, container, restarts) if must_last else (HEALTHY, "healthy")
            memory.healthy_since = None
            return WAITING, self._with_output(f"its healthcheck is still {container.health or 'not run'}", container)
        ran = self._ran(memory, now, container)
        if ran < (
            min(self._settings.settle * settle_factor(restarts), self._longest) if loops else self._settings.settle
        ):
            return WAITING, self._after_end(f"runs for {max(ran, 0):.0f} s", memory, container)
        ports = evidence.listening(service, container) if self._settings.local else evidence.Listening(False)
        if not ports.known:
            return HEALTHY, evidence.UNCHECKED
        return (WAITING, ports.message) if ports.message else (HEALTHY, _LISTENS)

    def _with_output(self, message: str, container: Container) -> str:
        said = check_output.last_failure(container, self._settings.shown)
        return f"{message}: {said}" if said else message

    def _after_end(self, message: str, memory: _Seen, container: Container) -> str:
        """The message with the last end of a container that was started again."""
        if not memory.exit_code:
            return message
        ended = exit_reason.words(replace(container, exit_code=memory.exit_code), self._settings.kernel)
        return f"{message}, after {ended}"

    def _restarts(self, memory: _Seen, container: Container) -> int:
        """The number of restarts since the deploy began, or since the last run."""
        if memory.started_at and container.started_at != memory.started_at:
            memory.starts += 1
        return max(self._settings.baseline.restarts(container, memory.restarts), memory.starts)

    def _steady(self, memory: _Seen, now: float, container: Container, restarts: int) -> tuple[str, str]:
        # Some report healthy until they have read their configuration, above all after restarts.
        if memory.healthy_since is None:
            memory.healthy_since = now
        steady = min(_STEADY * (1 + 3 * restarts), self._longest / 2)
        proven = now - memory.healthy_since >= steady and self._ran(memory, now, container) >= 2 * steady
        return (HEALTHY if proven else WAITING), "healthy"

    def _ran(self, memory: _Seen, now: float, container: Container) -> float:
        """Seconds since its start. Where the engine's clock is ahead of ours, our own observation counts."""
        if memory.started_at != container.started_at:
            memory.started_at, memory.started_since = container.started_at, now
        return max(self._world.epoch() - epoch_of(container.started_at), now - memory.started_since)

    def _lasting(self, memory: _Seen, now: float, message: str) -> tuple[str, str]:
        if memory.since is None:
            memory.since = now
        return (FAILED if now - memory.since >= self._settings.tolerance else WAITING), message

    def _unhealthy(
        self,
        bad: t.Sequence[_Row],
        rows: t.Sequence[_Row],
        elapsed: float,
    ) -> Unhealthy:
        parts = []
        for row in bad:
            part = f"service {row.service} {row.message}"
            tail = self._tail(row.id)
            parts.append(part + (f". Its last lines:\n{tail}" if tail else ". It printed nothing"))
        head = f"stack {self._project} is not healthy after {elapsed:.0f} s: "
        return Unhealthy(head + "\n".join(parts), [row.as_dict() for row in rows])

    def _tail(self, container: str) -> str:
        if not container:
            return ""
        try:
            lines = self._engine.logs(container, 15).rstrip()
        except EngineError:
            return ""
        return "\n".join(f"    {line}" for line in self._settings.shown(lines).splitlines())


def _evidence(service: Service, container: Container, verdict: str, message: str) -> str:
    if evidence.has_healthcheck(service, container):
        return evidence.HEALTHCHECK
    return evidence.PORT if verdict == HEALTHY and message == _LISTENS else evidence.NONE
