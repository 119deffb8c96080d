# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read from the host what a rendering needs, and render a stack."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.kubernetes import render as kubernetes
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import images, published
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability.assess import Assessment
from ansible_collections.onebox.stack.plugins.module_utils.compose.quadlet import render as quadlet
from ansible_collections.onebox.stack.plugins.module_utils.compose.render.parts import File, Stack
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm import render as swarm
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import discover
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError

RENDERERS: t.Mapping[str, t.Callable[[Stack], list[File]]] = {
    "swarm": swarm.render,
    "quadlet": quadlet.render,
    "kubernetes": kubernetes.render,
}
# Larger files are data, and no orchestrator accepts them as a secret or a config.
_MOST_BYTES = 1 << 20


def render(target: str, model: Model, texts: t.Mapping[str, str], found: Assessment, world: World) -> list[File]:
    """The files of a stack for one target.

    Args:
        target: a key of :data:`RENDERERS`.
        found: its open findings are listed at the top of the main file.

    Raises:
        RenderError: the stack cannot be rendered.
    """
    stack = Stack(
        model,
        texts,
        _digests(model, world),
        _contents(model),
        {bind.source: _kind(bind.source) for service in model.services.values() for bind in service.binds},
        os.uname().nodename,
        tuple(_notes(target, found)),
    )
    return RENDERERS[target](stack)


def _notes(target: str, found: Assessment) -> t.Iterator[str]:
    rows = [each for each in found.findings if each.fact.target == target and each.fact.remains in ("drop", "refuse")]
    if rows:
        yield "Not solved in this file:"
    for each in rows:
        yield f"- {each.where}: {each.fact.name} ({', '.join(each.uses)}). {each.fact.happens} {each.fact.way_out}"


def _digests(model: Model, world: World) -> dict[str, str]:
    """Images by digest. Without an engine, and for images that no registry has, there is none."""
    try:
        engine = discover.find("auto", None, world=world)
        known = images.look(engine, [service.image for service in model.services.values()], world)
    except EngineError:
        return {}
    answers = published.query(engine, published.computed(known).values(), world)
    found = {name for name, has in answers.items() if has}
    return published.by_digest(known, found)


def _contents(model: Model) -> dict[str, bytes]:
    paths = {each.value for service in model.services.values() for each in service.files if each.kind == "file"}
    paths |= {bind.source for service in model.services.values() for bind in service.binds if bind.read_only}
    found = {}
    for path in paths:
        try:
            if os.path.isfile(path) and os.path.getsize(path) <= _MOST_BYTES:
                with open(path, "rb") as stream:
                    found[path] = stream.read()
        except OSError:
            continue  # the rendering reports the secret or config that it lacks
    return found


def _kind(path: str) -> str:
    if os.path.isdir(path):
        return "directory"
    return "file" if os.path.exists(path) else ""
