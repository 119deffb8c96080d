# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the expected mounts with the mounts that the engine reports."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container, Mount
from ansible_collections.onebox.stack.plugins.module_utils.mounts import prove
from ansible_collections.onebox.stack.plugins.module_utils.mounts.model import CheckError, Declared, Finding

_KEYS = ("container", "service", "source", "destination", "read_only", "type", "not_empty")
# Other types (tmpfs, npipe, cluster) have no directory on the host.
_PROVABLE = ("bind", "volume")


@dataclass(frozen=True)
class Expectation:
    """A mount that must exist. ``owner`` is a container's or a service's name; ``source`` "" means any."""

    owner: str
    by_service: bool
    source: str
    destination: str
    read_only: bool | None
    kind: str
    not_empty: bool

    @classmethod
    def parse(cls, data: t.Mapping[str, t.Any]) -> Expectation:
        """Raises :class:`CheckError` naming the key that is wrong."""
        unknown = sorted(key for key in data if key not in _KEYS)
        if unknown:
            raise CheckError(f"expected: unknown key {unknown[0]!r}; known are {', '.join(_KEYS)}")
        container, service = data.get("container") or "", data.get("service") or ""
        if bool(container) == bool(service):
            found = "both" if container else "none"
            raise CheckError(f"expected: give either container or service, not {found}: {dict(data)}")
        destination = data.get("destination") or ""
        if not destination.startswith("/"):
            raise CheckError(f"expected: destination must be an absolute path, not {destination!r}")
        source = data.get("source") or ""
        if source and not source.startswith("/"):
            raise CheckError(f"expected: source must be an absolute path, not {source!r}")
        kind = data.get("type") or ""
        if kind not in ("", "file", "dir"):
            raise CheckError(f"expected: type must be file or dir, not {kind!r}")
        return cls(
            owner=container or service,
            by_service=bool(service),
            source=source,
            destination=_normal(destination),
            read_only=data.get("read_only"),
            kind=kind,
            not_empty=bool(data.get("not_empty")),
        )

    def concerns(self, container: Container) -> bool:
        return (container.service if self.by_service else container.name) == self.owner

    def missing(self, container: str, message: str) -> dict[str, t.Any]:
        return {
            "container": container,
            "service": self.owner if self.by_service else "",
            "source": self.source,
            "destination": self.destination,
            "message": message,
        }


def declare(
    engine: str, container: Container, expectations: t.Sequence[Expectation]
) -> tuple[tuple[Declared, ...], list[dict[str, t.Any]]]:
    """The mounts to prove in one container, and the rows of missing ones."""
    wanted = {one.destination: one for one in expectations if one.concerns(container)}
    mounts = [mount for mount in container.mounts if mount.type in _PROVABLE and mount.source]
    places = frozenset(_normal(mount.destination) for mount in container.mounts) | _in_memory(container)
    shallow = _not_recursive(container)
    no_exec = _without_programs(container)
    found = []
    for mount in mounts:
        place = _normal(mount.destination)
        one = wanted.pop(place, None)
        found.append(_declared(engine, container, mount, one, places - {place}, place not in shallow, place in no_exec))
    absent = []
    for one in wanted.values():
        declared = Declared(engine, container.name, "bind", one.source, one.destination, not one.read_only)
        text = (
            f"{shown(one.destination)} is not mounted in {shown(container.name)}, although {shown(one.source)} "
            f"should be: data written there is lost with the container. Recreate it from its own file"
        )
        absent.append(prove.row(declared, Finding("missing", "inspect", "recreate", text)))
    return tuple(found), absent


def _declared(
    engine: str,
    container: Container,
    mount: Mount,
    one: Expectation | None,
    others: frozenset[str],
    recursive: bool,
    no_exec: bool,
) -> Declared:
    return Declared(
        engine=engine,
        container=container.name,
        type=mount.type,
        source=mount.source,
        destination=mount.destination,
        read_write=mount.read_write,
        kind=one.kind if one else "",
        wanted_source=one.source if one else "",
        wanted_read_write=None if one is None or one.read_only is None else not one.read_only,
        not_empty=one.not_empty if one else False,
        refuses_missing=_made_by_podmans_command_line(container),
        recursive=recursive,
        others=others,
        no_exec=no_exec,
        swarm_service=container.swarm_service,
    )


def _made_by_podmans_command_line(container: Container) -> bool:
    """Podman notes the command that made a container: the user's, or that of the API service."""
    words = (container.raw.get("Config") or {}).get("CreateCommand") or []
    return bool(words) and words[1:3] != ["system", "service"]


def with_inherited(container: Container, look_up: t.Callable[[str], Container | None]) -> Container:
    """The container with the mounts of ``volumes_from`` too, which Podman omits in its answer (seen in 4.3).

    Args:
        look_up: finds the container the mounts come from; None when it is gone.
    """
    mounts = list(container.mounts)
    for reference in (container.raw.get("HostConfig") or {}).get("VolumesFrom") or ():
        name, _colon, mode = reference.partition(":")
        origin = look_up(name)
        for mount in origin.mounts if origin else ():
            if all(_normal(own.destination) != _normal(mount.destination) for own in mounts):
                mounts.append(replace(mount, read_write=mount.read_write and "ro" not in mode.split(",")))
    return container if len(mounts) == len(container.mounts) else replace(container, mounts=tuple(mounts))


def _not_recursive(container: Container) -> set[str]:
    """Destinations that the engine had to mount without the mounts below the source."""
    host = container.raw.get("HostConfig") or {}
    shallow = set()
    for row in host.get("Mounts") or ():
        if (row.get("BindOptions") or {}).get("NonRecursive"):
            shallow.add(_normal(row.get("Target") or ""))
    for row in container.raw.get("Mounts") or ():
        options = row.get("Options") or ()  # Podman has it here
        if "bind" in options and "rbind" not in options:
            shallow.add(_normal(row.get("Destination") or ""))
    return shallow


def _in_memory(container: Container) -> frozenset[str]:
    """Destinations of file systems in memory, which engines list apart from the other mounts."""
    host = container.raw.get("HostConfig") or {}
    return frozenset(_normal(place) for place in host.get("Tmpfs") or ())


def _without_programs(container: Container) -> set[str]:
    """Destinations mounted noexec on request. Docker has no such option for binds."""
    return {
        _normal(row.get("Destination") or "")
        for row in container.raw.get("Mounts") or ()
        if "noexec" in (row.get("Options") or ()) or "noexec" in str(row.get("Mode") or "").split(",")
    }


def _normal(path: str) -> str:
    return os.path.normpath(path)
