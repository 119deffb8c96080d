# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mounts that a compose file declares for a service, with the directories of the host behind them."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model, Service, pairs
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import resources
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.engine.resources import Volume
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state import place as places
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state import servers


@dataclass(frozen=True)
class Mounted:
    """A mount.

    Attributes:
        kind: ``bind``, ``volume``, ``anonymous`` or ``tmpfs``.
        target: normalized path in the container.
        source: directory on the host; "" if it does not exist yet or is unknown.
        name: name of the volume on the engine, or "".
        key: name of the volume in the compose file, or "".
        read_only: whether the service may only read it.
    """

    kind: str
    target: str
    source: str = ""
    name: str = ""
    key: str = ""
    read_only: bool = False

    @property
    def shown(self) -> str:
        """The source for people."""
        return f"volume {self.name}" if self.name else self.source


def of_service(model: Model, service: Service, volumes: t.Mapping[str, Volume | None]) -> list[Mounted]:
    """The declared mounts.

    Args:
        volumes: name -> volume on the engine.
    """
    found = [
        Mounted(places.BIND, os.path.normpath(bind.target), bind.source, read_only=bind.read_only)
        for bind in service.binds
    ]
    bodies = resources.declared(model, "volume")
    for key, target in service.named_volumes:
        point = os.path.normpath(target)
        if not key:
            found.append(Mounted(places.ANONYMOUS, point))
            continue
        name = bodies[key]["name"] if key in bodies else key
        volume = volumes.get(name)
        found.append(Mounted(places.VOLUME, point, directory_of(volume), name, key))
    return [*found, *(Mounted(places.TMPFS, point) for point in _tmpfs(service))]


def directory_of(volume: Volume | None) -> str:
    """The directory of the host with the content of a volume, "" if it is unknown."""
    if volume is None:
        return ""
    options = pairs(volume.options)
    if "bind" in str(options.get("o") or "").split(","):
        return str(options.get("device") or "")
    return "" if options.get("type") else volume.mountpoint


def covering(mounts: t.Iterable[Mounted], path: str) -> Mounted | None:
    """The mount that ``path`` lies on."""
    above = [mount for mount in mounts if places.is_below(path, mount.target)]
    return max(above, key=lambda mount: len(mount.target), default=None)


def on_host(mount: Mounted | None, path: str) -> str:
    """The path on the host, "" if it is unknown."""
    if mount is None or not mount.source:
        return ""
    return os.path.normpath(os.path.join(mount.source, os.path.relpath(path, mount.target)))


def of_container(container: Container) -> list[Mounted]:
    """The binds and volumes of a container."""
    return [
        Mounted(
            row.type,
            os.path.normpath(row.destination),
            row.source,
            row.name if row.type == "volume" else "",
            read_only=not row.read_write,
        )
        for row in container.mounts
        if row.type in ("bind", "volume")
    ]


def server_of(service: Service, image: t.Mapping[str, t.Any] | None) -> servers.Server:
    """The settings of a service that decide where a database keeps its data."""
    config = (image or {}).get("Config") or {}
    return servers.server_of(service.image, config, service.environment, service.entrypoint, service.command)


def _tmpfs(service: Service) -> t.Iterator[str]:
    written = service.raw.get("tmpfs") or ()
    for row in [written] if isinstance(written, str) else written:
        yield os.path.normpath(str(row).partition(":")[0])
    for row in service.raw.get("volumes") or ():
        if isinstance(row, dict) and row.get("type") == "tmpfs":
            yield os.path.normpath(str(row.get("target") or "/"))
