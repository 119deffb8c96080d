# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep another program that reads directories by paths from being led out of them.

restic opens ``a/b/c`` by that name, and whoever may write to ``a`` can put a link to another directory in the place of
``b`` at that moment. The program gets mounts of its own, on which the kernel follows no symbolic link. Reading what a
link says goes on.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import beneath, files, linux

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def forbid_links(directories: t.Sequence[str]) -> str:
    """Forbid links below these directories, and below what others can change on the way to them.

    Counts for the calling thread and the processes it starts, and ends with them.

    Returns:
        Why it could not be done, "" when it was, or when this user is not root and can read no more than its own.
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
            "5.14 or newer, and let the unit have CAP_SYS_ADMIN, or the repository engine files"
        )
    return ""


def _first_of_others(path: str) -> str:
    """The first directory on the way to ``path`` that others can change, else ``path`` itself."""
    place = ""
    for part in path.strip("/").split("/"):
        place = f"{place}/{part}"
        try:
            if not beneath.only_ours(os.lstat(place)):
                return place
        except OSError:
            break
    return path
