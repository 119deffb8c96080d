# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tag images, over the engine's socket or with Podman's command line."""

from __future__ import annotations

import urllib.parse

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import changes
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, EngineError

_TIMEOUT = 60.0


class Tagger:
    """Tags and untags local images.

    Args:
        engine: the engine that holds them.
        world: starts processes.
    """

    def __init__(self, engine: Engine, world: World) -> None:
        self._engine = engine
        self._world = world

    def tag(self, image_id: str, reference: str) -> None:
        """Let ``reference`` name the image. A digest or an id already names one image, and is not changed.

        Raises:
            ComposeError: the engine refused, most likely because the image is gone.
        """
        if "@" in reference or reference.startswith("sha256:"):
            return
        if not self._engine.socket:
            self._podman("tag", image_id, reference)
            return
        repository, tag = split(reference)
        query = urllib.parse.urlencode({"repo": repository, "tag": tag})
        self._call("POST", f"/images/{urllib.parse.quote(image_id, safe='')}/tag?{query}", reference)

    def untag(self, reference: str) -> None:
        """Remove a tag that may be missing. With its last tag, an image that no container uses is removed as well."""
        if not self._engine.image(reference):
            return
        if not self._engine.socket:
            self._podman("untag", reference, reference)
            return
        self._call("DELETE", f"/images/{urllib.parse.quote(reference, safe='')}?noprune=true", reference)

    def _podman(self, *words: str) -> None:
        try:
            self._world.run(["podman", *words], timeout=_TIMEOUT)
        except process.CommandError as error:
            raise ComposeError(f"cannot {words[0]} image {words[-1]}: {error}") from error

    def _call(self, method: str, path: str, reference: str) -> None:
        try:
            status, text = changes.change(self._engine.socket, method, path)
        except EngineError as error:
            raise ComposeError(f"cannot name image {reference}: {error}") from error
        if status >= 400 and status != 409:  # 409: the image is in use, so only the tag is removed
            raise ComposeError(f"cannot name image {reference}: {text}")


def split(reference: str) -> tuple[str, str]:
    """Repository and tag of a reference."""
    if ":" in reference.rsplit("/", 1)[-1]:
        repository, unused, tag = reference.rpartition(":")
        return repository, tag
    return reference, "latest"
