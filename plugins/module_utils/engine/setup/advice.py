# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Advice for an engine that is installed but does not answer."""

from __future__ import annotations

import os
import shutil
import typing as t

Which = t.Callable[[str], t.Optional[str]]
Read = t.Callable[[str], str]


def has_systemd() -> bool:
    return os.path.isdir("/run/systemd/system")


def dead_docker(error: str, systemd: bool, which: Which = shutil.which) -> str:
    """The advice if Docker is installed but does not answer; "" if it is not installed.

    Args:
        error: the error of its sockets.
        systemd: whether systemd manages services here.
    """
    if which("dockerd") is None:
        return ""
    if "ermission denied" in error:
        return (
            "Docker runs, but this user may not use its socket. Run: sudo usermod -aG docker $USER, log in again, and "
            "run this again; or choose container_engine_name: podman, which does not need this permission"
        )
    start = "sudo systemctl start docker" if systemd else "sudo sh -c 'dockerd >/var/log/dockerd.log 2>&1 &'"
    return (
        f"Docker is installed, but its daemon does not answer. Run: {start}, and run this again; "
        "or choose container_engine_name: podman, which does not need a daemon"
    )


def rootless(user: str, read: Read, which: Which = shutil.which, may_tunnel: bool = True) -> list[str]:
    """The obstacles to rootless Podman here, each with its fix.

    Args:
        user: the name of the user.
        read: returns the text of a file, "" without one.
        may_tunnel: whether the user may open ``/dev/net/tun``, by which rootless networks reach the host.
    """
    found = []
    if not may_tunnel:
        found.append("/dev/net/tun cannot be opened: sudo modprobe tun; sudo chmod 666 /dev/net/tun")
    if which("newuidmap") is None:
        found.append("newuidmap is missing: sudo apt-get install uidmap")
    for path in ("/etc/subuid", "/etc/subgid"):
        if not any(line.startswith(f"{user}:") for line in read(path).splitlines()):
            option = "--add-subuids" if path.endswith("uid") else "--add-subgids"
            found.append(f"{path} has no range for {user}: sudo usermod {option} 100000-165535 {user}")
    for path, off in (
        ("/proc/sys/user/max_user_namespaces", "0"),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
    ):
        if read(path).strip() == off:
            name = path[len("/proc/sys/") :].replace("/", ".")
            value = "15000" if name.startswith("user.") else "1"
            found.append(f"user namespaces are off: sudo sysctl -w {name}={value}")
    return found


def read_text(path: str) -> str:
    """The text of a file, "" when it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""
