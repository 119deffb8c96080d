# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse to deploy the files of a stack to a directory that belongs to the system or to another stack."""

from __future__ import annotations

import os
import pwd
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import MARKER
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import deployed_files, state_file
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath

# Directories that are shared. A directory below them may belong to one stack.
_SHARED = (
    "/",
    "/opt",
    "/srv",
    "/home",
    "/root",
    "/mnt",
    "/media",
    "/var",
    "/var/lib",
    "/var/tmp",
    "/var/log",
    "/var/opt",
    "/var/www",
    "/tmp",
    "/etc",
    "/usr/local",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/local/etc",
    "/usr/local/lib",
    "/usr/local/share",
    "/usr/local/src",
    "/Users",
    "/Users/Shared",
    "/Volumes",
    "/private",
    "/private/tmp",
    "/private/var",
    "/private/etc",
)
# Directories that cannot contain a stack at all.
_SYSTEM = (
    "/bin",
    "/boot",
    "/dev",
    "/lib",
    "/lib32",
    "/lib64",
    "/proc",
    "/run",
    "/sbin",
    "/sys",
    "/usr/bin",
    "/usr/include",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/sbin",
    "/usr/share",
    "/var/lib/docker",
    "/var/lib/containers",
    "/System",
    "/Library",
    "/Applications",
    "/etc/ssh",
    "/etc/systemd",
    "/etc/pam.d",
    "/etc/sudoers.d",
    "/etc/cron.d",
    "/var/spool",
)
_MOST_CHILDREN = 10_000
_ADVICE = "Set compose_stack_project_dir (project_dir) to a directory of this stack alone, such as /opt/onebox/<name>."


def problems(name: str, project_dir: str, state_dir: str) -> list[Problem]:
    """Why the files of stack ``name`` must not be deployed to ``project_dir``.

    Args:
        state_dir: the directory with one state folder for each stack.
    """
    places = _places(project_dir)
    why = _system(places)
    if not why and places & _homes():
        why = "is the home directory of a user"
    if not why and any(_within(place, [state_dir]) or _within(state_dir, [place]) for place in places):
        why = f"is, contains or lies in the directory of all stacks' state, {state_dir}"
    if why:
        return [Problem("bad_project_dir", project_dir, f"{why}. {_ADVICE}")]
    return [*_other_stacks(name, places, project_dir, state_dir), *_markers(name, project_dir)]


def content_problems(directory: str) -> list[Problem]:
    """Why files of a stack must not be copied to ``directory`` as to one that holds its data."""
    why = _system(_places(directory))
    message = f"{why}. Name a directory of this stack in compose_stack_content (content)."
    return [Problem("bad_content_dir", directory, message)] if why else []


def _places(directory: str) -> set[str]:
    """The names of the directory. On systems that link their directories, /bin is also /usr/bin."""
    return {os.path.normpath(directory), realpath(directory)}


def _system(places: t.Collection[str]) -> str:
    if "/" in places:
        return "is the root directory"
    found = any(place in _SHARED or place == "/usr" or _within(place, _SYSTEM) for place in places)
    return "is a directory of the system" if found else ""


def _within(place: str, directories: t.Iterable[str]) -> bool:
    return any(place == each or place.startswith(each.rstrip("/") + "/") for each in directories)


def _homes() -> set[str]:
    found = {os.path.expanduser("~")}
    found.update(entry.pw_dir for entry in pwd.getpwall())
    # Users without a home have a directory such as /nonexistent.
    return {os.path.normpath(home) for home in found if os.path.isdir(home)}


def _other_stacks(name: str, places: t.Collection[str], project_dir: str, state_dir: str) -> t.Iterator[Problem]:
    try:
        stacks = sorted(os.listdir(state_dir))
    except OSError:
        return
    for other in stacks:
        folder = os.path.join(state_dir, other)
        if other == name or not os.path.isdir(folder):
            continue
        known = [str(state_file.load(folder).get("project_dir") or ""), deployed_files.load(folder).project_dir]
        for theirs in sorted({realpath(each) for each in known if each and os.path.isdir(each)}):
            if any(_within(place, [theirs]) or _within(theirs, [place]) for place in places):
                message = (
                    f"is, contains or lies in {theirs}, which belongs to stack {other}. {_ADVICE} If {other} is no "
                    "longer needed, remove it first, with state absent."
                )
                yield Problem("project_dir_of_another", project_dir, message)


def _markers(name: str, project_dir: str) -> t.Iterator[Problem]:
    """Stacks with their state in another directory, found by the marker in their deploy directory."""
    place = realpath(project_dir)
    above = [place]
    while above[-1] != "/":
        above.append(os.path.dirname(above[-1]))
    below: list[str] = []
    if os.path.isdir(place):
        with os.scandir(place) as entries:
            below = [
                entry.path
                for _number, entry in zip(range(_MOST_CHILDREN), entries)
                if entry.is_dir(follow_symlinks=False)
            ]
    for folder in [*above, *sorted(below)]:
        marker = os.path.join(folder, MARKER)
        owner = _text(marker)
        if owner and owner != name:
            message = (
                f"{marker} says that this directory belongs to stack {owner}. {_ADVICE} Remove the marker if that "
                "stack no longer exists."
            )
            yield Problem("project_dir_of_another", project_dir, message)
        elif owner and folder != place:
            message = f"{folder} is marked as another directory of this stack ({marker}). {_ADVICE}"
            yield Problem("project_dir_of_another", project_dir, message)


def _text(path: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(descriptor, 256).decode("utf-8", errors="replace").strip()
    except OSError:
        return ""
    finally:
        os.close(descriptor)
