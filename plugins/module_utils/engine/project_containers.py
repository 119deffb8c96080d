# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The containers of a stack on this host.

A Swarm never starts a stopped container again: it creates another one, on this or another node, and keeps the stopped
ones of previous tasks. The stack does not include those.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container


def project_containers(engine: Engine, project: str) -> list[Container]:
    """The containers of a compose project, sorted by name, without those of ``compose run`` and those on a Swarm.

    Raises:
        EngineError: the engine does not answer.
    """
    return [each for each in engine.containers(project=project) if not each.swarm_service and not _of_run(each)]


def stack_containers(engine: Engine, stack: str) -> list[Container]:
    """The containers of a stack, whether a compose tool or a Swarm runs it, sorted by name.

    Raises:
        EngineError: the engine does not answer.
    """
    return current(engine.containers(project=stack))


def service_containers(containers: t.Iterable[Container]) -> list[Container]:
    """Containers of services, without those of ``compose run`` and of previous tasks of a Swarm."""
    return [each for each in current(containers) if not _of_run(each)]


def current(containers: t.Iterable[Container]) -> list[Container]:
    """Containers without those of previous tasks of a Swarm."""
    return [each for each in containers if not each.swarm_service or each.running]


def _of_run(container: Container) -> bool:
    if container.labels.get("com.docker.compose.oneoff", "False").lower() == "true":
        return True
    # podman-compose 1.6 gives it the labels of the service, and a name of its own.
    return "io.podman.compose.project" in container.labels and bool(re.search(r"_tmp\d+$", container.name))
