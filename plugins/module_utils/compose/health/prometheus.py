# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check whether a Prometheus reaches its targets: a stack that it cannot scrape is not healthy."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import http
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.times import epoch_of

# url, seconds -> the answer
Get = t.Callable[[str, float], http.Answer]
Row = dict[str, t.Any]


def check(
    wanted: t.Sequence[t.Mapping[str, t.Any]], timeout: float, since: float, world: World, get: Get = http.get
) -> list[Row]:
    """Poll each Prometheus until all its targets are up, or ``timeout`` seconds have passed for all together.

    Args:
        wanted: ``url`` of a Prometheus, and ``jobs`` that must have targets; without jobs, all its targets.
        since: seconds since 1970. Earlier scrapes, of the stack before the deploy, do not count.

    Returns:
        ``url, job, instance, health, ok, message`` for each target. ``url`` is without user info and query.
    """
    deadline = world.monotonic() + timeout
    rows: list[Row] = []
    for item in wanted:
        url, jobs = str(item["url"]).rstrip("/"), [str(job) for job in item.get("jobs") or ()]
        name = http.shown(url)
        while True:
            answer = get(f"{url}/api/v1/targets?state=active", max(1.0, deadline - world.monotonic()))
            if answer.status == 200 and not answer.error:
                found = _targets(name, jobs, answer.body, since)
            else:
                found = [_none(name, "", answer.error or f"answered {answer.status}")]
            if all(row["ok"] for row in found) or world.monotonic() >= deadline:
                break
            world.sleep(0.5)
        rows += found
    return rows


def failure(stack: str, rows: t.Iterable[t.Mapping[str, t.Any]]) -> str:
    """The targets of a stack that Prometheus does not reach; "" if it reaches all."""
    bad = [
        " ".join(filter(None, (row["url"], row["job"] and f"job {row['job']}", row["instance"])))
        + f": {row['message']}"
        for row in rows
        if not row["ok"]
    ]
    return f"stack {stack} runs, but Prometheus does not reach it: " + "; ".join(bad) if bad else ""


def _targets(url: str, jobs: t.Sequence[str], body: bytes, since: float) -> list[Row]:
    try:
        active = json.loads(body)["data"]["activeTargets"]
    except (ValueError, KeyError, TypeError):
        return [_none(url, "", "is not the answer of a Prometheus")]
    rows = []
    for target in active:
        labels = target.get("labels") or {}
        if jobs and labels.get("job") not in jobs:
            continue
        health = str(target.get("health") or "unknown")
        message = str(target.get("lastError") or "") or f"is {health}"
        if health == "up":
            message = (
                "" if epoch_of(str(target.get("lastScrape") or "")) >= since else "was not scraped since the deploy"
            )
        row = {"url": url, "job": labels.get("job", ""), "instance": labels.get("instance", ""), "health": health}
        rows.append({**row, "ok": not message, "message": message})
    there = {row["job"] for row in rows}
    rows += [_none(url, job, "has no target") for job in jobs if job not in there]
    return rows or [_none(url, "", "has no targets")]


def _none(url: str, job: str, message: str) -> Row:
    return {"url": url, "job": job, "instance": "", "health": "unknown", "ok": False, "message": message}
