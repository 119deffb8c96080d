# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names that images without a registry have on all nodes of a Swarm.

Such a name ends with a part of the image's id. A service whose image was built again therefore differs from the present
one, and no node can start an earlier image. The registry ``localhost`` does not exist, so no node pulls another image.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import images
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan.published import by_digest
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.image_tags import split
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.releases import Release

_TAG = re.compile(r"[0-9a-f]{12}")


class Named(t.NamedTuple):
    """A local image: its name on all nodes, and its id."""

    reference: str
    id: str


def names(project: str, known: images.Images, published: t.Collection[str] = ()) -> dict[str, Named]:
    """Image as it is declared -> its name on all nodes, for each image that no registry has.

    Args:
        known: reference -> ``inspect`` of a local image, None without one.
        published: images by digest that a registry was found to have.
    """
    digests = by_digest(known, published)
    found = {}
    for image, body in known.items():
        identity = images.identity(body)
        if identity and image not in digests and "@" not in image and not image.startswith("sha256:"):
            last = split(image)[0].rpartition("/")[2]
            found[image] = Named(f"{_folder(project)}/{last}:{identity.rpartition(':')[2][:12]}", identity)
    return found


def of_releases(project: str, releases: t.Iterable[Release]) -> set[str]:
    """The names of all images of releases. Those of images that a registry has are among them, and name nothing."""
    rows = [row for release in releases for row in release.images.values()]
    return {each.reference for row in rows for each in names(project, {row["reference"]: {"Id": row["id"]}}).values()}


def pattern(project: str) -> str:
    """What Docker's filter ``reference`` needs to list the names of a stack, and those of its releases."""
    return f"{_folder(project)}/*"


def is_of(project: str, reference: str) -> bool:
    """Whether a reference is such a name of a stack, and not that of a release."""
    name, tag = split(reference)
    return name.rpartition("/")[0] == _folder(project) and bool(_TAG.fullmatch(tag))


def _folder(project: str) -> str:
    return f"localhost/onebox/{project}"
