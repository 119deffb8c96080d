# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a container wrote outside every mount: lost when the container is created again.

On overlay storage all of it lies in one directory of the host, the upper directory, which is walked with a bound on
entries and time. On other storage the engine's own list of changes is used, which has no sizes.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
import stat
import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import syscalls

# Written again whenever needed, or by the engine itself.
IGNORED = (
    *("/tmp", "/var/tmp", "/run", "/var/run", "/dev", "/proc", "/sys", "/var/cache", "/root/.cache", "/home/*/.cache"),
    *("*/__pycache__", "*.pyc", "*.pid", "*.sock", "*.lock", "/.dockerenv", "/etc/mtab", "/etc/ld.so.cache"),
    *("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/passwd", "/etc/group"),
)
# Environment variables that name data directories of an application.
_DATA_VARIABLE = re.compile(r"(^|_)(DIR|DIRECTORY|FOLDER|DATADIR|DATA|STORAGE|DATA_PATH)$|^PGDATA$")
# Findings are grouped by directories of this depth: /app/data/2026/11/x is reported under /app/data.
_DEPTH = 2
_MAX_GROUPS = 50


@dataclass
class Group:
    """The files below one directory of a container. ``newest`` is in seconds since the epoch."""

    files: int = 0
    bytes: int = 0
    newest: float = 0.0


@dataclass
class Found:
    """The findings in one container. ``complete`` is False when a bound ended the search."""

    groups: dict[str, Group] = field(default_factory=dict)
    complete: bool = True
    sized: bool = True


class Ignored:
    """Paths that are skipped: exact paths and all below them, or patterns of fnmatch."""

    def __init__(self, patterns: t.Sequence[str]) -> None:
        self._exact = {os.path.normpath(one) for one in patterns if not re.search(r"[*?\[]", one)}
        globs = [fnmatch.translate(one) for one in patterns if re.search(r"[*?\[]", one)]
        self._globs = re.compile("|".join(globs)) if globs else None

    def __call__(self, path: str) -> bool:
        return path in self._exact or bool(self._globs and self._globs.match(path))

    def covers(self, path: str) -> bool:
        """Whether the path or a directory above it is ignored."""
        while path != "/":
            if self(path):
                return True
            path = os.path.dirname(path)
        return False


def walk(
    upper: str,
    ignored: Ignored,
    homes: t.Sequence[str],
    *,
    entries: int,
    seconds: float,
    world: World,
) -> Found:
    """Add up the files of an overlay's upper directory.

    Only names are read and nothing is followed: the directory's content is the container's.

    Args:
        upper: the directory on the host.
        ignored: paths to skip.
        homes: directories of the container that are groups of their own, such as declared data paths.
        entries: most directory entries to read.
        seconds: time limit of the scan.
        world: the clock.

    Raises:
        OSError: the directory cannot be read.
    """
    found = Found()
    deadline = world.monotonic() + seconds
    seen = 0
    waiting = [("/", os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))]
    try:
        while waiting:
            place, directory = waiting.pop()
            try:
                with os.scandir(directory) as listing:
                    for entry in listing:
                        seen += 1
                        if seen > entries or (seen % 256 == 0 and world.monotonic() > deadline):
                            found.complete = False
                            return found
                        path = os.path.join(place, entry.name)
                        if ignored(path):
                            continue
                        if entry.is_dir(follow_symlinks=False):
                            _descend(waiting, path, entry.name, directory)
                        else:
                            with contextlib.suppress(FileNotFoundError):
                                _count(found, path, entry.stat(follow_symlinks=False), homes)
            finally:
                os.close(directory)
        return found
    finally:
        for _place, directory in waiting:
            os.close(directory)


def _descend(waiting: list[tuple[str, int]], path: str, name: str, parent: int) -> None:
    # The container may replace it with a link meanwhile. Then it is skipped.
    with contextlib.suppress(OSError):
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        waiting.append((path, os.open(name, flags, dir_fd=parent)))


def _count(found: Found, path: str, status: os.stat_result, homes: t.Sequence[str]) -> None:
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
        return  # overlayfs's mark of a deleted file
    group = found.groups.setdefault(_group(found, path, homes), Group())
    group.files += 1
    group.bytes += status.st_size if stat.S_ISREG(status.st_mode) else 0
    group.newest = max(group.newest, status.st_mtime)


