# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count the files in a directory of a container, within limits."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import layers
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, EngineError
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
        engine: lists the changed files of a container whose storage has no directory for them.
        world: the clock.
    """

    def __init__(self, seconds: float, engine: Engine, world: World) -> None:
        self._engine = engine
        self._changes: dict[str, list[dict[str, t.Any]]] = {}
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
        """The files below a path of the container's own layer; none of those of its image.

        Their sizes are unknown if the engine's storage is not an overlay of directories on this host.
        """
        upper = layers.of(container).upper
        if not upper:
            return self._listed(container, path)
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

    def _listed(self, container: Container, path: str) -> Amount:
        if self._deadline <= self._world.monotonic():
            return Amount()
        if container.id not in self._changes:
            try:
                self._changes[container.id] = self._engine.changes(container.id)
            except EngineError:
                return Amount()  # removed meanwhile, or an engine without the list
        top = "/" + path.strip("/")
        found = scan.from_changes(self._changes[container.id], scan.Ignored(()), [top])
        return Amount(found.groups[top].files if top in found.groups else 0)
