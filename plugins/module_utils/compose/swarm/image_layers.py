# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The layers of images with their sizes: what a node must store of an image depends on the layers that it has."""

from __future__ import annotations

import hashlib
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, SocketEngine

# Instructions of a Dockerfile that create no layer, as the history of an image has them.
_METADATA = re.compile(
    r"^(/bin/sh -c #\(nop\)\s+)?(ARG|CMD|ENTRYPOINT|ENV|EXPOSE|HEALTHCHECK|LABEL|MAINTAINER|ONBUILD|SHELL|STOPSIGNAL"
    r"|USER|VOLUME)\b"
)


class Layer(t.NamedTuple):
    """One layer.

    Attributes:
        chain: a hash of it and all layers below it. Equal hashes are equal layers on all nodes.
        size: bytes when it is unpacked.
        packed: bytes in an archive.
    """

    chain: str
    size: int
    packed: int


def chains(body: t.Mapping[str, t.Any]) -> list[str]:
    """The hashes of the layers of an inspected image, lowest first."""
    found: list[str] = []
    for layer in (body.get("RootFS") or {}).get("Layers") or ():
        found.append(hashlib.sha256(f"{found[-1]} {layer}".encode()).hexdigest() if found else str(layer))
    return found


def layers(engine: Engine, body: t.Mapping[str, t.Any]) -> list[Layer]:
    """The layers of an inspected image, lowest first.

    Raises:
        EngineError: the engine does not answer.
    """
    if not isinstance(engine, SocketEngine):
        raise AssertionError("only Docker has a Swarm")
    history = engine.get(f"/images/{body['Id']}/history") or ()
    steps = [row for row in reversed(history) if row["Size"] or not _METADATA.match(str(row.get("CreatedBy") or ""))]
    sizes = [int(row["Size"]) for row in steps]
    total, hashes = sum(sizes), chains(body)
    if len(sizes) != len(hashes):
        # Only the sum is known. As the size of the topmost layer, no node has any of it.
        sizes = [0] * (len(hashes) - 1) + [total]
    # The size of an image is that of its archive: containerd's store keeps layers packed.
    ratio = int(body.get("Size") or total) / (total or 1)
    return [Layer(chain, size, int(size * ratio)) for chain, size in zip(hashes, sizes)]
