# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find data that an image's VOLUME hides from the mount above it, and that is lost with the container."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.engine import anonymous_volumes
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container, Mount


def mark(engine: Engine, reports: t.Sequence[tuple[Container, t.Sequence[dict[str, t.Any]]]]) -> None:
    """Give the verdict ``anonymous_volume`` to rows that are ok but for that.

    Args:
        engine: queried for the image of a container only if a volume is below a mount.
        reports: containers, each with the rows of its mounts, which are changed.
    """
    images: dict[str, dict[str, t.Any] | None] = {}
    for container, rows in reports:
        found = [(mount, above) for mount in anonymous_volumes.of(container) if (above := _above(container, mount))]
        if not found:
            continue
        if container.image_id not in images:
            images[container.image_id] = engine.image(container.image_id)
        of_image = anonymous_volumes.of_image(container, images[container.image_id])
        for mount, above in found:
            if mount in of_image and anonymous_volumes.has_content(container, mount):
                for row in rows:
                    if row["destination"] == mount.destination and row["verdict"] == "ok":
                        row.update(_finding(container, mount, above))


def _above(container: Container, mount: Mount) -> str:
    """The declared mount that the volume lies below, "" without one."""
    place = os.path.normpath(mount.destination)
    for other in container.mounts:
        top = os.path.normpath(other.destination).rstrip("/")
        if other.type in ("bind", "volume") and other != mount and place.startswith(top + "/"):
            return other.destination
    return ""


def _finding(container: Container, mount: Mount, above: str) -> dict[str, str]:
    place, name = shown(mount.destination), shown(container.name)
    return {
        "verdict": "anonymous_volume",
        "proof": "inspect",
        "fix": "edit_compose",
        "message": (
            f"the image of {name} keeps {place} in a volume without a name, although {shown(above)} above it is "
            f"mounted: data written there is in {shown(mount.source)} and is lost with the container. Declare "
            f"a mount for {place} itself, and copy the data into it before {name} is recreated"
        ),
    }
