# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check published ports against the exposure that the user chose."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Service
from ansible_collections.onebox.stack.plugins.module_utils.compose.proposals import needs
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem

PUBLIC, LAN, LOOPBACK = EXPOSURES = ("public", "lan", "loopback")


def problems(service: Service, exposure: str, listed: t.Container[int]) -> t.Iterator[Problem]:
    """Ports of one service that other machines reach and must not.

    Args:
        exposure: ``public``: a port is refused unless it is listed. ``lan``: no port is. ``loopback``: each is, listed
            or not.
        listed: ports that may be reached from other machines.
    """
    if exposure == LAN:
        return
    found: dict[tuple[int, int, str], list[str]] = {}
    for row in service.ports:
        if not row.loopback and (exposure == LOOPBACK or row.published not in listed):
            found.setdefault((row.published, row.target, row.host_ip), []).append(row.protocol)
    # One problem for each number, as it is written in public_ports.
    for (published, target, address), protocols in found.items():
        which = " and ".join(f"{published}/{protocol}" for protocol in dict.fromkeys(protocols))
        if not published:
            which = f"any, for {target}"
        bound = f"127.0.0.1:{published or ''}:{target}"
        reach = f"is published on {address or 'every address'}, so other machines can reach it"
        where = f"service {service.name}, port {which}"
        if exposure == LOOPBACK:
            message = f"{reach}, and compose_stack_exposure (onebox_exposure) is loopback. Write {bound}"
            yield Problem("public_port", where, message)
            continue
        message = (
            f"{reach}. A firewall on this host does not stop that. Write {bound}, or list it in "
            "compose_stack_public_ports (public_ports) if that is intended"
        )
        yield Problem("public_port", where, message, needs.port(published, f"{which} of service {service.name}"))


def warnings(services: t.Iterable[Service], exposure: str, trie: str = "/proc/net/fib_trie") -> list[str]:
    """What contradicts the exposure ``lan``: a public address of this host, which its ports are published on, too."""
    ports = sorted({row.published for each in services for row in each.ports if row.host_ip in ("", "0.0.0.0", "::")})
    addresses = public_addresses(trie) if exposure == LAN and ports else []
    if not addresses:
        return []
    numbers = ", ".join(str(number) if number else "chosen by the engine" for number in ports)
    return [
        f"compose_stack_exposure (onebox_exposure) is lan, and this host has the public address {addresses[0]}: the "
        f"internet reaches its ports ({numbers}). Write public, and list those that are meant to be reached in "
        "compose_stack_public_ports"
    ]


def public_addresses(trie: str) -> list[str]:
    """The IPv4 addresses of this host that the internet routes; empty where the kernel does not list them."""
    try:
        with open(trie, encoding="ascii") as stream:
            text = stream.read()
    except (OSError, UnicodeDecodeError):
        return []
    found = re.findall(r"\|-- (\d+\.\d+\.\d+\.\d+)\n\s+/32 host LOCAL", text)
    return sorted({address for address in found if ipaddress.ip_address(address).is_global})
