# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images of a stack a node of the Swarm has, and whether the missing ones fit on its disk.

An image is known by its name, because Docker's two stores compute ids in different ways.
"""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm import image_names
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm.image_layers import Layer, chains
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import discover
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, SocketEngine

# The directory for the archive during the transfer.
ARCHIVES = "/var/tmp"
# For the logs and data that a node writes meanwhile.
_RESERVE = 64 << 20
_CONTAINERD = "io.containerd.snapshotter.v1"
_SYSTEM_CONTAINERD = "/var/lib/containerd"


@dataclass(frozen=True)
class Image:
    """An image that a node needs."""

    reference: str
    layers: tuple[Layer, ...]

    @classmethod
    def parse(cls, row: t.Mapping[str, t.Any]) -> Image:
        """Read one of the images that a deploy reports.

        Raises:
            ComposeError: it is not one.
        """
        try:
            layers = tuple(Layer(str(each[0]), int(each[1]), int(each[2])) for each in row["layers"])
            return cls(str(row["reference"]), layers)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ComposeError(f"images: {row} is not an image that compose_stack reports: {error!r}.") from error


class Node:
    """The node that this host is.

    Args:
        engine: its engine.

    Raises:
        ComposeError: it is not Docker.
        EngineError: it does not answer.
    """

    def __init__(self, engine: Engine) -> None:
        if not isinstance(engine, SocketEngine) or engine.name != "docker":
            raise ComposeError("this host has no Docker, so it cannot be a node of a Swarm. Install Docker.")
        self._engine = engine
        self._info = engine.get("/info")

    @property
    def identity(self) -> str:
        """The id of the node, "" if this host is none."""
        return str((self._info.get("Swarm") or {}).get("NodeID") or "")

    def names(self, project: str) -> list[str]:
        """The names of the local images of a stack on this node, without those of releases.

        Raises:
            EngineError: the engine does not answer.
        """
        filters = json.dumps({"reference": [image_names.pattern(project)]})
        rows = self._engine.get("/images/json", filters=filters) or ()
        found = {name for row in rows for name in row.get("RepoTags") or ()}
        return sorted(name for name in found if image_names.is_of(project, name))

    def require_room(self, missing: t.Sequence[Image]) -> None:
        """Refuse images that do not fit on this node.

        Raises:
            ComposeError: they do not fit. Nothing was sent.
            EngineError: the engine does not answer.
        """
        if not missing:
            return
        needs: dict[int, tuple[list[str], int]] = {}
        for path, size in self._needs(missing):
            if not os.path.exists(path):
                continue  # Docker runs in a virtual machine of this host
            paths, known = needs.get(os.stat(path).st_dev, ([], 0))
            needs[os.stat(path).st_dev] = ([*paths, path], known + size)
        for paths, size in needs.values():
            status = os.statvfs(paths[0])
            free, needed = status.f_bavail * status.f_frsize, size + _RESERVE
            if free < needed:
                raise ComposeError(
                    f"node {self._info['Name']}: {', '.join(each.reference for each in missing)} need {needed} bytes "
                    f"({needed >> 20} MiB) on the file system of {' and '.join(paths)}, and {free} bytes "
                    f"({free >> 20} MiB) are free. No image was sent. Free space on this node, for example with docker "
                    "image prune, or push the images to a registry that all nodes reach."
                )

    def _needs(self, missing: t.Sequence[Image]) -> t.Iterator[tuple[str, int]]:
        """Path -> bytes that the transfer writes there."""
        wanted = {layer.chain: layer for image in missing for layer in image.layers}
        identities = [row["Id"] for row in self._engine.get("/images/json") or ()]
        own = {chain for body in self._engine.images(identities).values() for chain in chains(body or {})}
        archive = sum(layer.packed for layer in wanted.values())
        unpacked = sum(layer.size for chain, layer in wanted.items() if chain not in own)
        yield ARCHIVES, archive
        root = str(self._info["DockerRootDir"])
        if [_CONTAINERD] not in [row[1:] for row in self._info.get("DriverStatus") or ()]:
            yield root, unpacked
            return
        # containerd's store keeps each layer packed, too. Docker starts a containerd of its own where no other runs.
        own_containerd = os.path.isdir(os.path.join(root, "containerd/daemon"))
        yield root if own_containerd else _SYSTEM_CONTAINERD, archive + unpacked


def inspect(project: str, rows: t.Iterable[t.Mapping[str, t.Any]], world: World) -> dict[str, t.Any]:
    """The id of this node, the names of a stack's local images on it, and which of the needed images are missing.

    Args:
        rows: the needed images, as a deploy reports them.
        world: finds the engine.

    Raises:
        ComposeError: the missing images do not fit on this node.
        EngineError: the engine does not answer.
    """
    node, needed = Node(discover.find("docker", None, world=world)), [Image.parse(row) for row in rows]
    names = node.names(project)
    missing = [each for each in needed if each.reference not in names]
    node.require_room(missing)
    return {"node_id": node.identity, "names": names, "missing": [each.reference for each in missing]}
