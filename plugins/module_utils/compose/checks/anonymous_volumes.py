# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse to replace a container whose data is in an anonymous volume that the new container would not get."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Driver
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.engine_traits import traits_of
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model, Service
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan as planning
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.engine import anonymous_volumes
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container, Mount


def problems(
    model: Model, rows: t.Sequence[planning.Row], containers: t.Sequence[Container], engine: Engine, driver: Driver
) -> list[Problem]:
    """One problem for each volume with data that the plan would leave behind.

    Args:
        rows: the plan.
        containers: the containers of the stack.
        driver: the compose tool that will carry it out.
    """
    by_id = {container.id: container for container in containers}
    found = []
    for row in rows:
        service = model.services.get(row.service)
        if service is None or row.action not in (planning.RECREATE, planning.REBUILD):
            continue
        for container in (by_id[identity] for identity in row.container_ids if identity in by_id):
            for mount in anonymous_volumes.of(container):
                if _is_lost(model.project, service, row, mount, engine, driver) and anonymous_volumes.has_content(
                    container, mount
                ):
                    found.append(_problem(service, container, mount, engine))
    return found


def _is_lost(project: str, service: Service, row: planning.Row, mount: Mount, engine: Engine, driver: Driver) -> bool:
    place = os.path.normpath(mount.destination)
    for bind in service.binds:
        if os.path.normpath(bind.target) == place:
            return _is_empty(bind.source)
    for name, target in service.named_volumes:
        if name and os.path.normpath(target) == place:
            # The name is the stack's own. An explicit name is resolved in the model of both tools.
            known = engine.volume(name) or engine.volume(f"{project}_{name}")
            return known is None or _is_empty(str(known.get("Mountpoint") or ""))
    if not driver.traits.keeps_anonymous_volumes:
        return True
    # Not where the old container must be removed first.
    return traits_of(engine).keeps_namespace_owner and "parent_recreated" in row.reasons


def _is_empty(directory: str) -> bool:
    try:
        with os.scandir(directory) as entries:
            return next(entries, None) is None
    except OSError:
        return True


def _problem(service: Service, container: Container, mount: Mount, engine: Engine) -> Problem:
    target = shown(mount.destination)
    return Problem(
        "anonymous_volume_lost",
        f"service {service.name}, {target}",
        f"holds data in an anonymous volume, which the container that replaces {container.name} would not get. "
        f"Declare a directory or a named volume for {target} under volumes, and copy the data into it: "
        f"`cp -a {shown(mount.source)}/. DIRECTORY/`. To discard the data instead, type "
        f"`{engine.name} rm -f -v {shown(container.name)}`",
    )
