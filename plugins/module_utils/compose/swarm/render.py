# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render a resolved stack as a stack file for ``docker stack deploy``."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model, Service
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability.find import bound
from ansible_collections.onebox.stack.plugins.module_utils.compose.render import parts
from ansible_collections.onebox.stack.plugins.module_utils.compose.render.parts import File, Stack
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm.deploy_section import deploy
from ansible_collections.onebox.stack.plugins.module_utils.core import yaml_text

NAME = "stack.yml"
# Keys that docker stack reads as docker compose prints them.
_SAME = (
    *("cap_add", "cap_drop", "command", "dns", "dns_search", "entrypoint", "hostname", "init", "labels", "logging"),
    *(
        "read_only",
        "stdin_open",
        "stop_grace_period",
        "stop_signal",
        "sysctls",
        "tty",
        "ulimits",
        "user",
        "working_dir",
    ),
)
_MOUNT = {"bind": ("propagation",), "volume": ("nocopy",)}
# 3.12 is the first version with start_interval; older command lines read 3.9.
_VERSION = "3.9"
_VERSION_START_INTERVAL = "3.12"


def render(stack: Stack) -> list[File]:
    """The stack file, an environment file for each service that needs one, and the files of secrets and configs.

    Raises:
        RenderError: a value cannot be written, or the content of a secret is not known.
    """
    kept, files = build(stack)
    return [File(NAME, dump(stack, kept)), *files]


def build(stack: Stack) -> tuple[dict[str, t.Any], list[File]]:
    """The stack file as a mapping, and the other files.

    Raises:
        RenderError: see :func:`render`.
    """
    files: dict[str, File] = {}
    model = stack.model
    shared = {"secrets": _Shared("secrets"), "configs": _Shared("configs")}
    services = {}
    for name, service in model.services.items():
        services[name] = _service(stack, service, shared, files)
    intervals = any("start_interval" in (body.get("healthcheck") or {}) for body in services.values())
    document: dict[str, t.Any] = {
        "version": _VERSION_START_INTERVAL if intervals else _VERSION,
        "services": services,
        "networks": _networks(model),
        "volumes": _volumes(model),
        **{kind: each.declared for kind, each in shared.items()},
    }
    return {key: value for key, value in document.items() if value}, list(files.values())


def dump(stack: Stack, document: t.Mapping[str, t.Any]) -> str:
    """The text of a stack file."""
    project = stack.model.project
    comment = [
        f"Stack {project} for Docker Swarm, rendered from its compose file.",
        f"To deploy it: docker stack deploy --with-registry-auth -c {NAME} {project}",
        *stack.notes,
    ]
    # docker stack replaces variables in each text, and reads two dollar signs as one.
    return yaml_text.dump(_escaped(dict(document)), comment)


def _escaped(value: t.Any) -> t.Any:
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, t.Mapping):
        return {key: _escaped(inner) for key, inner in value.items()}
    return [_escaped(inner) for inner in value] if isinstance(value, (list, tuple)) else value


class _Shared:
    """The secrets or configs of the stack. Their names in the Swarm have a hash, because it cannot change a content."""

    def __init__(self, collection: str) -> None:
        self.collection = collection
        self.declared: dict[str, dict[str, t.Any]] = {}

    def uses(self, stack: Stack, service: Service, files: dict[str, File]) -> list[dict[str, t.Any]]:
        """The items of a service, each declared for the stack as well."""
        found = []
        rows = {
            str(row if isinstance(row, str) else row.get("source")): row
            for row in service.raw.get(self.collection) or ()
        }
        for ref in (each for each in service.files if each.collection == self.collection):
            if ref.kind == "external":
                self.declared[ref.name] = {"external": True, "name": ref.value}
            else:
                content = stack.content(ref, service)
                name = f"{stack.model.project}_{ref.name}_{parts.digest(content)}"
                path = ref.value
                if ref.kind != "file" or stack.node_id:
                    path = f"./{self.collection}/{name}"
                    files[path] = File(path[2:], content.decode(errors="surrogateescape"))
                self.declared[ref.name] = {"name": name, "file": path}
            row = rows.get(ref.name)
            more = {key: row[key] for key in ("uid", "gid") if row.get(key)} if isinstance(row, dict) else {}
            if isinstance(row, dict) and row.get("mode"):
                more["mode"] = row["mode"] if isinstance(row["mode"], int) else int(str(row["mode"]), 8)
            target = ref.target.replace("/run/secrets/", "", 1) if self.collection == "secrets" else ref.target
            found.append({"source": ref.name, **({"target": target} if target else {}), **more})
        return found


