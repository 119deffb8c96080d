# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compose projects of a host, whatever tool deployed them: by the labels of containers, then by files."""

from __future__ import annotations

import glob
import os
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import FILE_NAMES, MARKER
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import (
    CONFIG_FILES_LABEL,
    WORKING_DIR_LABEL,
    Container,
)

ENV_FILE_LABEL = "com.docker.compose.project.environment_file"
# Directories whose subdirectories hold one compose project each, as the tools and people use them.
SEARCHED = (
    "/data/coolify/applications/*",
    "/data/coolify/services/*",
    "/home/*/*",
    "/opt/*",
    "/opt/onebox/*",
    "/opt/stacks/*",
    "/root/*",
    "/srv/*",
    "/var/lib/docker/volumes/*/_data/compose/*",
)
_MOST_FOLDERS = 2000
_DOCKGE_STACKS = "/opt/stacks"


@dataclass(frozen=True)
class Project:
    """One compose project.

    Attributes:
        working_dir: its directory as its tool named it, which may be a path in the tool's own container; "" if unknown.
        folder: that directory on this host; "" if it does not exist here.
        files: its compose files, relative to the directory.
        env_file: its environment file, relative to the directory.
        tool: the program that deployed it, with its version.
        provider: the compose tool that its containers are from; "" without containers.
    """

    name: str
    engine: str
    working_dir: str
    folder: str
    files: tuple[str, ...]
    env_file: str
    tool: str
    provider: str
    containers: tuple[Container, ...] = field(default=(), repr=False)


def of_engine(engine: Engine) -> tuple[list[Project], list[Container]]:
    """The projects that have containers on ``engine``, sorted by name, and the containers of no project.

    Raises:
        EngineError: the engine does not answer.
    """
    containers = engine.containers()
    groups: dict[str, list[Container]] = {}
    for container in containers:
        # No compose tool created a stack on a Swarm.
        groups.setdefault("" if container.swarm_service else container.project, []).append(container)
    alone = groups.pop("", [])
    return [_project(engine.name, name, groups[name], containers) for name in sorted(groups)], alone


def _project(engine: str, name: str, containers: list[Container], everything: t.Sequence[Container]) -> Project:
    labels = _newest(containers).labels
    working_dir = labels.get(WORKING_DIR_LABEL, "")
    files = [_relative(each, working_dir) for each in labels.get(CONFIG_FILES_LABEL, "").split(",") if each]
    env_file = _relative(labels.get(ENV_FILE_LABEL, "").split(",")[0], working_dir)
    folder = on_host(working_dir, everything) if working_dir else ""
    podman = any(key.startswith("io.podman.compose.") for key in labels)
    return Project(
        name=name,
        engine=engine,
        working_dir=working_dir,
        folder=folder,
        files=tuple(files) or _usual(folder),
        env_file=env_file or ".env",
        tool=_tool(labels, working_dir, folder, everything),
        provider="podman-compose" if podman else "docker-compose",
        containers=tuple(containers),
    )


def _newest(containers: t.Sequence[Container]) -> Container:
    # After a move of the project some containers can still have the labels of its previous directory.
    return max(containers, key=lambda each: each.created)


def _relative(path: str, folder: str) -> str:
    return os.path.relpath(path, folder) if os.path.isabs(path) and folder else os.path.normpath(path) if path else ""


def _usual(folder: str) -> tuple[str, ...]:
    return tuple(each for each in FILE_NAMES if folder and os.path.isfile(os.path.join(folder, each)))[:1]


def on_host(path: str, containers: t.Sequence[Container]) -> str:
    """A directory that a tool named, on this host; "" if it does not exist.

    A tool in a container, such as Portainer, names the directory as it is in its own container.
    """
    if os.path.isdir(path):
        return path
    for container in containers:
        for mount in container.mounts:
            below = mount.destination.rstrip("/")
            if below and (path == below or path.startswith(f"{below}/")):
                there = mount.source + path[len(below) :]
                if os.path.isdir(there):
                    return there
    return ""


def _tool(labels: t.Mapping[str, str], working_dir: str, folder: str, everything: t.Sequence[Container]) -> str:
    if folder and os.path.isfile(os.path.join(folder, MARKER)):
        return "onebox.stack"
    if working_dir.startswith("/data/coolify/") or any(key.startswith("coolify.") for key in labels):
        return "Coolify"
    # Portainer's own directory, in its container.
    if re.match(r"/data/compose/\d+(?:/|$)", working_dir):
        return "Portainer"
    if _below(working_dir, _dockge_stacks(everything)):
        return "Dockge"
    for key, tool in (
        ("io.podman.compose.version", "podman-compose"),
        ("com.docker.compose.version", "docker compose"),
    ):
        if labels.get(key):
            return f"{tool} {labels[key]}"
    return "podman-compose" if "io.podman.compose.project" in labels else "docker compose"


def _dockge_stacks(containers: t.Sequence[Container]) -> str:
    """The directory of the stacks of a Dockge on this host; "" without one."""
    for container in containers:
        if re.search(r"(?:^|/)dockge(?::|@|$)", container.image_ref):
            values = dict(each.partition("=")[::2] for each in container.env)
            return values.get("DOCKGE_STACKS_DIR") or _DOCKGE_STACKS
    return ""


def _below(path: str, folder: str) -> bool:
    return bool(folder) and path.startswith(folder.rstrip("/") + "/")


def folders_without_containers(known: t.Collection[str], searched: t.Sequence[str] = SEARCHED) -> list[str]:
    """Directories with a compose file that no container is from.

    Args:
        known: directories of projects with containers.
        searched: patterns of directories.
    """
    real = {realpath(each) for each in known if each}
    found: dict[str, str] = {}
    number = 0
    for pattern in searched:
        for folder in glob.iglob(pattern):
            number += 1
            if number > _MOST_FOLDERS:
                return sorted(found.values())
            place = realpath(folder)
            if place not in real and _usual(folder):
                found.setdefault(place, folder)
    return sorted(found.values())
