# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry for stacks on a Swarm: one run, by the wanted state."""

from __future__ import annotations

from ansible_collections.onebox.stack.plugins.module_utils.compose.result import Result
from ansible_collections.onebox.stack.plugins.module_utils.compose.run import Run
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm.deploy import Back, SwarmDeploy
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm.removal import SwarmRemoval
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem


def preview(run: Run, tolerate_missing: bool) -> Result:
    """What a run would change.

    Args:
        tolerate_missing: see :meth:`SwarmDeploy.preview`.

    Raises:
        ComposeError, EngineError: the stack cannot be inspected, or must not be changed.
    """
    if run.request.state == "present":
        return SwarmDeploy(run).preview(tolerate_missing)
    return Back(run).preview() if run.request.state == "rolled_back" else SwarmRemoval(run).preview()


def info(run: Run) -> tuple[Result, list[Problem]]:
    """The plan, and the problems that would make a deploy refuse.

    Raises:
        ComposeError, EngineError: the stack cannot be inspected.
    """
    return SwarmDeploy(run).info()


def converge(run: Run) -> Result:
    """Bring the stack to the wanted state.

    Raises:
        ComposeError, EngineError: nothing was changed.
    """
    if run.request.state == "present":
        return SwarmDeploy(run).run()
    return Back(run).run() if run.request.state == "rolled_back" else SwarmRemoval(run).run()
