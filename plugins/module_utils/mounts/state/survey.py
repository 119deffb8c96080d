# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the data map: for each container the paths it persists data to, and where they lie.

Evidence comes from the image (VOLUME), from variables and settings, from the mounts, and, for containers of this
host, from the directories that their processes have open for writing and that servers run in.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import anonymous_volumes, layers
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container, Mount
from ansible_collections.onebox.stack.plugins.module_utils.mounts import facts
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state import amounts, messages, servers
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state import place as places
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state.place import Place
from ansible_collections.onebox.stack.plugins.module_utils.mounts.unpersisted import scan

_RANK = ("data_directory", "setting", "variable", "open_file", "image_volume", "mount", "written")
_PODMAN_COMPOSE = "io.podman.compose.version"


@dataclass
class _Found:
    """The evidence for one path."""

    evidence: set[str] = field(default_factory=set)
    database: str = ""


@dataclass(frozen=True)
class Seen:
    """One container, and the facts of its proof.

    Attributes:
        container: the container.
        written: as :func:`writers.by` returns it; empty if unknown.
        proven: destinations of mounts that are ok.
    """

    container: Container
    written: t.Mapping[str, t.Any] = field(default_factory=dict)
    proven: frozenset[str] = frozenset()


def look(
    engine: Engine,
    containers: t.Sequence[Seen],
    unpersisted: t.Sequence[t.Mapping[str, t.Any]],
    seconds: float,
    *,
    local: bool,
    world: World,
) -> list[Place]:
    """The data map of containers.

    Args:
        unpersisted: the rows of ``ephemeral_writes``, if these were searched for.
        seconds: how long the counting of one container may take.
        local: whether the containers run on this host, so that their files can be read.
        world: the clock.

    Raises:
        EngineError: the engine does not answer.
    """
    ignored = scan.Ignored((*scan.IGNORED, "/var/log"))
    images: dict[str, t.Mapping[str, t.Any]] = {}
    found: list[Place] = []
    for seen in containers:
        container = seen.container
        if container.image_id not in images:
            images[container.image_id] = (engine.image(container.image_id) or {}).get("Config") or {}
        config = images[container.image_id]
        written = [row for row in unpersisted if row["container"] == container.name]
        survey = _Survey(engine.name, seen, config, ignored, amounts.Counter(seconds, engine, world) if local else None)
        found += survey.rows(written)
    return found


def seen_of(container: Container, answer: t.Mapping[str, t.Any]) -> Seen:
    """A container and the answer of its proof."""
    proven = frozenset(row["destination"] for row in answer["rows"] if row["verdict"] == "ok")
    return Seen(container, answer.get("written") or {}, proven)


def complete(
    engine: Engine,
    result: dict[str, t.Any],
    containers: t.Sequence[Seen],
    seconds: float,
    *,
    local: bool,
    world: World,
) -> None:
    """Add the data map to a result of the proof: ``data_places``, ``ok`` and the message.

    Args:
        result: has ``ephemeral_writes``, ``ok`` and ``message``.
        seconds, local, world: as for :func:`look`.

    Raises:
        EngineError: the engine does not answer.
    """
    rows = look(engine, containers, result["ephemeral_writes"], seconds, local=local, world=world)
    result["data_places"] = [row.as_dict() for row in rows]
    result["message"] += messages.headline(rows)
    result["ok"] = result["ok"] and not any(row.fails for row in rows)


