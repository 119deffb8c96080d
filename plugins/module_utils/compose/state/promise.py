# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record the mounts and services of a healthy deploy as its promise, for later checks."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.mounts import promised


def of(model: Model, containers: t.Sequence[Container], hosts: t.Sequence[t.Mapping[str, t.Any]]) -> promised.Promise:
    """The promise of a stack.

    Args:
        containers: the containers of the stack, all healthy.
        hosts: the sources of their mounts on the host, as :func:`verify.verify` returns them.
    """
    services = {
        name: promised.Service(service.scale, service.one_shot)
        for name, service in model.services.items()
        if service.scale > 0
    }
    seen = {(row["service"], os.path.normpath(row["destination"])): row for row in hosts}
    mounts: dict[tuple[str, str], promised.Mount] = {}
    for container in containers:
        for mount in container.mounts:
            key = (container.service, os.path.normpath(mount.destination))
            if container.service not in services or mount.type not in ("bind", "volume") or not mount.source:
                continue
            host = seen.get(key, {})
            mounts[key] = promised.Mount(
                service=container.service,
                destination=mount.destination,
                source=mount.source,
                type=mount.type,
                read_only=not mount.read_write,
                kind=str(host.get("kind") or ""),
                disk=host.get("disk") or promised.Disk(),
            )
    return promised.Promise(services, tuple(mounts[key] for key in sorted(mounts)))
