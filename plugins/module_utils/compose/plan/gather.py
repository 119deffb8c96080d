# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Query the compose tool and the engine side by side: a plan takes little longer than the tool's ``config``."""

from __future__ import annotations

import concurrent.futures
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import ports
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers import find
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Driver
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import env_file, environment
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import images, resources
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.records import Memory
from ansible_collections.onebox.stack.plugins.module_utils.core import mask
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.engine.project_containers import project_containers
from ansible_collections.onebox.stack.plugins.module_utils.engine.resources import Network


@dataclass
class Gathered:
    """The model of ``tool``, and the containers, images, networks, volumes and taken ports to compare it with."""

    tool: Driver
    model: Model
    containers: list[Container] = field(default_factory=list)
    images: images.Images = field(default_factory=dict)
    outside: resources.Found = field(default_factory=resources.Found)
    names: t.Mapping[str, t.Mapping[str, str]] = field(default_factory=dict)
    listening: list[ports.Listener] = field(default_factory=list)


def gather(
    request: Request,
    source: Source,
    engine: Engine | None,
    memory: Memory,
    world: World,
    shown: t.Callable[[str], str] = mask.printed,
) -> Gathered:
    """Resolve the model, and query the engine at the same time.

    Args:
        shown: masks the output of the tool.

    Raises:
        ComposeError: no tool fits, or it refuses the stack. Takes precedence over errors of the engine.
        EngineError: the engine does not answer.
    """
    env = environment.clean(world.environ, env_file.names(source))
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
        # The version is not needed before the model, and the first candidate is nearly always the right one.
        guess = find.likely(request.provider, engine, env, request.provider_path)
        early = pool.submit(guess.resolve, source, world, shown) if guess is not None else None
        try:
            tool = find.find(request.provider, engine, env, world, executable=request.provider_path, known=memory.tools)
        except ComposeError:
            if early is not None:
                early.cancel()
            raise
        if early is None or guess is None or guess.argv != tool.argv or guess.kind != tool.kind:
            early = pool.submit(tool.resolve, source, world, shown)
        lost: EngineError | None = None
        containers: list[Container] = []
        found: images.Images = {}
        networks: list[Network] = []
        names: dict[str, dict[str, str]] = {}
        listening: list[ports.Listener] = []
        if engine is not None:
            listening = ports.listeners()
            try:
                containers = project_containers(engine, request.name)
                # The images of containers are mostly the declared ones.
                references = [text for row in containers for text in (row.image_ref, row.image_id)]
                found = images.look(engine, references, world)
                networks, names = engine.networks(), engine.names()
            except EngineError as error:
                lost = error
        model = early.result()
    if lost is not None:
        raise lost
    tool = tool.with_env(model.placeholders)
    gathered = Gathered(tool, model, containers, found, resources.Found(known=memory.outside), names, listening)
    if engine is not None:
        wanted = [service.image for service in model.services.values() if service.image not in found]
        gathered.images.update(images.look(engine, wanted, world))
        volumes = engine.volumes([body["name"] for body in resources.declared(model, "volume").values()])
        gathered.outside = resources.Found({row.name: row for row in networks}, volumes, memory.outside)
    return gathered
