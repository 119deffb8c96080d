# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Warn about keys of a compose file that the tool accepts and ignores."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Driver
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import bound_files
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model, Service

_SWARM = "Only Swarm supports it. Remove it"
_NO_OVERLAP = "Only Swarm supports it. Here a container is stopped before its successor starts. Remove it"
_WINDOWS = "Only Windows supports it. Remove it"

# Path of the key in a service -> why it has no effect, and the fix. With "=", it has no effect for that value.
_IGNORED_BY_ALL = {
    "deploy.update_config": _NO_OVERLAP,
    "deploy.rollback_config": "Only Swarm supports it. Here onebox rolls back a failed deploy. Remove it",
    "deploy.placement": _SWARM,
    "deploy.endpoint_mode": _SWARM,
    "deploy.mode=global": _SWARM,
    "deploy.mode=global-job": _SWARM,
    "deploy.mode=replicated-job": _SWARM,
    "deploy.labels": "They are labels of a Swarm service, and no container gets them. Write them to labels",
    "deploy.restart_policy.delay": _SWARM,
    "deploy.restart_policy.window": _SWARM,
    "deploy.resources.reservations.cpus": "Only Swarm reserves processors. Write deploy.resources.limits.cpus",
    "deploy.resources.reservations.generic_resources": _SWARM,
    "credential_spec": _WINDOWS,
    "isolation": _WINDOWS,
    "cpu_count": _WINDOWS,
    "cpu_percent": _WINDOWS,
}


def warnings(model: Model, driver: Driver) -> list[str]:
    """One warning for each key without effect.

    Args:
        driver: the compose tool.
    """
    found = []
    for service in model.services.values():
        keys = [*_listed(service, driver), *_replicas(service, driver), *_modes(service)]
        for key, why in [*keys, *_ports(service), *_reload(service)]:
            found.append(f"service {service.name}, {key}: has no effect with {driver.traits.label}. {why}.")
    return found


def _listed(service: Service, driver: Driver) -> t.Iterator[tuple[str, str]]:
    for path, why in {**_IGNORED_BY_ALL, **driver.traits.ignored_keys}.items():
        key, equals, value = path.partition("=")
        there = _value(service.raw, key)
        if str(there) == value if equals else there not in (None, "", 0, {}, []):
            yield f"{key}: {value}" if equals else key, why


def _value(data: t.Any, key: str) -> t.Any:
    for part in key.split("."):
        data = data.get(part) if isinstance(data, dict) else None
    return data


def _replicas(service: Service, driver: Driver) -> t.Iterator[tuple[str, str]]:
    wanted = _value(service.raw, "deploy.replicas")
    if not str(wanted or "").isdigit() or int(str(wanted)) < 2:
        return
    if service.raw.get("scale") not in (None, wanted):
        yield "deploy.replicas", f"scale: {service.raw['scale']} overrides it. Write one of them"
    elif service.container_name:
        yield "deploy.replicas", f"container_name: {service.container_name} allows one container. Remove either"
    elif not driver.traits.scales_by_replicas and _value(service.raw, "deploy.mode") != "replicated":
        yield "deploy.replicas", f"{driver.traits.label} reads it with deploy.mode: replicated only. Write scale"


def _modes(service: Service) -> t.Iterator[tuple[str, str]]:
    """Owner and mode of a secret or config that is bound from a file: the container gets those of the file."""
    by_name = {(ref.collection, ref.name): ref for ref in service.files}
    for collection in ("secrets", "configs"):
        for row in service.raw.get(collection) or ():
            if not isinstance(row, dict):
                continue
            ref = by_name.get((collection, str(row.get("source") or "")))
            keys = [key for key in ("uid", "gid", "mode") if row.get(key) not in (None, "")]
            if ref is not None and ref.kind == "file" and keys:
                why = f"The container gets owner and mode of {ref.value}. Set them there"
                yield f"{collection}.{ref.name} ({', '.join(keys)})", why


def _ports(service: Service) -> t.Iterator[tuple[str, str]]:
    if service.raw.get("network_mode") == "host" and service.ports:
        yield "ports", "With network_mode: host, every port of the service is a port of the host. Remove either"


def _reload(service: Service) -> t.Iterator[tuple[str, str]]:
    value = service.labels.get(bound_files.RELOAD_LABEL)
    if value not in (None, bound_files.BY_ITSELF):
        yield f"label {bound_files.RELOAD_LABEL}: {value}", f"Write {bound_files.BY_ITSELF}, or remove it"
