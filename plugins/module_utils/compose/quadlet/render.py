# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render a resolved stack as units from which Podman's generator makes services of systemd (quadlets).

They need Podman 5.0, the first with ``Notify=healthy``.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import FileRef, Service, pairs
from ansible_collections.onebox.stack.plugins.module_utils.compose.quadlet.arguments import KNOWN, podman_arguments
from ansible_collections.onebox.stack.plugins.module_utils.compose.quadlet.managed import Managed
from ansible_collections.onebox.stack.plugins.module_utils.compose.render import parts
from ansible_collections.onebox.stack.plugins.module_utils.compose.render.parts import File, RenderError, Stack
from ansible_collections.onebox.stack.plugins.module_utils.core import jobs

_COMPLETED = "service_completed_successfully"
_HEALTHY = "service_healthy"
_RESTART = {"always": "always", "unless-stopped": "always", "any": "always", "on-failure": "on-failure"}
# A service of systemd must start within this time. Podman pulls a missing image first.
_START_SECONDS = "900"
_GRACE = 10
# Systemd would give a service up after five quick restarts. A compose tool never does.
_UNLIMITED: tuple[list[jobs.Setting], list[jobs.Setting]] = ([("StartLimitIntervalSec", "0")], [("RestartSec", "1")])


def render(stack: Stack, managed: Managed | None = None) -> list[File]:
    """A unit for each service, volume and network, and the files that they read.

    Args:
        managed: the additions to units that compose_stack installs; None for units that a person installs.

    Raises:
        RenderError: a key of a service cannot be written.
        JobError: a value cannot be written.
    """
    for service in stack.model.services.values():
        _check(service)
    labels = managed.project_labels if managed else {}
    files = [*_networks(stack, labels), *_volumes(stack, labels)]
    for service in stack.model.services.values():
        files += _container(stack, service, managed)
    return list({each.path: each for each in files}.values())


def _check(service: Service) -> None:
    unknown = sorted(key for key, value in service.raw.items() if value and key not in KNOWN)
    unknown = [key for key in unknown if not key.startswith(("x-", "_"))]
    if unknown:
        raise RenderError(
            f"service {service.name}: {', '.join(unknown)} cannot be written as a quadlet. Remove it, or keep compose."
        )
    if service.scale != 1:
        raise RenderError(f"service {service.name}: a quadlet runs one container, not {service.scale}. Set scale to 1.")


