# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The containers of a compose project that are its services'."""

from __future__ import annotations

import re

from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container


def project_containers(engine: Engine, project: str) -> list[Container]:
    """The containers of ``project``, sorted by name, without those of ``compose run``.

    Raises:
        EngineError: the engine does not answer.
    """
    return [
        container
        for container in engine.containers(project=project)
        if container.labels.get("com.docker.compose.oneoff", "False").lower() != "true"
        and not _of_podman_compose_run(container)
    ]


def _of_podman_compose_run(container: Container) -> bool:
    # podman-compose 1.6 gives it the labels of the service, and a name of its own.
    return "io.podman.compose.project" in container.labels and bool(re.search(r"_tmp\d+$", container.name))
