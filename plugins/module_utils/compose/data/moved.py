# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse a deploy that starts a service on an empty directory while its present data stays elsewhere."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.onebox.stack.plugins.module_utils.compose.data import declared
from ansible_collections.onebox.stack.plugins.module_utils.compose.data.declared import Mounted
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import anonymous_volumes, layers
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import subprocess_pool, syscalls
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state import amounts, servers
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state import place as places

EMPTY, FULL, UNKNOWN = "empty", "full", "unknown"
# What file systems and people leave in a directory without data.
_NOTHING = ("lost+found",)
_SECONDS = 5.0


@dataclass(frozen=True)
class Move:
    """The same data at another source.

    Attributes:
        service: the service.
        container: the present container.
        path: where the service has the data.
        old: the present directory on the host; "" if the data is in a container whose storage has no directory for it.
        new: the declared mount.
        was: the present source for people.
        code: ``data_moved`` or ``data_hidden``.
    """

    service: str
    container: str
    path: str
    old: str
    new: Mounted
    was: str
    code: str = "data_moved"


def candidates(
    service: str,
    containers: t.Sequence[Container],
    wanted: t.Sequence[Mounted],
    new_home: servers.Home | None,
    homes: t.Mapping[str, servers.Home],
    counter: amounts.Counter,
) -> list[Move]:
    """The changes of sources, whether there is data or not.

    Args:
        containers: the present containers of the service.
        wanted: the declared mounts.
        new_home: the data directory of the declared database, if it is one.
        homes: those of the present containers, by name.
        counter: counts files of a container whose storage has no directory for them.
    """
    found = []
    for container in containers:
        present = declared.of_container(container)
        anonymous = {os.path.normpath(mount.destination) for mount in anonymous_volumes.of(container)}
        for mount in wanted:
            if mount.kind not in (places.BIND, places.VOLUME) or mount.read_only:
                continue
            old = next((each for each in present if each.target == mount.target), None)
            if old is None:
                found += _hidden(service, container, mount, present, counter)
            elif old.target not in anonymous and not old.read_only and not _same(old, mount):
                found.append(Move(service, container.name, mount.target, old.source, mount, old.shown))
        found += _home_moved(service, container.name, homes.get(container.name), present, wanted, new_home)
    return found


def _same(old: Mounted, new: Mounted) -> bool:
    if old.name and new.name:
        return old.name == new.name
    return bool(new.source) and realpath(old.source) == realpath(new.source)


def _hidden(
    service: str, container: Container, mount: Mounted, present: t.Sequence[Mounted], counter: amounts.Counter
) -> list[Move]:
    """A mount that is new: it hides files of the container's own layer."""
    if declared.covering(present, mount.target) or places.MountTable(container).of(mount.target):
        return []
    upper = layers.of(container).upper
    old = os.path.join(upper, mount.target.lstrip("/")) if upper else ""
    if not old and not counter.layer(container, mount.target).files:
        return []
    return [Move(service, container.name, mount.target, old, mount, "the container itself", "data_hidden")]


def _home_moved(
    service: str,
    container: str,
    before: servers.Home | None,
    present: t.Sequence[Mounted],
    wanted: t.Sequence[Mounted],
    new_home: servers.Home | None,
) -> list[Move]:
    """A database that reads another directory than before, as PostgreSQL 18's image does."""
    if new_home is None or before is None or before.path == new_home.path or before.database != new_home.database:
        return []
    mount = declared.covering(wanted, new_home.path)
    old = declared.on_host(declared.covering(present, before.path), before.path)
    if mount is None or not old or mount.kind == places.TMPFS:
        return []
    here = replace(mount, target=new_home.path, source=declared.on_host(mount, new_home.path))
    if here.source and realpath(here.source) == realpath(old):
        return []
    return [Move(service, container, new_home.path, old, here, before.path)]


def problems(
    moves: t.Sequence[Move], project: str, engine: str, read_at: t.Callable[[str], str], world: World
) -> list[Problem]:
    """One problem for each move that would leave data behind.

    Args:
        engine: name of the engine, for commands.
        read_at: where a declared directory is read; its files may still be staged.
    """
    paths = {path for move in moves for path in (move.old, move.new.source, read_at(move.new.source)) if path}
    known = states(sorted(paths), world)
    found = []
    for move in moves:
        new = [known.get(path, EMPTY) for path in (move.new.source, read_at(move.new.source)) if path]
        full = not move.old or known.get(move.old) == FULL
        if full and all(each == EMPTY for each in new):
            found.append(_problem(move, project, engine))
    return found


def _problem(move: Move, project: str, engine: str) -> Problem:
    path, name = shown(move.path), shown(move.container)
    to = f"{shown(move.new.source)}/" if move.new.source else ""
    create = ""
    if move.new.name and not move.new.source:
        labels = f"--label com.docker.compose.project={project} --label com.docker.compose.volume={move.new.key}"
        create = f"`{engine} volume create {labels} {move.new.name}`, "
        to = f"\"$({engine} volume inspect -f '{{{{.Mountpoint}}}}' {move.new.name})\"/"
    elif not os.path.isdir(move.new.source):
        create = f"`mkdir -p {shown(move.new.source)}`, "
    copy = f"cp -a {shown(move.old)}/. {to}"
    if move.code == "data_hidden":
        copy = f"{engine} cp -a {name}:{path}/. {to}"
        message = f"{name} has written files to {path} in the container itself, which the new mount would hide"
    else:
        message = f"the data of {path} is in {shown(move.was)}, and {shown(move.new.shown)} is empty"
    return Problem(
        move.code,
        f"service {move.service}, {path}",
        f"{message}: the service would start without it. Copy it first: `{engine} stop {name}`, {create}"
        f"`{copy}`. To start empty instead, type `{engine} rm -f {name}`",
    )


def states(paths: t.Sequence[str], world: World) -> dict[str, str]:
    """Whether each directory holds anything. A missing one is empty; one that hangs or may not be read is unknown."""
    if syscalls.supported():
        return dict.fromkeys(paths, UNKNOWN)
    answers = subprocess_pool.each(_state, paths, _SECONDS, world)
    return {path: answer if isinstance(answer, str) else UNKNOWN for path, answer in zip(paths, answers)}


def _state(path: str) -> str:
    try:
        with os.scandir(path) as entries:
            return FULL if any(entry.name not in _NOTHING for entry in entries) else EMPTY
    except (FileNotFoundError, NotADirectoryError):
        return EMPTY if not os.path.lexists(path) else UNKNOWN
    except OSError:
        return UNKNOWN
