# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backup sources by the data map: every persistent path of a stack is in a source, or named as not backed up."""

from __future__ import annotations

import json
import os
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import ConfigError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.sqlite import online
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.volume import find
from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import discover, project_containers
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state import place as places
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state import servers, survey
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state.place import Place

_DUMPED = ("postgresql", "mysql", "redis")
_SECONDS = 5.0
# SQLite files are searched for in at most this many entries of a directory.
_ENTRIES = 20_000
_CONFIG_FILES = "com.docker.compose.project.config_files"
_WORKING_DIR = "com.docker.compose.project.working_dir"


@dataclass
class Automatic:
    """The sources of a stack.

    Attributes:
        sources: as a backup configuration declares them.
        not_backed_up: a sentence for each path with data that is in none.
    """

    sources: list[dict[str, t.Any]] = field(default_factory=list)
    not_backed_up: list[str] = field(default_factory=list)

    def add(self, wanted: str, kind: str, **keys: t.Any) -> dict[str, t.Any]:
        """The source of the data, added under a free name unless there is one."""
        for row in self.sources:
            if row["kind"] == kind and all(row.get(key) == value for key, value in keys.items()):
                return row
        base = re.sub(r"[^A-Za-z0-9_.-]+", "-", wanted).strip("-.") or "data"
        taken = {row["name"] for row in self.sources}
        name = next(each for each in (base, *(f"{base}-{n}" for n in range(2, 10_000))) if each not in taken)
        self.sources.append({"name": name, "kind": kind, **keys})
        return self.sources[-1]


def sources(stack: str, engine_name: str, socket: str | None, config: str, world: World) -> Automatic:
    """The sources of a stack, at least one.

    Args:
        config: path of the backup configuration, "" for none. If the stack has no container, its sources are returned.

    Raises:
        ConfigError: there is no data that a source can contain.
        EngineError: the engine does not answer.
    """
    engine = discover.find(engine_name, socket, world=world)
    found = propose(engine, stack, world)
    if not found.sources and not project_containers.stack_containers(engine, stack):
        found.sources = recorded(files.read_text(config) if config else "")
        if not found.sources:
            raise ConfigError(
                f"backups_sources: auto finds no container of the stack {stack} in {engine.name}. Deploy the stack "
                "first, or list the sources in backups_sources"
            )
    if not found.sources:
        raise ConfigError(
            f"backups_sources: auto finds no data of the stack {stack} that a source can contain. Remove "
            f"backups_sources, or list the sources there. {' '.join(found.not_backed_up)}".strip()
        )
    return found


def propose(engine: Engine, stack: str, world: World) -> Automatic:
    """The sources for the containers of a stack.

    Raises:
        EngineError: the engine does not answer.
    """
    containers = project_containers.stack_containers(engine, stack)
    found = Automatic()
    local = os.path.isdir("/proc/self")
    seen = [survey.Seen(each, {}, frozenset()) for each in containers]
    rows = survey.look(engine, seen, [], _SECONDS, local=local, world=world)
    by_name = {each.name: each for each in containers}
    # The databases first: their directories must not be copied as files.
    for row in rows:
        if row.database and row.verdict == places.PERSISTENT:
            _database(found, row, by_name[row.container])
    dumped = {realpath(row.source) for row in rows if row.database and row.source}
    volumes = engine.volumes([row.volume for row in rows if row.lies == places.VOLUME])
    for row in rows:
        if row.verdict != places.PERSISTENT:
            _lost(found, row)
        elif row.database or realpath(row.source) in dumped:
            continue
        elif row.lies == places.VOLUME:
            volume = volumes.get(row.volume)
            key = find.key_of(volume) if volume and find.project_of(volume) == stack else ""
            made = found.add(key or row.volume, "volume", **({"volume": key} if key else {"volume_name": row.volume}))
            databases = _sqlite_files(row.source)
            if databases:
                made["sqlite"] = databases
        else:
            _bind(found, row, dumped)
    _nested(found)
    files = _compose_files(containers)
    if files:
        found.add("stack", "compose", files=files)
    elif any(each.swarm_service for each in containers):
        found.not_backed_up.append(
            "a Swarm does not know the compose files of its stacks. To back them up, list the sources in "
            "backups_sources, with one of kind compose"
        )
    return found


