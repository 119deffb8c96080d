# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse a deploy that quadlets would carry out differently, or that would work against installed quadlets."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Driver
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.quadlet.driver import OLDEST, version_of
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.quadlet.rendering import (
    digests as digests_of,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.quadlet.rendering import (
    edited as edited_of,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.quadlet.rendering import units_of
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.quadlet.units import Units
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model, Service
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.compose.quadlet.render import unit_name
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine

Images = t.Mapping[str, t.Optional[t.Mapping[str, t.Any]]]
_NOTIFIES = (5, 0)


def problems(
    model: Model, source: Source, driver: Driver, engine: Engine | None, images: Images, world: World
) -> list[Problem]:
    """The reasons to refuse a deploy.

    Args:
        driver: the compose tool.
        engine: None if check mode continues without it.
        images: reference -> ``inspect`` of a local image.
    """
    units = Units(model.project, world)
    installed = sorted(units.installed())
    if not driver.traits.by_systemd:
        if not installed:
            return []
        message = (
            f"the quadlets {', '.join(installed)} run this stack, and systemd would start their containers again. Set "
            "compose_stack_provider: quadlet, or remove the stack first with compose_stack_state: absent"
        )
        return [Problem("quadlets_installed", units.folder, message)]
    missing = units.missing()
    if missing:
        return [Problem("no_systemd", "compose_stack_provider: quadlet", missing)]
    version = version_of(engine) if engine is not None else OLDEST
    try:
        rendered = units_of(model, source, units.folder, version)
    except ComposeError as error:
        return [Problem("no_quadlet", ", ".join(source.named(path) for path in source.files), str(error))]
    found = [
        Problem("quadlet_taken", path, "is not of this stack. Rename the file, or the stack or its service")
        for path in units.taken(rendered)
    ]
    for service in model.services.values():
        found += _lost(service, images.get(service.image))
    return found


def digests(model: Model, source: Source, driver: Driver, engine: Engine | None, world: World) -> dict[str, str]:
    """Service -> digest of its quadlet; empty without quadlets."""
    if not driver.traits.by_systemd or engine is None:
        return {}
    return digests_of(model, source, Units(model.project, world).folder, version_of(engine))


def edited(model: Model, driver: Driver, world: World) -> set[str]:
    """Services whose quadlet somebody edited; empty without quadlets."""
    return edited_of(model, Units(model.project, world).contents()) if driver.traits.by_systemd else set()


def edited_warnings(model: Model, services: t.Iterable[str], world: World) -> list[str]:
    """A warning for each service whose quadlet somebody edited."""
    units = Units(model.project, world)
    names = {service: unit_name(model.project, service) for service in services}
    return [
        f"service {service}: {units.path(name)}.container, or a file that it reads, was edited. A deploy writes it "
        f"again and replaces the container. For a setting of systemd, use: systemctl edit {name}"
        for service, name in sorted(names.items())
    ]


def _lost(service: Service, image: t.Mapping[str, t.Any] | None) -> t.Iterator[Problem]:
    """One problem for each volume of the image that the compose file does not declare."""
    declared = {target.rstrip("/") for _name, target in service.named_volumes}
    declared |= {bind.target.rstrip("/") for bind in service.binds}
    for path in ((image or {}).get("Config") or {}).get("Volumes") or {}:
        if path.rstrip("/") not in declared:
            yield Problem(
                "image_volume",
                f"service {service.name}, {path}",
                f"is a volume of the image {service.image}, and a quadlet deletes it with the container at each "
                "restart. Declare a directory or a named volume for it under volumes",
            )


def warnings(model: Model, driver: Driver, engine: Engine | None) -> list[str]:
    """What differs at boot from what the compose file declares."""
    if not driver.traits.by_systemd:
        return []
    found = []
    if engine is not None and version_of(engine) < _NOTIFIES:
        awaited = {
            each.service
            for service in model.services.values()
            for each in service.depends_on
            if each.condition == "service_healthy"
        }
        found += [
            f"service {name}: Podman {engine.version} cannot delay the services that depend on its health when the "
            "host boots. A deploy waits for it. Upgrade to Podman 5.0 for Notify=healthy."
            for name in sorted(awaited)
        ]
    found += [
        f"service {service.name}: has no restart policy, so its quadlet does not start it at boot unless another "
        "service needs it. Set restart: unless-stopped, if it must always run."
        for service in model.services.values()
        if service.one_shot and (service.ports or service.has_healthcheck)
    ]
    return found
