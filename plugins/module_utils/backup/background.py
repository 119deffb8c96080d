# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A call in a thread, during the wait for another program."""

from __future__ import annotations

import threading
import typing as t

T = t.TypeVar("T")


class Background(t.Generic[T]):
    """A call in a thread. :meth:`join` raises its error."""

    def __init__(self, work: t.Callable[[], T]) -> None:
        self._result: list[T] = []
        self._error: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def _run(self, work: t.Callable[[], T]) -> None:
        try:
            self._result.append(work())
        except BaseException as error:  # join() raises it
            self._error.append(error)

    def join(self) -> T:
        """Wait for the end and return the result of the call."""
        self._thread.join()
        if self._error:
            raise self._error[0]
        return self._result[0]
