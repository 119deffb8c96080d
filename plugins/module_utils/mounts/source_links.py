# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find bind sources that lead through a link somebody else could have made.

An engine follows links as root when it starts a container. A container that may write to the directory in which a
source lies can put a link to any directory of the host there, and the next start gives it that directory.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import beneath
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import subprocess_pool

_SECONDS = 5.0


class ForeignLinks:
    """The links on the way of bind sources that root did not make.

    Args:
        containers: every container of the host, asked only when a source has a link on its way.
        world: waiting for sources that hang.
    """

    def __init__(self, containers: t.Callable[[], t.Sequence[Container]], world: World) -> None:
        self._containers = containers
        self._world = world
        self._foreign: list[str] | None = None

    @classmethod
    def of(cls, engine: Engine, world: World) -> ForeignLinks:
        """With the containers of one engine."""
        return cls(engine.containers, world)

    def find(self, source: str, real: str) -> str:
        """The link on the way of ``source`` that somebody else could have made, "" without one.

        Args:
            real: the source without links.
        """
        if os.path.normpath(source) == real:
            return ""
        return beneath.foreign_link(source, self._roots())

    def lies_in(self, source: str) -> str:
        """The directory above ``source`` in which a container can replace it by something else, "" without one."""
        place = os.path.normpath(source)
        return next((root for root in self._roots() if place.startswith(os.path.normpath(root) + "/")), "")

    def _roots(self) -> list[str]:
        if self._foreign is None:
            self._foreign = self._writable()
        return self._foreign

    def _writable(self) -> list[str]:
        """Directories of the host in which a container can make names, as they are written and without links."""
        # Whoever may write to the whole host needs no link.
        written = sorted(
            {
                mount.source
                for container in self._containers()
                for mount in container.mounts
                if mount.type in ("bind", "volume") and mount.read_write and mount.source not in ("", "/")
            }
        )
        real = subprocess_pool.each(os.path.realpath, written, _SECONDS, self._world)
        return sorted({*written, *(place for place in real if isinstance(place, str) and place != "/")})


def message(source: str, link: str) -> str:
    """What is wrong with a source that leads through such a link, and what to do. The target is not named: it may be
    the choice of an attacker."""
    return (
        f"{shown(source)} leads through the symbolic link {shown(link)}, which root did not make or which lies where a "
        f"container can make names: a start of the container would follow it to any directory of this host. Find out "
        f"who made it, remove it, put the directory back, and write a source that no container can change"
    )
