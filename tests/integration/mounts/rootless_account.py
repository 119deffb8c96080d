# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ordinary user with a rootless Podman.

The user exists in a mount namespace of the test, where /etc/passwd and the files of subordinate ids are others: nothing
of the machine is changed. Containers have no network, which is what a user could not give them here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import resource
import shutil
import subprocess
import tempfile
import typing as t

import pytest
from mounts_lab import ADVICE, PREFIX, command

USER, UID = "obxmounts", 47110


@dataclasses.dataclass(frozen=True)
class Account:
    """The user.

    Attributes:
        folder: the user's own.
        words: before a command of root in a new mount namespace where the user exists.
        env: the user's environment.
    """

    folder: pathlib.Path
    words: list[str]
    env: dict[str, str]


@contextlib.contextmanager
def account(*, subordinate: bool) -> t.Iterator[Account]:
    """The user, removed afterwards.

    Args:
        subordinate: whether there are subordinate ids. Without them, the namespace maps root to the user and forbids
            to set groups.
    """
    if shutil.which("newuidmap") is None:
        pytest.fail(f"no newuidmap (Debian package uidmap), which rootless Podman needs; {ADVICE}")
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{PREFIX}-", dir="/var/tmp"))
    folder.chmod(0o755)
    files = {"passwd": f"{USER}:x:{UID}:{UID}::{folder}/home:/bin/sh\n"}
    if subordinate:
        files.update(dict.fromkeys(("subuid", "subgid"), f"{USER}:700000:65536\n"))
    for name, line in files.items():
        there = pathlib.Path("/etc", name)
        (folder / name).write_text((there.read_text() if there.exists() else "") + line)
    for name in ("home", "run"):
        (folder / name).mkdir(mode=0o700)
        os.chown(folder / name, UID, UID)
    limit = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 4096)
    (folder / "containers.conf").write_text(
        f'[containers]\ndefault_ulimits=["nofile={limit}:{limit}","nproc=1024:1024"]\n'
        '[engine]\nruntime="runc"\ncgroup_manager="cgroupfs"\nevents_logger="file"\n'
    )
    mounts = "; ".join(
        f"mount --bind '{folder}/{name}' /etc/{name}" for name in files if pathlib.Path("/etc", name).exists()
    )
    # Shared as on any machine: Podman's own namespace gets later mounts.
    words = ["unshare", "-m", "sh", "-ec", f'mount --make-rshared /; {mounts}; exec "$@"', "sh"]
    env = {
        "PATH": os.environ["PATH"],
        "HOME": f"{folder}/home",
        "XDG_RUNTIME_DIR": f"{folder}/run",
        "CONTAINERS_CONF": f"{folder}/containers.conf",
        "LC_ALL": "C.UTF-8",
    }
    try:
        yield Account(folder, words, env)
    finally:
        # Podman leaves a process behind that holds its user namespace.
        subprocess.run(["pkill", "-KILL", "-U", str(UID)], check=False)
        for mounted in pathlib.Path("/proc/mounts").read_text().splitlines():
            if mounted.split()[1].startswith(f"{folder}/"):
                command("umount", "-l", mounted.split()[1], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def as_user(words: t.Sequence[str]) -> list[str]:
    """A command of root, done as the user."""
    return ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", *words]
