# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The containers of a stack, reduced to the facts that the watch judges and the page shows."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import files, lock
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.discover import find
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.engine.project_containers import service_containers
from ansible_collections.onebox.stack.plugins.module_utils.engine.times import epoch_of
from ansible_collections.onebox.stack.plugins.module_utils.mounts import promised
from ansible_collections.onebox.stack.plugins.module_utils.mounts.model import CheckError
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verify import Check, verify
from ansible_collections.onebox.stack.plugins.module_utils.mounts.vm.prover import Prover
from ansible_collections.onebox.stack.plugins.module_utils.vm.shares import Machine
from ansible_collections.onebox.stack.plugins.module_utils.watch.config import Stack
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import Facts
from ansible_collections.onebox.stack.plugins.module_utils.watch.probe import swarm

# Log drivers that write a file without a limit of their own.
_GROWING = ("json-file", "k8s-file")
_NO_LIMIT = ("", "0", "-1", "0b", "0B", "-1B", "unlimited")
# One process reads no more of a container's health log than this.
_OUTPUT = 300
# The keys of the data map that the watch judges and the page draws.
_PLACE = (
    *("service", "container", "path", "lies", "verdict", "source", "volume", "destination", "database", "evidence"),
    *("files", "at_risk", "fails", "message"),
)
_MOST_PLACES = 200


def facts(stack: Stack, world: World) -> Facts:
    """The engine, the containers of the stack, their images, a deploy in progress, and a stack's state on a Swarm.

    Raises:
        EngineError: no engine answers.
    """
    deploying = lock.holder(os.path.join(stack.folder, "lock"))
    engine = find(stack.engine, stack.socket or None, world=world)
    every = engine.containers(project=stack.name)
    containers = service_containers(every)
    on_swarm = swarm.facts(engine, stack.name, every)
    images = engine.images(sorted({each.image_id or each.image_ref for each in containers}))
    created = {name: epoch_of(str((row or {}).get("Created") or "")) for name, row in images.items()}
    return {
        "engine": {"name": engine.name, "version": engine.version},
        "deploying": str(deploying.get("since") or world.now()) if deploying else "",
        "containers": [_container(each, created.get(each.image_id or each.image_ref, 0.0)) for each in containers],
        **({"swarm": on_swarm} if on_swarm else {}),
    }


def promise(stack: Stack, world: World) -> Facts:
    """The services of the last deploy's promise, or why there are none, and the path of a damaged one.

    Raises:
        CheckError: the promise may not be read.
    """
    path = promised.place(stack.name, world, stack.state_dir)
    try:
        found = promised.load(path)
    except promised.Damaged as error:
        return {"error": str(error), "damaged": path}
    if found is None:
        return {"error": "no deploy has promised anything yet"}
    return {"services": {name: vars(row) for name, row in found.services.items()}}


def mounts(stack: Stack, world: World) -> Facts:
    """The proof of all mounts of the stack, one row a mount, and the data map, one row a path with data.

    With a damaged promise, which :func:`promise` reports, the mounts that the containers have are still proven.

    Raises:
        OneboxError: the proof cannot be made.
    """
    engine: Engine = find(stack.engine, stack.socket or None, world=world)
    through = None
    if stack.vm != "none":
        through = Prover(Machine.of(stack.vm, stack.vm_name, environ=world.environ), world)
    path = promised.place(stack.name, world, stack.state_dir)
    try:
        promised.load(path)
    except CheckError:
        path = ""
    check = Check(project=stack.name, access=stack.access, promised=path, seconds=5.0)
    result = verify(engine, check, world=world, through=through)
    rows = [
        {
            "service": container["service"] or container["name"],
            "container": container["name"],
            **{key: mount.get(key, "") for key in ("type", "source", "destination", "verdict", "fix", "message")},
        }
        for container in result["containers"]
        for mount in container["mounts"]
    ]
    rows += [
        {
            "service": row.get("service") or row.get("container") or "",
            "container": row.get("container") or "",
            "type": "",
            "source": row.get("source") or "",
            "destination": row.get("destination") or "",
            "verdict": "missing",
            "fix": "recreate",
            "message": row.get("message") or "",
        }
        for row in result["missing_mounts"]
        if not row.get("container")
    ]
    places = [{key: place[key] for key in _PLACE} for place in result["data_places"][:_MOST_PLACES]]
    return {"rows": rows, "places": places, "seconds": result["duration_ms"] / 1000}


