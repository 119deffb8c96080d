# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which local images a registry has, by digest.

Docker's own store records the digest of an image that was pulled or pushed. The store of containerd, which new
installations of Docker 29 use, computes one for each image, and it is the image's id. It does not prove that a registry
has the image, so the registry is queried.
"""

from __future__ import annotations

import typing as t
import urllib.parse

from ansible_collections.onebox.stack.plugins.module_utils.compose.plan.images import Images
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, EngineError, SocketEngine
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup.images import registry_of

_TIMEOUT = 30.0


def by_digest(known: Images, published: t.Collection[str] = ()) -> dict[str, str]:
    """Images that a registry has, by digest.

    Args:
        known: reference -> ``inspect`` of a local image, None without one.
        published: those of :func:`computed` that a registry has.
    """
    return {image: name for image, name, proven in _digests(known) if proven or name in published}


def computed(known: Images) -> dict[str, str]:
    """Images with a digest that the engine computed, by digest."""
    return {image: name for image, name, proven in _digests(known) if not proven}


def query(engine: Engine, names: t.Iterable[str], world: World) -> dict[str, bool]:
    """Whether a registry has each of these images. One that does not answer has none, and is not queried again.

    Args:
        names: images by digest.
    """
    found, silent = {}, set()
    for name in names:
        registry, began = registry_of(name), world.monotonic()
        found[name] = registry not in silent and _has(engine, name, world)
        if world.monotonic() - began >= _TIMEOUT:
            silent.add(registry)
    return found


def _has(engine: Engine, name: str, world: World) -> bool:
    # This registry does not exist: such a name is given to images that are not pushed.
    if name.startswith("localhost/") or not isinstance(engine, SocketEngine):
        return False
    try:
        # With the settings and the network of the engine, as a node would pull it.
        engine.get(f"/distribution/{urllib.parse.quote(name, safe='/:@')}/json")
        return True
    except EngineError:
        pass
    try:
        # With this user's credentials, which a deploy hands to the nodes.
        world.run(["docker", "manifest", "inspect", name], timeout=_TIMEOUT)
        return True
    except process.CommandError:
        return False


def _digests(known: Images) -> t.Iterator[tuple[str, str, bool]]:
    """Image, its name by digest, and whether that digest proves that a registry has it."""
    for image, body in known.items():
        name = _full(_repository(image))
        same = [row for row in (body or {}).get("RepoDigests") or () if _full(str(row).partition("@")[0]) == name]
        if same and "@" not in image:
            digest = str(same[0]).partition("@")[2]
            yield image, f"{image}@{digest}", digest != (body or {}).get("Id")


def _repository(image: str) -> str:
    folder, _slash, last = image.rpartition("/")
    return f"{folder}/{last.partition(':')[0]}" if folder else last.partition(":")[0]


def _full(name: str) -> str:
    # Podman prints docker.io/library/NAME for NAME, and Docker prints NAME for docker.io/library/NAME.
    for prefix in ("docker.io/", "library/"):
        name = name[len(prefix) :] if name.startswith(prefix) else name
    return name
