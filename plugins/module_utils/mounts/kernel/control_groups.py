# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the processes of a container: all of its control group, however they were started.

A process cannot leave its control group without rights on the host, so this finds the worker behind ``su``, in a
chroot, or in namespaces of its own as well as the main process. Version 1, version 2 and hybrid hierarchies are read;
if none is mounted here, ``/proc`` is searched for processes that name the group, and for children.
"""

from __future__ import annotations

import contextlib
import os
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.mountinfo import Row, Table
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.process import Process

# A container with more groups below its own than this is not the container of an application.
_MOST_GROUPS = 10_000
_USUAL = ("", "name=systemd", "pids", "memory")
_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")


class ControlGroups:
    """The control groups of this host.

    Args:
        table: the caller's mounts.
    """

    def __init__(self, table: Table) -> None:
        self._mounts = table.of_type("cgroup")
        self._everybody: list[tuple[int, int, str]] | None = None

    def members(self, process: Process, container_id: str) -> list[int]:
        """The ids of all processes of the container whose main process is given, that one first.

        Args:
            container_id: the engine's id, which its control groups carry.

        Raises:
            Gone, Refused: from reading the process.
        """
        found: set[int] = set()
        for line in sorted(process.control_groups().splitlines(), key=_preference):
            _number, controllers, path = line.split(":", 2)
            directory = self._directory(controllers, _own_part(path, container_id))
            if directory and process.pid in (pids := _below(directory, container_id)):
                found = pids
                break
        else:
            found = self._by_proc(process.pid, container_id)
        found.discard(process.pid)
        return [process.pid, *sorted(found)]

    def _directory(self, controllers: str, path: str) -> str:
        """The mount point of the group ``path`` of a hierarchy, "" without one."""
        if path == "/" or "/.." in path:
            return ""
        for row in self._mounts:
            if not _is_hierarchy(row, controllers):
                continue
            root = row.root.rstrip("/")
            if path == root or path.startswith(root + "/"):
                return row.point + path[len(root) :]
        return ""

    def _by_proc(self, main: int, container_id: str) -> set[int]:
        """Processes whose groups name the container, and the descendants of its main process."""
        if self._everybody is None:
            self._everybody = list(_everybody())
        found = {main}
        children: dict[int, list[int]] = {}
        for pid, parent, groups in self._everybody:
            children.setdefault(parent, []).append(pid)
            if container_id and container_id in groups:
                found.add(pid)
        pending = list(found)
        while pending:
            for pid in children.get(pending.pop(), ()):
                if pid not in found:
                    found.add(pid)
                    pending.append(pid)
        return found


def _preference(line: str) -> int:
    """Version 2 first, then the hierarchies that engines always use."""
    controllers = line.split(":", 2)[1]
    return _USUAL.index(controllers) if controllers in _USUAL else len(_USUAL)


def _is_hierarchy(row: Row, controllers: str) -> bool:
    if not controllers:
        return row.fstype == "cgroup2"
    return row.fstype == "cgroup" and set(controllers.split(",")) <= set(row.super_options)


def _own_part(path: str, container_id: str) -> str:
    """The container's own group, the part of ``path`` up to the component that carries its id; "/" without one."""
    if not container_id or container_id not in path:
        return "/"  # it may be the group of a whole login session
    stop = path.find("/", path.index(container_id) + len(container_id))
    return path if stop < 0 else path[:stop]


def _below(directory: str, container_id: str) -> set[int]:
    """The processes of a group and of the groups below it, without containers inside the container."""
    found: set[int] = set()
    pending, seen = [directory], 0
    while pending and seen < _MOST_GROUPS:
        place = pending.pop()
        seen += 1
        # A group that ends meanwhile has no processes.
        with contextlib.suppress(OSError):
            found.update(int(word) for word in _content(f"{place}/cgroup.procs").split() if word != b"0")
        # Two links are of the directory itself, each further one is of a directory in it.
        with contextlib.suppress(OSError):
            if os.stat(place).st_nlink == 2:
                continue
        with contextlib.suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                other = _CONTAINER_ID.search(entry.name)
                if entry.is_dir(follow_symlinks=False) and (other is None or other[0] == container_id):
                    pending.append(entry.path)
    return found


def _content(path: str) -> bytes:
    """A whole file, without the layers of a stream: this is read for each container."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces = []
        while piece := os.read(descriptor, 1 << 16):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def _everybody() -> t.Iterator[tuple[int, int, str]]:
    """Every process: pid, parent, text of its control groups."""
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as stream:
                parent = int(stream.read().rpartition(b")")[2].split()[1])
            with open(f"/proc/{name}/cgroup", "rb") as stream:
                yield int(name), parent, os.fsdecode(stream.read())
        except OSError:
            continue  # it ended meanwhile
