# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time for each stack.

``flock`` and not a lock file: the kernel lets go of it when the holder dies, also by ``kill -9``, so there is no stale
lock to break by hand. A compose tool that outlives a killed run goes on holding it, until it has ended.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError, LockHeld


@contextlib.contextmanager
def held(
    path: str,
    *,
    timeout: float,
    user: str,
    purpose: str,
    monotonic: t.Callable[[], float],
    sleep: t.Callable[[float], None],
    now: str,
) -> t.Iterator[tuple[float, int]]:
    """Hold the lock at ``path``; yields the seconds it was waited for, and its descriptor.

    Args:
        timeout: seconds to wait for another holder.
        user: who holds it, for the message another run shows.
        purpose: what for, for the same.
        monotonic: seconds of a clock that never goes back.
        sleep: waits that many seconds.
        now: the time, as it shall be shown.

    Raises:
        LockHeld: another run kept it for longer than ``timeout``.
        ComposeError: the file cannot be made.
    """
    try:
        os.makedirs(os.path.dirname(path), mode=0o750, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise ComposeError(
            f"cannot keep the stack's lock at {path}: {error.strerror}; give a state_dir you may write to"
        ) from error
    try:
        began = monotonic()
        while not _try(descriptor):
            if monotonic() - began >= timeout:
                raise LockHeld(_who(path, timeout))
            sleep(min(0.2, timeout))
        note = json.dumps({"pid": os.getpid(), "user": user, "since": now, "purpose": purpose}) + "\n"
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, note.encode(), 0)
        yield monotonic() - began, descriptor
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def holder(path: str) -> dict[str, t.Any]:
    """What the present holder wrote about itself; empty when nobody holds the lock or it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        if _try(descriptor):
            return {}
        note = json.loads(os.pread(descriptor, 4096, 0) or b"{}")
        return note if isinstance(note, dict) else {}
    except ValueError:
        return {}
    finally:
        os.close(descriptor)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _ended(pid: t.Any) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, TypeError, OverflowError):
        return False
    return False


def _who(path: str, timeout: float) -> str:
    note = holder(path)
    who = "another run"
    if note:
        who = f"pid {note.get('pid')} of user {note.get('user')} ({note.get('purpose')}, since {note.get('since')})"
        if _ended(note.get("pid")):
            who = f"a command that was left running when its run was killed: {who}"
    return (
        f"the stack is locked by {who}; waited {timeout:g} s for {path}. "
        "Wait for that run to end, or raise lock_timeout."
    )
