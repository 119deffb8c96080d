# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse a compose stack whose services run on a Swarm already."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.engine.membership import STACK_LABEL


def problems(project: str, names: t.Mapping[str, t.Mapping[str, str]]) -> list[Problem]:
    """A refusal if containers of this host belong to a stack of the same name on a Swarm.

    Args:
        project: the compose project.
        names: name -> labels of each container of this host.
    """
    found = sorted(name for name, labels in names.items() if labels.get(STACK_LABEL) == project)
    if not found:
        return []
    message = (
        f"Swarm runs it on this host ({found[0]}), and two stacks must not write to the same data. Remove it there "
        "first: compose_stack_state=absent with compose_stack_target=swarm. Its data stays"
    )
    return [Problem("swarm_runs", f"stack {project}", message)]
