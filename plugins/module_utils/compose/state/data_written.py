# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Data that a failed version may have changed: a rollback restores files and images, but not data."""

from __future__ import annotations

import json
import os
import stat
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import databases
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container, Mount

_KINDS = ("bind", "volume")


def writable(before: t.Sequence[Container], after: t.Sequence[Container]) -> list[dict[str, str]]:
    """Writable mounts of containers that were started in between, as ``service, source, destination``.

    If any was started, the mounts of the stack's databases count too: an application or a migration writes to them.

    Args:
        before: the containers before the deploy.
        after: the containers after it.
    """
    known = {container.id: container.started_at for container in before}
    started = [each for each in after if each.started_at and known.get(each.id) != each.started_at]
    through = [each for each in after if started and each.running and databases.is_database(each.image_ref)]
    found = {}
    for container in [*started, *through]:
        for mount in container.mounts:
            if mount.read_write and mount.type in _KINDS and not _no_data(mount):
                row = {
                    "service": container.service,
                    "source": f"volume {mount.name}" if mount.type == "volume" and mount.name else mount.source,
                    "destination": mount.destination,
                }
                found[(container.service, mount.destination)] = row
    return [found[key] for key in sorted(found)]


def _no_data(mount: Mount) -> bool:
    """Whether a bind is a socket or a device, which stores no data."""
    try:
        mode = os.stat(mount.source).st_mode
    except OSError:
        return False
    return not (stat.S_ISDIR(mode) or stat.S_ISREG(mode))


def warning(name: str, mounts: t.Sequence[t.Mapping[str, str]], began_at: float, world: World) -> str:
    """The sentence about writable mounts after a rollback; "" when there are none.

    Args:
        name: the stack.
        began_at: when the deploy began, seconds since 1970.
    """
    if not mounts:
        return ""
    return (
        f"The failed version ran before that and may have changed data in {_places(mounts)}. A rollback does not "
        f"restore data, which stays as that version left it.{_way_back(name, began_at, world)}"
    )


def warning_on_request(mounts: t.Sequence[t.Mapping[str, str]]) -> str:
    """The sentence about writable mounts after a rollback on request."""
    return (
        f"The replaced version may have changed data in {_places(mounts)}. A rollback does not restore data, which "
        "stays as that version left it. To restore a backup set from before, run playbooks/restore.yml."
    )


def _places(mounts: t.Sequence[t.Mapping[str, str]]) -> str:
    return ", ".join(f"{row['source']} ({row['service']}: {row['destination']})" for row in mounts)


def _way_back(name: str, began_at: float, world: World) -> str:
    base = "/etc" if world.is_root else os.path.join(world.home, ".config")
    config = os.path.join(base, "onebox", "backup", f"{name}.json")
    folder = _note(config).get("state_dir")
    if not isinstance(folder, str) or not os.path.isabs(folder):
        return ""
    path = os.path.join(folder, "committed.json")
    number = _note(path).get("seq")
    try:
        at = os.stat(path).st_mtime
    except OSError:
        number, at = None, 0.0
    if not isinstance(number, int) or number < 1:
        return " This stack has no backup set yet."
    if at > began_at:
        return f" Backup set {number} is newer than this deploy. Choose an older one for playbooks/restore.yml."
    return (
        f" Backup set {number} is from before this deploy. To restore it:"
        f" ansible-playbook playbooks/restore.yml -l <this host> -e backup_set={number}"
    )


def _note(path: str) -> dict[str, t.Any]:
    try:
        data = json.loads(files.read_text(path) or "{}")
    except (files.FileError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