def _group(found: Found, path: str, homes: t.Sequence[str]) -> str:
    for home in homes:
        if path.startswith(home.rstrip("/") + "/"):
            return home
    parts = path.split("/")[1:-1]
    name = "/" + "/".join(parts[:_DEPTH])
    if name not in found.groups and len(found.groups) >= _MAX_GROUPS:
        return "/" + "/".join(parts[:1])
    return name


def from_changes(changes: t.Sequence[t.Mapping[str, t.Any]], ignored: Ignored, homes: t.Sequence[str]) -> Found:
    """Count the paths that the engine lists as changed or added. Sizes and times stay unknown."""
    found = Found(sized=False)
    paths = sorted(row["Path"] for row in changes if row.get("Kind") in (0, 1))
    for index, path in enumerate(paths):
        is_folder = index + 1 < len(paths) and paths[index + 1].startswith(path.rstrip("/") + "/")
        if not is_folder and not ignored.covers(path):
            found.groups.setdefault(_group(found, path, homes), Group()).files += 1
    return found


def data_variables(container: Container, image_env: t.Sequence[str], ignored: Ignored) -> dict[str, str]:
    """Data directories in variables of the container, not of its image: the variable's name by directory."""
    found = {}
    for line in container.env:
        name, _equals, value = line.partition("=")
        path = os.path.normpath(value) if value.startswith("/") else ""
        if path in ("", "/") or line in image_env or not _DATA_VARIABLE.search(name.upper()) or ignored.covers(path):
            continue
        found[path] = name
    return found


def data_paths(container: Container, image_env: t.Sequence[str], ignored: Ignored) -> dict[str, str]:
    """Those of :func:`data_variables` that no mount covers."""
    places = [os.path.normpath(mount.destination) for mount in container.mounts]
    tmpfs = (container.raw.get("HostConfig") or {}).get("Tmpfs") or {}
    places += [os.path.normpath(place) for place in tmpfs]
    return {
        path: name
        for path, name in data_variables(container, image_env, ignored).items()
        if not any(path == place or path.startswith(place.rstrip("/") + "/") for place in places)
    }


def is_shipped(pid: int, path: str) -> bool:
    """Whether a running container has something in a directory. False also when that cannot be seen."""
    try:
        root = os.open(f"/proc/{pid}/root", syscalls.O_PATH | os.O_CLOEXEC)
        try:
            directory = syscalls.open_in_root(root, path, os.O_RDONLY | os.O_DIRECTORY)
        finally:
            os.close(root)
        try:
            with os.scandir(directory) as listing:
                return next(listing, None) is not None
        finally:
            os.close(directory)
    except OSError:
        return False


def rows(container: Container, found: Found, declared: t.Mapping[str, str]) -> list[dict[str, t.Any]]:
    """The findings about one container as the module returns them, the largest first."""
    groups = dict(found.groups)
    for path in declared:
        groups.setdefault(path, Group())
    made = [_row(container, path, group, declared.get(path, ""), found) for path, group in groups.items()]
    return sorted(made, key=lambda row: (not row["variable"], -(row["bytes"] or 0), -row["files"], row["path"]))


def _row(container: Container, path: str, group: Group, variable: str, found: Found) -> dict[str, t.Any]:
    name, place = shown(container.name), shown(path)
    if group.files:
        much = f", {size(group.bytes)}" if found.sized else ""
        least = "" if found.complete else "at least "
        finding = f"{name} has written {least}{group.files} files{much} to {place}, outside every mount"
    else:
        finding = f"{name} has no mount at {place}"
    said = f" ({variable} names it as a data directory)" if variable else ""
    newest = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(group.newest)) if group.newest else ""
    return {
        "container": container.name,
        "service": container.service,
        "path": path,
        "files": group.files,
        "bytes": group.bytes if found.sized else None,
        "newest": newest,
        "variable": variable,
        "complete": found.complete,
        "message": f"{finding}{said}: it is lost when the container is created again. Mount a directory there",
    }


def size(number: int) -> str:
    """Bytes for people."""
    amount = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"