def _container(container: Container, image_created: float) -> dict[str, t.Any]:
    health = (container.raw.get("State") or {}).get("Health") or (container.raw.get("State") or {}).get("Healthcheck")
    return {
        "id": container.id,
        "name": container.name,
        "service": container.service or container.name,
        "status": container.status,
        "health": container.health,
        "health_output": _last_output(health or {}),
        "restarts": container.restart_count,
        "policy": container.restart_policy,
        "exit_code": container.exit_code,
        "oom": container.oom_killed,
        "oom_kills": _oom_kills(container.pid),
        "started": epoch_of(container.started_at),
        "finished": epoch_of(container.finished_at),
        "created": epoch_of(container.created),
        "image": container.image_ref,
        "image_created": image_created,
        "ports": [f"{each.host_ip}:{each.host_port}->{each.container_port}" for each in container.ports],
        "log": log(container),
        **({"swarm_service": container.swarm_service} if container.swarm_service else {}),
    }


def _last_output(health: t.Mapping[str, t.Any]) -> str:
    log = health.get("Log") or ()
    return str(log[-1].get("Output") or "").strip()[:_OUTPUT] if log else ""


def log(container: Container) -> dict[str, t.Any]:
    """The driver, file, size and limit of a container's log."""
    made = (container.raw.get("HostConfig") or {}).get("LogConfig") or {}
    options = made.get("Config") or {}
    driver = str(made.get("Type") or "")
    path = str(container.raw.get("LogPath") or made.get("Path") or "")
    limit = str(options.get("max-size") or made.get("Size") or "")
    size: int | None = None
    try:
        size = os.stat(path).st_size if path else None
    except OSError:
        size = None
    bounded = driver not in _GROWING or limit not in _NO_LIMIT or (driver == "k8s-file" and _podman_bounds())
    bounded = bounded or _conmon_bounds(container.pid)
    return {"driver": driver, "path": path, "bounded": bounded, "size": size}


def _conmon_bounds(pid: int) -> bool:
    """Whether the process that writes a Podman container's log has a limit, which Podman's API does not report."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            parent = stream.read().rpartition(")")[2].split()[1]
        with open(f"/proc/{parent}/cmdline", encoding="utf-8", errors="replace") as stream:
            words = stream.read().split("\0")
        return int(words[words.index("--log-size-max") + 1]) > 0
    except (OSError, ValueError, IndexError):
        return False


def _podman_bounds() -> bool:
    """Whether Podman's configuration limits every log; containers do not show that limit."""
    folder = "/etc/containers"
    places = ["/usr/share/containers/containers.conf", f"{folder}/containers.conf"]
    places += sorted(glob.glob(f"{folder}/containers.conf.d/*.conf"))
    places.append(os.path.expanduser("~/.config/containers/containers.conf"))
    found = ""
    for place in places:
        with contextlib.suppress(files.FileError):
            for value in re.findall(r"(?m)^\s*log_size_max\s*=\s*(-?\d+)", files.read_text(place)):
                found = value
    return found.isdigit() and int(found) > 0


def _oom_kills(pid: int) -> int | None:
    """Processes that the kernel killed in the container's control group, None where that cannot be read."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="ascii", errors="replace") as stream:
            path = stream.read().strip().rpartition("::")[2].partition("\n")[0]
        with open(f"/sys/fs/cgroup{path}/memory.events", encoding="ascii") as stream:
            rows = dict(line.split() for line in stream)
        return int(rows["oom_kill"])
    except (OSError, KeyError, ValueError):
        return None
