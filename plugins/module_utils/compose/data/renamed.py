# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Warn if a stack starts on new volumes while those of another project name hold its data."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.data import declared, moved
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import resources
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import state_file
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.membership import project_of
from ansible_collections.onebox.stack.plugins.module_utils.engine.resources import Volume

VOLUME_LABEL = "com.docker.compose.volume"


def warnings(
    model: Model,
    found: resources.Found,
    engine: Engine,
    running: t.Collection[str],
    state_dir: str,
    world: World,
) -> list[str]:
    """One warning for each project that has volumes of the same keys with data, and no containers.

    Args:
        found: the volumes on the engine that the model declares.
        running: projects that have containers.
        state_dir: where the records of stacks lie.
    """
    bodies = resources.declared(model, "volume")
    missing = {
        key: body["name"]
        for key, body in bodies.items()
        if not body.get("external") and found.volumes.get(body["name"]) is None
    }
    if not missing or any(found.volumes.get(body["name"]) is not None for body in bodies.values()):
        return []
    others: dict[str, dict[str, Volume]] = {}
    for volume in engine.all_volumes():
        owner = project_of(volume.labels)
        key = volume.labels.get(VOLUME_LABEL) or volume.name[len(owner) + 1 :]
        if owner and owner not in running and owner != model.project and key in missing:
            others.setdefault(owner, {})[key] = volume
    # A stack of another name in another directory is another stack, whatever its volumes are called.
    same = {
        owner: volumes
        for owner, volumes in others.items()
        if set(volumes) == set(missing) and _directory(state_dir, owner) in ("", realpath(model.project_dir))
    }
    known = moved.states(
        sorted(filter(None, (declared.directory_of(one) for each in same.values() for one in each.values()))), world
    )
    made = []
    for owner, volumes in same.items():
        full = [one for one in volumes.values() if known.get(declared.directory_of(one)) == moved.FULL]
        if full:
            made.append(_warning(model.project, owner, full, engine.name))
    return made


def _warning(project: str, owner: str, full: t.Sequence[Volume], engine: str) -> str:
    names = ", ".join(sorted(one.name for one in full))
    first = full[0]
    key = first.labels.get(VOLUME_LABEL) or first.name[len(owner) + 1 :]
    return (
        f"project {project}: its volumes do not exist yet, and {names} of project {owner}, which has no containers, "
        f"hold data. If this stack ran as {owner} before, it would start without that data. To use it, write "
        f"`name: {first.name}` and `external: true` below volumes.{key} in the compose file, or deploy under the name "
        f"{owner}. If {owner} is another stack, remove its volumes when you no longer need them: "
        f"`{engine} volume rm {names.replace(',', '')}`"
    )


def _directory(state_dir: str, project: str) -> str:
    """The directory that a stack of this name was deployed from, "" without a record."""
    found = state_file.load(os.path.join(state_dir, project)).get("project_dir")
    return realpath(str(found)) if found else ""
