# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the steps of a run took."""

from __future__ import annotations

import contextlib
import typing as t


class Timings:
    """Milliseconds by the name of a step; steps of one name add up.

    Args:
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(self, monotonic: t.Callable[[], float]) -> None:
        self._monotonic = monotonic
        self.ms: dict[str, float] = {}

    def add(self, name: str, seconds: float) -> None:
        """Count ``seconds`` for ``name``."""
        self.ms[name] = round(self.ms.get(name, 0.0) + seconds * 1000, 1)

    @contextlib.contextmanager
    def step(self, name: str) -> t.Iterator[None]:
        """Count the time until the block ends, however it ends."""
        began = self._monotonic()
        try:
            yield
        finally:
            self.add(name, self._monotonic() - began)
