# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a container ended, in words for a person: what its exit code means, and who killed it."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container

_KMSG = "/dev/kmsg"
_KILLED = 137
LIMIT, HOST, NOBODY, UNKNOWN = "limit", "host", "nobody", "unknown"

_OF_MEMORY = {
    LIMIT: "killed because it ran out of memory; raise its memory limit (mem_limit) or make it need less",
    HOST: "killed because the host ran out of memory; give it more, or swap, or its services a limit (mem_limit)",
    NOBODY: "killed (SIGKILL), and not for lack of memory: somebody killed it, or it took longer to end than it may",
    UNKNOWN: "killed (SIGKILL): by somebody, or for lack of memory, which dmesg tells on the machine containers run on",
}
_MEANINGS = {
    0: "it ended by itself",
    125: "the engine could not start it",
    126: "its command may not be executed",
    127: "its command was not found",
    134: "it aborted (SIGABRT)",
    139: "it crashed (SIGSEGV)",
    143: "it was asked to end (SIGTERM)",
}


def words(container: Container, kernel: t.Callable[[str], str]) -> str:
    """What its exit code means.

    Args:
        kernel: see :func:`kernel_says`. The engine's own word is taken first; it knows nothing where the engine gets no
            events of control groups, and where only a process beside the first one was killed.
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
        :data:`LIMIT` when its own was reached, :data:`HOST` when the host's was, :data:`NOBODY` for not at all, and
        :data:`UNKNOWN` where there is no such log, as on a Mac, or it may not be read.
    """
    found = NOBODY
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
    """Each read of the kernel's log gives one record; it blocks at the last, unless told not to."""
    while True:
        try:
            data = os.read(descriptor, 8192)
        except BlockingIOError:
            return
        except BrokenPipeError:
            continue  # the record was overwritten meanwhile: the next one is there
        except OSError:
            return
        if not data:
            return
        yield data.decode("utf-8", "replace")
