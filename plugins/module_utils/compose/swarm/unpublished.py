# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the checks of URLs that cannot answer, because a Swarm does not publish their port."""

from __future__ import annotations

import typing as t
import urllib.parse

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Service
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.short_syntax import PortRow
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability.find import bound
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.core import http
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem

_PORTS = {"http": 80, "https": 443}


def problems(services: t.Mapping[str, Service], request: Request) -> t.Iterator[Problem]:
    """Checks of ports that the compose file publishes on one address, which a Swarm cannot do."""
    rows = [(name, row) for name, service in services.items() for row in service.ports]
    published = {row.published for _name, row in rows if not bound(row.host_ip)}
    dropped = {row.published: (name, row) for name, row in rows if row.published and row.published not in published}
    for variable, checks in (
        ("compose_stack_http_checks", request.http_checks),
        ("compose_stack_prometheus_checks", request.prometheus_checks),
    ):
        for check in checks:
            found = _dropped(str(check["url"]), dropped)
            if found is not None:
                name, row = found
                message = (
                    f"{http.shown(str(check['url']))} cannot answer, because a Swarm does not publish port "
                    f"{row.published} of service {name} on {row.host_ip}. Remove this check for "
                    "compose_stack_target=swarm. The deploy still waits for the health check of each service"
                )
                yield Problem("not_published", variable, message)


def _dropped(url: str, dropped: t.Mapping[int, tuple[str, PortRow]]) -> tuple[str, PortRow] | None:
    """The port of a URL, if its only publication is one that a Swarm drops."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return None  # the check itself reports a URL that is none
    found = dropped.get(port)
    # Another machine can have something else on this port.
    return found if found and (host == found[1].host_ip or PortRow(host, 0, 0, "").loopback) else None
