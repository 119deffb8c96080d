# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the directories of a container's file system on the host.

Engines with a storage driver of their own report them. Docker with the image store of containerd, the default of new
installations since Docker 29, does not: there the host's table of mounts names them, while the container runs.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core.mountinfo import parse_row, unescape
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container

_TABLE = "/proc/self/mountinfo"


@dataclass(frozen=True)
class Layers:
    """The directories of an overlay file system; empty if unknown, or if the storage is of another type.

    Attributes:
        upper: the files that the container wrote.
        lower: those of the image, the uppermost layer first.
        merged: all of them together, as the container sees them.
    """

    upper: str = ""
    lower: tuple[str, ...] = ()
    merged: str = ""


def of(container: Container, table: str = _TABLE) -> Layers:
    """The directories of a container.

    Args:
        table: the host's mountinfo. It is the host's own, because a container may change its own.
    """
    data = (container.raw.get("GraphDriver") or {}).get("Data") or {}
    if data:
        lower = str(data.get("LowerDir") or "")
        return Layers(
            upper=str(data.get("UpperDir") or ""),
            lower=tuple(layer for layer in lower.split(":") if layer),
            merged=str(data.get("MergedDir") or ""),
        )
    return _mounted(container.id, table) if container.running else Layers()


def _mounted(container_id: str, table: str) -> Layers:
    """The overlay that the engine mounted for a container, at a directory with the container's id."""
    if not container_id:
        return Layers()
    try:
        with open(table, "rb") as stream:
            lines = os.fsdecode(stream.read()).split("\n")
    except OSError:
        return Layers()  # not Linux
    for line in lines:
        if f"/{container_id} " not in line:
            continue
        row = parse_row(line)
        if row.fstype == "overlay" and os.path.basename(row.point) == container_id:
            options = [option.partition("=") for option in row.super_options]
            return _layers(row.point, [(name, unescape(value)) for name, _equals, value in options])
    return Layers()


def _layers(merged: str, options: t.Sequence[tuple[str, str]]) -> Layers:
    upper = next((value for name, value in options if name == "upperdir"), "")
    lower = [layer for name, value in options if name in ("lowerdir", "lowerdir+") for layer in value.split(":")]
    # With many layers containerd shortens their paths, relative to the directory of all snapshots.
    snapshots = os.path.dirname(os.path.dirname(upper))
    return Layers(upper, tuple(os.path.join(snapshots, layer) for layer in lower if layer), merged)
