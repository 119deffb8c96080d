# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pod of a service and its container."""

from __future__ import annotations

import math
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.kubernetes.storage import Document, Storage
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import short_syntax
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Service, pairs
from ansible_collections.onebox.stack.plugins.module_utils.compose.render import parts
from ansible_collections.onebox.stack.plugins.module_utils.compose.render.parts import RenderError, Stack

# Defaults of Docker.
_INTERVAL, _TIMEOUT, _RETRIES = 30, 30, 3


def _filled(document: Document) -> Document:
    return {key: value for key, value in document.items() if value not in (None, "", [], {}, False)}


def _plain(text: str) -> str:
    # Kubernetes replaces $(NAME) in commands and in values of variables.
    return text.replace("$(", "$$(")


def container(stack: Stack, service: Service, storage: Storage, shown: t.Mapping[str, str], secret: str) -> Document:
    """The container of a service.

    Args:
        shown: variables to write here.
        secret: name of the Secret with all others; "" without one.

    Raises:
        RenderError: the user is not a number.
    """
    raw = service.raw
    probe = _probe(service)
    return _filled(
        {
            "name": "main",
            "image": stack.image(service),
            "command": [_plain(word) for word in service.entrypoint or ()],
            "args": [_plain(word) for word in service.command or ()],
            "workingDir": raw.get("working_dir"),
            "env": [{"name": name, "value": _plain(value)} for name, value in shown.items()],
            "envFrom": [{"secretRef": {"name": secret}}] if secret else [],
            "readinessProbe": probe,
            "livenessProbe": probe,
            "resources": _resources(service),
            "securityContext": _rights(service),
            "stdin": bool(raw.get("stdin_open")),
            "tty": bool(raw.get("tty")),
            "volumeMounts": storage.mounts,
        }
    )


def pod(service: Service, storage: Storage, body: Document) -> Document:
    """The specification of the pod.

    Raises:
        RenderError: a mode of the network does not exist.
    """
    raw = service.raw
    mode = str(raw.get("network_mode") or "")
    if mode not in ("", "host", "bridge", "default"):
        raise RenderError(f"service {service.name}: network_mode {mode} does not exist in Kubernetes. Remove it.")
    group = service.user.partition(":")[2] or service.user
    groups = [int(row) for row in raw.get("group_add") or () if str(row).isdigit()]
    system, _slash, machine = service.platform.partition("/")
    context = _filled(
        {
            # Claims belong to root otherwise, and the service could not write to them.
            "fsGroup": int(group) if group.isdigit() and int(group) and parts.has_data(service) else None,
            "supplementalGroups": groups,
            "sysctls": [{"name": name, "value": str(value)} for name, value in pairs(raw.get("sysctls")).items()],
        }
    )
    selector = {"kubernetes.io/os": system, "kubernetes.io/arch": machine.partition("/")[0]} if machine else {}
    return {
        **_filled(
            {
                "hostname": re.sub(r"[^a-z0-9-]", "-", str(raw.get("hostname") or "").lower()),
                "hostNetwork": mode == "host",
                "hostPID": raw.get("pid") == "host",
                "hostIPC": raw.get("ipc") == "host",
                "hostAliases": _aliases(raw),
                "dnsConfig": _filled({"nameservers": _list(raw.get("dns")), "searches": _list(raw.get("dns_search"))}),
                "nodeSelector": selector,
                "securityContext": context,
                "terminationGracePeriodSeconds": service.stop_seconds,
            }
        ),
        # Compose adds no variables with addresses of other services.
        "enableServiceLinks": False,
        "containers": [body],
        **({"volumes": storage.volumes} if storage.volumes else {}),
    }


def _list(value: t.Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(row) for row in value or ()]


def _aliases(raw: t.Mapping[str, t.Any]) -> list[Document]:
    found = []
    for row in raw.get("extra_hosts") or ():
        name, _mark, address = str(row).replace("=", ":", 1).partition(":")
        found.append({"ip": address.strip("[]"), "hostnames": [name]})
    return found


def _resources(service: Service) -> Document:
    return _filled(
        {
            "limits": _filled({"memory": parts.memory(service, "limits"), "cpu": parts.cpus(service, "limits")}),
            "requests": _filled(
                {"memory": parts.memory(service, "reservations"), "cpu": parts.cpus(service, "reservations")}
            ),
        }
    )


def _rights(service: Service) -> Document:
    raw = service.raw
    user, _colon, group = service.user.partition(":")
    if service.user and not (user.isdigit() and (not group or group.isdigit())):
        raise RenderError(f"service {service.name}: user {service.user} must be a number. Set user to UID:GID.")
    found: Document = {}
    if user:
        found["runAsUser"] = int(user)
    if group:
        found["runAsGroup"] = int(group)
    capabilities = _filled({key: [_capability(row) for row in raw.get(f"cap_{key}") or ()] for key in ("add", "drop")})
    rows = [str(row) for row in raw.get("security_opt") or ()]
    if any(row.startswith("no-new-privileges") and not row.endswith("false") for row in rows):
        found["allowPrivilegeEscalation"] = False
    more = {
        "capabilities": capabilities,
        "privileged": bool(raw.get("privileged")),
        "readOnlyRootFilesystem": bool(raw.get("read_only")),
    }
    return {**found, **_filled(more)}


def _capability(row: t.Any) -> str:
    name = str(row).upper()
    return name[len("CAP_") :] if name.startswith("CAP_") else name


def _probe(service: Service) -> Document:
    if not service.has_healthcheck:
        return {}
    check = service.raw.get("healthcheck") or {}
    test = check.get("test") or []
    words = ["CMD-SHELL", test] if isinstance(test, str) else [str(word) for word in test]
    if not words:
        return {}  # only times: the image has the test, which Kubernetes does not read
    command = ["/bin/sh", "-c", words[1]] if words[0] == "CMD-SHELL" else words[1:]

    def seconds(key: str, default: int) -> int:
        return max(1, math.ceil(short_syntax.seconds(check.get(key), default)))

    return _filled(
        {
            "exec": {"command": command},
            "initialDelaySeconds": short_syntax.seconds(check.get("start_period"), 0),
            "periodSeconds": seconds("interval", _INTERVAL),
            "timeoutSeconds": seconds("timeout", _TIMEOUT),
            "failureThreshold": int(check.get("retries") or _RETRIES),
        }
    )
