# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages: install what is missing, or unpack one next to the system from a newer suite."""

from __future__ import annotations

import contextlib
import glob
import os
import pathlib
import re
import shutil
import typing as t

from onebox_testbed.base import CACHE, TestbedError, run, step, systemd_is_init

POLICY = pathlib.Path("/usr/sbin/policy-rc.d")
MARK = "# written by the testbed of onebox.stack for the time of an installation"


def installed(package: str) -> bool:
    result = run(["dpkg-query", "-W", "-f", "${Status}", package], check=False)
    return result.stdout.endswith(" installed")


def ensure(*packages: str) -> None:
    """Install those ``packages`` that are missing; services they bring are not started.

    Raises:
        TestbedError: there is no apt-get, we are not root, or the installation failed.
    """
    if not shutil.which("apt-get"):
        raise TestbedError(f"this machine has no apt-get; install {', '.join(packages)} by hand and run this again")
    missing = [package for package in packages if not installed(package)]
    if not missing:
        return
    if os.geteuid() != 0:
        raise TestbedError(f"packages are missing; type: sudo apt-get install {' '.join(missing)}")
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120", *missing]
    with step(f"apt-get install {' '.join(missing)}"), _services_left_alone():
        if not glob.glob("/var/lib/apt/lists/*_Packages*"):
            run(["apt-get", "update", "-q"], env=env)
        if run(command, env=env, check=False).returncode != 0:
            run(["apt-get", "update", "-q"], env=env)  # the lists may be older than the mirror
            run(command, env=env)


@contextlib.contextmanager
def _services_left_alone() -> t.Iterator[None]:
    """Keep a package's maintainer script from starting a daemon that would keep running."""
    theirs = POLICY.exists() and MARK not in POLICY.read_text()
    if systemd_is_init() or theirs:
        yield  # a real system manages its services, and an existing policy must not be replaced
        return
    POLICY.write_text(f"#!/bin/sh\n{MARK}\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


def debian_mirror() -> str | None:
    """The URI of the Debian archive this machine's own apt uses; None when it uses none (Ubuntu, for one)."""
    for entry in run(["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)"], check=False).stdout.splitlines():
        site, _space, suite = entry.partition(" ")
        if re.fullmatch(r"bookworm|trixie|forky|sid|stable|testing|unstable|oldstable", suite):
            return site
    return None


def unpack(suite: str, packages: t.Sequence[str], into: pathlib.Path) -> None:
    """Unpack ``packages`` of another Debian ``suite`` below ``into``; the system's own apt state is not touched."""
    mirror = debian_mirror()
    if mirror is None:
        raise TestbedError(f"this machine's apt has no Debian archive to take {', '.join(packages)} of {suite} from")
    state = CACHE / "apt" / suite
    for folder in ("lists/partial", "archives/partial", "sources.list.d"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    (state / "sources.list").write_text(f"deb {mirror} {suite} main\n")
    options = {
        "Dir::State::lists": f"{state}/lists",
        "Dir::Etc::sourcelist": f"{state}/sources.list",
        "Dir::Etc::sourceparts": f"{state}/sources.list.d",
        "Dir::Cache": str(state),
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-q", *(part for key, value in options.items() for part in ("-o", f"{key}={value}"))]
    with step(f"unpacking {', '.join(packages)} of {suite} beside the system"):
        run([*apt, "update"])
        scratch = into.with_name(into.name + ".part")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        # apt-get download writes into the working directory.
        run(["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", str(scratch), *apt, "download", *packages])
        for package in sorted(scratch.glob("*.deb")):
            run(["dpkg-deb", "-x", str(package), str(scratch)])
            package.unlink()
        shutil.rmtree(into, ignore_errors=True)
        scratch.rename(into)
        shutil.rmtree(state)
