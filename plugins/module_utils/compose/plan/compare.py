# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the fields in which a container differs from its service. Compose itself never reports why it recreates."""

from __future__ import annotations

import hashlib
import json
import os
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Service
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container

Diff = dict[str, dict[str, t.Any]]

# The digest of a quadlet, on its container: systemd creates containers that no run records.
DIGEST_LABEL = "com.docker.compose.config-hash"
UNIT_LABEL = "PODMAN_SYSTEMD_UNIT"

# Labels and variables that engines add to every container.
_ENGINE_ENV = frozenset(("PATH", "HOSTNAME", "HOME", "TERM", "container"))
_ENGINE_LABELS = re.compile(
    r"com\.docker\.(compose|desktop)\.|io\.podman\.|io\.buildah\.|PODMAN_SYSTEMD_UNIT$|desktop\.docker\."
)
_NOT_RUNTIME = ("build", "pull_policy", "scale", "depends_on", "profiles", "develop", "env_file")


def digest(service: Service) -> str:
    """A SHA-256 of the complete service, for a tool whose own hash misses half of it (podman-compose)."""
    body = {key: value for key, value in service.raw.items() if key not in _NOT_RUNTIME}
    if isinstance(body.get("deploy"), dict):
        body["deploy"] = {key: value for key, value in body["deploy"].items() if key != "replicas"}
    body["image"] = service.image
    body["environment"] = dict(sorted(service.environment.items()))
    if service.binds:
        body["volumes"] = [body.get("volumes"), [[row.source, row.target, row.read_only] for row in service.binds]]
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def differences(service: Service, container: Container, image: t.Mapping[str, t.Any] | None, *, unit: str = "") -> Diff:
    """Fields of ``container`` that are not as ``service`` declares: ``{field: {before, after}}``.

    Values are not masked here: :mod:`secrecy` masks them before they are shown.

    Args:
        image: ``inspect`` of the image of the container, for values that it inherited; None when that is gone.
        unit: the unit of systemd that must run the container and has its restart policy; "" without one.
    """
    base = (image or {}).get("Config") or {}
    diff: Diff = {}
    if not same_image(container.image_ref, service.image):
        diff["image"] = {"before": container.image_ref, "after": service.image}
    _environment(diff, service, container, base)
    _words(diff, "command", service.command, container.command, base.get("Cmd"), service.entrypoint is not None)
    _words(diff, "entrypoint", service.entrypoint, container.entrypoint, base.get("Entrypoint"), False)
    _mounts(diff, service, container)
    _ports(diff, service, container)
    _labels(diff, service, container, base)
    if service.user and service.user != container.user:
        diff["user"] = {"before": container.user, "after": service.user}
    if unit:
        if container.labels.get(UNIT_LABEL) != unit:
            diff["unit"] = {"before": container.labels.get(UNIT_LABEL), "after": unit}
        return diff
    wanted = service.restart.split(":")[0].replace("any", "always").replace("none", "no") or "no"
    if (container.restart_policy or "no") != wanted:
        diff["restart"] = {"before": container.restart_policy or "no", "after": wanted}
    return diff


def same_image(one: str, other: str) -> bool:
    """Whether the reference ``one`` of a container means the same image as ``other`` in a compose file.

    ``redis`` is ``docker.io/library/redis:latest``, and with Podman also ``localhost/redis:latest``, a local build.
    """
    name, tag, qualified = _parts(other)
    found, found_tag, unused = _parts(one)
    if tag != found_tag:
        return False
    return found == name or (not qualified and found.endswith("/" + name))


def _parts(reference: str) -> tuple[str, str, bool]:
    """Name, tag or digest, and whether the name includes the registry."""
    if reference.startswith("sha256:"):
        return reference, "", True
    name, at, tag = reference.partition("@")
    if not at and ":" in name.rsplit("/", 1)[-1]:
        name, unused, tag = name.rpartition(":")
    first = name.split("/", 1)[0]
    qualified = "/" in name and ("." in first or ":" in first or first == "localhost")
    return name, tag or "latest", qualified


