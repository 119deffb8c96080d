# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the container engine of this host."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys

from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import (
    Engine,
    EngineError,
    PodmanCli,
    SocketEngine,
)

ENGINES = ("auto", "docker", "podman")


def sockets(engine: str, world: World, system: str = sys.platform) -> list[str]:
    """Paths at which a socket of ``engine`` may be, best first."""
    places: list[str] = []
    environ = world.environ
    runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{world.uid}"
    if engine == "docker":
        host = environ.get("DOCKER_HOST", "")
        if host.startswith("unix://"):
            places.append(host[len("unix://") :])
        places += ["/var/run/docker.sock", os.path.join(runtime, "docker.sock")]
        # Docker in Colima's virtual machine; only root could create it at the usual path.
        colima = environ.get("COLIMA_HOME") or os.path.join(environ.get("HOME", "/"), ".colima")
        places += [place for place in (os.path.join(colima, "default", "docker.sock"),) if os.path.exists(place)]
    else:
        host = environ.get("CONTAINER_HOST", "")
        if host.startswith("unix://"):
            places.append(host[len("unix://") :])
        places.append("/run/podman/podman.sock" if world.is_root else os.path.join(runtime, "podman/podman.sock"))
        places += machine_sockets(world, system)
    return places


def machine_sockets(world: World, system: str = sys.platform) -> list[str]:
    """The API socket of the machine that a remote ``podman`` talks to, none where podman runs containers itself.

    Containers of a Mac live in a virtual machine; podman reaches it by the default connection, which has the machine's
    name, and keeps the machine's socket on the host in its runtime directory.
    """
    environ = world.environ
    config = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME", "/"), ".config")
    folder = os.path.join(config, "containers")
    if system != "darwin" and not re.search(r"(?m)^\s*remote\s*=\s*true\b", _text(f"{folder}/containers.conf")):
        return []
    try:
        known = json.loads(_text(environ.get("PODMAN_CONNECTIONS_CONF") or f"{folder}/podman-connections.json"))
        default = str(known["Connection"]["Default"])
    except (ValueError, KeyError, TypeError):
        return []
    if system == "darwin":
        runtime = environ.get("TMPDIR") or _mac_tmpdir(world)
    else:
        runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{world.uid}"
    # The store of root in the machine has a connection of its own, and the same socket.
    names = dict.fromkeys((default, default[: -len("-root")] if default.endswith("-root") else default))
    places = [os.path.join(runtime, "podman", f"{name}-api.sock") for name in names]
    return [place for place in places if os.path.exists(place)]


def _mac_tmpdir(world: World) -> str:
    """The directory of the user's sockets on macOS; ssh sessions and agents do not always have it in TMPDIR."""
    try:
        return world.run(["/usr/bin/getconf", "DARWIN_USER_TEMP_DIR"], timeout=10.0).stdout.strip() or "/tmp"
    except process.CommandError:
        return "/tmp"


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def find(engine: str = "auto", socket: str | None = None, *, world: World) -> Engine:
    """Return the engine that answers.

    Args:
        engine: ``docker``, ``podman``, or ``auto`` (Docker when it answers, else Podman).
        socket: path of the socket to use; nothing else is tried then.
        world: processes, environment and user.

    Raises:
        EngineError: none answers; the text lists each attempt and its failure.
    """
    if engine not in ENGINES:
        raise EngineError(f"engine must be one of {', '.join(ENGINES)}, not {engine!r}")
    if socket:
        found = SocketEngine(socket)
        if engine not in ("auto", found.name):
            raise EngineError(f"the engine at {socket} is {found.name}, not {engine}")
        return found
    tried: list[str] = []
    for name in ("docker", "podman") if engine == "auto" else (engine,):
        for place in sockets(name, world):
            try:
                candidate = SocketEngine(place)
            except EngineError as error:
                tried.append(str(error))
                continue
            if engine in ("auto", candidate.name):
                return candidate
            tried.append(f"{place} is {candidate.name}")
        if name == "podman":
            if shutil.which("podman"):
                return PodmanCli(world)
            tried.append("podman is not installed")
    wanted = "container engine" if engine == "auto" else engine
    raise EngineError(
        f"no {wanted} answers on this host. Tried: {'; '.join(tried)}. "
        "Install one with the role onebox.stack.container_engine, or start the installed one."
    )
