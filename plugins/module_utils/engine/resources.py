# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks and volumes as Docker's API and Podman's command line both describe them, in one form."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field


class Subnet(t.NamedTuple):
    """Addresses of a network; "" if the engine does not name them."""

    subnet: str
    gateway: str
    ip_range: str


@dataclass(frozen=True)
class Network:
    """One network. ``members`` are names of containers on it, as far as the engine lists them here."""

    id: str
    name: str
    driver: str
    internal: bool
    attachable: bool
    ipv6: bool
    options: t.Mapping[str, str]
    subnets: tuple[Subnet, ...]
    labels: t.Mapping[str, str]
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class Volume:
    """One named volume. ``mountpoint`` is its directory on the host, "" if unknown."""

    name: str
    driver: str
    options: t.Mapping[str, str]
    labels: t.Mapping[str, str] = field(default_factory=dict)
    mountpoint: str = ""


def parse_network(data: t.Mapping[str, t.Any]) -> Network:
    """Make a :class:`Network` of one object of ``network inspect`` or of a list."""
    if "id" in data:
        return _podman_network(data)
    rows = (data.get("IPAM") or {}).get("Config") or ()
    members = data.get("Containers") or {}
    return Network(
        id=str(data.get("Id") or ""),
        name=str(data.get("Name") or ""),
        driver=str(data.get("Driver") or ""),
        internal=bool(data.get("Internal")),
        attachable=bool(data.get("Attachable")),
        ipv6=bool(data.get("EnableIPv6")),
        options=data.get("Options") or {},
        subnets=tuple(
            Subnet(str(row.get("Subnet") or ""), str(row.get("Gateway") or ""), str(row.get("IPRange") or ""))
            for row in rows
        ),
        labels=data.get("Labels") or {},
        members=tuple(sorted(str(row.get("Name") or "") for row in members.values())),
    )


def _podman_network(data: t.Mapping[str, t.Any]) -> Network:
    return Network(
        id=str(data["id"]),
        name=str(data.get("name") or ""),
        driver=str(data.get("driver") or ""),
        internal=bool(data.get("internal")),
        attachable=False,
        ipv6=bool(data.get("ipv6_enabled")),
        options=data.get("options") or {},
        # Its lease range is two addresses and not the requested prefix.
        subnets=tuple(
            Subnet(str(row.get("subnet") or ""), str(row.get("gateway") or ""), "") for row in data.get("subnets") or ()
        ),
        labels=data.get("labels") or {},
    )


def parse_volume(data: t.Mapping[str, t.Any]) -> Volume:
    """Make a :class:`Volume` of one object of ``volume inspect`` or of a list."""
    return Volume(
        name=str(data.get("Name") or ""),
        driver=str(data.get("Driver") or ""),
        options=data.get("Options") or {},
        labels=data.get("Labels") or {},
        mountpoint=str(data.get("Mountpoint") or ""),
    )
