# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What molecule.yml's variables stand for on this machine."""

from __future__ import annotations

import os
import typing as t

from onebox_testbed import images, standins
from onebox_testbed.base import CACHE, CHECKOUT, LABEL, ROOT, TestbedError, cgroup_v2, wait_until
from onebox_testbed.docker import docker
from onebox_testbed.docker import environment as docker_environment

HOST_IMAGES = ("debian13", "debian13-docker", "debian13-podman")
# What only these scenarios need: hosts as a cloud gives them, and substitute images.
ON_CLOUD_HOSTS = ("host_baseline",)
WITH_STANDINS = ("coinpilot", "observer", "omnivibe", "swarm_systems")
BOOT_SECONDS = 120.0
# The container's own part of cgroup v2 instead of the machine's mixed cgroups.
_BOOT_UNIFIED = "umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec /sbin/init"


def run_arguments(*, rootless: bool = False) -> list[str]:
    """What ``docker run`` needs for a host whose first process is systemd and that runs an engine of its own.

    Args:
        rootless: whether ordinary users run containers, too.
    """
    argv = ["--tmpfs", "/run", "--tmpfs", "/tmp", "-v", "/var/lib/docker"]
    for capability in ("SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "MKNOD"):
        argv += ["--cap-add", capability]
    argv += ["--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"]
    if cgroup_v2():
        return [*argv, "--cgroupns", "private", "--privileged"]
    if rootless:
        # A user's containers cannot mount a /proc where the engine masked parts of it.
        return [*argv, "--cgroupns", "private", "--security-opt", "systempaths=unconfined", "--device", "/dev/net/tun"]
    return [*argv, "--cgroupns", "host", "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw"]


def start(
    socket: str,
    name: str,
    image: str,
    archives: t.Sequence[str] = (),
    mounts: t.Sequence[str] = (),
    *,
    rootless: bool = False,
) -> str:
    """Start a host of this checkout and wait until systemd has booted; returns the name of its container.

    A host of the same name is replaced.

    Args:
        image: the name of its image, such as ``debian13-docker``.
        archives: names of images that the host can load from ``/testbed/<name>.tar``.
        mounts: more volumes, as ``docker run -v`` has them.
        rootless: whether ordinary users run containers, too. The host has cgroup v2 alone, as Debian 13 has.

    Raises:
        TestbedError: an image could not be built, or the host did not boot.
    """
    remove(socket, name)
    container = _container(name)
    argv = ["run", "-d", "--name", container, "--hostname", name, "--label", f"{LABEL}={CHECKOUT}"]
    argv += run_arguments(rootless=rootless)
    for archive in archives:
        argv += ["-v", f"{images.saved(socket, archive)}:/testbed/{archive}.tar:ro"]
    for mount in mounts:
        argv += ["-v", mount]
    command = ("sh", "-c", _BOOT_UNIFIED) if rootless and not cgroup_v2() else ("/sbin/init",)
    docker(socket, *argv, images.ensure(socket, image), *command)
    _wait_for_boot(socket, container)
    return container


def reboot(socket: str, name: str) -> None:
    """Shut a host of this checkout down and start it again.

    Raises:
        TestbedError: it did not shut down or boot.
    """
    container = _container(name)
    docker(socket, "exec", container, "systemctl", "poweroff", "--no-block")
    docker(socket, "wait", container, timeout=BOOT_SECONDS)
    docker(socket, "start", container)
    _wait_for_boot(socket, container)


def _wait_for_boot(socket: str, container: str) -> None:
    def state() -> str:
        return docker(socket, "exec", container, "systemctl", "is-system-running", check=False)

    # "degraded" is a host whose hardware a container does not have; what a test needs of it, the test checks.
    if not wait_until(lambda: state() in ("running", "degraded"), BOOT_SECONDS):
        log = docker(socket, "logs", "--tail", "10", container)
        raise TestbedError(f"{container} did not boot within {BOOT_SECONDS:.0f} s, its state is {state()!r}\n{log}")


def remove(socket: str, name: str) -> None:
    """Remove a host of this checkout and its volumes. A host that does not exist is not an error."""
    found = docker(socket, "ps", "-aq", "--filter", f"name=^/{_container(name)}$")
    if found:
        docker(socket, "rm", "-f", "-v", found)


def shell(socket: str, name: str, script: str) -> None:
    """Run a script on a host of this checkout. A script that fails, or a host that does not exist, is not an error."""
    docker(socket, "exec", _container(name), "sh", "-c", script, check=False)


def _container(name: str) -> str:
    return f"obx-{CHECKOUT}-{name}"


def environment(socket: str, scenarios: t.Collection[str]) -> dict[str, str]:
    """Build the hosts' images and return the environment Molecule runs in.

    Args:
        scenarios: those that will run; what only others need is not built.
    """
    tags = {name: images.ensure(socket, name) for name in HOST_IMAGES}
    archives = {name: images.saved(socket, name) for name in ("python", "tiny")}
    home = CACHE / "home"
    home.mkdir(parents=True, exist_ok=True)
    env = {
        **docker_environment(socket),
        "OBX_CHECKOUT": CHECKOUT,
        "OBX_IMAGE_PLAIN": tags["debian13"],
        "OBX_IMAGE_DOCKER": tags["debian13-docker"],
        "OBX_IMAGE_PODMAN": tags["debian13-podman"],
        "OBX_ARCHIVES": str(images.TARBALLS),
        "OBX_PYTHON_ARCHIVE": f"/testbed/{archives['python'].name}",
        "OBX_TINY_ARCHIVE": f"/testbed/{archives['tiny'].name}",
        # Molecule and its playbooks leave traces in the home directory: here it is not needed.
        "HOME": str(home),
        "ANSIBLE_HOME": str(ROOT / ".ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_INJECT_FACT_VARS": "false",
        "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
    }
    if not set(ON_CLOUD_HOSTS).isdisjoint(scenarios):
        for release in ("debian12", "debian13"):
            env[f"OBX_IMAGE_{release.upper()}_CLOUD"] = images.ensure(socket, f"{release}-cloud")
    if not set(WITH_STANDINS).isdisjoint(scenarios):
        env["OBX_STANDINS_ARCHIVE"] = f"/testbed/{standins.archive(socket).name}"
    # systemd gets a hierarchy of its own where there is but one; writing to it takes a privileged container.
    unified = cgroup_v2()
    env["OBX_CGROUPNS"] = "private" if unified else "host"
    env["OBX_PRIVILEGED"] = "true" if unified else "false"
    env["OBX_CGROUP_VOLUME"] = "/var/tmp" if unified else "/sys/fs/cgroup:/sys/fs/cgroup:rw"
    return env
