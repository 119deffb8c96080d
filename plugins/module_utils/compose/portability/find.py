# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the constructs that a stack uses."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model, Service

# One text for each use, such as the path of a device.
Uses = list[str]
Finder = t.Callable[[Service, Model], Uses]

COMPLETED = "service_completed_successfully"
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
# First directories of paths that belong to the operating system of one host, and those below /var.
_SYSTEM = ("proc", "sys", "dev", "run", "etc", "boot", "usr", "lib")
_SYSTEM_BELOW_VAR = ("/var/run", "/var/log", "/var/lib/docker", "/var/lib/containers")
# Files that every node has.
EVERYWHERE = ("/etc/localtime", "/etc/timezone")
# Found by their key alone.
_KEYS = (
    *("container_name", "devices", "links", "external_links", "domainname", "privileged", "device_cgroup_rules"),
    *("security_opt", "userns_mode", "cgroup_parent", "cgroup", "pid", "ipc", "uts", "group_add", "runtime", "ulimits"),
    *("sysctls", "memswap_limit", "cpuset", "cpu_shares", "shm_size", "storage_opt", "expose", "mac_address", "tmpfs"),
    *("volumes_from", "annotations", "pull_policy", "platform", "post_start", "cap_add", "init", "logging"),
    *("oom_score_adj", "profiles", "develop", "mem_limit", "mem_reservation", "cpus", "pids_limit"),
)


def _key(name: str) -> Finder:
    def found(service: Service, _model: Model) -> Uses:
        value = service.raw.get(name)
        if not value or value in ("none", "0"):
            return []
        if isinstance(value, (list, tuple)):
            return [_shown(row) for row in value]
        # Values of mappings, such as options of a log driver, can be secret.
        return sorted(map(str, value)) if isinstance(value, dict) else [_shown(value)]

    return found


def _shown(row: t.Any) -> str:
    if isinstance(row, dict):
        return str(row.get("source") or row.get("target") or row.get("command") or next(iter(row), ""))
    return "true" if row is True else str(row)


def _depends(service: Service, kind: str) -> Uses:
    linked = {str(row).partition(":")[0] for row in service.raw.get("links") or ()}
    kinds = {"service_started": "started", COMPLETED: "completed"}
    rows = [each for each in service.depends_on if each.service not in linked]
    return [each.service for each in rows if kinds.get(each.condition, "condition") == kind]


def _loopback_ports(service: Service, _model: Model) -> Uses:
    return [f"{row.host_ip}:{row.published or ''}:{row.target}" for row in service.ports if bound(row.host_ip)]


def _open_ports(service: Service, _model: Model) -> Uses:
    return [f"{row.published or 'random'}:{row.target}" for row in service.ports if not bound(row.host_ip)]


def bound(address: str) -> bool:
    """Whether a port is published on one address only."""
    return address not in ("", "0.0.0.0", "::", "[::]")  # noqa: S104 (compared, not bound)


def of_the_system(path: str) -> bool:
    """Whether a bind source belongs to the operating system of one host, such as a socket."""
    if path in EVERYWHERE:
        return False
    first = path.split("/")[1]
    return path == "/" or path.endswith(".sock") or first in _SYSTEM or path.startswith(_SYSTEM_BELOW_VAR)


def _fixed(service: Service, _model: Model) -> Uses:
    rows = service.raw.get("networks") or {}
    found = [row for row in rows.values() if row] if isinstance(rows, dict) else []
    return [str(row[key]) for row in found for key in ("ipv4_address", "ipv6_address") if row.get(key)]


def _of_networks(test: t.Callable[[t.Mapping[str, t.Any]], bool]) -> Finder:
    def found(service: Service, model: Model) -> Uses:
        bodies = model.raw.get("networks") or {}
        return [name for name in service.raw.get("networks") or () if test(bodies.get(name) or {})]

    return found


def _gateway(body: t.Mapping[str, t.Any]) -> bool:
    rows = (body.get("ipam") or {}).get("config") or ()
    return any(row.get(key) for row in rows for key in ("gateway", "ip_range", "aux_addresses"))


def _files(collection: str, *kinds: str) -> Finder:
    return lambda service, _model: [
        each.name for each in service.files if each.collection == collection and each.kind in kinds
    ]


def _gpus(service: Service, _model: Model) -> Uses:
    reserved = ((service.raw.get("deploy") or {}).get("resources") or {}).get("reservations") or {}
    return [_shown(row) if isinstance(row, str) else "gpu" for row in reserved.get("devices") or ()] + (
        ["gpus"] if service.raw.get("gpus") else []
    )


def _writers(service: Service, _model: Model) -> Uses:
    writes = [name for name, _target in service.named_volumes]
    writes += [row.source for row in service.binds if not row.read_only]
    return writes if service.scale > 1 else []


FINDERS: t.Mapping[str, Finder] = {
    **{name: _key(name) for name in _KEYS},
    "build": lambda service, _model: [service.image] if service.build else [],
    "restart": lambda service, _model: [service.restart or "no"] if service.raw.get("restart") else [],
    "depends_on": lambda service, _model: _depends(service, "started"),
    "depends_on condition": lambda service, _model: _depends(service, "condition"),
    "depends_on completed": lambda service, _model: _depends(service, "completed"),
    "healthcheck": lambda service, _model: ["its test"] if service.has_healthcheck else [],
    "scale": lambda service, _model: [str(service.scale)] if service.raw.get("scale") else [],
    "name of the service": lambda service, _model: [] if _LABEL.fullmatch(service.name) else [service.name],
    "security_opt": lambda service, _model: [
        row for row in service.raw.get("security_opt") or () if not str(row).startswith("label")
    ],
    "gpus": _gpus,
    "user by name": lambda service, _model: [service.user] if re.search(r"[^0-9:]", service.user) else [],
    "network_mode": lambda service, _model: [
        mode for mode in [str(service.raw.get("network_mode") or "")] if mode not in ("", "bridge", "default")
    ],
    "published address": _loopback_ports,
    "published port": _open_ports,
    "fixed address": _fixed,
    "external network": _of_networks(lambda body: bool(body.get("external"))),
    "several networks": lambda service, model: (
        sorted(service.raw.get("networks") or ()) if len(model.raw.get("networks") or ()) > 1 else []
    ),
    "network gateway": _of_networks(_gateway),
    "enable_ipv6": _of_networks(lambda body: bool(body.get("enable_ipv6"))),
    "bind mount": lambda service, _model: [row.source for row in service.binds],
    "host socket": lambda service, _model: [row.source for row in service.binds if of_the_system(row.source)],
    "named volume": lambda service, _model: [name for name, _target in service.named_volumes if name],
    "anonymous volume": lambda service, _model: [target for name, target in service.named_volumes if not name],
    "several writers": _writers,
    "secret file": _files("secrets", "file"),
    "secret environment": _files("secrets", "environment"),
    "config content": _files("configs", "content"),
}
# Compose tools resolve these, so only the text of a compose file has them.
_IN_TEXT = re.compile(r"(?m)^[ \t]*(?:- )?(extends|include|env_file):")


def in_text(text: str) -> list[tuple[str, int]]:
    """Each key of a compose file that its model no longer has, with the number of its line."""
    return [(match[1], text.count("\n", 0, match.start()) + 1) for match in _IN_TEXT.finditer(text)]
