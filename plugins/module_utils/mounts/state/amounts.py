# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count the files in a directory of a container, within limits."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import syscalls
from ansible_collections.onebox.stack.plugins.module_utils.mounts.unpersisted import scan

# A directory with more entries than this is reported as one with at least as many.
ENTRIES = 50_000


@dataclass(frozen=True)
class Amount:
    """The files found. All are None if the directory could not be read."""

    files: int | None = None
    bytes: int | None = None
    complete: bool = True


class Counter:
    """Counts within one time limit for all directories.

    Args:
        seconds: the limit.
        world: the clock.
    """

    def __init__(self, seconds: float, world: World) -> None:
        self._deadline = world.monotonic() + seconds
        self._world = world

    def directory(self, path: str) -> Amount:
        """The files below a directory of the host."""
        left = self._deadline - self._world.monotonic()
        if not path or left <= 0:
            return Amount()
        try:
            found = scan.walk(path, scan.Ignored(()), ["/"], entries=ENTRIES, seconds=left, world=self._world)
        except OSError:
            return Amount()
        groups: t.Iterable[scan.Group] = found.groups.values()
        pairs = [(group.files, group.bytes) for group in groups]
        return Amount(sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs), found.complete)

    def layer(self, container: Container, path: str) -> Amount:
        """The files below a path of the container's own layer; none of those of its image."""
        upper = upper_of(container)
        if not upper:
            return Amount()
        try:
            top = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return Amount()
        try:
            found = syscalls.open_in_root(top, path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return Amount(0, 0)
        finally:
            os.close(top)
        try:
            return self.directory(f"/proc/self/fd/{found}")
        finally:
            os.close(found)


def upper_of(container: Container) -> str:
    """The host's directory of the container's own layer, "" on other storage than overlay."""
    return str(((container.raw.get("GraphDriver") or {}).get("Data") or {}).get("UpperDir") or "")
