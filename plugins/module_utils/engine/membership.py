# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stack and the service of a container or a volume, by the labels that each tool sets.

docker compose and podman-compose name the service alone. A Swarm names it with its stack: ``STACK_SERVICE``.
"""

from __future__ import annotations

import typing as t

# podman-compose sets Docker's labels too, except on very old versions.
PROJECT_LABELS = ("com.docker.compose.project", "io.podman.compose.project")
SERVICE_LABELS = ("com.docker.compose.service", "io.podman.compose.service")
# ``docker stack deploy`` sets it, and Swarm the others.
STACK_LABEL = "com.docker.stack.namespace"
_SWARM_SERVICE = "com.docker.swarm.service.name"
_SWARM_TASK = "com.docker.swarm.task.id"
Labels = t.Mapping[str, str]


def project_of(labels: Labels) -> str:
    """The compose project or the stack on a Swarm, "" for none."""
    return _first(labels, (*PROJECT_LABELS, STACK_LABEL))


def service_of(labels: Labels) -> str:
    """The service by its name in the compose file, "" for none."""
    return _first(labels, SERVICE_LABELS) or short_name(labels.get(_SWARM_SERVICE, ""), labels.get(STACK_LABEL, ""))


def short_name(service: str, stack: str) -> str:
    """The name of a Swarm's service in the compose file of its stack, "" for a service without a stack."""
    if not stack:
        return ""
    return service[len(stack) + 1 :] if service.startswith(f"{stack}_") else service


def swarm_service(labels: Labels) -> str:
    """The service of a Swarm whose task the container is, by its full name; "" for a container of no Swarm."""
    return labels.get(_SWARM_SERVICE, "") if labels.get(_SWARM_TASK) else ""


def project_labels(engine: str) -> tuple[str, ...]:
    """The labels by which ``engine`` lists the containers of a project. Only Docker has Swarms."""
    return PROJECT_LABELS if engine == "podman" else (PROJECT_LABELS[0], STACK_LABEL)


def _first(labels: Labels, names: t.Sequence[str]) -> str:
    return next((labels[name] for name in names if labels.get(name)), "")
