# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in a child process that can be abandoned, so that a disk, a share or a hostile container cannot block the check.

A process that waits for a dead network share cannot be interrupted or killed before the share answers. So a child
does the work that could wait, and the parent waits for the child with a time limit.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import tempfile
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

Item = t.TypeVar("Item")


@dataclass(frozen=True)
class Failure:
    """An item whose work raised an error. It did not hang."""

    text: str


def each(
    work: t.Callable[[Item], t.Any],
    items: t.Sequence[Item],
    seconds: float,
    world: World,
) -> t.Iterator[t.Any]:
    """Yield ``work(item)`` for each item, computed by a child; None for an item that took too long or killed the child.

    An exception of ``work`` is yielded as a :class:`Failure`.

    Args:
        work: must return JSON data.
        seconds: limit for one item, noticed after twice that at the latest. A hanging child is
            abandoned and the next item gets a new one.
        world: waiting for the end of a killed child.
    """
    done = 0
    while done < len(items):
        with _scratch() as answers:
            child, ended = _start(work, items[done:], answers)
            try:
                _wait(ended, answers, seconds)
            finally:
                os.close(ended)
                _give_up(child, world)
            complete = os.pread(answers, os.fstat(answers).st_size, 0).split(b"\n")[:-1]
        for line in complete:
            answer = json.loads(line)
            yield Failure(answer["failure"]) if "failure" in answer else answer["done"]
        done += len(complete)
        if done < len(items):
            yield None
            done += 1


@contextlib.contextmanager
def _scratch() -> t.Iterator[int]:
    """A descriptor of a nameless file, in memory if possible."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("onebox-answers")
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    else:
        with tempfile.TemporaryFile() as stream:
            yield stream.fileno()


def _start(work: t.Callable[[Item], t.Any], items: t.Sequence[Item], answers: int) -> tuple[int, int]:
    """Fork the child. Returns it and a descriptor that becomes readable when it has ended."""
    ended, alive = os.pipe()
    child = os.fork()
    if child:
        os.close(alive)
        return child, ended
    code = 1
    try:
        gc.disable()  # a collection would touch, and so copy, all memory shared with the parent
        os.setpgid(0, 0)  # so that its own children can be killed with it
        # If it hangs forever, no process must wait for it to close our descriptors.
        nothing = os.open(os.devnull, os.O_RDWR)
        for ours in (0, 1, 2):
            os.dup2(nothing, ours)
        for item in items:
            # Into a file and not through a pipe, so that the parent is not woken for each.
            _write_all(answers, json.dumps(_answer(work, item)).encode() + b"\n")
        code = 0
    finally:
        # Not sys.exit: handlers and buffers of the parent must not run twice.
        os._exit(code)


def _answer(work: t.Callable[[Item], t.Any], item: Item) -> dict[str, t.Any]:
    try:
        return {"done": work(item)}
    except Exception as error:
        # Any error: one caused by a hostile container must not count as a hanging disk.
        return {"failure": f"{type(error).__name__}: {error}"}


def _wait(ended: int, answers: int, seconds: float) -> None:
    """Until the child has ended, or has not come forward for ``seconds``."""
    size = -1
    while not select.select([ended], [], [], seconds)[0]:
        before, size = size, os.fstat(answers).st_size
        if size == before or (size == 0 and before == -1):
            return


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


_last_given_up = [0]


def given_up() -> int:
    """The process that hung last, which may still be there; 0 for none."""
    return _last_given_up[0]


def _give_up(child: int, world: World) -> None:
    """Kill the child with all it started and collect it; one that cannot die is left to the kernel."""
    _last_given_up[0] = child
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.kill(child, signal.SIGKILL)
    pause = 0.00005
    while pause < 0.1:
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(child, os.WNOHANG)[0] == 0:
                world.sleep(pause)
                pause *= 1.5
                continue
        return
