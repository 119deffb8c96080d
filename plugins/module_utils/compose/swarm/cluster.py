# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Swarm that this engine manages, as a deploy changes it."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.swarm import Swarm, SwarmService, of_stack

_TIMEOUT = 300.0
# The end of the names that the rendered stack file gives to secrets and configs.
_HASHED = re.compile(r"_[0-9a-f]{12}$")


class Cluster(Swarm):
    """The Swarm, through one of its managers.

    Args:
        engine: the engine of this host.
        world: starts processes.
    """

    def __init__(self, engine: Engine, world: World) -> None:
        super().__init__(engine)
        self._world = world

    def remove_unused(self, stack: str, services: t.Iterable[SwarmService]) -> None:
        """Remove the secrets and configs of previous deploys that no service of the stack has.

        Their names end with a hash of the content. One with another name is not ours, and a Swarm returns no secret.

        Raises:
            CommandError: Docker refused one.
        """
        specs = [service.container_spec for service in services]
        for kind, key, reference in (("secret", "Secrets", "SecretID"), ("config", "Configs", "ConfigID")):
            used = {str(row.get(reference)) for spec in specs for row in spec.get(key) or ()}
            rows = self._get(f"/{kind}s", filters=of_stack(stack)) or ()
            ours = [str(row["ID"]) for row in rows if _HASHED.search(str((row.get("Spec") or {}).get("Name")))]
            unused = sorted(set(ours) - used)
            if unused:
                self.docker(kind, "rm", *unused)

    def docker(self, *words: str, cwd: str | None = None, timeout: float = _TIMEOUT) -> process.Result:
        """Run a docker command on this engine.

        Raises:
            CommandError: it failed.
        """
        env = {**self._world.environ, "DOCKER_HOST": f"unix://{self._engine.socket}"}
        return self._world.run(["docker", *words], timeout=timeout, env=env, cwd=cwd)
