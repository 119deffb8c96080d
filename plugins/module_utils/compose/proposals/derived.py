# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that ``onebox_defaults: derive`` takes from the compose file, or proposes, as an inventory would declare them.

A derived directory is created. The others are proposals: a check or a backup begins with the line in the inventory.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import binds
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import NOT_SET, Model, Service
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.compose.proposals import needs, paths
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import EVERYTHING, Request
from ansible_collections.onebox.stack.plugins.module_utils.compose.scaffold import propose
from ansible_collections.onebox.stack.plugins.module_utils.engine import databases

# Ports in a container that programs serve HTTP on.
_HTTP = (80, 3000, 3001, 4000, 5000, 8000, 8008, 8080, 8081, 8088, 8096, 8888, 9090)


def of(model: Model, source: Source, request: Request, missing: t.Sequence[binds.Missing]) -> list[needs.Need]:
    """The values that the inventory leaves to the compose file, each with its reason.

    Args:
        missing: directories that the deploy creates.

    Returns:
        Items with ``variable``, ``value`` (YAML) and ``reason``. Empty unless the request derives values.
    """
    if not request.rules.derive:
        return []
    found = [needs.directory(each.path, each.who, each.service) for each in missing if not each.inside]
    services = model.services.values()
    found += [need for each in services for need in _ports(each, request)]
    if not request.http_checks:
        found += [need for each in services for need in _checks(each)]
    return [*found, *_sources(model, source, request)]


def _ports(service: Service, request: Request) -> t.Iterator[needs.Need]:
    for row in service.ports:
        if not row.loopback and row.published and row.published not in request.rules.public_ports:
            yield needs.port(row.published, f"{row.published}/{row.protocol} of service {service.name}")


def _checks(service: Service) -> t.Iterator[needs.Need]:
    for row in service.ports:
        if row.published and row.protocol == "tcp" and row.target in _HTTP:
            host = "127.0.0.1" if row.host_ip in ("", "0.0.0.0", "::") else row.host_ip
            reason = f"service {service.name} publishes {row.target}, a port of HTTP servers"
            yield needs.check(f"http://{f'[{host}]' if ':' in host else host}:{row.published}/", reason)


def _sources(model: Model, source: Source, request: Request) -> list[needs.Need]:
    """Backup sources. With sources in the inventory, only databases that they do not name."""
    named = set(request.backed_up)
    if EVERYTHING in named:
        return []
    found = propose.sources(model, {} if named else _data(model, source))
    proposed = []
    for each in found.sources:
        name = each.keys.get("service", "")
        container = model.services[name].container_name if name else ""
        if not named & {name, container}:
            proposed.append(needs.source(each.keys, each.reason))
    return proposed


def _data(model: Model, source: Source) -> dict[str, str]:
    """Directories that services write to, without content that comes with the stack."""
    found = {}
    for service in model.services.values():
        if databases.is_database(service.image):
            continue
        for bind in service.binds:
            place = source.place(bind.source)
            shipped = bind.relative and source.staged and os.path.exists(place) and not os.path.islink(place)
            system = NOT_SET in bind.source or paths.of_the_host(bind.source)
            if not (bind.read_only or shipped or system or paths.looks_like_file(bind.written)):
                found[bind.source] = f"data of service {service.name}"
    return found
