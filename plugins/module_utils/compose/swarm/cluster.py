# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Swarm that this engine manages: its nodes, and the services and tasks of one stack."""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose.checks.other_target import STACK_LABEL
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, SocketEngine

# Digests of the parts of a service, from which a later run plans.
PARTS_LABEL = "onebox.parts"
_TIMEOUT = 300.0
# The end of the names that the rendered stack file gives to secrets and configs.
_HASHED = re.compile(r"_[0-9a-f]{12}$")


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
    def parts(self) -> dict[str, str]:
        """Part -> digest, as it was deployed; empty for a service that others deployed."""
        try:
            found = json.loads(self.labels.get(PARTS_LABEL) or "{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

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


class Cluster:
    """The Swarm, through one of its managers.

    Args:
        engine: the engine of this host.
        world: starts processes.
    """

    def __init__(self, engine: Engine, world: World) -> None:
        self._engine = engine
        self._world = world
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
        for row in self._get("/services", filters=_of(stack), status="true") or ():
            name = str(row["Spec"]["Name"])
            short = name[len(stack) + 1 :] if name.startswith(f"{stack}_") else name
            desired = int((row.get("ServiceStatus") or {}).get("DesiredTasks") or 0)
            found[short] = SwarmService(row["ID"], short, row["Spec"], row.get("UpdateStatus") or {}, desired)
        return found

    def tasks(self, stack: str, services: t.Iterable[SwarmService]) -> list[Task]:
        """The tasks of a stack, oldest first."""
        specs = {service.id: service.container_spec for service in services}
        rows = [_task(row, specs) for row in self._get("/tasks", filters=_of(stack)) or ()]
        return sorted(rows, key=lambda row: row.created)

    def running(self, stack: str) -> bool:
        """Whether a node that answers still runs a container of a stack, also of a removed one."""
        rows = self._get("/tasks", filters=_of(stack)) or ()
        nodes = {row["ID"] for row in self._get("/nodes") or () if (row.get("Status") or {}).get("State") == "ready"}
        return any(row.get("NodeID") in nodes and (row.get("Status") or {}).get("State") == "running" for row in rows)

    def remove_unused(self, stack: str, services: t.Iterable[SwarmService]) -> None:
        """Remove the secrets and configs of previous deploys that no service of the stack has.

        Their names end with a hash of the content. One with another name is not ours, and a Swarm returns no secret.

        Raises:
            CommandError: Docker refused one.
        """
        specs = [service.container_spec for service in services]
        for kind, key, reference in (("secret", "Secrets", "SecretID"), ("config", "Configs", "ConfigID")):
            used = {str(row.get(reference)) for spec in specs for row in spec.get(key) or ()}
            rows = self._get(f"/{kind}s", filters=_of(stack)) or ()
            ours = [str(row["ID"]) for row in rows if _HASHED.search(str((row.get("Spec") or {}).get("Name")))]
            unused = sorted(set(ours) - used)
            if unused:
                self.docker(kind, "rm", *unused)

    def docker(self, *words: str, cwd: str | None = None, timeout: float = _TIMEOUT) -> process.Result:
        """Run a docker command on this engine.

        Raises:
            CommandError: it failed.
        """
        env = {**self._world.environ, "DOCKER_HOST": f"unix://{self._engine.socket}"}
        return self._world.run(["docker", *words], timeout=timeout, env=env, cwd=cwd)

    def _get(self, path: str, **query: str) -> t.Any:
        if not isinstance(self._engine, SocketEngine):
            raise AssertionError("only Docker has a Swarm")
        return self._engine.get(path, **query)


def _of(stack: str) -> str:
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