def _environment(diff: Diff, service: Service, container: Container, base: t.Mapping[str, t.Any]) -> None:
    actual = _split(container.env)
    inherited = _split(base.get("Env") or ())
    wanted = {key: value for key, value in service.environment.items() if value is not None}
    for key, value in wanted.items():
        if actual.get(key) != value:
            diff[f"environment.{key}"] = {"before": actual.get(key), "after": value}
    for key, value in actual.items():
        if key in wanted or key in _ENGINE_ENV or inherited.get(key) == value:
            continue
        diff[f"environment.{key}"] = {"before": value, "after": inherited.get(key)}


def _split(env: t.Iterable[str]) -> dict[str, str]:
    # A name without "=" is a variable to pass on that was not set.
    return {row.partition("=")[0]: row.partition("=")[2] for row in env if "=" in row}


def _words(
    diff: Diff,
    field: str,
    wanted: tuple[str, ...] | None,
    actual: tuple[str, ...],
    inherited: t.Any,
    cleared: bool,
) -> None:
    # Podman prints an entrypoint as one string, and an empty command as null.
    default = () if cleared else (inherited,) if isinstance(inherited, str) else tuple(inherited or ())
    expected = default if wanted is None else wanted
    if " ".join(expected) != " ".join(actual):
        diff[field] = {"before": " ".join(actual), "after": " ".join(expected)}


def _mounts(diff: Diff, service: Service, container: Container) -> None:
    actual = {os.path.normpath(row.destination): row for row in container.mounts if row.type == "bind"}
    # Engines add their own binds for secrets and configs.
    given = {os.path.normpath(ref.target) for ref in service.files if ref.target.startswith("/")}
    for bind in service.binds:
        target = os.path.normpath(bind.target)
        row = actual.pop(target, None)
        after = _mount_text(bind.source, bind.read_only)
        if row is None:
            diff[f"mounts.{target}"] = {"before": None, "after": after}
        elif not _same_path(row.source, bind.source) or row.read_write == bind.read_only:
            diff[f"mounts.{target}"] = {"before": _mount_text(row.source, not row.read_write), "after": after}
    for target, row in actual.items():
        if target not in given and not target.startswith(("/run/secrets", "/etc/hosts", "/etc/resolv.conf")):
            if any(target == "/" + ref.name for ref in service.files):
                continue
            diff[f"mounts.{target}"] = {"before": _mount_text(row.source, not row.read_write), "after": None}


def _mount_text(source: str, read_only: bool) -> str:
    return f"{source} ({'read only' if read_only else 'read-write'})"


def _same_path(one: str, other: str) -> bool:
    return os.path.normpath(one) == os.path.normpath(other) or realpath(one) == realpath(other)


def _ports(diff: Diff, service: Service, container: Container) -> None:
    if service.namespaces or container.network_mode == "host":
        return
    picked = {(row.target, row.protocol) for row in service.ports if not row.published}
    wanted = sorted(_port_text(row.host_ip, row.published, row.target, row.protocol) for row in service.ports)
    actual = sorted(
        _port_text(
            row.host_ip,
            0 if (row.container_port, row.protocol) in picked else row.host_port,
            row.container_port,
            row.protocol,
        )
        for row in container.ports
    )
    if sorted(set(wanted)) != sorted(set(actual)):
        diff["ports"] = {"before": actual, "after": wanted}


def _port_text(host_ip: str, outside: int, inside: int, protocol: str) -> str:
    address = "0.0.0.0" if host_ip in ("", "::") else host_ip
    return f"{address}:{outside or '*'}->{inside}/{protocol}"


def _labels(diff: Diff, service: Service, container: Container, base: t.Mapping[str, t.Any]) -> None:
    inherited = base.get("Labels") or {}
    for key, value in service.labels.items():
        if container.labels.get(key) != value:
            diff[f"labels.{key}"] = {"before": container.labels.get(key), "after": value}
    for key, value in container.labels.items():
        if key not in service.labels and inherited.get(key) != value and not _ENGINE_LABELS.match(key):
            diff[f"labels.{key}"] = {"before": value, "after": None}
