# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the steps of a run took."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


class Timings:
    """Milliseconds by the name of a step; steps of one name add up.

    Args:
        world: its clock.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.ms: dict[str, float] = {}

    def add(self, name: str, seconds: float) -> None:
        """Count ``seconds`` for ``name``."""
        self.ms[name] = round(self.ms.get(name, 0.0) + seconds * 1000, 1)

    @contextlib.contextmanager
    def step(self, name: str) -> t.Iterator[None]:
        """Count the time until the block ends, however it ends."""
        began = self._world.monotonic()
        try:
            yield
        finally:
            self.add(name, self._world.monotonic() - began)
