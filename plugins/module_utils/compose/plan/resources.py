# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide whether networks and volumes are as the compose file declares them.

A changed network is replaced together with the containers on it, as in Docker Compose since 2.31. Older versions and
podman-compose keep it silently. A volume is never replaced, because that would lose its data.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Driver
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model, Service, pairs
from ansible_collections.onebox.stack.plugins.module_utils.core import mask
from ansible_collections.onebox.stack.plugins.module_utils.engine.membership import PROJECT_LABELS
from ansible_collections.onebox.stack.plugins.module_utils.engine.resources import Network, Volume

KEEP, RECREATE = "keep", "recreate"
HASH_LABEL = "com.docker.compose.config-hash"
VERSION_LABEL = "com.docker.compose.version"
_DEFAULT_DRIVERS = {"network": "bridge", "volume": "local"}

Diff = dict[str, dict[str, t.Any]]


@dataclass
class Row:
    """The plan for one network or volume.

    Attributes:
        kind: ``network`` or ``volume``.
        key: its name in the compose file.
        name: its name on the engine.
        identity: its id on the engine.
    """

    kind: str
    key: str
    name: str
    identity: str
    action: str = KEEP
    reasons: list[str] = field(default_factory=list)
    diff: Diff = field(default_factory=dict)

    def as_dict(self) -> dict[str, t.Any]:
        """As modules return it."""
        return {
            "service": f"{self.kind} {self.key}",
            "action": self.action,
            "reasons": list(self.reasons),
            "diff": self.diff,
            "downtime": "recreate" if self.action == RECREATE else "none",
            "cascade_from": "",
        }


@dataclass(frozen=True)
class Found:
    """Networks and volumes on the engine.

    Attributes:
        networks: name -> network, of all networks.
        volumes: name -> volume, of those that the stack declares.
        known: id of a network, or name of a volume, -> :func:`digest` of the declaration it was created from.
    """

    networks: t.Mapping[str, Network] = field(default_factory=dict)
    volumes: t.Mapping[str, Volume | None] = field(default_factory=dict)
    known: t.Mapping[str, str] = field(default_factory=dict)


def digest(kind: str, body: t.Mapping[str, t.Any]) -> str:
    """The hash that Docker Compose gives a network or a volume: the SHA-256 of its ``config`` output."""
    if kind == "volume" and not body.get("driver"):
        body = {"name": body.get("name"), "driver": "local", **{key: body[key] for key in body if key != "name"}}
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def declared(model: Model, kind: str) -> dict[str, dict[str, t.Any]]:
    """Name on the engine and body of each network or volume that a service of the model uses, by its key."""
    top = model.raw.get(f"{kind}s")
    top = top if isinstance(top, dict) else {}
    used: dict[str, None] = {}
    for service in model.services.values():
        on = keys_of(service, model) if kind == "network" else [row[0] for row in service.named_volumes]
        used.update(dict.fromkeys(on))
    found = {}
    for key in filter(None, used):
        written = top.get(key)
        body = written if isinstance(written, dict) else {}
        # podman-compose leaves the names open.
        external = body.get("external")
        named = external.get("name") if isinstance(external, dict) else None
        default = key if external else f"{model.project}_{key}"
        found[key] = {"name": named or body.get("name") or default, **{k: v for k, v in body.items() if k != "name"}}
    return found


def keys_of(service: Service, model: Model) -> list[str]:
    """The networks of the compose file that a service is on."""
    written = service.raw.get("networks")
    if written:
        return [str(key) for key in written]
    return [] if service.raw.get("network_mode") else [*filter(None, [model.default_network])]


def plan(model: Model, found: Found, driver: Driver) -> list[Row]:
    """The networks and volumes that are not as declared.

    Args:
        driver: the compose tool.
    """
    rows = []
    for key, body in declared(model, "network").items():
        network = found.networks.get(body["name"])
        if network is None or body.get("external"):
            continue
        owner = network.labels.get(PROJECT_LABELS[0])
        if owner and owner != model.project and not (driver.traits.hashes and HASH_LABEL in network.labels):
            continue  # two stacks declare it, and a tool without hashes uses it unchanged
        diff = _network_diff(body, network)
        if _changed("network", body, network.id, network.labels, found.known, driver, diff):
            row = Row("network", key, network.name, network.id, RECREATE, ["network_changed"], diff or _UNSEEN)
            rows.append(row)
    for key, body in declared(model, "volume").items():
        volume = found.volumes.get(body["name"])
        if volume is None or body.get("external"):
            continue
        diff = _volume_diff(body, volume)
        if _changed("volume", body, volume.name, volume.labels, found.known, driver, diff):
            rows.append(Row("volume", key, volume.name, volume.name, KEEP, ["volume_changed"], diff or _UNSEEN))
    return rows


