# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a probe from a running container: it was started, publishes a port, and is entered."""

from __future__ import annotations

import os
import shutil
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.engine.times import epoch_of

# Programs and settings an engine starts containers with; a later change invalidates the result.
_PROGRAMS = ("docker", "dockerd", "containerd", "podman", "runc", "crun", "conmon", "netavark")
_SETTINGS = (
    "/etc/docker/daemon.json",
    "/etc/containers/containers.conf",
    "/usr/share/containers/containers.conf",
    "/usr/lib/podman/netavark",
)
# Variables of the environment that name another file of settings to Podman.
VARIABLES = ("CONTAINERS_CONF", "CONTAINERS_CONF_OVERRIDE")


def places(drop_in: str, environ: t.Mapping[str, str]) -> list[str]:
    """Files whose change makes a probe necessary again; ``drop_in`` is the one this collection writes."""
    programs = [found for found in map(shutil.which, _PROGRAMS) if found]
    named = [environ[name] for name in VARIABLES if environ.get(name)]
    # Also the folder: only its time shows a removed file.
    return [*programs, *_SETTINGS, *named, drop_in, os.path.dirname(drop_in)]


def last_change(paths: t.Iterable[str]) -> float:
    """When one of ``paths`` last changed, in seconds since 1970; missing ones do not count."""
    changed = 0.0
    for path in paths:
        try:
            changed = max(changed, os.stat(path).st_ctime)
        except OSError:
            continue
    return changed


def by(containers: t.Iterable[Container], since: float) -> bool:
    """Whether one of ``containers`` shows that the engine, as it is since ``since``, runs containers.

    A healthcheck enters the container, and a published port needs the network: a probe tries both.
    """
    return any(
        row.running and row.health == "healthy" and row.ports and epoch_of(row.started_at) > since for row in containers
    )
