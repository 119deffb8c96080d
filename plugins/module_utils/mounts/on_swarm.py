# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The replicas of a stack on a Swarm, which its managers know for all nodes."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.engine.swarm import Swarm

Row = t.Dict[str, t.Any]  # noqa: UP006 (evaluated at import, where type checkers for 3.9 want typing)


def replicas(engine: Engine, stack: str, containers: t.Sequence[Container]) -> tuple[list[Row], str]:
    """Services with too few replicas, and a sentence for a node on which no container of the stack runs.

    Args:
        containers: those of the stack on this host. The engine is not queried if a compose tool created them.

    Returns:
        Rows as in ``missing_mounts``; and "" if the stack has containers here or no Swarm runs it.

    Raises:
        EngineError: the engine does not answer.
    """
    if containers and not any(each.swarm_service for each in containers):
        return [], ""
    swarm = Swarm(engine)
    if swarm.state != "active":
        return [], ""
    if not swarm.manages:
        note = (
            f"stack {shown(stack)} has no container on this node of a Swarm. Only a manager knows whether it should: "
            "verify the managers too"
        )
        return [], "" if containers else note
    found = swarm.replicas(stack)
    lost = [
        {
            "container": "",
            "service": row.service,
            "source": "",
            "destination": "",
            "message": f"service {shown(row.service)} runs {row.lacking}. Type: `docker service ps "
            f"{shown(f'{stack}_{row.service}')}`",
        }
        for row in found
        if row.lacking
    ]
    nodes = sorted({node for row in found for node in row.nodes})
    if containers or not nodes:
        return lost, ""
    return lost, f"stack {shown(stack)} has no container on this node of the Swarm, it runs on {', '.join(nodes)}"
