# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry of layouts. A layout is a container with mounts, processes and users, and the verdicts that are correct.

A layout returns the container, the directory on the host in which the application's data should appear, and the process
that uses it (0: the newest one). ``ok`` in its verdicts means that the application can use its data.
"""

from __future__ import annotations

import pathlib
import shlex
import typing as t

from truth import Lab

Made = tuple[str, pathlib.Path, int]
# Podman here has no init for --init.
ONLY_DOCKER = ("init_of_engine", "init_of_engine_owner")
LAYOUTS: dict[str, tuple[t.Callable[[Lab], Made], tuple[str, ...], str]] = {}
APP = ("python3", "-u", "/t/app.py")
RUN = "python3 -u /t/app.py"
AS_1000 = ("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups")
ADMIN = ("--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined", "--security-opt", "seccomp=unconfined")


def init(*argv: str, name: str = "tini") -> tuple[str, ...]:
    """The command that starts ``argv`` through an init."""
    return (f"/t/{name}", "-c", f"{shlex.join(argv)}; true")


def layout(*verdicts: str, mode: str = "write") -> t.Callable[[t.Callable[[Lab], Made]], t.Callable[[Lab], Made]]:
    """Register a layout with its correct verdicts and the access that the application tries."""

    def add(make: t.Callable[[Lab], Made]) -> t.Callable[[Lab], Made]:
        LAYOUTS[make.__name__] = (make, verdicts, mode)
        return make

    return add
