# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The volumes of a stack that no source names."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.volume import find
from ansible_collections.onebox.stack.plugins.module_utils.engine import databases

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
    from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container

_ANONYMOUS = re.compile(r"[0-9a-f]{64}\Z")


def warnings(engine: Engine, specs: t.Sequence[SourceSpec], containers: t.Sequence[Container]) -> list[str]:
    """A warning for each volume that a container of the stack writes to and no source names.

    The volumes of databases count as named: :func:`capture.uncovered` judges their services.

    Args:
        containers: those of the stack.
    """
    servers = {spec.service for spec in specs if spec.service} | {spec.container for spec in specs if spec.container}
    used: dict[str, tuple[str, str]] = {}
    for container in containers:
        if container.service in servers or container.name in servers or databases.is_database(container.image_ref):
            continue
        for mount in container.mounts:
            if mount.type == "volume" and mount.read_write and mount.name:
                used.setdefault(mount.name, (container.service or container.name, mount.destination))
    if not used:
        return []
    from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError

    try:
        keys = {row.name: find.key_of(row) for row in engine.volumes(list(used)).values() if row}
    except EngineError as error:
        return [f"could not check for volumes that no source names: {error}"]
    named = {spec.volume_name for spec in specs} | {name for name in used if keys.get(name) in _keys(specs)}
    return [_text(name, *used[name], keys.get(name, "")) for name in used if name not in named]


def _keys(specs: t.Sequence[SourceSpec]) -> set[str]:
    return {spec.volume for spec in specs if spec.volume}


def _text(name: str, service: str, path: str, key: str) -> str:
    if _ANONYMOUS.match(name):
        return (
            f"service {service} writes to an anonymous volume at {path}, which is not backed up and is lost with its "
            "container. Give it a name in the compose file, and add a source of kind volume to backups_sources"
        )
    option = f"volume: {key}" if key else f"volume_name: {name}"
    return (
        f"volume {name} of service {service} ({path}) is not backed up: no source names it. Add one to "
        f"backups_sources with kind: volume, {option}"
    )
