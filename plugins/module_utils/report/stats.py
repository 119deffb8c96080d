# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU and memory of running containers, from Podman's command line or Docker's API, in one shape."""

from __future__ import annotations

import datetime
import json
import re
import typing as t
import urllib.parse

from ansible_collections.onebox.stack.plugins.module_utils import process
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, EngineError, SocketEngine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container

_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS.update({"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "KB": 10**3})


class Usage(t.NamedTuple):
    """Of one container. CPU is in percent of one core, on average since its start; memory leaves the page cache out."""

    cpu_percent: float | None
    memory_bytes: int | None


NOTHING = Usage(None, None)


def usage(
    engine: Engine, containers: t.Sequence[Container], now: datetime.datetime, run: process.Runner = process.run
) -> tuple[dict[str, Usage], str]:
    """Usage by container id, and why some of it is not known, or ""."""
    running = [container for container in containers if container.running]
    if not running:
        return {}, ""
    try:
        if engine.name == "podman":
            words = ["podman", "stats", "--no-stream", "--format", "json", *(container.id for container in running)]
            rows = podman(run(words, timeout=20).stdout)
            return {one.id: row for one in running for key, row in rows.items() if one.id.startswith(key)}, ""
        if isinstance(engine, SocketEngine):
            found = {}
            for container in running:
                path = f"/containers/{urllib.parse.quote(container.id, safe='')}/stats"
                answer = engine.get(path, **{"stream": "false", "one-shot": "true"})
                found[container.id] = docker(answer, container.started_at, now)
            return found, ""
    except (process.CommandError, EngineError, ValueError) as error:
        return {}, f"CPU and memory are not known: {error}"
    return {}, ""


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
    memory = answer.get("memory_stats") or {}
    used = memory.get("usage")
    if used is not None:
        detail = memory.get("stats") or {}
        used -= detail.get("total_inactive_file", detail.get("inactive_file", 0))
    total = ((answer.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage")
    began = _moment(started_at)
    seconds = (now - began).total_seconds() if began else 0.0
    cpu = round(total / 1e9 / seconds * 100, 1) if total is not None and seconds > 0 else None
    return Usage(cpu, used)


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


def _moment(text: str) -> datetime.datetime | None:
    """An RFC 3339 time; engines write nanoseconds, which Python 3.9 does not read."""
    found = re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)$", text)
    if not found:
        return None
    return datetime.datetime.fromisoformat(found.group(1) + found.group(2).replace("Z", "+00:00"))