def _service(
    stack: Stack, service: Service, shared: t.Mapping[str, _Shared], files: dict[str, File]
) -> dict[str, t.Any]:
    raw = service.raw
    shown, kept = parts.split_environment(stack, service)
    if kept:
        path = f"{service.name}.env"
        files[path] = File(path, kept)
    found: dict[str, t.Any] = {
        "image": stack.image(service),
        **{key: raw[key] for key in _SAME if raw.get(key) not in (None, [], {})},
        "env_file": [f"./{service.name}.env"] if kept else [],
        "environment": shown,
        "extra_hosts": [_host(row) for row in raw.get("extra_hosts") or ()],
        "healthcheck": _healthcheck(raw),
        "ports": _ports(service),
        "networks": _attached(raw),
        "volumes": _mounts(service),
        **{kind: each.uses(stack, service, files) for kind, each in shared.items()},
        "deploy": deploy(stack, service),
    }
    return {key: value for key, value in found.items() if value not in (None, [], {}, ())}


def _host(row: t.Any) -> str:
    # docker compose separates by "=", because addresses of IPv6 contain ":".
    return str(row).replace("=", ":", 1)


def _healthcheck(raw: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    check = raw.get("healthcheck") or {}
    keys = ("test", "interval", "timeout", "retries", "start_period", "start_interval", "disable")
    return {key: check[key] for key in keys if check.get(key) not in (None, [], "")}


def _ports(service: Service) -> list[dict[str, t.Any]]:
    """The ports that are published on all addresses. Swarm would publish the others on all addresses, too."""
    modes = {
        int(row["target"]): row.get("mode")
        for row in service.raw.get("ports") or ()
        if isinstance(row, dict) and str(row.get("target")).isdigit()
    }
    return [
        {
            "target": row.target,
            **({"published": row.published} if row.published else {}),
            "protocol": row.protocol,
            "mode": modes.get(row.target) or "ingress",
        }
        for row in service.ports
        if not bound(row.host_ip)
    ]


def _attached(raw: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    rows = raw.get("networks") or {}
    rows = rows if isinstance(rows, dict) else dict.fromkeys(rows)
    return {name: {"aliases": row["aliases"]} if row and row.get("aliases") else None for name, row in rows.items()}


def _mounts(service: Service) -> list[dict[str, t.Any]]:
    by_target = {str(row.get("target")): row for row in service.raw.get("volumes") or () if isinstance(row, dict)}
    found: list[dict[str, t.Any]] = []
    for bind in service.binds:
        row: dict[str, t.Any] = {"type": "bind", "source": bind.source, "target": bind.target}
        found.append({**row, **({"read_only": True} if bind.read_only else {}), **_options(by_target, bind.target)})
    for name, target in service.named_volumes:
        row = {"type": "volume", **({"source": name} if name else {}), "target": target}
        read_only = {"read_only": True} if by_target.get(target, {}).get("read_only") else {}
        found.append({**row, **read_only, **_options(by_target, target)})
    for path, length in parts.scratch(service):
        found.append({"type": "tmpfs", "target": path, **({"tmpfs": {"size": length}} if length else {})})
    return found


def _options(by_target: t.Mapping[str, t.Mapping[str, t.Any]], target: str) -> dict[str, t.Any]:
    row = by_target.get(target, {})
    kind = str(row.get("type") or "")
    options = {key: row[kind][key] for key in _MOUNT.get(kind, ()) if (row.get(kind) or {}).get(key)}
    return {kind: options} if options else {}


def _networks(model: Model) -> dict[str, t.Any]:
    """Networks over all nodes. The names are Swarm's: the engine has a network of the old name already."""
    used = {name for service in model.services.values() for name in service.raw.get("networks") or ()}
    found: dict[str, t.Any] = {}
    for name, body in (model.raw.get("networks") or {}).items():
        body = body or {}
        if name not in used:
            continue
        if body.get("external"):
            found[name] = {"external": True, "name": str(body.get("name") or name)}
            continue
        subnets = [
            {"subnet": row["subnet"]} for row in (body.get("ipam") or {}).get("config") or () if row.get("subnet")
        ]
        found[name] = {
            "driver": "overlay",
            **({"internal": True} if body.get("internal") else {}),
            **({"attachable": True} if body.get("attachable") else {}),
            **({"ipam": {"config": subnets}} if subnets else {}),
        }
    return found


def _volumes(model: Model) -> dict[str, t.Any]:
    """The volumes under the names they have now, so that the pinned services find their data."""
    used = {name for service in model.services.values() for name, _target in service.named_volumes}
    found: dict[str, t.Any] = {}
    for name in sorted(used - {""}):
        body = (model.raw.get("volumes") or {}).get(name) or {}
        real = str(body.get("name") or f"{model.project}_{name}")
        if body.get("external"):
            found[name] = {"external": True, "name": real}
            continue
        found[name] = {"name": real, **{key: body[key] for key in ("driver", "driver_opts", "labels") if body.get(key)}}
    return found
