# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the Python that runs an installed program: the system's, never the one that a playbook uses.

A virtual environment disappears with its checkout, and every timer stops. A Python that another user can write to
lets that user run code as root through the timer.
"""

from __future__ import annotations

import os
import pwd
import re
import stat

from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

# The usual paths: Linux and macOS, RHEL 8, FreeBSD and images of Python, Homebrew.
CANDIDATES = (
    "/usr/bin/python3",
    "/usr/libexec/platform-python",
    "/usr/local/bin/python3",
    "/opt/homebrew/bin/python3",
)
OLDEST = (3, 9)
_TIMEOUT = 30.0
_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"
# Ids of people's accounts.
_FIRST_PERSON, _LAST_PERSON = 500, 60_000
_MOST_LINKS = 40


class UnfitPython(OneboxError):
    """There is no Python that may run an installed program."""


def choose(wanted: str, option: str, world: World) -> str:
    """The absolute path of the Python that runs an installed program for the user of ``world``.

    Args:
        wanted: the one a user names. "" for the system's.
        option: how a user names one, for errors.

    Raises:
        UnfitPython: the one that is named must not be used, or the system has none that can.
    """
    problems = []
    for path in [wanted] if wanted else CANDIDATES:
        problem = unfit(path, world)
        if not problem:
            return path
        problems.append(f"{shown(path)} {problem}")
    if wanted:
        raise UnfitPython(
            f"{option}: {problems[0]}. Leave it out, or name the system's Python, such as {CANDIDATES[0]}."
        )
    raise UnfitPython(
        f"{option}: this host has no Python that may run it: {'; '.join(problems)}. Install the system's python3 "
        f"(3.9 or newer), or set {option}."
    )


def unfit(path: str, world: World) -> str:
    """The reason why ``path`` must not run an installed program, "" if it may."""
    if not os.path.isabs(path) or re.search(r"\s", path):
        return "is not an absolute path without spaces"
    problem = _unsafe(path, world.uid)
    if problem:
        return problem
    try:
        said = world.run([path, "-IS", "-c", _VERSION], timeout=_TIMEOUT).stdout.strip()
    except process.CommandError as error:
        return f"does not run: {error}"
    found = re.fullmatch(r"(\d+)\.(\d+)", said)
    if not found or (int(found[1]), int(found[2])) < OLDEST:
        return f"is Python {said or 'of an unknown version'}, and 3.9 or newer is needed"
    return ""


def _unsafe(path: str, uid: int) -> str:
    """Why the file at ``path`` or a component of its path is not the system's. Links are followed one by one."""
    if _virtual(path):
        return "belongs to a virtual environment, which disappears with its directory"
    rest, reached = path.strip("/").split("/"), "/"
    for _step in range(_MOST_LINKS * 10):
        problem = _others_write(reached, uid)
        if problem:
            return problem
        if not rest:
            return "" if os.path.isfile(reached) and os.access(reached, os.X_OK) else "is not a program"
        reached = os.path.normpath(os.path.join(reached, rest.pop(0)))
        home = _home(reached)
        if home and uid == 0:
            return f"is below {home}, the home directory of a user"
        if os.path.islink(reached):
            problem = _others_write(reached, uid)
            if problem:
                return problem
            target = os.path.normpath(os.path.join(os.path.dirname(reached), os.readlink(reached)))
            if _virtual(target) and not rest:
                return f"leads to {target} of a virtual environment"
            rest, reached = [part for part in target.split("/") if part] + rest, "/"
    return "is a link in a loop"


def _others_write(path: str, uid: int) -> str:
    try:
        status = os.lstat(path)
    except OSError as error:
        return f"cannot be used: {path}: {error.strerror}"
    if status.st_uid not in (0, uid):
        return f"can be changed by the owner of {path}"
    # A group is acceptable for a user's own programs: Homebrew's directories belong to one.
    mask = 0o002 if uid else 0o022
    if not stat.S_ISLNK(status.st_mode) and status.st_mode & mask:
        return f"can be changed by others, who may write to {path}"
    return ""


def _virtual(path: str) -> bool:
    folder = os.path.dirname(path)
    return any(os.path.exists(os.path.join(place, "pyvenv.cfg")) for place in (folder, os.path.dirname(folder)))


def _home(path: str) -> str:
    """``path`` when it is the home directory of a person or of root."""
    if path in ("/root", "/home", "/Users", "/var/root"):
        return path
    people = (each for each in pwd.getpwall() if _FIRST_PERSON <= each.pw_uid < _LAST_PERSON)
    # An account without a home has /, or a directory of the system.
    return path if any(each.pw_dir == path and path.count("/") > 1 for each in people) else ""
