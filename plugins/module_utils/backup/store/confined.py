# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Confine a program that opens paths to its directories.

restic opens ``a/b/c`` by that path, and a user who may write to ``a`` can replace ``b`` by a link to another directory
at that moment. The program runs with its own mounts, on which the kernel does not follow symbolic links. The program
can still read the target of a link.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import beneath, files, linux

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def forbid_links(directories: t.Sequence[str]) -> str:
    """Forbid links below these directories, and below directories on their paths that others can change.

    Applies to the calling thread and the processes it starts.

    Returns:
        The reason of a failure, "" on success. Also "" for a user other than root, who can only read its own files.
    """
    if not directories or os.geteuid() != 0 or not hasattr(os, "O_PATH"):  # not root, or macOS
        return ""
    try:
        linux.private_mounts()
        for path in directories:
            with beneath.open_directory(_first_of_others(path)) as found:
                linux.forbid_links(found.descriptor)
    except (OSError, files.FileError, beneath.UnsafePath) as error:
        return (
            f"restic follows links that others put into {', '.join(directories)} while it reads ({error}). Use Linux "
            "5.14 or newer, and grant the unit CAP_SYS_ADMIN, or use the repository engine files"
        )
    return ""


def _first_of_others(path: str) -> str:
    """The first directory on the way to ``path`` that others can change, else ``path`` itself."""
    current = ""
    for part in path.strip("/").split("/"):
        current = f"{current}/{part}"
        try:
            if not beneath.only_ours(os.lstat(current)):
                return current
        except OSError:
            break
    return path
