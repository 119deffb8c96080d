# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""podman-compose 1.3 and later, on Podman's command line."""

from __future__ import annotations

import dataclasses
import os
import shutil
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers import config
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import (
    PODMAN_COMPOSE,
    Target,
    Tool,
    Traits,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose import model
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose.arguments import arguments
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose.commands import (
    PodmanComposeCommands,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.core import mask
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine

# Older ones have neither --in-pod as a global option nor a config hash.
OLDEST = (1, 3)
# The roles of this collection install a private podman-compose here.
PRIVATE = "/opt/onebox/podman-compose/bin/podman-compose"
PRIVATE_OF_USER = ".local/share/onebox/podman-compose/bin/podman-compose"


@dataclass(frozen=True)
class PodmanCompose(Tool):
    """The driver of podman-compose; see :class:`Driver`."""

    kind: t.ClassVar[str] = PODMAN_COMPOSE
    traits: t.ClassVar[Traits] = Traits(
        label="podman-compose",
        hashes=False,
        labels_image=False,
        labels_networks=False,
        # A start on Podman that was killed, or refused by the runtime, leaves a container that can never be started
        # (runc: "container with given ID already exists").
        starts_created=False,
        keeps_anonymous_volumes=False,
        external_secrets=True,
        values_on_command_line=True,
        sets_stop_timeout=False,
        scales_by_replicas=False,
        own_labels=(),  # the commands of this driver name containers by their ids
        name_separator="_",
        ignored_keys={
            "deploy.restart_policy.condition": "podman-compose ignores it. Write restart",
            "deploy.restart_policy.max_attempts": "podman-compose ignores it. Write restart: on-failure:NUMBER",
        },
    )

    @staticmethod
    def unfit(engine: Engine | None) -> str:
        """Why the tool cannot drive ``engine``; "" when it can."""
        if engine is not None and engine.name != "podman":
            return f"it drives only podman, and the engine is {engine.name}"
        return ""

    @staticmethod
    def environment(engine: Engine | None, env: t.Mapping[str, str]) -> dict[str, str]:
        """The environment in which the tool drives ``engine``."""
        return dict(env)

    @staticmethod
    def candidates(env: t.Mapping[str, str]) -> list[tuple[str, ...]]:
        """Commands that may start the tool, best first."""
        own = os.path.join(env.get("HOME", "/"), PRIVATE_OF_USER)
        found = [shutil.which("podman-compose", path=env.get("PATH")), PRIVATE, own]
        return [(path,) for path in found if path and os.path.exists(path)] or [("podman-compose",)]

    @staticmethod
    def too_old(version: tuple[int, ...]) -> str:
        """Why this version is not supported; "" when it is."""
        return "" if version >= OLDEST else "too old, podman-compose 1.3 or later is required"

    def with_env(self, changes: t.Mapping[str, str]) -> PodmanCompose:
        """The same tool with these variables added to its environment."""
        return dataclasses.replace(self, env={**self.env, **changes})

    def arguments(self, source: Source) -> list[str]:
        """The global arguments of each call for a stack."""
        return arguments(self, source)

    def resolve(self, source: Source, world: World, shown: t.Callable[[str], str] = mask.printed) -> Model:
        """The model that podman-compose would deploy; see :meth:`Driver.resolve`."""
        with config.refusals(source, shown):
            return model.model_of(self, source, world)

    def config_hash(self, service: t.Mapping[str, t.Any], ids: t.Mapping[str, str], version: t.Sequence[int]) -> str:
        """ "" for each service: the hash that podman-compose writes misses half of the declaration."""
        return ""

    def on(self, target: Target) -> PodmanComposeCommands:
        """The commands for one stack."""
        return PodmanComposeCommands(self, target)
