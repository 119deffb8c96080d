# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The start of a stack of quadlets at boot: by its units, which must be as the compose file declares."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.quadlet.driver import version_of
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.quadlet.rendering import units_of
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.quadlet.units import Units
from ansible_collections.onebox.stack.plugins.module_utils.compose.inspect import Inspection
from ansible_collections.onebox.stack.plugins.module_utils.compose.quadlet.render import unit_name
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine


def ensure(seen: Inspection, engine: Engine, world: World, *, check: bool) -> dict[str, t.Any]:
    """Write units that somebody changed or removed, and remove those of services that are no longer declared.

    Running containers are not affected.

    Returns:
        As ``Boot.ensure``.

    Raises:
        ComposeError: a unit cannot be written.
    """
    units = Units(seen.model.project, world)
    why = units.missing()
    rendered = units_of(seen.model, seen.source, units.folder, version_of(engine))
    differing = units.differ(rendered)
    if differing and not check:
        wanted = {each.path for each in rendered}
        running = {f"{unit_name(seen.model.project, row.service)}.container" for row in seen.facts.containers}
        units.write(rendered)
        units.remove(name for name in differing if name not in wanted and name not in running)
        units.systemctl("daemon-reload")
    message = why or f"the quadlets in {units.folder} start the stack after a reboot"
    return {"unit": "", "enabled": not why, "changed": bool(differing), "message": message}
