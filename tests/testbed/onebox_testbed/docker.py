# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The outer Docker engine: the one that answers, else one of our own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import socket
import typing as t

from onebox_testbed import daemons, packages
from onebox_testbed.base import CACHE, CHECKOUT, LABEL, RUN, TestbedError, run, say, step

OWN = RUN / "docker"
OWN_SOCKET = OWN / "docker.sock"
CONTEXT = CACHE / "docker-context"
# Where our daemon may keep images. The later ones are for a machine that is itself a container: overlay does not stack
# on overlay, but such a machine has a volume at one of these.
DATA_PLACES = ("/var/lib/onebox-testbed/docker", "/var/lib/docker/onebox-testbed", "/var/lib/containers/onebox-testbed")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=5)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def version(path: str) -> str | None:
    """The version of the Docker engine behind a socket; None when none answers there (Podman's does not count)."""
    connection = _UnixConnection(path)
    try:
        connection.request("GET", "/version")
        answer = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    names = [part.get("Name", "") for part in answer.get("Components") or []]
    return None if "Podman Engine" in names else answer.get("Version")


def find() -> str | None:
    """The socket of the Docker engine that answers: the one the environment names, the system's, ours."""
    named = os.environ.get("DOCKER_HOST", "")
    if named and not named.startswith("unix://"):
        raise TestbedError(f"DOCKER_HOST is {named}: the testbed needs an engine of this machine. Unset DOCKER_HOST")
    for path in (named[len("unix://") :], "/var/run/docker.sock", str(OWN_SOCKET)):
        if path and version(path):
            return path
    return None


def up() -> str:
    """Make sure a Docker engine answers; returns its socket."""
    found = find()
    if found is None and not (shutil.which("dockerd") and shutil.which("docker")):
        names = ["docker.io", "iptables"]
        # From Debian 13 on the command line is a package of its own.
        if run(["apt-cache", "show", "docker-cli"], check=False).returncode == 0:
            names.append("docker-cli")
        packages.ensure(*names)
        found = find()
    if found is None:
        if os.geteuid() != 0:
            raise TestbedError("no Docker engine answers and only root can start one; start yours, or run this as root")
        found = _start()
    return found


def _start() -> str:
    daemons.stop("docker")  # what an earlier, killed run left
    OWN.mkdir(parents=True, exist_ok=True)
    for leftover in ("docker.pid", "docker.sock"):
        (OWN / leftover).unlink(missing_ok=True)
    place = _data_place()
    argv = ["dockerd", "--host", f"unix://{OWN_SOCKET}", "--pidfile", f"{OWN}/docker.pid"]
    argv += ["--exec-root", f"{OWN}/exec", "--data-root", place]
    with step(f"starting a Docker daemon of our own, data in {place}"):
        log = daemons.start("docker", argv)
        daemons.await_ready("docker", lambda: version(str(OWN_SOCKET)) is not None, log, 60)
    return str(OWN_SOCKET)


def _data_place() -> str:
    for place in DATA_PLACES:
        pathlib.Path(place).mkdir(parents=True, exist_ok=True)
        if _filesystem(place) != "overlay":
            return place
        with contextlib.suppress(OSError):
            os.rmdir(place)
    say("every place for images lies on an overlay file system: Docker will be slow here (vfs)")
    pathlib.Path(DATA_PLACES[0]).mkdir(parents=True, exist_ok=True)
    return DATA_PLACES[0]


def _filesystem(place: str) -> str:
    """The type of the file system a path lies on, by the longest mount point above it."""
    real = os.path.realpath(place)
    best = ("", "")
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _source, point, kind, *_unused = line.split()
        if (real + "/").startswith(point.rstrip("/") + "/"):
            best = max(best, (point, kind), key=lambda pair: len(pair[0]))
    return best[1]


def programs_of(suite: str) -> str:
    """Folders with the dockerd and containerd of a Debian suite, for PATH: trixie has Docker 26.1, sid 28.5.

    They run with this machine's runc: a newer suite's wants a newer C library.
    """
    place = CACHE / f"docker-{suite}"
    if not place.is_dir():
        packages.unpack(suite, ("docker.io", "containerd"), place)
    return os.pathsep.join((str(place / "usr/sbin"), str(place / "usr/bin")))


def environment(path: str) -> dict[str, str]:
    return {"DOCKER_HOST": f"unix://{path}"}


def use_in_context(path: str) -> None:
    """Point the docker command at the engine at ``path``, for programs that run with ``DOCKER_CONFIG`` set to CONTEXT.

    Molecule has its environment before any engine of ours runs, so a variable cannot name the socket.
    """
    name = "testbed"
    env = {"DOCKER_CONFIG": str(CONTEXT)}
    known = run(["docker", "context", "inspect", "-f", "{{.Endpoints.docker.Host}}", name], env=env, check=False)
    if known.stdout.strip() != f"unix://{path}":
        action = "update" if known.returncode == 0 else "create"
        run(["docker", "context", action, name, "--docker", f"host=unix://{path}"], env=env)
    run(["docker", "context", "use", name], env=env)


def docker(path: str, *argv: str, **options: t.Any) -> str:
    """Run the docker command against the engine at ``path`` and return what it printed."""
    # The classic builder: buildx is a package of its own, and what is built here needs nothing it brings.
    env = {**environment(path), "DOCKER_BUILDKIT": "0"}
    return run(["docker", *argv], env=env, **options).stdout.strip()


def clear(path: str) -> None:
    """Remove the containers of this checkout's testbed with their anonymous volumes, also those of a killed run."""
    left = docker(path, "ps", "-aq", "--filter", f"label={LABEL}={CHECKOUT}").split()
    if left:
        say(f"removing {len(left)} container(s) an earlier run left")
        docker(path, "rm", "-f", "-v", *left)


def down() -> None:
    """Remove this checkout's containers; stop the daemon if it is ours."""
    found = find()
    if found:
        clear(found)
    entry = daemons.recorded().get("docker")
    if (entry and daemons.ours(entry)) or (not entry and daemons.stragglers(OWN)):
        daemons.stop("docker")
        _unmount_below(OWN)
        shutil.rmtree(OWN, ignore_errors=True)


def _unmount_below(folder: pathlib.Path) -> None:
    points = [line.split()[1] for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()]
    for point in sorted((point for point in points if point.startswith(f"{folder}/")), reverse=True):
        run(["umount", "-l", point], check=False)
