# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``docker compose`` v2 as a plugin or a program of its own, on Docker's socket or on Podman's."""

from __future__ import annotations

import dataclasses
import os
import shutil
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers import config
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import (
    DOCKER_COMPOSE,
    Target,
    Tool,
    Traits,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.docker_compose import config_hash, model
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.docker_compose.arguments import arguments
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.docker_compose.commands import (
    DockerComposeCommands,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.engine_traits import traits_of
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.core import mask
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine


@dataclass(frozen=True)
class DockerCompose(Tool):
    """The driver of docker compose; see :class:`Driver`."""

    kind: t.ClassVar[str] = DOCKER_COMPOSE
    traits: t.ClassVar[Traits] = Traits(
        label="docker compose",
        hashes=True,
        labels_image=True,
        labels_networks=True,
        starts_created=True,
        keeps_anonymous_volumes=True,
        external_secrets=False,
        values_on_command_line=False,
        sets_stop_timeout=True,
        scales_by_replicas=True,
        own_labels=("com.docker.compose.config-hash", "com.docker.compose.oneoff"),
        name_separator="-",
    )

    @staticmethod
    def unfit(engine: Engine | None) -> str:
        """Why the tool cannot drive ``engine``; "" when it can."""
        if engine is not None and not engine.socket:
            return "podman has no socket here (start podman.socket, or use podman-compose)"
        return ""

    @staticmethod
    def environment(engine: Engine | None, env: t.Mapping[str, str]) -> dict[str, str]:
        """The environment in which the tool drives ``engine``."""
        if engine is None:
            return dict(env)
        found = {**env, "DOCKER_HOST": f"unix://{engine.socket}"}
        if not traits_of(engine).has_buildkit:
            # Otherwise buildx fetches BuildKit from a registry and runs it as a container next to the stack.
            found["DOCKER_BUILDKIT"] = "0"
        else:
            # An attestation has the time of the build: in the image store of containerd, a build that is wholly cached
            # would be a new image, and its services would be created again.
            found["BUILDX_NO_DEFAULT_ATTESTATIONS"] = "1"
        return found

    @staticmethod
    def candidates(env: t.Mapping[str, str]) -> list[tuple[str, ...]]:
        """Commands that may start the tool, best first."""
        path = env.get("PATH")
        candidates: list[tuple[str, ...]] = []
        # Calling the plugin directly saves the start of the docker command line, and works where that is not installed.
        home = env.get("DOCKER_CONFIG") or os.path.join(env.get("HOME", "/"), ".docker")
        for folder in (
            os.path.join(home, "cli-plugins"),
            "/usr/local/lib/docker/cli-plugins",
            "/usr/local/libexec/docker/cli-plugins",
            "/usr/lib/docker/cli-plugins",
            "/usr/libexec/docker/cli-plugins",
            "/opt/homebrew/lib/docker/cli-plugins",
        ):
            plugin = os.path.join(folder, "docker-compose")
            if os.access(plugin, os.X_OK):
                candidates.append((plugin,))
        alone = shutil.which("docker-compose", path=path)
        if alone:
            candidates.append((alone,))
        if not candidates and shutil.which("docker", path=path):
            candidates.append(("docker", "compose"))
        return candidates or [("docker-compose",)]

    @staticmethod
    def too_old(version: tuple[int, ...]) -> str:
        """Why this version is not supported; "" when it is."""
        return "" if version >= (2,) else f"version {version[0]} is too old, compose v2 is required"

    @property
    def starts_dependencies(self) -> bool:
        """Whether a service can only be started together with its dependencies.

        Docker Compose before 2.29.3 has ``depends_on`` in its hash and drops it from services started with
        ``--no-deps``, so that the next run would find a changed service.
        """
        return self.version < config_hash.WITHOUT_DEPENDS_ON

    def with_env(self, changes: t.Mapping[str, str]) -> DockerCompose:
        """The same tool with these variables added to its environment."""
        return dataclasses.replace(self, env={**self.env, **changes})

    def arguments(self, source: Source) -> list[str]:
        """The global arguments of each call for a stack."""
        return arguments(self, source)

    def resolve(self, source: Source, world: World, shown: t.Callable[[str], str] = mask.printed) -> Model:
        """The model that docker compose would deploy; see :meth:`Driver.resolve`."""
        with config.refusals(source, shown):
            return model.model_of(self, source, world)

    def config_hash(self, service: t.Mapping[str, t.Any], ids: t.Mapping[str, str], version: t.Sequence[int]) -> str:
        """The hash a release of docker compose gives a service."""
        return config_hash.config_hash(service, ids, version)

    def on(self, target: Target) -> DockerComposeCommands:
        """The commands for one stack."""
        return DockerComposeCommands(self, target, starts_dependencies=self.starts_dependencies)
