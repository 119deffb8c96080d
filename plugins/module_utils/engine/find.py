# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the container engine of this host."""

from __future__ import annotations

import os
import shutil
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils import process
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import (
    Engine,
    EngineError,
    PodmanCli,
    SocketEngine,
)

ENGINES = ("auto", "docker", "podman")


def sockets(engine: str, environ: t.Mapping[str, str], uid: int) -> list[str]:
    """Where the sockets of ``engine`` are looked for, best first."""
    places: list[str] = []
    runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}"
    if engine == "docker":
        host = environ.get("DOCKER_HOST", "")
        if host.startswith("unix://"):
            places.append(host[len("unix://") :])
        places += ["/var/run/docker.sock", os.path.join(runtime, "docker.sock")]
    else:
        host = environ.get("CONTAINER_HOST", "")
        if host.startswith("unix://"):
            places.append(host[len("unix://") :])
        places.append("/run/podman/podman.sock" if uid == 0 else os.path.join(runtime, "podman/podman.sock"))
    return places


def find(
    engine: str = "auto",
    socket: str | None = None,
    *,
    run: process.Runner = process.run,
    environ: t.Mapping[str, str] | None = None,
    uid: int | None = None,
) -> Engine:
    """Return the engine that answers.

    Args:
        engine: ``docker``, ``podman``, or ``auto`` (Docker when it answers, else Podman).
        socket: path of the socket to use; nothing else is tried then.

    Raises:
        EngineError: none answers; the text names everything that was tried and why it failed.
    """
    if engine not in ENGINES:
        raise EngineError(f"engine must be one of {', '.join(ENGINES)}, not {engine!r}")
    environ = os.environ if environ is None else environ
    uid = os.geteuid() if uid is None else uid
    if socket:
        found = SocketEngine(socket)
        if engine not in ("auto", found.name):
            raise EngineError(f"the engine at {socket} is {found.name}, not {engine}")
        return found
    tried: list[str] = []
    for name in ("docker", "podman") if engine == "auto" else (engine,):
        for place in sockets(name, environ, uid):
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
                return PodmanCli(run)
            tried.append("podman is not installed")
    wanted = "container engine" if engine == "auto" else engine
    raise EngineError(
        f"no {wanted} answers on this host. Tried: {'; '.join(tried)}. "
        "Install one with the role onebox.stack.container_engine, or start the one that is there."
    )
