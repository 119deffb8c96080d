# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Search for unpersisted writes in all containers, each within its limits."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import layers
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import subprocess_pool
from ansible_collections.onebox.stack.plugins.module_utils.mounts.unpersisted import scan

# A container with more entries than this is reported with the findings until then.
ENTRIES = 250_000


def look(
    engine: Engine,
    containers: t.Sequence[Container],
    patterns: t.Sequence[str],
    seconds: float,
    *,
    local: bool,
    world: World,
) -> list[dict[str, t.Any]]:
    """The rows of ``ephemeral_writes``.

    Args:
        patterns: paths to leave out, as :class:`scan.Ignored` takes them.
        seconds: how long one container may take.
        local: whether the containers run on this host, so that their files can be read.
        world: the clock.

    Raises:
        EngineError: the engine does not answer.
    """
    ignored = scan.Ignored(patterns)
    image_env: dict[str, tuple[str, ...]] = {}
    declared: dict[str, dict[str, str]] = {}
    for container in containers:
        image = container.image_id
        if image not in image_env:
            config = (engine.image(image) or {}).get("Config") or {}
            image_env[image] = tuple(config.get("Env") or ())
        declared[container.id] = scan.data_paths(container, image_env[image], ignored)
    walked: t.Iterable[t.Any] = [None] * len(containers)
    if local:
        walked = subprocess_pool.each(
            lambda container: _walk(container, ignored, list(declared[container.id]), seconds, world),
            containers,
            seconds * 1.5 + 1,
            world,
        )
    rows = []
    for container, answer in zip(containers, walked):
        found = _found(answer) or _by_engine(engine, container, ignored, list(declared[container.id]))
        shipped = set(answer["shipped"]) if answer else set()
        # Files of the image that were not changed are not data.
        named = {
            path: name for path, name in declared[container.id].items() if path in found.groups or path not in shipped
        }
        rows += scan.rows(container, found, named)
    return rows


def _walk(
    container: Container, ignored: scan.Ignored, homes: list[str], seconds: float, world: World
) -> dict[str, t.Any]:
    shipped = [path for path in homes if container.running and scan.is_shipped(container.pid, path)]
    upper = layers.of(container).upper
    answer: dict[str, t.Any] = {"shipped": shipped, "groups": None}
    if not upper:
        return answer
    try:
        found = scan.walk(upper, ignored, homes, entries=ENTRIES, seconds=seconds, world=world)
    except OSError:
        return answer  # not of this host, or not readable: the engine is queried instead
    answer["groups"] = {path: [group.files, group.bytes, group.newest] for path, group in found.groups.items()}
    answer["complete"] = found.complete
    return answer


def _found(answer: t.Mapping[str, t.Any] | None) -> scan.Found | None:
    if answer is None or answer["groups"] is None:
        return None
    groups = {path: scan.Group(*numbers) for path, numbers in answer["groups"].items()}
    return scan.Found(groups, answer["complete"])


def _by_engine(engine: Engine, container: Container, ignored: scan.Ignored, homes: list[str]) -> scan.Found:
    try:
        return scan.from_changes(engine.changes(container.id), ignored, homes)
    except EngineError:
        # Gone since, or an engine without the list: unknown, and reported as such.
        return scan.Found(complete=False, sized=False)
