# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract of a compose tool: its version, its differences from others, and its commands for a stack.

Everything outside of this folder works with a :class:`Driver` and never names a tool.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.core import mask
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine

DOCKER_COMPOSE = "docker-compose"
PODMAN_COMPOSE = "podman-compose"
QUADLET = "quadlet"


@dataclass(frozen=True)
class Traits:
    """How a compose tool differs from others, as far as a plan or a check depends on it.

    Attributes:
        label: its name in a message.
        hashes: labels each container and network with a hash of its complete declaration.
        labels_image: labels each container with the image it was created from.
        labels_networks: refuses a network that does not carry its own label.
        starts_created: starts a container that was created and never ran; otherwise it must be created again.
        keeps_anonymous_volumes: hands the anonymous volumes of a container on to the one that replaces it.
        external_secrets: supports secrets that the engine keeps.
        values_on_command_line: passes values of variables on the engine's command line.
        sets_stop_timeout: creates containers with the stop timeout of their service.
        scales_by_replicas: reads ``deploy.replicas`` without ``deploy.mode``.
        own_labels: a container without them is none of its own. It neither counts nor replaces such a container.
        name_separator: between project, service and number in the name of a container.
        ignored_keys: path of a key in a service -> why it has no effect, and what to write instead. These are the keys
            that this tool ignores and others read.
        by_systemd: units of systemd run the containers. They have the restart policies, and start the stack at boot.
    """

    label: str
    hashes: bool
    labels_image: bool
    labels_networks: bool
    starts_created: bool
    keeps_anonymous_volumes: bool
    external_secrets: bool
    values_on_command_line: bool
    sets_stop_timeout: bool
    scales_by_replicas: bool
    own_labels: tuple[str, ...]
    name_separator: str
    ignored_keys: t.Mapping[str, str] = field(default_factory=dict)
    by_systemd: bool = False


@dataclass(frozen=True)
class Target:
    """The stack that commands change, and the means to do it.

    Attributes:
        engine: the engine that runs it.
        project: its name.
        source: where it is declared; None when only its containers are known.
        world: starts processes.
        lock: descriptor of the stack's lock. A command that outlives a killed run holds it, so that the next run waits.
        grace: container id -> seconds it may take to stop, for a tool that does not set the stop timeout.
        shown: masks the output of a command.
    """

    engine: Engine
    project: str
    source: Source | None
    world: World
    lock: int | None = None
    grace: t.Mapping[str, int] = field(default_factory=dict)
    shown: t.Callable[[str], str] = mask.printed


class Commands(t.Protocol):
    """Commands that change one stack.

    Each raises ``ComposeError`` when the tool or the engine refuses. Containers are mostly given as ``id -> service``,
    because one tool names services and the other one containers.
    """

    def build(self, services: t.Sequence[str]) -> None:
        """Build the images of ``services``; running containers continue."""

    def pull(self, images: t.Mapping[str, str]) -> None:
        """Pull images, given as ``service -> image``."""

    def up(self, services: t.Sequence[str], replaced: t.Collection[str]) -> None:
        """Create or start the containers of ``services``, and replace those of ``replaced``, but no dependency."""

    def clear(self, containers: t.Mapping[str, str], *, in_namespace: bool) -> None:
        """Remove the containers of one service before :meth:`up` replaces them, if the tool cannot replace them.

        Args:
            in_namespace: they live in the namespace of a container that is replaced as well.
        """

    def restart(self, containers: t.Mapping[str, t.Sequence[str]], seconds: t.Mapping[str, int]) -> None:
        """Restart containers in place. The engine resolves their binds again.

        Args:
            containers: service -> ids of its containers.
            seconds: service -> seconds a container may take to stop.
        """

    def unpause(self, containers: t.Mapping[str, str]) -> None:
        """Continue paused containers."""

    def stop(self, containers: t.Mapping[str, str]) -> None:
        """Stop the complete stack, so that it stays stopped at boot. ``containers`` are those that run."""

    def remove(self, containers: t.Mapping[str, str]) -> None:
        """Stop and remove containers. Volumes and directories stay."""

    def remove_network(self, name: str, identity: str) -> None:
        """Remove a network that no container of the stack uses. The next start creates it as declared.

        Raises:
            ComposeError: another container uses it, or the engine refused.
        """

    def down(self, containers: t.Mapping[str, str]) -> None:
        """Remove the complete stack: containers and networks, never a volume."""

    def probe(self, containers: t.Sequence[str]) -> None:
        """Run healthchecks now, side by side. Podman records the results."""


class Driver(t.Protocol):
    """A compose tool of this host.

    Attributes:
        kind: ``docker-compose``, ``podman-compose`` or ``quadlet``.
        traits: how it differs from other tools.
        argv: the command that starts it.
        version: for example ``(2, 26, 1)``.
        env: the complete environment it runs with.
    """

    kind: t.ClassVar[str]
    traits: t.ClassVar[Traits]

    @property
    def argv(self) -> tuple[str, ...]: ...

    @property
    def version(self) -> tuple[int, ...]: ...

    @property
    def env(self) -> t.Mapping[str, str]: ...

    @property
    def version_text(self) -> str:
        """The version as text."""

    @property
    def starts_dependencies(self) -> bool:
        """Whether a service can only be started together with its dependencies."""

    def with_env(self, changes: t.Mapping[str, str]) -> Driver:
        """The same tool with these variables added to its environment."""

    def arguments(self, source: Source) -> list[str]:
        """The global arguments of each call for a stack, so that all calls see the same model."""

    def resolve(self, source: Source, world: World, shown: t.Callable[[str], str] = mask.printed) -> Model:
        """The model that the tool would deploy from ``source``.

        Args:
            shown: masks the output of the tool.

        Raises:
            BadStack: a file is not YAML, or the tool refuses it. The message quotes the tool.
            ComposeError: the tool cannot be run.
        """

    def config_hash(self, service: t.Mapping[str, t.Any], ids: t.Mapping[str, str], version: t.Sequence[int]) -> str:
        """The hash a release of the tool gives a service; "" for a tool without hashes.

        Args:
            service: the service of the resolved model.
            ids: service -> id of its container.
            version: the release.
        """

    def on(self, target: Target) -> Commands:
        """The commands for one stack."""


@dataclass(frozen=True)
class Tool:
    """The common part of all drivers; see :class:`Driver`."""

    argv: tuple[str, ...]
    version: tuple[int, ...]
    env: t.Mapping[str, str]

    @property
    def version_text(self) -> str:
        """The version as text."""
        return ".".join(str(part) for part in self.version)

    @property
    def starts_dependencies(self) -> bool:
        """Whether a service can only be started together with its dependencies."""
        return False
