# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU and memory of running containers: from the kernel where they run on it, else from the engine."""

from __future__ import annotations

import datetime
import json
import re
import typing as t
import urllib.parse

from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, EngineError, SocketEngine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.engine.times import epoch_of

_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS.update({"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "KB": 10**3})


class Usage(t.NamedTuple):
    """Of one container. CPU is in percent of one core, on average since its start; memory leaves the page cache out."""

    cpu_percent: float | None
    memory_bytes: int | None


NOTHING = Usage(None, None)


def usage(
    engine: Engine,
    containers: t.Sequence[Container],
    now: datetime.datetime,
    world: World,
    proc: str = "/proc",
    cgroups: str = "/sys/fs/cgroup",
) -> tuple[dict[str, Usage], str]:
    """Usage by container id, and why some of it is not known, or "".

    The kernel is queried first. It answers at once, also if an engine has no figures (Docker on a host with both
    cgroup versions). If the containers run in a virtual machine, the engine is queried.
    """
    running = [container for container in containers if container.running]
    found = {container.id: kernel(container, now, proc, cgroups) for container in running}
    rest = [container for container in running if found[container.id] == NOTHING]
    if not rest:
        return found, ""
    try:
        found.update(_by_engine(engine, rest, now, world))
    except (process.CommandError, EngineError, ValueError) as error:
        return found, f"CPU and memory are not known: {error}"
    return found, ""


def kernel(container: Container, now: datetime.datetime, proc: str, cgroups: str) -> Usage:
    """The figures of the control group of the main process; :data:`NOTHING` if it is not on this kernel."""
    try:
        with open(f"{proc}/{container.pid}/cgroup") as file:
            rows = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return NOTHING
    # A process of the same number on this host, while the container is in a virtual machine, is not in such a group.
    paths = {name: path for unused, names, path in rows for name in names.split(",") if container.id in path}
    memory, cpu = paths.get("memory", paths.get("")), paths.get("cpuacct", paths.get(""))
    if memory is None or cpu is None:
        return NOTHING
    if "memory" in paths:
        used, inactive = _numbers(f"{cgroups}/memory{memory}/memory.usage_in_bytes"), "total_inactive_file"
        detail = _numbers(f"{cgroups}/memory{memory}/memory.stat")
        spent = _numbers(f"{cgroups}/cpuacct{cpu}/cpuacct.usage").get("", 0) / 1e9
    else:
        # Podman with crun puts the process into a group below the container's.
        before, after = memory.split(container.id, 1)
        memory = before + container.id + after.split("/", 1)[0]
        used, inactive = _numbers(f"{cgroups}{memory}/memory.current"), "inactive_file"
        detail = _numbers(f"{cgroups}{memory}/memory.stat")
        spent = _numbers(f"{cgroups}{memory}/cpu.stat").get("usage_usec", 0) / 1e6
    if "" not in used:
        return NOTHING
    return Usage(_average(spent, container.started_at, now), max(0, used[""] - detail.get(inactive, 0)))


def _numbers(path: str) -> dict[str, int]:
    """The lines ``name number`` of a file of a control group; a number alone has the name ""."""
    try:
        with open(path) as file:
            words = [line.split() for line in file]
    except OSError:
        return {}
    return {(row[0] if len(row) == 2 else ""): int(row[-1]) for row in words if row and row[-1].isdigit()}


def _average(spent: float, started_at: str, now: datetime.datetime) -> float | None:
    began = epoch_of(started_at)
    seconds = now.timestamp() - began if began else 0.0
    return round(spent / seconds * 100, 1) if seconds > 0 else None


def _by_engine(
    engine: Engine, containers: t.Sequence[Container], now: datetime.datetime, world: World
) -> dict[str, Usage]:
    if engine.name == "podman":
        words = ["podman", "stats", "--no-stream", "--format", "json", *(container.id for container in containers)]
        rows = podman(world.run(words, timeout=20).stdout)
        return {one.id: row for one in containers for key, row in rows.items() if one.id.startswith(key)}
    found: dict[str, Usage] = {}
    if not isinstance(engine, SocketEngine):
        return found
    for container in containers:
        path = f"/containers/{urllib.parse.quote(container.id, safe='')}/stats"
        answer = engine.get(path, **{"stream": "false", "one-shot": "true"})
        found[container.id] = docker(answer, container.started_at, now)
    return found


def podman(text: str) -> dict[str, Usage]:
    """Usage by (short) id from ``podman stats --no-stream --format json``."""
    return {
        row["id"]: Usage(_percent(row.get("cpu_percent", "")), _bytes(row.get("mem_usage", "").split("/")[0]))
        for row in json.loads(text or "[]") or ()
    }


def docker(answer: t.Mapping[str, t.Any], started_at: str, now: datetime.datetime) -> Usage:
    """Usage from one answer of ``GET /containers/<id>/stats?one-shot=true``.

    One sample has no CPU rate, so it is the average since the start. Memory is what ``docker stats`` shows: without the
    inactive part of the page cache, whose name differs between cgroup versions.
    """
    if str(answer.get("read", "")).startswith("0001-"):
        return NOTHING  # Docker's way to say that the kernel gave it nothing
    memory = answer.get("memory_stats") or {}
    used = memory.get("usage")
    if used is not None:
        detail = memory.get("stats") or {}
        used -= detail.get("total_inactive_file", detail.get("inactive_file", 0))
    total = ((answer.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage")
    return Usage(None if total is None else _average(total / 1e9, started_at, now), used)


def _percent(text: str) -> float | None:
    try:
        return round(float(text.rstrip("%")), 1)
    except ValueError:
        return None  # "--": a container that has just ended


def _bytes(text: str) -> int | None:
    found = re.fullmatch(r"\s*([0-9.]+)\s*([A-Za-z]+)\s*", text)
    if not found or found.group(2) not in _UNITS:
        return None
    return int(float(found.group(1)) * _UNITS[found.group(2)])
