# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quadlets: podman-compose resolves the model, and units of systemd run it with Podman 4.7 or later."""

from __future__ import annotations

import dataclasses
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import QUADLET, Target, Traits
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose.driver import PodmanCompose
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.quadlet.commands import QuadletCommands
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine

# The first Podman whose units can name volumes and networks.
OLDEST = (4, 7)


@dataclass(frozen=True)
class Quadlet(PodmanCompose):
    """The driver of quadlets; see :class:`Driver`."""

    kind: t.ClassVar[str] = QUADLET
    traits: t.ClassVar[Traits] = dataclasses.replace(
        PodmanCompose.traits, label="quadlet", sets_stop_timeout=True, by_systemd=True
    )

    @staticmethod
    def unfit(engine: Engine | None) -> str:
        """Why the tool cannot drive ``engine``; "" when it can."""
        why = PodmanCompose.unfit(engine)
        if why or engine is None:
            return why
        if version_of(engine) < OLDEST:
            return (
                f"needs Podman 4.7 or later, and this is {engine.version}. Upgrade Podman, or set the provider to "
                "podman-compose"
            )
        return ""

    def on(self, target: Target) -> QuadletCommands:
        """The commands for one stack."""
        return QuadletCommands(self, target, lambda source: self.resolve(source, target.world, target.shown))


def version_of(engine: Engine) -> tuple[int, ...]:
    """The version of an engine, for example ``(5, 4, 2)``."""
    return tuple(int(part) for part in re.findall(r"\d+", engine.version)[:3])
