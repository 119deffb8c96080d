# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the compose tool of this host."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import (
    DOCKER_COMPOSE,
    PODMAN_COMPOSE,
    QUADLET,
    Driver,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.docker_compose.driver import DockerCompose
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose.driver import PodmanCompose
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.quadlet.driver import Quadlet
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine

PROVIDERS = ("auto", DOCKER_COMPOSE, PODMAN_COMPOSE, QUADLET)
# In the order in which "auto" tries them. It never selects quadlets.
_DRIVERS = (DockerCompose, PodmanCompose, Quadlet)
_VERSION_TIMEOUT = 60.0


class NoTool(ComposeError):
    """No compose tool fits."""


def find(
    wanted: str,
    engine: Engine | None,
    env: t.Mapping[str, str],
    world: World,
    *,
    executable: str | None = None,
    known: t.Mapping[str, t.Any] | None = None,
) -> Driver:
    """Return the compose tool for ``engine``.

    ``auto`` selects docker compose where the engine has a socket, because it works completely on Podman's socket, too.
    Otherwise it selects podman-compose.

    Args:
        wanted: one of :data:`PROVIDERS`.
        engine: the engine to drive; None without an engine, when only a model is needed.
        env: the cleaned environment.
        world: starts processes.
        executable: path of the tool, instead of a search.
        known: versions found earlier, see :func:`fingerprint`; they save a call.

    Raises:
        NoTool: no tool exists that fits the engine. The message names all candidates.
    """
    if wanted not in PROVIDERS:
        raise ComposeError(f"provider: {wanted!r} is unknown. Set one of {', '.join(PROVIDERS)}")
    tried: list[str] = []
    for driver in _DRIVERS:
        if wanted != driver.kind and (wanted != "auto" or driver.kind == QUADLET):
            continue
        unfit = driver.unfit(engine)
        if unfit:
            tried.append(f"{driver.kind}: {unfit}")
            continue
        full_env = driver.environment(engine, env)
        for argv in [(executable,)] if executable else driver.candidates(env):
            mark = fingerprint(argv)
            if mark and mark in (known or {}):
                version, why = tuple(int(part) for part in str((known or {})[mark]).split(".")), ""
            else:
                version, why = _version(argv, full_env, world)
            why = why or driver.too_old(version)
            if not why:
                return driver(tuple(argv), version, full_env)
            tried.append(f"{' '.join(argv)}: {why}")
    on = f" for {engine.name}" if engine is not None else ""
    raise NoTool(
        f"provider: this host has no compose tool{on}. Tried: {'; '.join(tried)}. "
        "Install one with the role onebox.stack.container_engine, or set provider and provider_path."
    )


def likely(
    wanted: str, engine: Engine | None, env: t.Mapping[str, str], executable: str | None = None
) -> Driver | None:
    """The docker compose that :func:`find` would try first, before its version is known; None for other tools."""
    if wanted in (PODMAN_COMPOSE, QUADLET) or DockerCompose.unfit(engine):
        return None
    argv = (executable,) if executable else DockerCompose.candidates(env)[0]
    return DockerCompose(tuple(argv), (), DockerCompose.environment(engine, env))


def fingerprint(argv: t.Sequence[str]) -> str:
    """A text that differs for each version of a tool that is one binary: its path, size, time and inode.

    "" for other tools: podman-compose is a script whose library may change without it.
    """
    if len(argv) != 1 or not argv[0].endswith("docker-compose"):
        return ""
    try:
        info = os.stat(argv[0])
    except OSError:
        return ""
    return f"{argv[0]}:{info.st_size}:{info.st_mtime_ns}:{info.st_ino}"


def _version(argv: t.Sequence[str], env: t.Mapping[str, str], world: World) -> tuple[tuple[int, ...], str]:
    words = [*argv, "version", "--short"]
    try:
        result = world.run(words, timeout=_VERSION_TIMEOUT, env=env)
    except process.CommandError as error:
        return (), str(error)
    found = re.search(r"(\d+(?:\.\d+)+)", result.stdout)
    if not found:
        return (), f"cannot read its version from {process.last_words(result.stdout)!r}"
    return tuple(int(part) for part in found.group(1).split(".")), ""
