# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time: a lock that no killed run leaves behind.

``flock`` on an open file: the kernel releases it with the last process that has the file open, also after ``kill -9``.
There is no stale lock to remove manually and no process id to mistake for another. A command that outlives a killed run
keeps the lock if it inherited the descriptor, so that the next run waits for its end.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

_INTERVAL = 0.2


class LockHeld(OneboxError):
    """Another run kept the lock for longer than the timeout."""


class LockError(OneboxError):
    """The lock file cannot be used."""


class Held(t.NamedTuple):
    """A lock this process holds: its descriptor, and the seconds it waited for it."""

    descriptor: int
    waited: float


@contextlib.contextmanager
def held(path: str, *, purpose: str, timeout: float, world: World, mode: int = 0o600) -> t.Iterator[Held]:
    """Hold the lock file at ``path`` while the block runs. Its directory must exist.

    Args:
        path: the lock file; it is created when it is missing and never removed.
        purpose: of this run, for the message of a run that finds the lock held.
        timeout: seconds to wait for another holder.
        world: clock, waiting and the user's name.
        mode: mode of a new lock file.

    Raises:
        LockHeld: another run kept it for longer than ``timeout``.
        LockError: the file cannot be created, is a link, or has a second name.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    except OSError as error:
        reason = "it is a link" if error.errno == errno.ELOOP else error.strerror
        raise LockError(
            f"{path}: the lock file cannot be opened ({reason}). Use a directory you may write to."
        ) from error
    try:
        if os.fstat(descriptor).st_nlink != 1:
            # Writing a note into it would change the other file.
            raise LockError(f"{path}: the lock file is a hard link of another file. Inspect and remove it.")
        began = world.monotonic()
        if not world.wait_until(lambda: _try_lock(descriptor), timeout, _INTERVAL):
            raise LockHeld(
                f"{path} is locked by {_describe(_note(descriptor))}; waited {timeout:g} s. Wait for its end."
            )
        note = {"pid": os.getpid(), "user": world.user, "since": world.now(), "purpose": purpose}
        # The lock counts, not the note: on a full disk the run continues, and reports the lack of space itself.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, (json.dumps(note) + "\n").encode(), 0)
        yield Held(descriptor, world.monotonic() - began)
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def directory_held(path: str, *, timeout: float, world: World) -> t.Iterator[None]:
    """Hold a directory itself as the lock: nothing is left in it.

    Raises:
        LockHeld: another run kept it for longer than ``timeout``.
        LockError: ``path`` cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise LockError(f"{path}: the directory cannot be locked ({error.strerror})") from error
    try:
        if not world.wait_until(lambda: _try_lock(descriptor), timeout, _INTERVAL):
            raise LockHeld(f"{path} is locked by another run; waited {timeout:g} s. Wait for its end.")
        yield
    finally:
        os.close(descriptor)


def holder(path: str) -> dict[str, t.Any]:
    """The note of the present holder: ``pid, user, since, purpose``. Empty when the lock is free or unreadable."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        return {} if _try_lock(descriptor) else _note(descriptor)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    """Lock an open file without waiting. Returns whether this process holds it now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True


def _note(descriptor: int) -> dict[str, t.Any]:
    try:
        note = json.loads(os.pread(descriptor, 4096, 0) or b"{}")
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _describe(note: t.Mapping[str, t.Any]) -> str:
    if not note:
        return "another run"
    who = f"process {note.get('pid')} of user {note.get('user')} ({note.get('purpose')}, since {note.get('since')})"
    if _ended(note.get("pid")):
        return f"a command that a killed run left behind: {who}"
    return who


def _ended(pid: t.Any) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, TypeError, OverflowError):
        return False
    return False
