# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One path that a container persists data to, and where its bytes lie: the rows of the data map."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container, Mount

PERSISTENT, LOST_AT_RECREATE, LOST_AT_DOWN = "persistent", "lost_at_recreate", "lost_at_down"
DECLARED_UNUSED = "declared_unused"
VERDICTS = (PERSISTENT, LOST_AT_RECREATE, LOST_AT_DOWN, DECLARED_UNUSED)

# Evidence that a setting makes a Redis persist.
KEEPS = "setting appendonly or save"

BIND, VOLUME, ANONYMOUS, TMPFS, LAYER, MEMORY = "bind", "volume", "anonymous", "tmpfs", "layer", "memory"


@dataclass(frozen=True)
class Place:
    """One path of a container at which data lies, or is about to.

    Attributes:
        container: name of the container.
        service: its compose service, "" without one.
        path: absolute path in the container.
        lies: ``bind``, ``volume`` (with a name), ``anonymous`` (a volume without one), ``tmpfs``, ``layer`` (the
            container's own files), or ``memory`` (a server that is configured to write nothing).
        verdict: one of :data:`VERDICTS`.
        source: the directory on the host, "" for tmpfs and memory, and for layers of other storage than overlay.
        volume: name of the volume, "" without one.
        destination: the mount that ``path`` lies on, "" for layer and memory.
        read_only: whether the container may only read it.
        evidence: the reasons to expect data: ``mount``, ``image_volume``, ``variable NAME``, ``setting NAME``,
            ``data_directory`` (of a running server), ``open_file``, ``written``.
        database: ``postgresql``, ``mysql``, ``redis``, ``mongodb``, ``influxdb``, or "".
        files: number of files, None if they were not counted: those of ``persistent`` paths are not.
        bytes: their size, None if unknown.
        complete: False if a limit ended the count.
        intended: whether the user declared the loss, with a tmpfs or a setting.
        message: the problem and the next command, "" for ``persistent``.
    """

    container: str
    service: str
    path: str
    lies: str
    verdict: str
    source: str = ""
    volume: str = ""
    destination: str = ""
    read_only: bool = False
    evidence: tuple[str, ...] = ()
    database: str = ""
    files: int | None = None
    bytes: int | None = None
    complete: bool = True
    intended: bool = False
    message: str = ""

    @property
    def at_risk(self) -> bool:
        """Whether data would be lost that is not declared as disposable."""
        lost = self.verdict in (LOST_AT_RECREATE, LOST_AT_DOWN)
        expected = any(each not in ("image_volume", "mount") for each in self.evidence)
        return lost and not self.intended and bool(self.files or expected)

    @property
    def fails(self) -> bool:
        """Whether it is reason enough to fail a deploy: a database that keeps its data where it is lost.

        Redis and Valkey are caches for many stacks. They fail only if a setting makes them persist.
        """
        if not self.at_risk or not self.database:
            return False
        return self.database != "redis" or KEEPS in self.evidence

    def as_dict(self) -> dict[str, t.Any]:
        """As modules return it."""
        # All values but the evidence are plain: dataclasses.asdict would copy each of them, for each mount of a host.
        return {**vars(self), "evidence": list(self.evidence), "at_risk": self.at_risk, "fails": self.fails}


def is_below(path: str, folder: str) -> bool:
    """Whether a normalized path is a directory or lies below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def tmpfs_of(container: Container) -> list[str]:
    """Where the container has a tmpfs."""
    declared = (container.raw.get("HostConfig") or {}).get("Tmpfs") or {}
    mounted = [mount.destination for mount in container.mounts if mount.type == "tmpfs"]
    return [os.path.normpath(place) for place in [*declared, *mounted]]


class MountTable:
    """The mounts of a container, normalized once for all of its paths."""

    def __init__(self, container: Container) -> None:
        self._tmpfs = tmpfs_of(container)
        self._mounts = [
            (os.path.normpath(mount.destination), mount)
            for mount in container.mounts
            if mount.type in ("bind", "volume")
        ]
        self._known: dict[str, Mount | None] = {}

    def of(self, path: str) -> Mount | None:
        """The bind or volume that ``path`` lies on, None for tmpfs and the container's own files."""
        if path not in self._known:
            self._known[path] = self._find(path)
        return self._known[path]

    def _find(self, path: str) -> Mount | None:
        best, place = None, ""
        for point, mount in self._mounts:
            if len(point) > len(place) and is_below(path, point):
                best, place = mount, point
        hidden = any(len(point) > len(place) and is_below(path, point) for point in self._tmpfs)
        return None if hidden else best

    def in_memory(self, path: str) -> bool:
        """Whether a path lies at or below a tmpfs."""
        return any(is_below(path, point) for point in self._tmpfs)
