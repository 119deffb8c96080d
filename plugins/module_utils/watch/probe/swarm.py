# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack on a Swarm: its replicas on all nodes, and its containers that ended on this host."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.engine.swarm import Swarm
from ansible_collections.onebox.stack.plugins.module_utils.engine.times import epoch_of

# Exit codes of a container that was stopped: by itself, by SIGKILL, by SIGTERM.
_STOPPED = (0, 137, 143)


def facts(engine: Engine, stack: str, containers: t.Sequence[Container]) -> dict[str, t.Any]:
    """The replicas and the crashed containers; empty for a stack that is on no Swarm.

    Args:
        containers: all of the stack on this host, also those of previous tasks. The engine is not queried if a compose
            tool created them.

    Raises:
        EngineError: the engine does not answer.
    """
    own = [each for each in containers if each.swarm_service]
    if containers and not own:
        return {}
    swarm = Swarm(engine)
    if swarm.state != "active":
        return {}
    services, states = [], {}
    if swarm.manages:
        services = [{"service": row.service, "lacking": row.lacking} for row in swarm.replicas(stack)]
        states = {task.container: task.state for task in swarm.tasks(stack, ())}
        if not services and not own:
            return {}
    crashed = [
        {
            "service": each.service,
            "name": each.name,
            "exit_code": each.exit_code,
            # One that did not start has never finished.
            "at": epoch_of(each.finished_at) or epoch_of(each.created),
        }
        for each in own
        if not each.running and _crashed(each, states.get(each.id, ""))
    ]
    return {"services": services, "crashed": crashed}


def _crashed(container: Container, state: str) -> bool:
    """Whether a container ended by itself. Only a manager knows the state of its task."""
    if state:
        return state in ("failed", "rejected")
    return container.oom_killed or container.health == "unhealthy" or container.exit_code not in _STOPPED
