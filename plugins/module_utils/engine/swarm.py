# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Swarm that an engine is a node of, and on a manager its nodes and the services and tasks of one stack."""

from __future__ import annotations

import hashlib
import json
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, SocketEngine
from ansible_collections.onebox.stack.plugins.module_utils.engine.membership import STACK_LABEL, short_name

_WITH_ERROR = ("pending", "rejected", "failed", "assigned")


@dataclass(frozen=True)
class SwarmService:
    """A service of the Swarm. ``name`` is its name in the compose file."""

    id: str
    name: str
    spec: t.Mapping[str, t.Any] = field(repr=False)
    update: t.Mapping[str, t.Any] = field(default_factory=dict)
    desired: int = 0

    @property
    def container_spec(self) -> t.Mapping[str, t.Any]:
        """How its containers are created."""
        return self.spec["TaskTemplate"].get("ContainerSpec") or {}

    @property
    def labels(self) -> t.Mapping[str, str]:
        """Labels of the service, not of its containers."""
        return self.spec.get("Labels") or {}

    @property
    def replicas(self) -> int:
        """The number of containers that must run."""
        replicated = (self.spec.get("Mode") or {}).get("Replicated")
        return self.desired if replicated is None else int(replicated.get("Replicas") or 0)

    @property
    def pins(self) -> list[str]:
        """Ids and names of the nodes that placement constraints bind it to."""
        found = []
        for row in (self.spec["TaskTemplate"].get("Placement") or {}).get("Constraints") or ():
            key, equal, value = (part.strip() for part in str(row).partition("=="))
            if equal and key in ("node.id", "node.hostname"):
                found.append(value)
        return found

    @property
    def may_end(self) -> bool:
        """Whether a task that ended with exit code 0 is not replaced."""
        condition = (self.spec["TaskTemplate"].get("RestartPolicy") or {}).get("Condition")
        return condition in ("none", "on-failure")

    @property
    def digest(self) -> str:
        """A hash of its specification."""
        return hashlib.sha256(json.dumps(self.spec, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Task:
    """One attempt to run a container of a service.

    Attributes:
        current: whether it has the present specification of its service.
        wanted: whether the Swarm wants it to run.
    """

    id: str
    service_id: str
    slot: int
    node: str
    state: str
    wanted: bool
    current: bool
    container: str
    exit_code: int
    error: str
    created: str


@dataclass(frozen=True)
class Replicas:
    """The tasks of a service.

    Attributes:
        wanted: how many must run.
        good: how many run, or have ended as they may.
        nodes: names of the nodes on which they run.
        pins: names of the nodes that placement constraints bind it to.
        error: the newest error of a task.
    """

    service: str
    wanted: int
    good: int
    nodes: tuple[str, ...]
    pins: tuple[str, ...]
    error: str

    @property
    def lacking(self) -> str:
        """What it lacks, "" if it lacks nothing."""
        if self.good >= self.wanted:
            return ""
        return f"{self.good} of {self.wanted} replicas" + (f". Newest error: {self.error}" if self.error else "")


class Swarm:
    """The Swarm of this host. Nothing here changes it.

    Args:
        engine: the engine of this host.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        info = engine.get("/info") if isinstance(engine, SocketEngine) and engine.name == "docker" else {}
        swarm = info.get("Swarm") or {}
        self.node_id = str(swarm.get("NodeID") or "")
        self.hostname = str(info.get("Name") or "")
        self.state = str(swarm.get("LocalNodeState") or "inactive")
        self.manages = bool(swarm.get("ControlAvailable"))

    def nodes(self) -> dict[str, str]:
        """Node id -> host name, with its state when it is not ready."""
        found = {}
        for row in self._get("/nodes") or ():
            state = str((row.get("Status") or {}).get("State") or "unknown")
            name = str((row.get("Description") or {}).get("Hostname") or row["ID"])
            found[str(row["ID"])] = name if state == "ready" else f"{name} ({state})"
        return found

    def services(self, stack: str) -> dict[str, SwarmService]:
        """The services of a stack, by their name in the compose file."""
        found = {}
        for row in self._get("/services", filters=of_stack(stack), status="true") or ():
            name = str(row["Spec"]["Name"])
            short = short_name(name, stack)
            desired = int((row.get("ServiceStatus") or {}).get("DesiredTasks") or 0)
            found[short] = SwarmService(row["ID"], short, row["Spec"], row.get("UpdateStatus") or {}, desired)
        return found

    def tasks(self, stack: str, services: t.Iterable[SwarmService]) -> list[Task]:
        """The tasks of a stack, oldest first."""
        specs = {service.id: service.container_spec for service in services}
        rows = [_task(row, specs) for row in self._get("/tasks", filters=of_stack(stack)) or ()]
        return sorted(rows, key=lambda row: row.created)

    def replicas(self, stack: str) -> list[Replicas]:
        """How many replicas of each service of a stack run, and where. Only a manager knows."""
        services, nodes = self.services(stack), self.nodes()
        tasks = self.tasks(stack, services.values())
        found = []
        for name, service in sorted(services.items()):
            own = [row for row in tasks if row.service_id == service.id]
            running = [row for row in own if row.wanted and row.state == "running"]
            ended = [row for row in own if row.state == "complete" and row.current and service.may_end]
            errors = [row.error for row in own if row.error and row.state in _WITH_ERROR]
            found.append(
                Replicas(
                    name,
                    service.replicas,
                    len(running) + len(ended),
                    tuple(dict.fromkeys(nodes.get(row.node, row.node) for row in running)),
                    tuple(dict.fromkeys(nodes.get(pin, pin) for pin in service.pins)),
                    errors[-1] if errors else "",
                )
            )
        return found

    def running(self, stack: str) -> bool:
        """Whether a node that answers still runs a container of a stack, also of a removed one."""
        rows = self._get("/tasks", filters=of_stack(stack)) or ()
        nodes = {row["ID"] for row in self._get("/nodes") or () if (row.get("Status") or {}).get("State") == "ready"}
        return any(row.get("NodeID") in nodes and (row.get("Status") or {}).get("State") == "running" for row in rows)

    def _get(self, path: str, **query: str) -> t.Any:
        if not isinstance(self._engine, SocketEngine):
            raise AssertionError("only Docker has a Swarm")
        return self._engine.get(path, **query)


def whereabouts(engine: Engine, stack: str, service: str) -> str:
    """Where a service without a container on this host runs, as the end of a sentence; "" if no Swarm runs it.

    Raises:
        EngineError: the engine does not answer.
    """
    swarm = Swarm(engine)
    if swarm.state != "active":
        return ""
    if not swarm.manages:
        return (
            f"has no container on this node of a Swarm. Type `docker service ps {stack}_{service}` on a manager. It "
            "names the node"
        )
    row = next((each for each in swarm.replicas(stack) if each.service == service), None)
    if row is None:
        return ""
    if row.nodes:
        return f"runs on another node of the Swarm: {', '.join(row.nodes)}"
    pinned = f", and its data is on {', '.join(row.pins)}" if row.pins else ""
    why = row.lacking or ("its task has ended" if row.wanted else "it has 0 replicas")
    return f"runs on no node of the Swarm ({why}){pinned}"


def whereabouts_of_volume(engine: Engine, stack: str, volume: str) -> str:
    """Where the service that uses a volume runs, if this host does not have the volume; "" if no Swarm has it.

    Raises:
        EngineError: the engine does not answer.
    """
    swarm = Swarm(engine)
    if swarm.state != "active":
        return ""
    if not swarm.manages:
        return f"this host is a worker of a Swarm. Type `docker stack ps {stack}` on a manager. It names the nodes"
    for name, service in swarm.services(stack).items():
        mounts = service.container_spec.get("Mounts") or ()
        if any(row.get("Type") == "volume" and row.get("Source") == volume for row in mounts):
            return f"service {name} uses it and {whereabouts(engine, stack, name)}"
    return ""


def of_stack(stack: str) -> str:
    """The filter for the objects of a stack."""
    return json.dumps({"label": [f"{STACK_LABEL}={stack}"]})


def _task(row: t.Mapping[str, t.Any], specs: t.Mapping[str, t.Mapping[str, t.Any]]) -> Task:
    status = row.get("Status") or {}
    container = status.get("ContainerStatus") or {}
    return Task(
        id=str(row["ID"]),
        service_id=str(row.get("ServiceID") or ""),
        slot=int(row.get("Slot") or 0),
        node=str(row.get("NodeID") or ""),
        state=str(status.get("State") or ""),
        wanted=row.get("DesiredState") in ("running", "ready"),
        current=specs.get(str(row.get("ServiceID"))) == ((row.get("Spec") or {}).get("ContainerSpec") or {}),
        container=str(container.get("ContainerID") or ""),
        exit_code=int(container.get("ExitCode") or 0),
        error=str(status.get("Err") or status.get("Message") or ""),
        created=str(row.get("CreatedAt") or ""),
    )
