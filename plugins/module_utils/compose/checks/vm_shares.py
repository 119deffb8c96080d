# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse bind sources that the virtual machine of the containers does not share.

The engine would silently create an empty directory of that name inside the machine.
"""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.vm import shares

_SECONDS = 30.0


def problems(model: Model, machine: shares.Machine, world: World) -> list[Problem]:
    """One problem for each source that no share covers. Unknown shares are left to the proof after the deploy."""
    shared = shares.shares(machine, world, _SECONDS)
    if shared is None:
        return []
    roots = [root for pair in shared for root in (pair[1], realpath(pair[0]))]
    return [
        Problem(
            "vm_not_shared",
            f"service {service.name}, volume {bind.source}:{bind.target}",
            f"{machine.title} shares {', '.join(pair[0] for pair in shared)} and not {bind.source}, so the container "
            f"would have an empty directory. Move it below one of these. Or: {machine.how_to_share(bind.source)}",
        )
        for service in model.services.values()
        for bind in service.binds
        if not _below(bind.source, roots)
    ]


def _below(path: str, roots: t.Iterable[str]) -> bool:
    places = {path, realpath(path)}
    return any(place == root or place.startswith(root.rstrip("/") + "/") for place in places for root in roots)
