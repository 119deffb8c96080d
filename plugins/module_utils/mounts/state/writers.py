# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the directories that the processes of a container write to, without a question to the container.

A server keeps its files open, and most database servers run in their data directory. Both are links in ``/proc``, with
the paths that the process sees.
"""

from __future__ import annotations

import contextlib
import os
import stat
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.groups import Member
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state import servers

# A container with more processes or open files than this is reported with the findings until then.
_MOST_PROCESSES = 100
_MOST_FILES = 2000
_MOST_DIRECTORIES = 100
# Logs and files that only coordinate processes are not data.
_PASSING = (".log", ".pid", ".lock", ".sock", "/nohup.out")
_NO_DATA = ("/dev/", "/proc/", "/sys/", "/memfd:")


def by(members: t.Iterable[Member]) -> dict[str, dict[str, t.Any]]:
    """The directories of open files and of servers, as JSON data.

    Returns:
        ``open``: number of files open for writing by directory. ``homes``: program by the directory it runs in.
    """
    opened: dict[str, int] = {}
    homes: dict[str, str] = {}
    left = _MOST_FILES
    for member in list(members)[:_MOST_PROCESSES]:
        place = f"/proc/{member.pid}"
        # A process that has ended, or that only root may inspect, adds nothing.
        with contextlib.suppress(OSError):
            if member.name in servers.RUN_IN_DATA:
                homes.setdefault(os.readlink(f"{place}/cwd"), member.name)
        with contextlib.suppress(OSError):
            for name in os.listdir(f"{place}/fd"):
                left -= 1
                if left < 0 or len(opened) >= _MOST_DIRECTORIES:
                    return {"open": opened, "homes": homes}
                path = _written(f"{place}/fd/{name}")
                if path:
                    folder = os.path.dirname(path)
                    opened[folder] = opened.get(folder, 0) + 1
    homes.pop("/", None)
    return {"open": opened, "homes": homes}


def _written(link: str) -> str:
    """The path of a descriptor that is open for writing, "" for others."""
    with contextlib.suppress(OSError):
        path = os.readlink(link)
        if not path.startswith("/") or path.startswith(_NO_DATA) or path.endswith((" (deleted)", *_PASSING)):
            return ""
        # The kernel shows the mode of the descriptor as that of the link.
        if os.lstat(link).st_mode & stat.S_IWUSR:
            return path
    return ""
