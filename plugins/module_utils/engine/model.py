# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container as Docker and Podman both describe it, in one form.

The source is ``inspect`` output: Docker's API, Podman's Docker-compatible API, or ``podman inspect``. The three differ
in small ways (``Health``/``Healthcheck``, lists of strings for ``Mounts[].Options``); the differences end here.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.engine import membership

WORKING_DIR_LABEL = "com.docker.compose.project.working_dir"
CONFIG_FILES_LABEL = "com.docker.compose.project.config_files"


@dataclass(frozen=True)
class Mount:
    """One row of ``Mounts``: the request to the engine, not the view of the container."""

    type: str
    source: str
    destination: str
    read_write: bool
    name: str = ""
    propagation: str = ""


@dataclass(frozen=True)
class Port:
    """A published port: ``host_ip:host_port`` on the host leads to ``container_port/protocol``."""

    host_ip: str
    host_port: int
    container_port: int
    protocol: str


@dataclass(frozen=True)
class Container:
    """One container.

    ``status`` is one of: created, running, paused, restarting, removing, exited, dead (Podman also says
    configured, initialized, stopping, stopped). ``health`` is "" without a healthcheck, else starting, healthy or
    unhealthy. ``pid`` is 0 unless a process runs. Times are RFC 3339 as the engine wrote them, "" for never.
    """

    id: str
    name: str
    labels: t.Mapping[str, str]
    status: str
    pid: int
    health: str
    restart_count: int
    exit_code: int
    oom_killed: bool
    created: str
    started_at: str
    finished_at: str
    image_ref: str
    image_id: str
    user: str
    env: tuple[str, ...]
    command: tuple[str, ...]
    entrypoint: tuple[str, ...]
    restart_policy: str
    network_mode: str
    mounts: tuple[Mount, ...]
    ports: tuple[Port, ...]
    raw: t.Mapping[str, t.Any] = field(repr=False, compare=False, default_factory=dict)

    @property
    def project(self) -> str:
        """The compose project or the stack on a Swarm, "" for none."""
        return membership.project_of(self.labels)

    @property
    def service(self) -> str:
        """The service by its name in the compose file, "" for none."""
        return membership.service_of(self.labels)

    @property
    def swarm_service(self) -> str:
        """The service by its name in the Swarm, "" for a container of no Swarm."""
        return membership.swarm_service(self.labels)

    @property
    def running(self) -> bool:
        return self.status in ("running", "paused") and self.pid > 0


def parse_inspect(data: t.Mapping[str, t.Any]) -> Container:
    """Make a :class:`Container` of one ``inspect`` object of Docker or Podman."""
    state = data.get("State") or {}
    config = data.get("Config") or {}
    host = data.get("HostConfig") or {}
    health = state.get("Health") or state.get("Healthcheck") or {}
    image_id = data.get("Image") or ""
    if image_id and ":" not in image_id:
        image_id = "sha256:" + image_id  # podman inspect leaves the algorithm out
    return Container(
        id=data.get("Id", ""),
        name=(data.get("Name") or "").lstrip("/"),
        labels=config.get("Labels") or {},
        status=(state.get("Status") or "").lower(),
        pid=int(state.get("Pid") or 0),
        health=_health(health.get("Status") or ""),
        restart_count=int(data.get("RestartCount") or 0),
        exit_code=int(state.get("ExitCode") or 0),
        oom_killed=bool(state.get("OOMKilled")),
        created=_time(data.get("Created")),
        started_at=_time(state.get("StartedAt")),
        finished_at=_time(state.get("FinishedAt")),
        image_ref=data.get("ImageName") or config.get("Image") or "",
        image_id=image_id,
        user=config.get("User") or "",
        env=tuple(config.get("Env") or ()),
        command=_words(config.get("Cmd")),
        entrypoint=_words(config.get("Entrypoint")),
        restart_policy=((host.get("RestartPolicy") or {}).get("Name") or ""),
        network_mode=host.get("NetworkMode") or "",
        mounts=tuple(_mount(row) for row in data.get("Mounts") or ()),
        ports=_ports(data, host),
        raw=data,
    )


def _mount(row: t.Mapping[str, t.Any]) -> Mount:
    return Mount(
        type=row.get("Type") or "bind",
        source=row.get("Source") or "",
        destination=row.get("Destination") or "",
        read_write=bool(row.get("RW", True)),
        name=row.get("Name") or "",
        propagation=row.get("Propagation") or "",
    )


def _ports(data: t.Mapping[str, t.Any], host: t.Mapping[str, t.Any]) -> tuple[Port, ...]:
    # HostConfig has the requested ports also while the container is stopped; NetworkSettings only while it runs.
    bound = host.get("PortBindings") or (data.get("NetworkSettings") or {}).get("Ports") or {}
    found = []
    for inside, outside in bound.items():
        number, unused, protocol = inside.partition("/")
        for place in outside or ():
            port = place.get("HostPort") or "0"
            if port.isdigit():
                found.append(Port(place.get("HostIp") or "0.0.0.0", int(port), int(number), protocol or "tcp"))
    return tuple(sorted(found, key=lambda p: (p.host_port, p.host_ip, p.protocol)))


def _health(status: str) -> str:
    return "" if status.lower() == "none" else status.lower()


def _time(value: t.Any) -> str:
    text = str(value or "")
    return "" if text.startswith("0001-") else text


def _words(value: t.Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(value or ())
