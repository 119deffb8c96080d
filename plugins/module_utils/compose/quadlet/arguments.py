# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a service that become arguments of ``podman run``."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Service, pairs
from ansible_collections.onebox.stack.plugins.module_utils.compose.render import parts

# Keys with one value, and with a list of values.
_ONE = {
    "cgroup_parent": "--cgroup-parent",
    "cpu_shares": "--cpu-shares",
    "cpuset": "--cpuset-cpus",
    "hostname": "--hostname",
    "ipc": "--ipc",
    "mac_address": "--mac-address",
    "memswap_limit": "--memory-swap",
    "oom_score_adj": "--oom-score-adj",
    "pid": "--pid",
    "platform": "--platform",
    "shm_size": "--shm-size",
    "stop_signal": "--stop-signal",
    "userns_mode": "--userns",
    "uts": "--uts",
    "working_dir": "--workdir",
}
_MANY = {
    "device_cgroup_rules": "--device-cgroup-rule",
    "dns": "--dns",
    "dns_opt": "--dns-option",
    "dns_search": "--dns-search",
    "expose": "--expose",
    "group_add": "--group-add",
    "security_opt": "--security-opt",
}
_FLAGS = {
    "init": "--init",
    "privileged": "--privileged",
    "read_only": "--read-only",
    "stdin_open": "--interactive",
    "tty": "--tty",
}
_PAIRS = {"annotations": "--annotation", "storage_opt": "--storage-opt", "sysctls": "--sysctl"}
_CHECK = {
    "interval": "--health-interval",
    "timeout": "--health-timeout",
    "retries": "--health-retries",
    "start_period": "--health-start-period",
}
# Keys that other parts of the rendering write, or that have no effect on a running container.
ELSEWHERE = frozenset(
    (
        *("build", "cap_add", "cap_drop", "command", "configs", "container_name", "depends_on", "deploy", "develop"),
        *("devices", "entrypoint", "env_file", "environment", "extra_hosts", "healthcheck", "image", "labels", "links"),
        *("logging", "network_mode", "networks", "ports", "profiles", "pull_policy", "restart", "scale", "secrets"),
        *("stop_grace_period", "tmpfs", "ulimits", "user", "volumes", "mem_limit", "mem_reservation", "cpus"),
        *("pids_limit", "attach"),
    )
)
KNOWN = ELSEWHERE | frozenset((*_ONE, *_MANY, *_FLAGS, *_PAIRS))


def podman_arguments(service: Service) -> list[str]:
    """The arguments for keys without a key of their own in a unit."""
    raw = service.raw
    words = [f"{flag}={raw[key]}" for key, flag in _ONE.items() if raw.get(key) not in (None, "")]
    for key, flag in _MANY.items():
        rows = raw.get(key) or ()
        words += [f"{flag}={row}" for row in ([rows] if isinstance(rows, str) else rows)]
    words += [flag for key, flag in _FLAGS.items() if raw.get(key)]
    for key, flag in _PAIRS.items():
        words += [f"{flag}={name}={value or ''}" for name, value in pairs(raw.get(key)).items()]
    words += [f"--add-host={str(row).replace('=', ':', 1)}" for row in raw.get("extra_hosts") or ()]
    words += _limits(service)
    words += [f"--ulimit={name}={_ulimit(value)}" for name, value in (raw.get("ulimits") or {}).items()]
    logging = raw.get("logging") or {}
    # Podman's own default, journald, has no options.
    words += [f"--log-driver={logging.get('driver') or 'k8s-file'}"] if logging else []
    words += [f"--log-opt={name}={value}" for name, value in pairs(logging.get("options")).items()]
    words += _healthcheck(service)
    if service.entrypoint is not None:
        words.append(f"--entrypoint={json.dumps(list(service.entrypoint), ensure_ascii=False)}")
    if raw.get("stop_grace_period") is not None:
        words.append(f"--stop-timeout={service.stop_seconds}")
    return words


def _limits(service: Service) -> list[str]:
    own = ((service.raw.get("deploy") or {}).get("resources") or {}).get("limits") or {}
    found = {
        "--memory": parts.memory(service, "limits"),
        "--memory-reservation": parts.memory(service, "reservations"),
        "--cpus": parts.cpus(service, "limits"),
        "--pids-limit": str(own.get("pids") or service.raw.get("pids_limit") or ""),
    }
    return [f"{flag}={value}" for flag, value in found.items() if value]


def _ulimit(value: t.Any) -> str:
    return f"{value['soft']}:{value['hard']}" if isinstance(value, dict) else f"{value}:{value}"


def _healthcheck(service: Service) -> list[str]:
    check = service.raw.get("healthcheck") or {}
    if check and not service.has_healthcheck:
        return ["--no-healthcheck"]
    if not check:
        return []
    test = check.get("test")
    words = [f"--health-cmd={_check_command(test)}"] if test is not None else []
    return words + [f"{flag}={check[key]}" for key, flag in _CHECK.items() if check.get(key) is not None]


def _check_command(test: t.Any) -> str:
    """The command of a healthcheck, as Podman's command line reads it: CMD must not be in its list."""
    if isinstance(test, str):
        return test
    words = [str(word) for word in test]
    if words[0] == "CMD":
        # Podman would run a list of one word in a shell.
        words = words[1:] if len(words) != 2 else [f"CMD {words[1]}"]
        if len(words) == 1:
            return words[0]
    return json.dumps(words, ensure_ascii=False)
