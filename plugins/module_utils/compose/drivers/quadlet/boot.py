# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The start of a stack of quadlets at boot: by its units, which must be as the compose file declares."""

from __future__ import annotations

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.quadlet.driver import version_of
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.quadlet.rendering import units_of
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.quadlet.units import Units
from ansible_collections.onebox.stack.plugins.module_utils.compose.inspect import Inspection
from ansible_collections.onebox.stack.plugins.module_utils.compose.quadlet.render import unit_name
from ansible_collections.onebox.stack.plugins.module_utils.compose.result import Result
from ansible_collections.onebox.stack.plugins.module_utils.compose.run import Run
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine


def ensure(run: Run, seen: Inspection, engine: Engine, result: Result, *, check: bool) -> None:
    """Write files that somebody changed or removed, and remove those of services that are no longer declared.

    Running containers are not affected. The unit that starts a stack of another tool is removed.

    Args:
        result: filled in: boot, changed, warnings.

    Raises:
        ComposeError: a unit cannot be written.
    """
    removed = run.boot.remove(check=check)
    units = Units(seen.model.project, run.world)
    why = units.missing()
    rendered = units_of(seen.model, seen.source, units.folder, version_of(engine))
    differing = units.differ(rendered)
    if differing and not check:
        wanted = {each.path for each in rendered}
        # A service that is no longer declared, but still runs, needs its unit and the files that its unit reads.
        running = {unit_name(seen.model.project, row.service) for row in seen.facts.containers}
        written = units.write(rendered)
        units.remove(name for name in differing if name not in wanted and name.rpartition(".")[0] not in running)
        units.systemctl("daemon-reload")
        result.warnings += [
            f"{units.path(name)}: was not as the compose file declares, and was written again." for name in written
        ]
    message = why or f"the quadlets in {units.folder} start the stack after a reboot"
    result.boot = {"unit": "", "enabled": not why, "changed": bool(differing), "message": message}
    result.changed = result.changed or removed or bool(differing)
