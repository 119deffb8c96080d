# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docker compose v2: the installed one, else Debian 13's, unpacked next to the system."""

from __future__ import annotations

import os
import pathlib
import shutil

from onebox_testbed import packages
from onebox_testbed.base import CACHE, TestbedError, run

CONFIG = CACHE / "docker-config"
PACKAGES = ("docker-compose", "docker-buildx")


def environment() -> dict[str, str]:
    """What makes ``docker compose`` work: nothing where it already does, else our DOCKER_CONFIG."""
    return {"DOCKER_CONFIG": str(CONFIG)} if (CONFIG / "cli-plugins" / "docker-compose").exists() else {}


def up() -> None:
    settings = CONFIG / "config.json"
    if settings.exists() and environment() or run(["docker", "compose", "version"], check=False).returncode == 0:
        return
    unpacked = of_suite("trixie")
    plugins = CONFIG / "cli-plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    settings.write_text("{}\n")  # Podman reads it too, and fails where the folder is named and the file is not there
    for place in sorted(unpacked.glob("usr/lib*/docker/cli-plugins/docker-*")):
        link = plugins / place.name
        link.unlink(missing_ok=True)
        link.symlink_to(place)
    version()


def of_suite(suite: str) -> pathlib.Path:
    """The unpacked packages of one Debian suite: trixie has Compose 2.26.1, sid a later one."""
    place = CACHE / f"compose-{suite}"
    if not place.is_dir():
        if shutil.which("dpkg-deb") is None:
            raise TestbedError("docker compose v2 is missing and this is no Debian: install the compose plugin")
        packages.unpack(suite, PACKAGES, place)
    return place


def plugin(suite: str) -> pathlib.Path:
    """The docker-compose of one Debian suite, which also runs without the docker command."""
    return sorted(of_suite(suite).glob("usr/lib*/docker/cli-plugins/docker-compose"))[0]


def version() -> str:
    env = {**os.environ, **environment()}
    return run(["docker", "compose", "version", "--short"], env=env).stdout.strip()
