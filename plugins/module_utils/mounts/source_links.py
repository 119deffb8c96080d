# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find bind sources that lead through a link another user could have created.

An engine follows links as root when it starts a container. A container that can write to the parent directory of a
source can create a link to any directory of the host there, and the next start mounts that directory.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import beneath
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import subprocess_pool

_SECONDS = 5.0


class ForeignLinks:
    """The links in the paths of bind sources that root did not create.

    Args:
        containers: every container of the host, queried only if the path of a source contains a link.
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
        """The link in the path of ``source`` that another user could have created, "" without one.

        Args:
            real: the source without links.
        """
        if os.path.normpath(source) == real:
            return ""
        return beneath.foreign_link(source, self._roots())

    def lies_in(self, source: str) -> str:
        """The directory above ``source`` in which a container can replace it, "" without one."""
        place = os.path.normpath(source)
        return next((root for root in self._roots() if place.startswith(os.path.normpath(root) + "/")), "")

    def _roots(self) -> list[str]:
        if self._foreign is None:
            self._foreign = self._writable()
        return self._foreign

    def _writable(self) -> list[str]:
        """Directories of the host in which a container can create names, as written and without links."""
        # A container that can write to the whole host does not need a link.
        written = sorted(
            {
                mount.source
                for container in self._containers()
                for mount in container.mounts
                if mount.type in ("bind", "volume") and mount.read_write and mount.source not in ("", "/")
            }
        )
        real = subprocess_pool.each(realpath, written, _SECONDS, self._world)
        return sorted({*written, *(place for place in real if isinstance(place, str) and place != "/")})


def message(source: str, link: str) -> str:
    """The message about a source that leads through such a link. It does not name the target, which an attacker may
    have chosen."""
    return (
        f"{shown(source)} leads through the symbolic link {shown(link)}, which root did not create or which is in a "
        f"directory where a container can create names: a start of the container would follow it to any directory "
        f"of this host. Check its origin, remove it, restore the directory, and use a source that "
        "no container can change"
    )
