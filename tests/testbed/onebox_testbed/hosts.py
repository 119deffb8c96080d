# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What molecule.yml's variables stand for on this machine."""

from __future__ import annotations

import os
import typing as t

from onebox_testbed import images, standins
from onebox_testbed.base import CACHE, CHECKOUT, ROOT, cgroup_v2
from onebox_testbed.docker import environment as docker_environment

HOST_IMAGES = ("debian13", "debian13-docker", "debian13-podman")
# What only these scenarios need: hosts as a cloud gives them, and stand-ins for public images.
ON_CLOUD_HOSTS = ("host_baseline",)
WITH_STANDINS = ("coinpilot", "observer", "omnivibe")


def run_arguments() -> list[str]:
    """What ``docker run`` needs for a host whose first process is systemd and that runs an engine of its own."""
    argv = ["--tmpfs", "/run", "--tmpfs", "/tmp", "-v", "/var/lib/docker"]
    for capability in ("SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "MKNOD"):
        argv += ["--cap-add", capability]
    argv += ["--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"]
    if cgroup_v2():
        return [*argv, "--cgroupns", "private", "--privileged"]
    return [*argv, "--cgroupns", "host", "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw"]


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
        # Molecule and its playbooks leave traces in the home directory: here nobody misses it.
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
