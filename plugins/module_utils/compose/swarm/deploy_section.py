# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``deploy`` of a service for Swarm: replicas, restarts, updates, limits and the node with the data."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Service
from ansible_collections.onebox.stack.plugins.module_utils.compose.render import parts
from ansible_collections.onebox.stack.plugins.module_utils.compose.render.parts import Stack

_CONDITIONS = {"": "none", "no": "none", "on-failure": "on-failure", "always": "any", "unless-stopped": "any"}
# Names of architectures in compose files and in Swarm.
_ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64", "arm": "armv7l"}


def deploy(stack: Stack, service: Service) -> dict[str, t.Any]:
    """The section of one service. Settings of its own section in the compose file take precedence."""
    own = service.raw.get("deploy") or {}
    # Two containers of one service must not write to the same data, and cannot publish the same port of one node.
    alone = parts.has_data(service) or any(
        isinstance(row, dict) and row.get("mode") == "host" for row in service.raw.get("ports") or ()
    )
    order = "start-first" if service.has_healthcheck and not alone else "stop-first"
    found: dict[str, t.Any] = {
        "replicas": service.scale,
        "restart_policy": _restart(service),
        "update_config": {
            "order": order,
            "failure_action": _failure_action(service),
        },
        "rollback_config": {"order": order},
        "resources": _resources(service),
        "placement": _placement(stack, service),
        "labels": own.get("labels") or {},
    }
    if own.get("mode"):
        found["mode"] = own["mode"]
        if own["mode"] == "global":
            del found["replicas"]
    for key in ("restart_policy", "update_config", "rollback_config"):
        found[key] = {**found[key], **(own.get(key) or {})}
    if own.get("endpoint_mode"):
        found["endpoint_mode"] = own["endpoint_mode"]
    return {key: value for key, value in found.items() if value != {}}


def _failure_action(service: Service) -> str:
    if service.has_healthcheck:
        return "rollback"
    # Swarm counts a container that ends during an update as failed, also one that ended with 0, and would pause.
    return "continue" if service.one_shot else "pause"


def _restart(service: Service) -> dict[str, t.Any]:
    kind, _colon, attempts = service.restart.partition(":")
    return {
        "condition": _CONDITIONS.get(kind, "any"),
        **({"max_attempts": int(attempts)} if attempts.isdigit() else {}),
    }


def _resources(service: Service) -> dict[str, t.Any]:
    found = {}
    for kind in ("limits", "reservations"):
        row: dict[str, t.Any] = {"cpus": parts.cpus(service, kind), "memory": parts.memory(service, kind)}
        if kind == "limits":
            own = ((service.raw.get("deploy") or {}).get("resources") or {}).get("limits") or {}
            row["pids"] = int(own.get("pids") or service.raw.get("pids_limit") or 0)
        kept = {key: value for key, value in row.items() if value}
        if kept.get("pids", 0) < 0:
            del kept["pids"]  # unlimited
        if kept:
            found[kind] = kept
    return found


def _placement(stack: Stack, service: Service) -> dict[str, t.Any]:
    own = (service.raw.get("deploy") or {}).get("placement") or {}
    found = {key: own.get(key) for key in ("preferences", "max_replicas_per_node")}
    return {key: value for key, value in {"constraints": _constraints(stack, service), **found}.items() if value}


def _constraints(stack: Stack, service: Service) -> list[str]:
    own = ((service.raw.get("deploy") or {}).get("placement") or {}).get("constraints") or []
    found = [str(row) for row in own]
    named = any(row.replace(" ", "").startswith(("node.id==", "node.hostname==")) for row in found)
    # A compose file that names the node of a service names the node of its data.
    if stack.node and not named and (service.binds or any(name for name, _target in service.named_volumes)):
        found.append(f"node.id == {stack.node_id}" if stack.node_id else f"node.hostname == {stack.node}")
    system, _slash, machine = service.platform.partition("/")
    if machine:
        machine = machine.partition("/")[0]
        found += [f"node.platform.os == {system}", f"node.platform.arch == {_ARCHITECTURES.get(machine, machine)}"]
    return list(dict.fromkeys(found))
