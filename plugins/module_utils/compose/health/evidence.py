# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The evidence that a service is healthy: its healthcheck, a URL that answered, a port that listens, or none."""

from __future__ import annotations

import os
import typing as t
import urllib.parse

from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import ports
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Service
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container

HEALTHCHECK, HTTP, PORT, NONE = "healthcheck", "http", "port", "none"
UNCHECKED = "running, not checked further"
# So many consecutive ports are a range to choose from, as for FTP, and not ports that always listen.
_RANGE = 3
# Networks that connect published ports inside of the container, so that its loopback address is enough.
_LOOPBACK_IS_ENOUGH = ("slirp4netns", "pasta")
_LOOPBACK = ("127.", "::1")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def has_healthcheck(service: Service | None, container: Container) -> bool:
    """Whether a healthcheck runs. A healthcheck of the image is not in the compose file."""
    return (service is not None and service.has_healthcheck) or bool(container.health)


def checked_ports(service: Service) -> list[int]:
    """TCP ports of the container that it publishes one by one."""
    numbers = sorted({row.target for row in service.ports if row.protocol == "tcp"})
    found: list[int] = []
    run: list[int] = []
    for number in numbers:
        if run and number != run[-1] + 1:
            found += run if len(run) < _RANGE else []
            run = []
        run.append(number)
    return found + (run if len(run) < _RANGE else [])


class Listening(t.NamedTuple):
    """Which published ports of a container listen; ``known`` is false where that cannot be read."""

    known: bool
    silent: tuple[int, ...] = ()
    loopback: tuple[int, ...] = ()

    @property
    def message(self) -> str:
        """Why the container is not healthy yet; "" when all ports listen."""
        if self.silent:
            return f"nothing in it listens on port {_numbers(self.silent)}, which it publishes"
        if self.loopback:
            return (
                f"it publishes port {_numbers(self.loopback)} and listens there only on its own 127.0.0.1, where "
                "no request reaches it. Let it listen on 0.0.0.0"
            )
        return ""


def _numbers(found: t.Sequence[int]) -> str:
    return ", ".join(str(number) for number in found)


def listening(service: Service, container: Container, proc: str = "/proc") -> Listening:
    """Which of the published ports listen. No connection is made, so that no service logs or counts one."""
    wanted = checked_ports(service)
    place = f"{proc}/{container.pid}"
    if not wanted or container.network_mode == "host" or not container.pid or not os.path.exists(f"{place}/net/tcp"):
        return Listening(False)
    there: dict[int, bool] = {}
    for row in ports.listeners(place):
        if row.protocol == "tcp":
            there[row.port] = there.get(row.port, True) and row.address.startswith(_LOOPBACK)
    silent = tuple(number for number in wanted if number not in there)
    enough = container.network_mode.startswith(_LOOPBACK_IS_ENOUGH)
    return Listening(True, silent, () if enough else tuple(number for number in wanted if there.get(number)))


def of(service: Service | None, container: Container, local: bool = True) -> str:
    """The evidence for the health of a container, without URLs.

    Args:
        service: its declaration; None for an orphan.
        local: whether its processes run on this host. Processes in a virtual machine cannot be inspected.
    """
    if has_healthcheck(service, container):
        return HEALTHCHECK
    if service is not None and local and container.running:
        found = listening(service, container)
        if found.known and not found.message:
            return PORT
    return NONE


def answered(
    rows: t.Iterable[dict[str, t.Any]], containers: t.Iterable[Container], endpoints: t.Iterable[t.Mapping[str, t.Any]]
) -> None:
    """Record in health ``rows`` which services answered a URL: the services that publish its port on this host."""
    numbers = {_port(str(row["url"])) for row in endpoints if row["ok"]}
    reached = {each.name for each in containers for port in each.ports if port.host_port in numbers}
    for row in rows:
        if row["container"] in reached and row["evidence"] in (PORT, NONE):
            row["evidence"] = HTTP
            if row.get("message") == UNCHECKED:
                row["message"] = "running, its URL answers"


def _port(url: str) -> int:
    parts = urllib.parse.urlsplit(url)
    try:
        return parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return 0
