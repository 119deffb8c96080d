# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bare Debian 12 machine to try the README on: git, make, python3, a fresh clone of HEAD; no engine, no systemd."""

from __future__ import annotations

import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import types

from onebox_testbed import images
from onebox_testbed.base import CHECKOUT, LABEL, ROOT, run, say
from onebox_testbed.docker import docker, environment

NAME = f"obx-{CHECKOUT}-bare"
CLONE = "onebox.stack"
USER = "someone"
# How this machine reaches its package registries is read at run time and handed on: a machine next to it has that too.
_NETWORK = re.compile(
    r"PIP_\w+|\w+_proxy|\w+_PROXY|(SSL|CURL|REQUESTS|GIT_SSL|AWS|NODE_EXTRA)_\w*(CERT|CA)\w*", re.ASCII
)
_CERTIFICATES = "/opt/testbed-certificates.pem"


def trial(socket: str, command: str, *, user: bool, keep: bool) -> int:
    """Run a shell ``command`` in a fresh clone on a bare machine, its output streamed; returns its exit code."""
    signal.signal(signal.SIGTERM, _leave)
    docker(socket, "rm", "-f", "-v", NAME, check=False)
    try:
        _start(socket)
        home = _clone(socket, user)
        say(f"a bare machine is up; in {home}/{CLONE} it runs: {command}")
        argv = ["docker", "exec", "-w", f"{home}/{CLONE}", *(["-u", USER, "-e", f"HOME={home}"] if user else [])]
        return subprocess.run(
            [*argv, NAME, "bash", "-c", command],
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment(socket)},
            check=False,
        ).returncode
    finally:
        if keep:
            say(f"kept: DOCKER_HOST=unix://{socket} docker exec -it {NAME} bash; docker rm -f -v {NAME}")
        else:
            docker(socket, "rm", "-f", "-v", NAME, check=False)


def _leave(number: int, _frame: types.FrameType | None) -> None:
    sys.exit(128 + number)


def _start(socket: str) -> None:
    settings, folders, files = _pip()
    env = {key: value for key, value in os.environ.items() if _NETWORK.fullmatch(key)}
    certificates = next((value for value in env.values() if os.path.isfile(value)), None)
    # Files are copied, not mounted: installing ca-certificates replaces them, which a mount would refuse.
    env = {key: _CERTIFICATES if os.path.isfile(value) else value for key, value in env.items()}
    folders |= {value for value in env.values() if os.path.isdir(value) and not value.startswith("/etc/")}
    argv = ["run", "-d", "--init", "--name", NAME, "--hostname", "bare", "--label", f"{LABEL}={CHECKOUT}"]
    for capability in ("SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "MKNOD"):
        argv += ["--cap-add", capability]
    argv += ["--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--cgroupns", "host"]
    argv += ["-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw", "-v", "/var/lib/containers"]
    for device in ("/dev/fuse", "/dev/net/tun"):
        argv += ["--device", device] if os.path.exists(device) else []
    for folder in sorted(folders):
        argv += ["-v", f"{folder}:{folder}:ro"]
    for key, value in env.items():
        argv += ["-e", f"{key}={value}"]
    docker(socket, *argv, images.IMAGES["debian12-bare"].tag)
    if certificates:
        docker(socket, "cp", "-L", certificates, f"{NAME}:{_CERTIFICATES}")
    _write(socket, "/etc/pip.conf", settings)
    for source, target in files.items():
        docker(socket, "cp", "-L", source, f"{NAME}:{target}")
    proxies = [line for line in run(["apt-config", "dump"], check=False).stdout.splitlines() if "::Proxy " in line]
    _write(socket, "/etc/apt/apt.conf.d/90testbed", "\n".join([*proxies, ""]))
    # A machine has it writable, a container has not.
    _inside(socket, "mount -o remount,rw /proc/sys")


def _pip() -> tuple[str, set[str], dict[str, str]]:
    """This machine's pip settings as a pip.conf, the local folders they name, and the files: from here to there."""
    lines, folders, files = ["[global]"], set(), {}
    for entry in run([sys.executable, "-m", "pip", "config", "list"], check=False).stdout.splitlines():
        key, _equals, quoted = entry.partition("=")
        section, _dot, option = key.partition(".")
        if section != "global":
            continue
        value = " ".join(shlex.split(quoted))
        for place in re.findall(r"(?:file://)?(/[^\s]+)", value):
            # An index names its files relative to itself, next to the folder "simple".
            folders |= {re.sub(r"/simple/?$", "", place)} if os.path.isdir(place) else set()
        if os.path.isfile(value):
            # Certificates, or a file of constraints.
            files[value] = f"/opt/testbed-pip-{option}"
        lines.append(f"{option} = {files.get(value, value)}")
    return "\n".join([*lines, ""]), folders, files


def _clone(socket: str, user: bool) -> str:
    """Clone HEAD, and nothing that is not committed, into the home of who will run the command; returns that home."""
    with tempfile.TemporaryDirectory(prefix="obx-bare-") as scratch:
        bundle = pathlib.Path(scratch) / "head.bundle"
        run(["git", "-C", str(ROOT), "bundle", "create", "-q", str(bundle), "HEAD"])
        docker(socket, "cp", str(bundle), f"{NAME}:/opt/head.bundle")
    home = f"/home/{USER}" if user else "/root"
    if user:
        _inside(socket, f"useradd -m -s /bin/bash {USER}")
    _inside(socket, f"git -c advice.detachedHead=false clone -q /opt/head.bundle {home}/{CLONE}")
    if user:
        _inside(socket, f"chown -R {USER}: {home}")
    return home


def _inside(socket: str, command: str) -> None:
    docker(socket, "exec", NAME, "sh", "-c", command)


def _write(socket: str, path: str, text: str) -> None:
    docker(socket, "exec", "-i", NAME, "sh", "-c", f"cat >{path}", stdin=text)
