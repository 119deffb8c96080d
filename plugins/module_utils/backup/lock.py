# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One lock for the timer, the manual run, the rehearsal and the restore of a stack.

flock on an open file: the kernel drops it with the last process that has the file open, so that there is no stale lock
to block for days, and no process id to mistake for another. restic inherits it: when the runner alone is killed, its
restic goes on reading the staged files, and the next run must not put others in their place.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import time
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import Busy, StoreError


@contextlib.contextmanager
def held(path: str, what: str, wait: float = 0.0, clock: t.Callable[[], float] = time.monotonic) -> t.Iterator[int]:
    """Hold the lock at ``path`` while the block runs; gives its descriptor.

    Args:
        what: what this run does, told to whoever finds the lock taken.
        wait: seconds to wait for another run to end.

    Raises:
        Busy: another run holds it; the text says which.
        StoreError: somebody planted a hard link there.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(fd).st_nlink != 1:
            raise StoreError(f"{path} is another name of some other file; remove it after a look, nothing was written")
        deadline = clock() + wait
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise
                if clock() >= deadline:
                    raise Busy(f"busy: {_holder(fd)}; wait for it, or try again with a longer wait") from None
                time.sleep(0.2)
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps({"pid": os.getpid(), "what": what}).encode(), 0)
        yield fd
    finally:
        os.close(fd)


def _holder(fd: int) -> str:
    try:
        note = json.loads(os.pread(fd, 4096, 0))
        return f"a {note['what']} runs (process {note['pid']})"
    except (ValueError, KeyError, TypeError):
        return "another run holds the lock"
