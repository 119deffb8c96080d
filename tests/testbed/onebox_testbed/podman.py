# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Podman on the machine itself, made to work without a registry, without systemd and inside a container."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import resource
import shutil
import sys
import typing as t

from onebox_testbed import daemons, images, packages
from onebox_testbed.base import CACHE, RUN, TestbedError, cgroup_v2, run, step, systemd_is_init

OWN = RUN / "podman"
SOCKET = OWN / "podman.sock"
CONF = CACHE / "containers.conf"
COMPOSE_VENV = CACHE / "podman-compose"
PODMAN_COMPOSE = "podman-compose==1.6.0"


def environment() -> dict[str, str]:
    return {"CONTAINERS_CONF": str(CONF)}


def up() -> None:
    """Install Podman when missing, write its private configuration, import the images."""
    if not shutil.which("podman"):
        packages.ensure("podman", "runc", "netavark", "aardvark-dns")
    if not shutil.which("newuidmap"):
        packages.ensure("uidmap")  # for the tests of rootless Podman
    if os.geteuid() != 0:
        raise TestbedError("the tests use rootful Podman: run this as root")
    _configure()
    _import()
    compose()


def _configure() -> None:
    """Write what this machine needs and nothing where Podman's own choice works."""
    limits = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    # A container must not request more than our own limits: without CAP_SYS_RESOURCE raising a limit is refused.
    hard = {name: resource.getrlimit(which)[1] for name, which in limits.items()}
    # Podman lowers its own limit on processes to pid_max first, and cannot hand on more than that.
    pid_max = int(pathlib.Path("/proc/sys/kernel/pid_max").read_text())
    hard["nproc"] = pid_max if hard["nproc"] == resource.RLIM_INFINITY else min(hard["nproc"], pid_max)
    ulimits = [f'"{name}={value}:{value}"' for name, value in hard.items() if value != resource.RLIM_INFINITY]
    engine = ['events_logger = "file"']
    if not cgroup_v2():
        engine.append('runtime = "runc"')  # crun refuses the hybrid hierarchy
    if not systemd_is_init() or not cgroup_v2():
        engine.append('cgroup_manager = "cgroupfs"')
    lines = ["[containers]", f"default_ulimits = [{', '.join(ulimits)}]", "[engine]", *engine]
    if _netavark():
        lines += ["[network]", 'network_backend = "netavark"']
    CONF.parent.mkdir(parents=True, exist_ok=True)
    CONF.write_text("\n".join([*lines, ""]))


def _netavark() -> bool:
    return any(pathlib.Path(place).exists() for place in ("/usr/lib/podman/netavark", "/usr/libexec/podman/netavark"))


def version() -> str:
    return run(["podman", "--version"], env=environment()).stdout.strip()


def ready() -> bool:
    """Whether :func:`up` has been here."""
    return CONF.exists() and shutil.which("podman") is not None and (COMPOSE_VENV / ".installed").exists()


@contextlib.contextmanager
def served() -> t.Iterator[None]:
    """Podman's API socket, for as long as anybody on this machine uses it: the last one to leave stops it."""
    RUN.mkdir(parents=True, exist_ok=True)
    with open(RUN / "podman.users", "w", encoding="ascii") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        serve()
        try:
            yield
        finally:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                down()


def serve() -> bool:
    """Start Podman's API socket; False when a testbed's already answers, which is then left to who started it."""
    if "podman" in daemons.recorded() and SOCKET.exists():
        return False
    daemons.stop("podman")
    OWN.mkdir(parents=True, exist_ok=True)
    SOCKET.unlink(missing_ok=True)
    log = daemons.start("podman", ["podman", "system", "service", "--time=0", f"unix://{SOCKET}"], env=environment())
    daemons.await_ready("podman", SOCKET.exists, log, 30)
    return True


def _import() -> None:
    env = environment()
    for name, tag in (("tiny", images.TINY), ("python", images.PYTHON)):
        if run(["podman", "image", "exists", tag], env=env, check=False).returncode == 0:
            continue
        with step(f"importing {tag} into Podman"):
            if name == "tiny":
                run(["podman", "import", "-q", "-c", 'CMD ["sh"]', str(images.tiny_tarball()), tag], env=env)
            elif run(["podman", "pull", "-q", tag], env=env, check=False).returncode != 0:
                tarball = str(images.root_file_system(name))
                run(["podman", "import", "-q", "-c", 'CMD ["python3"]', tarball, tag], env=env)


def compose(requirement: str = PODMAN_COMPOSE, place: pathlib.Path = COMPOSE_VENV) -> pathlib.Path:
    """The podman-compose of one version, in an environment of its own at ``place``.

    Args:
        requirement: what pip installs, more than one separated by blanks.
    """
    stamp = place / ".installed"
    if not stamp.exists() or stamp.read_text() != requirement:
        with step(f"installing {requirement} into an environment of its own"):
            run([sys.executable, "-m", "venv", "--clear", str(place)])
            pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            run([*pip, *requirement.split()])
            stamp.write_text(requirement)
    return place / "bin" / "podman-compose"


def down() -> None:
    entry = daemons.recorded().get("podman")
    if (entry and daemons.ours(entry)) or (not entry and daemons.stragglers(OWN)):
        daemons.stop("podman")
        shutil.rmtree(OWN, ignore_errors=True)
