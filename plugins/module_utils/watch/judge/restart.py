# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which unhealthy services may be restarted now."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.watch.config import Stack
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.verdicts import DAY, Verdicts
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import Facts, Finding


class Due(t.NamedTuple):
    """A container to restart."""

    stack: Stack
    service: str
    container: str


def count(notes: t.Mapping[str, t.Any], stack: str, service: str, now: float) -> int:
    """Restarts of a service by the watch within the last day."""
    rows = notes.get("restarts") or ()
    return sum(1 for row in rows if (row["stack"], row["service"]) == (stack, service) and now - DAY < row["at"] <= now)


def due(
    stacks: t.Sequence[Stack],
    live: t.Mapping[str, Facts],
    active: t.Sequence[t.Mapping[str, t.Any]],
    notes: t.Mapping[str, t.Any],
    now: float,
) -> list[Due]:
    """Containers whose service may be restarted and has been unhealthy for long enough.

    Args:
        live: the facts of each stack's containers.
        active: rows of the document. An acknowledged finding restarts nothing.
    """
    found = []
    for stack in stacks:
        for one in live.get(stack.name, {}).get("containers") or ():
            where = f"{stack.name}/{one['service']}"
            row = next((row for row in active if (row["code"], row["where"]) == ("unhealthy", where)), None)
            if one.get("swarm_service"):
                continue  # the Swarm replaces an unhealthy container
            if row is None or row["acknowledged"] or not row["current"] or one["health"] != "unhealthy":
                continue
            if one["service"] not in stack.restart.services or now - row["since"] < stack.restart.after:
                continue
            # A restart is given as long as the first one before the next.
            last = max(
                (each["at"] for each in notes.get("restarts") or () if each["container"] == one["name"]), default=0
            )
            if now - last >= stack.restart.after and count(notes, stack.name, one["service"], now) < stack.restart.most:
                found.append(Due(stack, one["service"], one["name"]))
    return found


def refused(stack: Stack, containers: t.Sequence[Facts], verdicts: Verdicts) -> None:
    """Report unhealthy services that were restarted as often as they may be."""
    for one in containers:
        if one["service"] not in stack.restart.services or one["health"] != "unhealthy":
            continue
        times = count(verdicts.notes, stack.name, one["service"], verdicts.now)
        if times >= stack.restart.most:
            what = f"service {one['service']} of {stack.name} is unhealthy again after {times} restarts within a day"
            fix = f"docker logs --tail 50 {shown(one['name'])}"
            verdicts.add(Finding("restart_refused", f"{stack.name}/{one['service']}", what, fix))
