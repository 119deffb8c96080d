# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of ``docker compose`` v2, on Docker's socket or on Podman's."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Target, Tool
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.commands import (
    LONG_TIMEOUT,
    TIMEOUT,
    BaseCommands,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.docker_compose.arguments import arguments
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.engine_traits import traits_of


class DockerComposeCommands(BaseCommands):
    """Changes one stack through docker compose; see :class:`Commands`.

    Args:
        tool: the compose tool.
        target: the stack.
        starts_dependencies: whether a service can only be started together with its dependencies.
    """

    def __init__(self, tool: Tool, target: Target, *, starts_dependencies: bool) -> None:
        super().__init__(tool, target)
        self._starts_dependencies = starts_dependencies

    def build(self, services: t.Sequence[str]) -> None:
        """Build the images of ``services``; running containers continue."""
        if services:
            self._compose(["build", *services], f"build {', '.join(services)}", LONG_TIMEOUT)

    def pull(self, images: t.Mapping[str, str]) -> None:
        """Pull images, given as ``service -> image``."""
        if images:
            what = f"pull {', '.join(sorted(set(images.values())))}"
            self._compose(["pull", "--quiet", *images], what, LONG_TIMEOUT)

    def up(self, services: t.Sequence[str], replaced: t.Collection[str]) -> None:
        """Create or start the containers of ``services``, and replace those of ``replaced``, but no dependency."""
        words = ["up", "-d", "--no-build"]
        if not self._starts_dependencies:
            words.append("--no-deps")
        what = "start " + ", ".join(services)
        # One call for all: --force-recreate does not affect services that are only created or started.
        groups = [
            ([name for name in services if name in replaced], "--force-recreate"),
            ([name for name in services if name not in replaced], "--no-recreate"),
        ]
        for group, flag in groups:
            if group:
                self._compose([*words, flag, *group], what, TIMEOUT)

    def clear(self, containers: t.Mapping[str, str], *, in_namespace: bool) -> None:
        """Remove containers that docker compose cannot replace: on Podman, those in the namespace of another one."""
        if in_namespace and traits_of(self._target.engine).keeps_namespace_owner:
            self.remove(containers)

    def restart(self, containers: t.Mapping[str, t.Sequence[str]], seconds: t.Mapping[str, int]) -> None:
        """Restart containers in place. They carry the stop timeout of their service."""
        if containers:
            self._project(["restart", *containers], f"restart {', '.join(containers)}")

    def unpause(self, containers: t.Mapping[str, str]) -> None:
        """Continue paused containers."""
        self._services(["unpause"], containers, "unpause")

    def stop(self, containers: t.Mapping[str, str]) -> None:
        """Stop containers and keep them."""
        self._services(["stop"], containers, "stop")

    def remove(self, containers: t.Mapping[str, str]) -> None:
        """Stop and remove containers. Volumes and directories stay."""
        self._services(["rm", "--stop", "--force"], containers, "remove")

    def down(self, containers: t.Mapping[str, str]) -> None:
        """Remove the complete stack: containers and networks, never a volume."""
        self._project(["down", "--remove-orphans"], "take down")

    def _services(self, words: t.Sequence[str], containers: t.Mapping[str, str], what: str) -> None:
        if containers:
            self._project([*words, *sorted(set(containers.values()))], what)

    def _compose(self, words: t.Sequence[str], what: str, timeout: float) -> None:
        source = self.source(what)
        self.run([*arguments(self._tool, source), *words], what, timeout, source.read_dir)

    def _project(self, words: t.Sequence[str], what: str) -> None:
        # By labels, without a file: the command affects the containers that run, whatever the file declares now.
        self.run([*self._tool.argv, "-p", self._target.project, *words], what, cwd="/")