# A setting was removed from the declaration: the engine does not report where the present value comes from.
_UNSEEN: Diff = {"declaration": {"before": "as created", "after": "as declared now"}}


def _changed(
    what: str,
    body: t.Mapping[str, t.Any],
    identity: str,
    labels: t.Mapping[str, str],
    known: t.Mapping[str, str],
    driver: Driver,
    diff: Diff,
) -> bool:
    now = digest(what, body)
    label = labels.get(HASH_LABEL)
    if driver.traits.hashes and label and what == "network":
        if label == now:
            return False
        # If this Compose hashes differently than we do, a network from the same declaration is not changed.
        return not (known.get(identity) == now and labels.get(VERSION_LABEL) == driver.version_text)
    if label and label == now:
        return False
    if identity in known:
        return known[identity] != now
    return bool(diff) or (bool(label) and driver.traits.hashes and labels.get(VERSION_LABEL) == driver.version_text)


def _network_diff(body: t.Mapping[str, t.Any], network: Network) -> Diff:
    diff: Diff = {}
    _differ(diff, "internal", network.internal, bool(body.get("internal")))
    if body.get("enable_ipv6") is not None:
        _differ(diff, "enable_ipv6", network.ipv6, bool(body["enable_ipv6"]))
    _common(diff, "network", body, network.driver, network.options, network.labels)
    rows = (body.get("ipam") or {}).get("config") or ()
    for number, row in enumerate(rows):
        wanted = str(row.get("subnet") or "")
        there = next((each for each in network.subnets if _prefix(each.subnet) == _prefix(wanted)), None)
        if wanted and there is None:
            before = ", ".join(each.subnet for each in network.subnets)
            _differ(diff, f"ipam.config.{number}.subnet", before, wanted)
        elif there is not None and row.get("gateway"):
            _differ(diff, f"ipam.config.{number}.gateway", there.gateway, str(row["gateway"]))
    return diff


def _prefix(text: str) -> str:
    """The canonical spelling of a subnet."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return text


def _volume_diff(body: t.Mapping[str, t.Any], volume: Volume) -> Diff:
    diff: Diff = {}
    _common(diff, "volume", body, volume.driver, volume.options, volume.labels)
    for name in volume.options:
        if name not in (body.get("driver_opts") or {}) and volume.driver == "local":
            _differ(diff, f"driver_opts.{name}", volume.options[name], None)
    return diff


def _common(
    diff: Diff,
    kind: str,
    body: t.Mapping[str, t.Any],
    driver: str,
    options: t.Mapping[str, str],
    labels: t.Mapping[str, str],
) -> None:
    if body.get("driver") or driver in ("bridge", "local", "macvlan", "ipvlan"):
        _differ(diff, "driver", driver, str(body.get("driver") or _DEFAULT_DRIVERS[kind]))
    for name, value in pairs(body.get("driver_opts")).items():
        # Podman has its own names for some of these.
        if name in options or not name.startswith("com.docker."):
            _differ(diff, f"driver_opts.{name}", options.get(name), value)
    for name, value in pairs(body.get("labels")).items():
        _differ(diff, f"labels.{name}", labels.get(name), value or "")


def _differ(diff: Diff, field_name: str, before: t.Any, after: t.Any) -> None:
    if before != after:
        # Options of a volume can contain the password of a share.
        shown = [mask.printed(each) if isinstance(each, str) else each for each in (before, after)]
        if shown[0] == shown[1]:
            shown[1] = f"{shown[1]} (another value)"
        diff[field_name] = {"before": shown[0], "after": shown[1]}


def remembered(model: Model, found: Found, rows: t.Sequence[Row]) -> dict[str, str]:
    """The networks and volumes to record: id or name -> :func:`digest`.

    Args:
        found: the present networks and volumes.
        rows: the plan for them. A resource that is still not as declared keeps its record.
    """
    differing = {row.identity for row in rows}
    kept: dict[str, str] = {}
    for kind, there in (("network", found.networks), ("volume", found.volumes)):
        for body in declared(model, kind).values():
            one = there.get(body["name"])
            if one is None or body.get("external"):
                continue
            identity = one.id if isinstance(one, Network) else one.name
            if identity not in differing:
                kept[identity] = digest(kind, body)
            elif identity in found.known:
                kept[identity] = found.known[identity]
    return kept


def warnings(rows: t.Sequence[Row]) -> list[str]:
    """One warning for each volume that differs from its declaration and is kept."""
    return [
        f"volume {row.key}: differs from the compose file ({', '.join(sorted(row.diff))}), and is not "
        "changed, because a new one would not have its data. To change it, stop the stack, copy the data out of "
        f"{row.name}, remove that volume, deploy, and copy the data back. Or declare a volume of another name."
        for row in rows
        if row.kind == "volume"
    ]
