# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill a process at each of its changes to the disk, as kill -9 does."""

from __future__ import annotations

import os
import signal
import typing as t

# Functions that change the disk, and every open: a process can die before each of them.
MUTATING = (
    "open", "write", "fsync", "rename", "replace", "mkdir", "unlink", "rmdir", "symlink",
    "chmod", "chown", "fchmod", "fchown",
)  # fmt: skip


def lives(step: int, work: t.Callable[[], t.Any]) -> bool:
    """Do ``work`` in a child that is killed before its ``step``-th change to the disk. True if it ended by itself."""
    child = os.fork()
    if child == 0:
        left = [step]

        def count() -> None:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

        for name in MUTATING:
            real = getattr(os, name)

            def counted(*args: t.Any, real: t.Any = real, **kwargs: t.Any) -> t.Any:
                count()
                return real(*args, **kwargs)

            setattr(os, name, counted)
        real_fdopen = os.fdopen

        def fdopen(descriptor: int, mode: str = "r", *args: t.Any, **kwargs: t.Any) -> t.Any:
            # Opening a stream counts as its write, which cannot be replaced: the file is still empty.
            if "w" in mode:
                count()
            return real_fdopen(descriptor, mode, *args, **kwargs)

        os.fdopen = fdopen  # type: ignore[assignment]
        try:
            work()
        finally:
            os._exit(0)
    return not os.WIFSIGNALED(os.waitpid(child, 0)[1])
