# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands for a stack of quadlets: units of systemd run the containers, podman-compose builds images."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Target, Tool
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose.commands import (
    PodmanComposeCommands,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.quadlet.rendering import units_of
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.quadlet.units import Units, service_of
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.compose.quadlet.render import unit_name
from ansible_collections.onebox.stack.plugins.module_utils.compose.render.parts import File
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.engine.project_containers import project_containers

# A unit that is started again and again gets this long until its container runs once.
_START_TIMEOUT = 60.0
# After so many starts without a container, a unit counts as failed.
_MOST_RESTARTS = 3
# The files of a service in the directory of units.
_OF_SERVICE = (".container", ".env", ".labels")
_STARTED = ("running", "exited", "stopped", "paused")


class QuadletCommands(PodmanComposeCommands):
    """Changes one stack through units of systemd; see :class:`Commands`.

    Args:
        tool: podman-compose, which builds images.
        target: the stack.
        resolve: the model of a source.
    """

    def __init__(self, tool: Tool, target: Target, resolve: t.Callable[[Source], Model]) -> None:
        super().__init__(tool, target)
        self._resolve = resolve
        self._files: list[File] = []
        self._units = Units(target.project, target.world)

    def up(self, services: t.Sequence[str], replaced: t.Collection[str]) -> None:
        """Install the units, and start those of ``services``."""
        what = "start " + ", ".join(services)
        rendered = self._rendered(what)
        wanted = {f"{unit_name(self._target.project, name)}.container" for name in services}
        self._units.write([each for each in rendered if not each.path.endswith(".container") or each.path in wanted])
        self._units.systemctl("daemon-reload")
        self._create_networks(rendered)
        self._start(services)

    def clear(self, containers: t.Mapping[str, str], *, in_namespace: bool) -> None:
        """Remove the containers of one service before :meth:`up` creates new ones."""
        self._end(containers)

    def restart(self, containers: t.Mapping[str, t.Sequence[str]], seconds: t.Mapping[str, int]) -> None:
        """Restart the units of services. Each unit has the stop timeout of its service."""
        if containers:
            self._start([*containers])

    def stop(self, containers: t.Mapping[str, str]) -> None:
        """Stop the complete stack, and remove the units of all services, also of those without a container now."""
        names = [name for name in self._units.installed() if name.endswith(_OF_SERVICE)]
        self._units.stop(names)
        self._units.remove(names)
        self._end(containers)

    def remove(self, containers: t.Mapping[str, str]) -> None:
        """Stop and remove containers and their units. Their volumes stay."""
        self._end(containers)
        names = [unit_name(self._target.project, service) for service in containers.values()]
        self._units.remove(f"{name}{suffix}" for name in dict.fromkeys(names) for suffix in _OF_SERVICE)

    def down(self, containers: t.Mapping[str, str]) -> None:
        """Remove the complete stack: units, containers and networks, never a volume."""
        installed = list(self._units.installed())
        self._units.stop(installed)
        self._units.remove(installed)
        super().down(containers)

    def _rendered(self, what: str) -> list[File]:
        """The units of the complete stack."""
        if not self._files:
            source = self.source(what)
            version = [int(part) for part in re.findall(r"\d+", self._target.engine.version)[:3]]
            self._files = units_of(self._resolve(source), source, self._units.folder, version)
        return self._files

    def _create_networks(self, rendered: t.Sequence[File]) -> None:
        """Let the units of networks that do not exist create them again. Their services are still active."""
        for each in rendered:
            name = re.search(r"(?m)^NetworkName=(.+)$", each.content)
            if each.path.endswith(".network") and name:
                words = ["podman", "network", "exists", name[1]]
                there = self._target.world.run(words, timeout=60.0, env=self._tool.env, check=False).rc == 0
                if not there:
                    self._units.systemctl("restart", service_of(each.path))

    def _end(self, containers: t.Mapping[str, str]) -> None:
        """Stop and remove containers: those of units by systemd, and those of another tool by Podman."""
        if not containers:
            return
        names = {f"{unit_name(self._target.project, service)}.container" for service in containers.values()}
        self._units.stop(name for name in self._units.installed() if name in names)
        left = [row.id for row in self._present() if row.id in containers]
        if left:
            PodmanComposeCommands.stop(self, {identity: containers[identity] for identity in left})
            self.run(["podman", "rm", "--force", "--ignore", *left], "remove previous containers")

    def _start(self, services: t.Sequence[str]) -> None:
        """Start units without waiting until they are healthy: the health gate reports more about that.

        Raises:
            ComposeError: a unit failed. The message has its last lines.
        """
        names = {f"{unit_name(self._target.project, name)}.service": name for name in services}
        previous = {row.id for row in self._present()}
        self._units.systemctl("reset-failed", *names, check=False)
        # A service of which only the container was removed is still active.
        self._units.systemctl("--no-block", "restart", *names)
        pending = dict(names)

        def settled() -> bool:
            states = self._units.states([*pending])
            began = {row.service for row in self._present() if row.status in _STARTED and row.id not in previous}
            for unit, service in list(pending.items()):
                state = states.get(unit, {})
                if state.get("ActiveState") == "failed" or int(state.get("NRestarts") or 0) >= _MOST_RESTARTS:
                    raise ComposeError(self._failure(service, unit))
                if service in began:
                    del pending[unit]
            return not pending

        self._target.world.wait_until(settled, _START_TIMEOUT)

    def _present(self) -> list[Container]:
        return project_containers(self._target.engine, self._target.project)

    def _failure(self, service: str, unit: str) -> str:
        lines = process.last_words(self._target.shown(self._units.journal(unit)), 6)
        return (
            f"stack {self._target.project}, service {service}: {unit} failed. Its last lines: {lines}. Fix the cause, "
            "and run the playbook again."
        )