class _Survey:
    """The map of one container."""

    def __init__(
        self,
        engine: str,
        seen: Seen,
        config: t.Mapping[str, t.Any],
        ignored: scan.Ignored,
        counter: amounts.Counter | None,
    ) -> None:
        self._engine = engine
        self._seen = seen
        self._container = seen.container
        self._config = config
        self._ignored = ignored
        self._counter = counter
        self._mounts = places.MountTable(seen.container)
        self._anonymous = {mount.destination for mount in anonymous_volumes.of(seen.container)}

    def rows(self, written: t.Sequence[t.Mapping[str, t.Any]]) -> list[Place]:
        """The rows, the databases first."""
        found = self._evidence()
        for each in written:
            found.setdefault(each["path"], _Found()).evidence.add("written")
        made: list[Place] = []
        covered: set[str] = set()
        for path in sorted(found, key=lambda each: (not found[each].database, each)):
            if any(places.is_below(path, row.path) and row.lies == places.LAYER for row in made):
                continue
            mount = self._mounts.of(path)
            if mount is None:
                made += self._without_mount(path, found[path])
            elif mount.destination not in covered and self._counts(mount):
                covered.add(mount.destination)
                made.append(self._on_mount(path, mount, found))
        made += [self._unwritten()] if self._keeps is False else []
        return [self._unused(row, made) for row in made]

    def _evidence(self) -> dict[str, _Found]:
        """Every path with evidence."""
        found: dict[str, _Found] = {}

        def add(path: str, evidence: str, database: str = "") -> None:
            one = found.setdefault(os.path.normpath(path), _Found())
            one.evidence.add(evidence)
            one.database = one.database or database

        home = servers.of_container(self._container, self._config).home()
        self._keeps = home.keeps if home is not None else None
        running = self._seen.written.get("homes") or {}
        if home is not None and self._keeps is not False:
            known = [path for path, name in running.items() if servers.PROGRAMS[name] == home.database]
            if not known or home.path in known:
                add(home.path, home.evidence, home.database)
            for path in known or [home.path] if self._keeps else ():
                add(path, places.KEEPS, home.database)
        for path, name in running.items():
            if self._keeps is not False or servers.PROGRAMS[name] != "redis":
                add(path, "data_directory", servers.PROGRAMS[name])
        variables = scan.data_variables(self._container, self._config.get("Env") or (), self._ignored)
        for path, name in variables.items():
            if self._is_data(path):
                add(path, f"variable {name}")
        for path in self._seen.written.get("open") or ():
            if not self._ignored.covers(path) and path != "/":
                add(self._group(path, found), "open_file")
        declared = {os.path.normpath(each) for each in self._config.get("Volumes") or ()}
        for mount in self._container.mounts:
            point = os.path.normpath(mount.destination)
            if mount.type in ("bind", "volume"):
                add(point, "image_volume" if point in declared and mount.destination in self._anonymous else "mount")
        return found

    def _is_data(self, path: str) -> bool:
        """Whether a directory of a variable may hold data: not one of the image that nothing was written to."""
        if self._counter is None or self._mounts.of(path) is not None or self._mounts.in_memory(path):
            return True
        shipped = self._container.running and scan.is_shipped(self._container.pid, path)
        # An unknown number of files counts as data.
        return not shipped or self._counter.layer(self._container, path).files != 0

    def _group(self, path: str, known: t.Mapping[str, _Found]) -> str:
        """The known directory above a written one, else a directory near the root."""
        above = [each for each in known if places.is_below(path, each)]
        if above:
            return max(above, key=len)
        return "/" + "/".join(path.split("/")[1:3]) if self._mounts.of(path) is None else path

    def _counts(self, mount: Mount) -> bool:
        """Whether a mount may hold data of the application: not a socket or a directory of the machine."""
        machine = mount.source.endswith(".sock") or facts.is_machine_place(mount.source)
        return mount.read_write and not (mount.type == "bind" and machine)

    def _on_mount(self, path: str, mount: Mount, found: t.Mapping[str, _Found]) -> Place:
        """The row of a bind or a volume, with the evidence for all paths below it."""
        here = {each: one for each, one in found.items() if self._mounts.of(each) is mount}
        evidence = {each for one in here.values() for each in one.evidence}
        database = next((one.database for one in here.values() if one.database), "")
        anonymous = mount.destination in self._anonymous
        lies = places.ANONYMOUS if anonymous else places.VOLUME if mount.type == "volume" else places.BIND
        made = Place(
            container=self._container.name,
            service=self._container.service,
            path=path if found[path].database else os.path.normpath(mount.destination),
            lies=lies,
            verdict=self._volume_verdict() if anonymous else places.PERSISTENT,
            source=mount.source,
            volume=mount.name,
            destination=mount.destination,
            read_only=not mount.read_write,
            evidence=_sorted(evidence),
            database=database,
        )
        if not anonymous:
            return made
        amount = amounts.Amount()
        if self._counter is not None:
            full = anonymous_volumes.has_content(self._container, mount)
            amount = self._counter.directory(mount.source) if full else amounts.Amount(0, 0)
        return self._with_message(made, amount)

    def _without_mount(self, path: str, one: _Found) -> list[Place]:
        """The row of a path in the container's own layer or in a tmpfs, none for a tmpfs that nothing names as data."""
        memory = self._mounts.in_memory(path)
        if memory and not one.database and not any(each.startswith("variable ") for each in one.evidence):
            return []
        if self._ignored.covers(path):
            return []
        upper = layers.of(self._container).upper
        made = Place(
            container=self._container.name,
            service=self._container.service,
            path=path,
            lies=places.TMPFS if memory else places.LAYER,
            verdict=places.LOST_AT_RECREATE,
            source=os.path.join(upper, path.lstrip("/")) if upper and not memory else "",
            evidence=_sorted(one.evidence),
            database=one.database,
            intended=memory,
        )
        amount = amounts.Amount()
        if self._counter is not None and not memory:
            amount = self._counter.layer(self._container, path)
        return [self._with_message(made, amount)]

    def _unwritten(self) -> Place:
        """The row of a Redis that is configured to write nothing."""
        made = Place(
            container=self._container.name,
            service=self._container.service,
            path="",
            lies=places.MEMORY,
            verdict=places.LOST_AT_RECREATE,
            evidence=("setting save",),
            database="redis",
            intended=True,
        )
        return self._with_message(made, amounts.Amount())

    def _volume_verdict(self) -> str:
        # podman-compose removes a container and creates another, which gets new volumes.
        return places.LOST_AT_RECREATE if _PODMAN_COMPOSE in self._container.labels else places.LOST_AT_DOWN

    def _with_message(self, made: Place, amount: amounts.Amount) -> Place:
        made = replace(made, files=amount.files, bytes=amount.bytes, complete=amount.complete)
        return replace(made, message=messages.lost(made, self._engine)) if made.verdict != places.PERSISTENT else made

    def _unused(self, row: Place, made: t.Sequence[Place]) -> Place:
        """The row with the verdict ``declared_unused`` if the data goes elsewhere and its mount is empty."""
        beside = [each for each in made if each.at_risk and each.lies in (places.ANONYMOUS, places.LAYER)]
        if row.verdict != places.PERSISTENT or not beside or self._counter is None or "open_file" in row.evidence:
            return row
        # A mount that is not proven may hang.
        if row.destination not in self._seen.proven or not _is_empty(row.source):
            return row
        unused = replace(row, verdict=places.DECLARED_UNUSED, files=0, bytes=0)
        return replace(unused, message=messages.unused(unused, beside[0]))


def _is_empty(directory: str) -> bool:
    try:
        return facts.is_empty(directory)
    except OSError:
        return False  # a file, or not readable: then nothing is known


def _sorted(evidence: t.Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(evidence, key=lambda each: (_RANK.index(each.split(" ")[0]), each)))
