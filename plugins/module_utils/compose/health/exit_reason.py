# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a container ended, as text for a person: the meaning of its exit code, and what killed it."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container

_KMSG = "/dev/kmsg"
_KILLED = 137
LIMIT, HOST, NEITHER, UNKNOWN = "limit", "host", "nobody", "unknown"

_OF_MEMORY = {
    LIMIT: "killed because it ran out of memory. Raise its memory limit (mem_limit), or reduce its memory use",
    HOST: "killed because the host ran out of memory. Add memory or swap, or set mem_limit for its services",
    NEITHER: "killed (SIGKILL), but not for lack of memory: by a user, or because it took too long to stop",
    UNKNOWN: "killed (SIGKILL): by a user, or for lack of memory. dmesg on the machine of the containers shows which",
}
_MEANINGS = {
    0: "it ended by itself",
    125: "the engine could not start it",
    126: "its command may not be executed",
    127: "its command was not found",
    134: "it aborted (SIGABRT)",
    139: "it crashed (SIGSEGV)",
    143: "it was stopped (SIGTERM)",
}


def words(container: Container, kernel: t.Callable[[str], str]) -> str:
    """The meaning of its exit code.

    Args:
        kernel: see :func:`kernel_says`. The report of the engine is used first. It is missing where the engine gets no
            events of control groups, and where only another process than the first one was killed.
    """
    code = container.exit_code
    if container.oom_killed:
        return f"exit code {code}: {_OF_MEMORY[LIMIT]}"
    if code == _KILLED:
        return f"exit code {code}: {_OF_MEMORY[kernel(container.id)]}"
    meaning = _MEANINGS.get(code)
    return f"exit code {code}" + (f", {meaning}" if meaning else "")


def kernel_says(identity: str, log: str = _KMSG) -> str:
    """Whether the kernel of this host killed a process of a container for lack of memory.

    Returns:
        :data:`LIMIT` when its own limit was reached, :data:`HOST` when that of the host was, :data:`NEITHER`, and
        :data:`UNKNOWN` where this log does not exist, as on a Mac, or cannot be read.
    """
    found = NEITHER
    try:
        descriptor = os.open(log, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return UNKNOWN
    try:
        for record in _records(descriptor):
            if "oom-kill:" in record and identity in record:
                found = LIMIT if "CONSTRAINT_MEMCG" in record else HOST
    finally:
        os.close(descriptor)
    return found


def _records(descriptor: int) -> t.Iterator[str]:
    """The records of the kernel's log. Each read returns one, and blocks after the last unless O_NONBLOCK is set."""
    while True:
        try:
            data = os.read(descriptor, 8192)
        except BlockingIOError:
            return
        except BrokenPipeError:
            continue  # the record was overwritten in the meantime, and the next read returns its successor
        except OSError:
            return
        if not data:
            return
        yield data.decode("utf-8", "replace")