def _database(found: Automatic, row: Place, container: Container) -> None:
    where = row.service or row.container
    if row.database not in _DUMPED:
        found.not_backed_up.append(
            f"service {where} keeps {servers.shown_name(row.database)} in {row.path}: no kind of source dumps it, and "
            "copied files of a running database may not restore. Back up a dump that it writes itself"
        )
        return
    keys: dict[str, t.Any] = {"service": row.service} if row.service else {"container": row.container}
    password = _redis_password(container) if row.database == "redis" else ""
    if password:
        variable = next((line.partition("=")[0] for line in container.env if line.partition("=")[2] == password), "")
        if not variable:
            found.not_backed_up.append(
                f"service {where} is a Redis with a password that is in none of its variables. Set REDIS_PASSWORD in "
                "its environment, or list the sources in backups_sources with password_file"
            )
            return
        keys["password_variable"] = variable
    found.add(where, row.database, **keys)


def _redis_password(container: Container) -> str:
    """The password in the command of a Redis, "" without one."""
    words = list((container.raw.get("Config") or {}).get("Cmd") or ())
    return next((words[number + 1] for number, word in enumerate(words[:-1]) if word == "--requirepass"), "")


def _lost(found: Automatic, row: Place) -> None:
    if row.intended or not (row.at_risk or row.verdict == places.DECLARED_UNUSED):
        return
    found.not_backed_up.append(row.message)


def _bind(found: Automatic, row: Place, dumped: t.Collection[str]) -> None:
    name = f"{row.service or row.container}-{os.path.basename(row.source.rstrip('/'))}"
    if os.path.isdir(row.source):
        inside = [each for each in dumped if each.startswith(row.source.rstrip("/") + "/")]
        if inside:
            relative = [os.path.relpath(each, row.source) for each in inside]
            found.add(name, "directory", path=row.source, exclude=relative)
            return
        databases = _sqlite_files(row.source)
        found.add(name, "directory", path=row.source, **({"sqlite": databases} if databases else {}))
    elif _is_sqlite(row.source):
        found.add(name, "sqlite", path=row.source)
    else:
        found.not_backed_up.append(
            f"service {row.service or row.container} can write to the single file {row.source} ({row.path}): mount "
            "its directory instead, or add it to the files of a source of kind compose"
        )


def _sqlite_files(folder: str) -> list[str]:
    """SQLite files below a directory, relative to it."""
    left = _ENTRIES
    made: list[str] = []
    for place, _folders, names in os.walk(folder):
        for name in names:
            left -= 1
            if left < 0:
                return sorted(made)
            path = os.path.join(place, name)
            # A backup configuration cannot hold a name of other characters.
            readable = os.path.relpath(path, folder).isprintable()
            if readable and not name.endswith(("-wal", "-shm", "-journal")) and _is_sqlite(path):
                made.append(os.path.relpath(path, folder))
    return sorted(made)


def _is_sqlite(path: str) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return os.pread(descriptor, len(online.MAGIC), 0) == online.MAGIC
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _nested(found: Automatic) -> None:
    """Remove directories that lie below that of another source."""
    paths = [row["path"] for row in found.sources if row["kind"] == "directory"]
    found.sources[:] = [
        row
        for row in found.sources
        if row["kind"] != "directory"
        or not any(row["path"] != each and row["path"].startswith(each.rstrip("/") + "/") for each in paths)
    ]


def _compose_files(containers: t.Sequence[Container]) -> list[str]:
    """The compose files of the stack that exist on this host, and the .env file next to them."""
    made: list[str] = []
    for container in containers:
        named = [each for each in container.labels.get(_CONFIG_FILES, "").split(",") if each]
        folder = container.labels.get(_WORKING_DIR, "")
        made += [os.path.join(folder, each) for each in [*named, *([".env"] if folder else [])]]
    return [path for path in dict.fromkeys(made) if os.path.isabs(path) and os.path.isfile(path)]


def recorded(text: str) -> list[dict[str, t.Any]]:
    """The sources in the text of a backup configuration, none for one that is missing or damaged."""
    try:
        found = json.loads(text)["sources"]
    except (ValueError, LookupError, TypeError):
        return []
    return found if isinstance(found, list) else []
