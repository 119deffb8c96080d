# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of podman-compose, and of Podman for what podman-compose cannot do to single containers."""

from __future__ import annotations

import tempfile
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.commands import (
    LONG_TIMEOUT,
    TIMEOUT,
    BaseCommands,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose.arguments import arguments
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose.interpreter import (
    without_values,
)

_DEFAULT_GRACE = 10


class PodmanComposeCommands(BaseCommands):
    """Changes one stack through podman-compose; see :class:`Commands`.

    podman-compose would stop running dependents of a container it replaces. So containers are removed by Podman, and
    podman-compose only creates what is missing.
    """

    def build(self, services: t.Sequence[str]) -> None:
        """Build the images of ``services``; running containers continue."""
        if services:
            self._compose(["build", *services], f"build {', '.join(services)}", LONG_TIMEOUT)

    def pull(self, images: t.Mapping[str, str]) -> None:
        """Pull images, given as ``service -> image``."""
        what = f"pull {', '.join(sorted(set(images.values())))}"
        for image in dict.fromkeys(images.values()):
            self.run(["podman", "pull", "--quiet", image], what, LONG_TIMEOUT)

    def up(self, services: t.Sequence[str], replaced: t.Collection[str]) -> None:
        """Create or start the containers of ``services``, but no dependency. :meth:`clear` removed ``replaced``."""
        self._compose(["up", "-d", "--no-build", "--no-deps", *services], "start " + ", ".join(services), TIMEOUT)

    def clear(self, containers: t.Mapping[str, str], *, in_namespace: bool) -> None:
        """Remove the containers of one service before :meth:`up` creates new ones."""
        self.remove(containers)

    def restart(self, containers: t.Mapping[str, t.Sequence[str]], seconds: t.Mapping[str, int]) -> None:
        """Restart containers in place, each with the stop timeout of its service."""
        for name, ids in containers.items():
            # podman-compose does not pass the stop timeout to Podman.
            self._each(["restart", "--time", str(seconds[name])], ids)

    def unpause(self, containers: t.Mapping[str, str]) -> None:
        """Continue paused containers."""
        self._each(["unpause"], [*containers])

    def stop(self, containers: t.Mapping[str, str]) -> None:
        """Stop containers and keep them."""
        groups: dict[int, list[str]] = {}
        for identity in containers:
            groups.setdefault(self._target.grace.get(identity, _DEFAULT_GRACE), []).append(identity)
        for seconds, group in groups.items():
            self._each(["stop", "--time", str(seconds)], group)

    def remove(self, containers: t.Mapping[str, str]) -> None:
        """Stop and remove containers. Their volumes stay."""
        if containers:
            self.stop(containers)
            self.run(["podman", "rm", "--force", *containers], "remove previous containers")

    def down(self, containers: t.Mapping[str, str]) -> None:
        """Remove the complete stack: containers and networks, never a volume."""
        self.remove(containers)
        label = f"label=com.docker.compose.project={self._target.project}"
        listed = self.run(["podman", "network", "ls", "--quiet", "--filter", label], "list networks")
        for network in listed.stdout.split():
            self.run(["podman", "network", "rm", network], f"remove network {network}")

    def _each(self, words: t.Sequence[str], ids: t.Sequence[str]) -> None:
        if ids:
            self.run(["podman", *words, *ids], words[0])

    def _compose(self, words: t.Sequence[str], what: str, timeout: float) -> None:
        source = self.source(what)
        with tempfile.TemporaryDirectory(suffix=".onebox") as folder:
            argv = without_values(self._tool, folder, [*arguments(self._tool, source), *words])
            self.run(argv, what, timeout, source.project_dir)
