# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports for the tests: each is one test's own until its process ends.

A port that the kernel gave out ("bind to 0") is free only as long as it is bound: each connection that a program of
this machine opens afterwards may take it. So these lie below the range the kernel gives out, and a lock on one byte of
a file claims each for this process, whatever happens to it.
"""

from __future__ import annotations

import fcntl
import functools
import random
import socket
import typing as t

from onebox_testbed.base import RUN, TestbedError

# Next to the folder that `testbed.py down` empties: a new file would forget the claims of tests that run.
CLAIMS = RUN.with_suffix(".ports")
# Below what Linux (32768) and macOS (49152) give out, above what services listen on by custom.
RANGE = range(20000, 32000)
_own: set[int] = set()


def claim() -> int:
    """A port without a listener that no other test takes, and no program by chance.

    Raises:
        TestbedError: every port is claimed or has a listener.
    """
    for port in random.sample(RANGE, len(RANGE)):
        # The kernel does not refuse a process its own lock.
        if port not in _own and _lock(port) and not _listens(port):
            _own.add(port)
            return port
    raise TestbedError(f"none of the ports {RANGE.start} to {RANGE.stop - 1} is free: end the tests that still run")


@functools.cache
def _claims() -> t.BinaryIO:
    # Never closed: with one file descriptor of a file a process gives up all its locks on it.
    return CLAIMS.open("ab")


def _lock(port: int) -> bool:
    try:
        fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a connection that was closed a moment ago does not listen.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return True
    return False
