# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A temporary directory that is removed at the end, also if the process is killed."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import trees


@contextlib.contextmanager
def directory(suffix: str) -> t.Iterator[str]:
    """Create a private directory. A child of this process removes it if this process is killed.

    Args:
        suffix: the end of the directory's name.

    Raises:
        FileError: it cannot be removed.
    """
    folder = tempfile.mkdtemp(suffix=suffix)
    ours, theirs = socket.socketpair()
    guard = os.fork()
    if guard == 0:
        _guard(folder, theirs, ours)
    theirs.close()
    ours.recv(1)  # from now on a signal to this process and its group does not reach the guard
    try:
        yield folder
    finally:
        try:
            trees.remove_tree(folder)
        finally:
            # Not by closing alone: other children of this process may still have this end open.
            with contextlib.suppress(OSError):
                ours.send(b"x")
            ours.close()
            with contextlib.suppress(ChildProcessError):
                os.waitpid(guard, 0)


def _guard(folder: str, parent: socket.socket, theirs: socket.socket) -> t.NoReturn:
    """Wait for the end of the parent, and remove the directory unless the parent did."""
    try:
        os.setsid()
        theirs.close()
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):  # else the connection stays open as long as this process
            os.dup2(nothing, stream)
        with contextlib.suppress(OSError):
            parent.send(b"r")
        if not parent.recv(1):
            trees.remove_tree(folder)
    finally:
        os._exit(0)
