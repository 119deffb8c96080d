# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in a child process that may be given up: nothing a disk, a share or a hostile container does can hold us.

A process that waits for a dead network share cannot be interrupted, not even killed before the share answers. So what
could wait is done by a child, and the parent waits for the child only so long.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import time
import typing as t

Item = t.TypeVar("Item")


def each(
    work: t.Callable[[Item], t.Any],
    items: t.Sequence[Item],
    seconds: float,
    *,
    clock: t.Callable[[], float] = time.monotonic,
) -> t.Iterator[t.Any]:
    """Yield ``work(item)`` for each item, made by a child; None for an item that took longer or killed the child.

    Args:
        work: must return what JSON can hold, and must not raise.
        seconds: what one item may take. A child that hangs is left behind and the next item gets a new one.
    """
    done = 0
    while done < len(items):
        child, pipe = _start(work, items[done:])
        try:
            for answer in _answers(pipe, seconds, clock):
                yield answer
                done += 1
        finally:
            os.close(pipe)
            _give_up(child)
        if done < len(items):
            yield None
            done += 1


def _start(work: t.Callable[[Item], t.Any], items: t.Sequence[Item]) -> tuple[int, int]:
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    code = 1
    try:
        gc.disable()  # a collection would touch, and so copy, all memory shared with the parent
        os.setpgid(0, 0)  # so that its own children can be killed with it
        os.close(reading)
        # Should it hang for ever, nobody shall wait for it to close what is ours.
        nothing = os.open(os.devnull, os.O_RDWR)
        for ours in (0, 1, 2):
            os.dup2(nothing, ours)
        for item in items:
            _write_all(writing, json.dumps(work(item)).encode() + b"\n")
        code = 0
    finally:
        # Not sys.exit: what the parent set up (handlers, buffers) must not run twice.
        os._exit(code)


def _answers(pipe: int, seconds: float, clock: t.Callable[[], float]) -> t.Iterator[t.Any]:
    waiting = b""
    deadline = clock() + seconds
    while True:
        line, found, rest = waiting.partition(b"\n")
        if found:
            waiting = rest
            yield json.loads(line)
            deadline = clock() + seconds
            continue
        left = deadline - clock()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            return
        piece = os.read(pipe, 1 << 16)
        if not piece:
            return
        waiting += piece


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _give_up(child: int) -> None:
    """Kill the child with all it started and collect it; one that cannot die is left to the kernel."""
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.kill(child, signal.SIGKILL)
    pause = 0.00005
    while pause < 0.1:
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(child, os.WNOHANG)[0] == 0:
                time.sleep(pause)
                pause *= 1.5
                continue
        return
