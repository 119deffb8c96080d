# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who needs Podman's settings of this collection: every container, because Podman reads them at each start."""

from __future__ import annotations

import shutil

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import discover


def of(world: World) -> list[str]:
    """The projects of Podman's containers, running or not, and the names of containers without a project.

    Raises:
        EngineError: Podman is installed and does not answer.
    """
    if shutil.which("podman", path=world.environ.get("PATH")) is None:
        return []
    containers = discover.find("podman", world=world).containers()
    return sorted({container.project or container.name for container in containers})