def unit_name(project: str, service: str) -> str:
    """The name of the unit of a service, without its suffix."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", f"{project}-{service}")


def _name(stack: Stack, kind: str, name: str) -> str:
    return unit_name(stack.model.project, f"{kind}-{name}" if kind else name)


def _labels(labels: t.Mapping[str, str], body: t.Mapping[str, t.Any]) -> dict[str, str]:
    return {**labels, **{name: value or "" for name, value in pairs(body.get("labels")).items()}}


def _networks(stack: Stack, labels: t.Mapping[str, str]) -> t.Iterator[File]:
    used = {name for service in stack.model.services.values() for name in _joined(stack, service)}
    declared = stack.model.raw.get("networks") or {}
    for name in sorted(used):
        body = declared.get(name) or {}
        if body.get("external"):
            continue
        rows = (body.get("ipam") or {}).get("config") or ()
        settings: list[jobs.Setting] = [
            ("NetworkName", str(body.get("name") or f"{stack.model.project}_{name}")),
            ("Driver", str(body["driver"])) if body.get("driver") else ("Driver", []),
            ("Internal", "true" if body.get("internal") else []),
            ("Label", _labels(labels, body)),
            ("PodmanArgs", ["--ipv6"] if body.get("enable_ipv6") else []),
            ("PodmanArgs", [f"--opt={key}={value}" for key, value in (body.get("driver_opts") or {}).items()]),
            *(
                (key, [str(row[field]) for row in rows if row.get(field)])
                for key, field in (("Subnet", "subnet"), ("Gateway", "gateway"), ("IPRange", "ip_range"))
            ),
        ]
        yield File(f"{_name(stack, 'net', name)}.network", jobs.unit({"Network": settings}))


def _joined(stack: Stack, service: Service) -> dict[str, t.Any]:
    """The networks of a service. Only docker compose prints the default one, and without it no name is resolved."""
    if service.raw.get("network_mode"):
        return {}
    rows = service.raw.get("networks") or [*filter(None, [stack.model.default_network])]
    return dict(rows) if isinstance(rows, dict) else dict.fromkeys(rows)


def _volumes(stack: Stack, labels: t.Mapping[str, str]) -> t.Iterator[File]:
    declared = stack.model.raw.get("volumes") or {}
    for service in stack.model.services.values():
        for name, target in service.named_volumes:
            body = declared.get(name) or {}
            if body.get("external"):
                continue
            driver = str(body.get("driver") or "")
            settings: list[jobs.Setting] = [
                ("VolumeName", _volume_name(stack, service, name, target)),
                ("Label", _labels(labels, body)),
                ("PodmanArgs", [f"--driver={driver}"] if driver not in ("", "local") else []),
                ("PodmanArgs", [f"--opt={key}={value}" for key, value in (body.get("driver_opts") or {}).items()]),
            ]
            yield File(f"{_volume_unit(stack, service, name, target)}.volume", jobs.unit({"Volume": settings}))


def _volume_name(stack: Stack, service: Service, name: str, target: str) -> str:
    body = (stack.model.raw.get("volumes") or {}).get(name) or {}
    # A service removes anonymous volumes with its container, at each stop.
    unnamed = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{service.name}{target}")
    return str(body.get("name") or f"{stack.model.project}_{name or unnamed}")


def _volume_unit(stack: Stack, service: Service, name: str, target: str) -> str:
    return _name(stack, "vol", name or f"{service.name}{target}")


def _container(stack: Stack, service: Service, managed: Managed | None) -> t.Iterator[File]:
    unit = _name(stack, "", service.name)
    shown, kept = parts.split_environment(stack, service)
    if kept:
        yield File(f"{unit}.env", kept)
    arguments = podman_arguments(service)
    labels = dict(service.labels)
    if managed:
        labels, hidden = parts.divide(stack, service.labels)
        labels.update(managed.labels.get(service.name, {}))
        if hidden:
            yield File(f"{unit}.labels", parts.lines_of(service, "label", hidden))
            arguments.append(f"--label-file={managed.folder}/{unit}.labels")
        if service.one_shot:
            # Podman's generator writes --rm first.
            arguments.append("--rm=false")
    mounts, files = _mounts(stack, service, managed)
    yield from files
    dependents = [
        each.condition
        for other in stack.model.services.values()
        for each in other.depends_on
        if each.service == service.name
    ]
    raw = service.raw
    notifies = managed is None or managed.healthy
    container: list[jobs.Setting] = [
        ("Image", _image(stack, service)),
        ("ContainerName", service.container_name or f"{stack.model.project}_{service.name}_1"),
        ("EnvironmentFile", [f"./{unit}.env"] if kept else []),
        ("Environment", shown),
        ("Label", labels),
        ("User", service.user or []),
        ("AddCapability", [str(row) for row in raw.get("cap_add") or ()]),
        ("DropCapability", [str(row) for row in raw.get("cap_drop") or ()]),
        ("AddDevice", [_device(row) for row in raw.get("devices") or ()]),
        ("Network", _attached(stack, service)),
        ("PublishPort", [_port(row) for row in service.ports]),
        ("Volume", mounts),
        ("Secret", [_secret(service, ref) for ref in service.files if ref.kind == "external"]),
        ("Tmpfs", _scratch(service)),
        ("Notify", "healthy" if notifies and _HEALTHY in dependents and service.has_healthcheck else []),
        ("PodmanArgs", arguments),
        ("Exec", list(service.command or ())),
    ]
    policy = service.restart.partition(":")[0]
    once = _COMPLETED in dependents
    timing: list[jobs.Setting] = [
        ("Type", "oneshot" if once else []),
        ("RemainAfterExit", "yes" if once or (managed and service.one_shot) else []),
        ("Restart", _RESTART.get(policy, "no") if not once or policy == "on-failure" else "no"),
        ("TimeoutStartSec", _START_SECONDS),
        ("TimeoutStopSec", str(service.stop_seconds + _GRACE)),
    ]
    sections: dict[str, t.Sequence[jobs.Setting]] = {
        "Unit": _head(stack, service, managed),
        "Container": container,
        "Service": timing,
    }
    if _RESTART.get(policy) == "always":
        for name, settings in zip(("Unit", "Service"), _UNLIMITED):
            sections[name] = [*sections[name], *settings]
        sections["Install"] = [("WantedBy", "default.target")]
    text = jobs.unit(
        sections, f"Service {service.name} of stack {stack.model.project}, rendered from its compose file."
    )
    yield File(f"{unit}.container", text)


def _head(stack: Stack, service: Service, managed: Managed | None) -> list[jobs.Setting]:
    needed: list[str] = []
    wanted: list[str] = []
    for each in service.depends_on:
        if each.service in stack.model.services:
            unit = f"{_name(stack, '', each.service)}.service"
            (needed if each.condition in (_HEALTHY, _COMPLETED) and managed is None else wanted).append(unit)
    needed += [f"{_name(stack, '', name)}.service" for name in service.namespaces if name in stack.model.services]
    return [
        ("Description", f"{service.name} of {stack.model.project}"),
        ("Requires", list(dict.fromkeys(needed))),
        ("Wants", wanted),
        ("After", list(dict.fromkeys([*needed, *wanted]))),
    ]


def _image(stack: Stack, service: Service) -> str:
    image = stack.image(service)
    # Podman stores the images that it builds under this name, and does not pull them.
    return f"localhost/{image}" if service.build and "/" not in image else image


def _secret(service: Service, ref: FileRef) -> str:
    """A secret that Podman keeps."""
    rows = [row for row in service.raw.get("secrets") or () if isinstance(row, dict) and row.get("source") == ref.name]
    options = [f"{key}={row[key]}" for row in rows for key in ("uid", "gid", "mode") if row.get(key) not in (None, "")]
    return ",".join([ref.value, *options, *([f"target={ref.target}"] if ref.target else [])])


def _device(row: t.Any) -> str:
    if not isinstance(row, dict):
        return str(row)
    words = [str(row[key]) for key in ("source", "target", "permissions") if row.get(key)]
    return ":".join(words)


def _attached(stack: Stack, service: Service) -> list[str]:
    mode = str(service.raw.get("network_mode") or "")
    if mode.startswith("service:"):
        other = stack.model.services[mode[len("service:") :]]
        return [f"container:{other.container_name or f'{stack.model.project}_{other.name}_1'}"]
    if mode:
        return [mode]
    found = []
    joined = _joined(stack, service)
    if not joined:
        return [f"bridge:alias={service.name}"]
    for name, row in joined.items():
        row = row or {}
        body = (stack.model.raw.get("networks") or {}).get(name) or {}
        real = str(body.get("name") or name) if body.get("external") else f"{_name(stack, 'net', name)}.network"
        options = [f"alias={alias}" for alias in dict.fromkeys([service.name, *(row.get("aliases") or ())])]
        options += [f"ip={row['ipv4_address']}"] if row.get("ipv4_address") else []
        options += [f"ip6={row['ipv6_address']}"] if row.get("ipv6_address") else []
        options += [f"mac={row['mac_address']}"] if row.get("mac_address") else []
        found.append(f"{real}:{','.join(options)}")
    return found


def _port(row: t.Any) -> str:
    address = f"[{row.host_ip}]" if ":" in row.host_ip else row.host_ip
    outer = f"{address}:{row.published or ''}:" if address else f"{row.published}:" if row.published else ""
    return f"{outer}{row.target}" + ("" if row.protocol == "tcp" else f"/{row.protocol}")


def _mounts(stack: Stack, service: Service, managed: Managed | None) -> tuple[list[str], list[File]]:
    """The volumes of a service, and the files of secrets and configs that have no path on the host."""
    found, files = [], []
    declared = stack.model.raw.get("volumes") or {}
    written = dict(map(_options, service.raw.get("volumes") or ()))
    for bind in service.binds:
        options = written.get(bind.target, []) + (["ro"] if bind.read_only else [])
        found.append(":".join([bind.source, bind.target, *([",".join(options)] if options else [])]))
    for name, target in service.named_volumes:
        body = declared.get(name) or {}
        source = (
            str(body.get("name") or name)
            if body.get("external")
            else f"{_volume_unit(stack, service, name, target)}.volume"
        )
        found.append(":".join([source, target, *([",".join(written[target])] if written.get(target) else [])]))
    for ref in service.files:
        if ref.kind == "external":
            continue
        source = ref.value
        if ref.kind != "file" or managed is None:
            content = stack.content(ref, service)
        if ref.kind != "file":
            source = f"./{_name(stack, ref.collection, ref.name)}-{parts.digest(content)}"
            files.append(File(source[2:], content.decode()))
        folder = "/run/secrets/" if ref.collection == "secrets" else "/"
        target = ref.target or ref.name
        found.append(f"{source}:{target if target.startswith('/') else folder + target}:ro")
    return found, files


def _options(row: t.Any) -> tuple[str, list[str]]:
    """The target of an item of ``volumes``, and its options. That a bind is read-only is known already."""
    if isinstance(row, dict):
        kind = str(row.get("type") or "volume")
        body = row.get(kind) or {}
        options = [str(body[key]) for key in ("propagation", "selinux") if kind == "bind" and body.get(key)]
        options += ["ro"] if kind == "volume" and row.get("read_only") else []
        options += ["nocopy"] if kind == "volume" and body.get("nocopy") else []
        return str(row.get("target")), options
    source, target, *rest = [*str(row).split(":"), ""][:3] if ":" in str(row) else ["", str(row)]
    bound = source[:1] in ("/", ".", "~")
    return target, [word for word in ",".join(rest).split(",") if word not in ("", "rw", *(["ro"] if bound else []))]


def _scratch(service: Service) -> list[str]:
    rows = service.raw.get("tmpfs") or ()
    found = [str(row) for row in ([rows] if isinstance(rows, str) else rows)]
    for mount in service.raw.get("volumes") or ():
        if isinstance(mount, dict) and mount.get("type") == "tmpfs":
            length = (mount.get("tmpfs") or {}).get("size")
            found.append(f"{mount['target']}:size={length}" if length else str(mount["target"]))
    return found
