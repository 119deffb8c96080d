# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run checks within a time limit: a hung mount, engine or command becomes an answer with the key ``error``."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import subprocess_pool
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import Facts

# Less than this is not worth a child process.
_LEAST = 0.2
Probe = t.Callable[[], Facts]


class Bounded:
    """Runs probes, each in a child process, within one budget of seconds for all of them.

    Attributes:
        cut_short: names of the probes that took too long, or for which no time was left.
    """

    def __init__(self, budget: float, world: World) -> None:
        self._end = world.monotonic() + budget
        self._budget = budget
        self._world = world
        self.cut_short: list[str] = []

    def ask(self, name: str, probe: Probe, seconds: float) -> dict[str, t.Any]:
        """The answer of ``probe``, or a mapping with ``error``.

        Args:
            name: names the probe in :attr:`cut_short`.
            probe: returns what JSON can hold.
            seconds: its time limit.
        """
        left = min(seconds, self._end - self._world.monotonic())
        if left < _LEAST:
            self.cut_short.append(name)
            return {"error": f"not checked: the {self._budget:g} s of this run were used up", "hung": True}
        # The pool notices a child that hangs after twice the seconds it is given.
        (answer,) = subprocess_pool.each(lambda _item: probe(), [None], left / 2, self._world)
        if answer is None:
            self.cut_short.append(name)
            return {"error": f"no answer within {left:.0f} s", "hung": True}
        if isinstance(answer, subprocess_pool.Failure):
            kind, _colon, text = answer.text.partition(": ")
            return {"error": text if kind.endswith("Error") and text else answer.text}
        return dict(answer)
