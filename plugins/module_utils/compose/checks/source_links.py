# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse to start a service on a source that another process can redirect with a link."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.mounts import source_links


def changed_inside(service: str, row: t.Mapping[str, t.Any], root: str) -> Problem:
    """The problem with a source that was replaced below a directory that a container can write to.

    The process that replaced it can do so again between this check and a restart, which would follow any link.
    """
    source = shown(row["source"])
    return Problem(
        "source_changed_inside",
        f"service {service}, volume {row['source']}:{row['destination']}",
        f"{source} is no longer the mount of the service ({row['verdict']}). It is below {shown(root)}, where a "
        "container can replace it with a link to any directory of this host, so no deploy restarts the service on "
        f"it. Stop the containers that write there, inspect {source}, and start them again",
    )


def problems(model: Model, engine: Engine, world: World) -> list[Problem]:
    """One problem for each bind whose source leads through a link that root did not create."""
    links = source_links.ForeignLinks.of(engine, world)
    return [
        Problem(
            "source_is_a_link",
            f"service {service.name}, volume {bind.source}:{bind.target}",
            source_links.message(bind.source, link),
        )
        for service in model.services.values()
        for bind in service.binds
        if (link := links.find(bind.source, realpath(bind.source)))
    ]
