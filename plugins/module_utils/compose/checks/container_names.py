# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers that a deploy cannot replace: others have their names, or the compose tool did not create them."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Driver
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model, Service
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan as planning
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.engine.membership import project_of, service_of
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container

_LOST = "Files that it wrote outside of volumes are lost with it"


def taken(
    model: Model,
    rows: t.Sequence[planning.Row],
    names: t.Mapping[str, t.Mapping[str, str]],
    driver: Driver,
    engine: str,
) -> list[Problem]:
    """Names of containers about to be created that other containers already have.

    Args:
        names: name -> labels of every container of the engine.
        driver: the compose tool.
        engine: the name of the engine's command.
    """
    found = []
    leaving = {row.service for row in rows if row.replaces or row.action == planning.REMOVE_ORPHAN}
    for row in rows:
        service = model.services.get(row.service)
        if service is None or not row.replaces:
            continue
        for name in _names(service, model.project, driver):
            labels = names.get(name)
            if labels is None:
                continue
            project, owner = project_of(labels), service_of(labels)
            # A container that is removed first, or replaced itself, frees its name.
            if project == model.project and (owner == service.name or owner in leaving):
                continue
            whose = f"service {owner} of stack {project}" if project else "a container that no stack created"
            message = (
                f"the name of its container, {name}, is in use by {whose}. Rename that container with "
                f"`{engine} rename {name} {name}-old`, or remove it with `{engine} rm -f {name}`, or choose another "
                f"container_name. {_LOST}"
            )
            found.append(Problem("name_taken", f"service {service.name}", message))
    return found


def unknown(
    rows: t.Sequence[planning.Row], containers: t.Sequence[Container], driver: Driver, engine: str
) -> list[Problem]:
    """Containers with the labels of a service that the compose tool does not count as its own.

    The tool would create another container: with the same name it fails, with another name both run on the same data.

    Args:
        containers: the present containers of the project.
    """
    by_id = {container.id: container for container in containers}
    found = []
    for row in rows:
        if row.action == planning.KEEP:
            continue
        for container in filter(None, map(by_id.get, row.container_ids)):
            missing = [label for label in driver.traits.own_labels if label not in container.labels]
            if missing:
                message = (
                    f"container {container.name} has the labels of this service, but {driver.traits.label} did not "
                    f"create it (it has no label {missing[0]}) and cannot replace it. Remove it with "
                    f"`{engine} rm -f {container.name}` and run this again. {_LOST}"
                )
                found.append(Problem("container_unknown", f"service {row.service}", message))
    return found


def _names(service: Service, project: str, driver: Driver) -> list[str]:
    if service.container_name:
        return [service.container_name]
    return [
        driver.traits.name_separator.join((project, service.name, str(number)))
        for number in range(1, service.scale + 1)
    ]
