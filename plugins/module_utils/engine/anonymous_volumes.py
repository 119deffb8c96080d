# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the volumes without a name that hold data: they belong to one container, and are lost with it.

For each VOLUME of an image that the compose file does not mount, the engine creates one for each container.
"""

from __future__ import annotations

import os
import re
import stat
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.engine import layers
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container, Mount

_ENGINES_OWN_NAME = re.compile(r"[0-9a-f]{64}")
# A volume with more entries than this that are all of the image counts as one with other data.
_MOST_ENTRIES = 2000


def of(container: Container) -> list[Mount]:
    """The container's volumes without a name of their own."""
    return [row for row in container.mounts if row.type == "volume" and _ENGINES_OWN_NAME.fullmatch(row.name)]


def of_image(container: Container, image: t.Mapping[str, t.Any] | None) -> list[Mount]:
    """Those of :func:`of` that only the image requires.

    Args:
        image: ``inspect`` of the image the container runs; None if that is gone.
    """
    declared = ((image or {}).get("Config") or {}).get("Volumes") or {}
    places = {os.path.normpath(place) for place in declared}
    return [row for row in of(container) if os.path.normpath(row.destination) in places]


def has_content(container: Container, mount: Mount) -> bool:
    """Whether the volume holds a file that the image does not: engines fill a new volume with the image's files.

    An unreadable volume counts as one that does.
    """
    image = layers.of(container).lower
    pending, seen = [""], 0
    while pending:
        place = pending.pop()
        try:
            with os.scandir(os.path.join(mount.source, place)) as entries:
                for entry in entries:
                    seen += 1
                    name = os.path.join(place, entry.name)
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        pending.append(name)
                    elif seen > _MOST_ENTRIES or not _of_image(image, mount.destination, name, status):
                        return True
        except FileNotFoundError:
            continue  # removed meanwhile
        except OSError:
            return True
    return False


def _of_image(image: t.Sequence[str], destination: str, name: str, status: os.stat_result) -> bool:
    for layer in image:
        try:
            found = os.stat(os.path.join(layer, destination.strip("/"), name), follow_symlinks=False)
        except OSError:
            continue
        return (found.st_size, int(found.st_mtime)) == (status.st_size, int(status.st_mtime))
    return False
