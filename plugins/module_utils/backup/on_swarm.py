# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse to replace data while a Swarm runs a container on it: the Swarm replaces each container that stops."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import RestoreRefused

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container


def require_scaled_down(containers: t.Iterable[Container], what: str) -> None:
    """Refuse unless no service of a Swarm runs in ``containers``.

    Args:
        containers: the running ones that use the data.
        what: the data, for the message.

    Raises:
        RestoreRefused: the text has the commands to type.
    """
    services = sorted({each.swarm_service for each in containers if each.swarm_service})
    if services:
        scale = "docker service scale " + " ".join(f"{name}=0" for name in services)
        raise RestoreRefused(
            f"{what} is used by {', '.join(services)}, and a Swarm replaces each container that stops. On a manager, "
            f"type `{scale}`, run this again, and then type the "
            "same with the number of replicas. Nothing was changed"
        )


def require_other_tool(container: Container, what: str) -> None:
    """Refuse a restore that needs the stopped container, if a Swarm runs it.

    Args:
        what: the source, for the message.

    Raises:
        RestoreRefused: the text has the way out.
    """
    if container.swarm_service:
        raise RestoreRefused(
            f"{what} runs on a Swarm, which replaces {container.name} when it stops for a restore. Remove the stack "
            "from the Swarm, deploy it with compose_stack_target: host on this host, restore, and move it to the Swarm "
            "again. Nothing was changed"
        )
