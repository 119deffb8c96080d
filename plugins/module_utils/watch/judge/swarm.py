# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge a stack on a Swarm: the replicas that a manager knows, and the containers that ended on this host."""

from __future__ import annotations

from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.watch.config import Stack
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.verdicts import HOUR, Verdicts, moment, one_line
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import Facts, Finding

# A Swarm keeps five tasks of each replica, so more than four ended ones are never seen at once.
_LOOP = 3


def replicas(stack: Stack, swarm: Facts, verdicts: Verdicts) -> None:
    """Report services with too few replicas on all nodes. The Swarm itself has the promise of the deploy."""
    for row in swarm["services"]:
        if row["lacking"]:
            what = f"service {row['service']} of {stack.name} runs {one_line(row['lacking'])}"
            fix = f"docker service ps --no-trunc {shown(stack.name + '_' + row['service'])}"
            verdicts.add(Finding("service_missing", f"{stack.name}/{row['service']}", what, fix))


def exits(stack: Stack, swarm: Facts, verdicts: Verdicts) -> None:
    """Report containers that ended on this host by themselves. A Swarm creates another one for each."""
    now, last_run = verdicts.now, float(verdicts.notes.get("at") or 0.0)
    by_service: dict[str, list[Facts]] = {}
    for row in sorted(swarm["crashed"], key=lambda row: row["at"]):
        if now - HOUR < row["at"] <= now:
            by_service.setdefault(row["service"], []).append(row)
    for service, rows in by_service.items():
        where, newest = f"{stack.name}/{service}", rows[-1]
        logs = f"docker logs --tail 50 {shown(newest['name'])}"
        if len(rows) >= _LOOP:
            what = f"{len(rows)} containers of service {service} ended within an hour (exit code {newest['exit_code']})"
            verdicts.add(Finding("crash_loop", where, what, logs, rows[0]["at"]))
        elif 0 < last_run < newest["at"]:
            what = f"container {shown(newest['name'])} ended unexpectedly (exit code {newest['exit_code']})"
            verdicts.hold(Finding("unexpected_exit", where, f"{what} before {moment(now)}", logs), 6 * HOUR)
