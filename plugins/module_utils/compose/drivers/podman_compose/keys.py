# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a compose file that podman-compose supports. It silently ignores all others.

Read from the sources of podman-compose 1.3.0, 1.5.0 and 1.6.0. A key is in these tables when podman-compose supports
it, when this collection does, or when it has no effect on one host, for Docker Compose as well.
"""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem

Version = tuple[int, ...]

# ``configs`` and ``extends`` have their own messages.
_SERVICE = frozenset(
    [
        "annotations",
        "build",
        "cap_add",
        "cap_drop",
        "command",
        "configs",
        "container_name",
        "cpu_shares",
        "cpus",
        "depends_on",
        "deploy",
        "develop",
        "device_cgroup_rules",
        "devices",
        "dns",
        "dns_opt",
        "dns_search",
        "entrypoint",
        "env_file",
        "environment",
        "expose",
        "extends",
        "extra_hosts",
        "group_add",
        "healthcheck",
        "hostname",
        "http_proxy",
        "image",
        "init",
        "labels",
        "links",
        "logging",
        "mac_address",
        "mem_limit",
        "mem_reservation",
        "network_mode",
        "networks",
        "pid",
        "platform",
        "ports",
        "privileged",
        "profiles",
        "pull_policy",
        "read_only",
        "restart",
        "runtime",
        "secrets",
        "security_opt",
        "shm_size",
        "stdin_open",
        "stop_grace_period",
        "stop_signal",
        "sysctls",
        "tmpfs",
        "tty",
        "ulimits",
        "user",
        "userns_mode",
        "volumes",
        "working_dir",
    ]
)
_SERVICE_SINCE: dict[str, Version] = {"cpuset": (1, 5), "pids_limit": (1, 5), "scale": (1, 5)}
_BUILD = frozenset(
    [
        "additional_contexts",
        "args",
        "cache_from",
        "cache_to",
        "context",
        "dockerfile",
        "extra_hosts",
        "labels",
        "secrets",
        "ssh",
        "tags",
        "target",
        "ulimits",
    ]
)
_BUILD_SINCE: dict[str, Version] = {"dockerfile_inline": (1, 5)}
_DEPLOY = frozenset(
    [
        "endpoint_mode",
        "labels",
        "mode",
        "placement",
        "replicas",
        "resources",
        "restart_policy",
        "rollback_config",
        "update_config",
    ]
)
_LIMITS = frozenset(("cpus", "memory"))
_LIMITS_SINCE: dict[str, Version] = {"pids": (1, 5)}
_RESERVATIONS = frozenset(("cpus", "devices", "memory"))
_HEALTHCHECK = frozenset(["disable", "interval", "retries", "start_period", "test", "timeout"])
_HEALTHCHECK_SINCE: dict[str, Version] = {"start_interval": (1, 6)}
_ENV_FILE = frozenset(("path", "required"))
_ON_NETWORK = frozenset(["aliases", "ipv4_address", "ipv6_address", "mac_address"])
_NETWORK = frozenset(
    ["attachable", "driver", "driver_opts", "enable_ipv6", "external", "internal", "ipam", "labels", "name"]
)
_IPAM = frozenset(("config", "driver"))
_SUBNET = frozenset(("gateway", "ip_range", "subnet"))
_VOLUME = frozenset(["driver", "driver_opts", "external", "labels", "name"])
_TOP = frozenset(["configs", "include", "name", "networks", "secrets", "services", "version", "volumes"])


def left_out(path: str, data: t.Mapping[str, t.Any], version: Version) -> list[Problem]:
    """One problem for each key that podman-compose of this version would ignore.

    Args:
        path: the compose file.
        data: the file, parsed.
        version: the version of podman-compose.
    """
    text = ".".join(map(str, version))
    advice = "Remove it, or use docker compose on podman's socket"
    return [
        Problem(
            "unsupported",
            f"{path}: {where}" if where else path,
            f"podman-compose {text} does not support {key}. {advice}",
        )
        for where, key in dict.fromkeys(_unknown(data, version))
    ]


def _unknown(data: t.Mapping[str, t.Any], version: Version) -> t.Iterator[tuple[str, str]]:
    for key in _others(data, _TOP):
        yield "", key
    for name, body in _mapping(data.get("services")).items():
        for key in _of_service(_mapping(body), version):
            yield f"service {name}", key
    for name, body in _mapping(data.get("networks")).items():
        network = _mapping(body)
        ipam = _mapping(network.get("ipam"))
        keys = [*_others(network, _NETWORK), *(f"ipam.{key}" for key in _others(ipam, _IPAM))]
        for row in _rows(ipam.get("config")):
            keys += [f"ipam.config.{key}" for key in _others(_mapping(row), _SUBNET)]
        yield from ((f"network {name}", key) for key in keys)
    for name, body in _mapping(data.get("volumes")).items():
        yield from ((f"volume {name}", key) for key in _others(_mapping(body), _VOLUME))


def _of_service(body: t.Mapping[str, t.Any], version: Version) -> t.Iterator[str]:
    yield from _others(body, _SERVICE, _SERVICE_SINCE, version)
    deploy = _mapping(body.get("deploy"))
    resources = _mapping(deploy.get("resources"))
    yield from (f"deploy.{key}" for key in _others(deploy, _DEPLOY))
    if deploy.get("restart_policy") and body.get("restart") is None:
        yield "deploy.restart_policy (write restart)"
    for part, known, since in (("limits", _LIMITS, _LIMITS_SINCE), ("reservations", _RESERVATIONS, {})):
        keys = _others(_mapping(resources.get(part)), known, since, version)
        yield from (f"deploy.resources.{part}.{key}" for key in keys)
    for part, known, since in (("build", _BUILD, _BUILD_SINCE), ("healthcheck", _HEALTHCHECK, _HEALTHCHECK_SINCE)):
        yield from (f"{part}.{key}" for key in _others(_mapping(body.get(part)), known, since, version))
    yield from _by_value(body, _mapping(resources.get("reservations")))
    for row in _rows(body.get("env_file")):
        yield from (f"env_file.{key}" for key in _others(_mapping(row), _ENV_FILE))
    for name, row in _mapping(body.get("networks")).items():
        yield from (f"networks.{name}.{key}" for key in _others(_mapping(row), _ON_NETWORK))


def _by_value(body: t.Mapping[str, t.Any], reservations: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """Keys that are ignored only with some values."""
    for row in _rows(reservations.get("devices")):
        device = _mapping(row)
        if device and not (device.get("driver") == "nvidia" and "gpu" in _rows(device.get("capabilities"))):
            yield "deploy.resources.reservations.devices without driver nvidia and capability gpu"
    if isinstance(body.get("extra_hosts"), dict):
        yield "extra_hosts as a mapping (write a list of name:address)"
    for row in _rows(body.get("volumes")):
        mount = _mapping(row)
        if _mapping(mount.get("volume")).get("nocopy"):
            yield "volumes.volume.nocopy"
        if _mapping(mount.get("bind")).get("recursive"):
            yield "volumes.bind.recursive"


def _others(
    body: t.Mapping[str, t.Any],
    known: t.Container[str],
    since: t.Mapping[str, Version] | None = None,
    version: Version = (),
) -> list[str]:
    """Unknown keys with a value. podman-compose adds its own keys, with an underscore."""
    return [
        str(key)
        for key, value in body.items()
        if value is not None
        and key not in known
        and not (since and key in since and version >= since[key])
        and not str(key).startswith(("x-", "_"))
    ]


def _rows(value: t.Any) -> list[t.Any]:
    return value if isinstance(value, list) else [value]


def _mapping(value: t.Any) -> t.Mapping[str, t.Any]:
    return value if isinstance(value, dict) else {}
