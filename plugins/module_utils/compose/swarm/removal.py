# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove a stack from a Swarm. Volumes and directories, which contain data, stay."""

from __future__ import annotations

import os

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.files import removal
from ansible_collections.onebox.stack.plugins.module_utils.compose.inspect import find_engine
from ansible_collections.onebox.stack.plugins.module_utils.compose.result import Result
from ansible_collections.onebox.stack.plugins.module_utils.compose.run import Run
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import state_file
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.image_tags import Tagger
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm import local_images
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm.cluster import Cluster
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm.seen import not_managed
from ansible_collections.onebox.stack.plugins.module_utils.engine.membership import STACK_LABEL
from ansible_collections.onebox.stack.plugins.module_utils.mounts import promised

# Seconds until all nodes have stopped the containers, beyond the usual time to stop.
_SECONDS = 120.0


class SwarmRemoval:
    """Removes a stack from the Swarm of this host.

    Args:
        run: the run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._request = run.request

    def preview(self) -> Result:
        """What a run would remove.

        Raises:
            ComposeError, EngineError: this host manages no Swarm, or the stack must not be changed.
        """
        return self._remove(check=True)

    def run(self) -> Result:
        """Remove the services of the stack, and the files that deploys wrote.

        Raises:
            ComposeError, EngineError: this host manages no Swarm, the stack must not be changed, or it did not stop.
        """
        return self._run.finish(self._remove(check=False), [], "")

    def _remove(self, *, check: bool) -> Result:
        run, request = self._run, self._request
        engine = find_engine(request, run.world)
        cluster = Cluster(engine, run.world)
        problem = not_managed(cluster)
        if problem:
            raise BadStack(request.name, [problem])
        if request.state != "absent":
            raise ComposeError(
                f"compose_stack_state: {request.state} does not exist on a Swarm, which starts stopped services "
                "again. Use absent. The data stays."
            )
        present = cluster.services(request.name)
        run.refuse_in_freeze(sorted(present))
        result = Result(request.name, changed=bool(present))
        if check:
            result.actions = [{"service": name, "container": ""} for name in sorted(present)]
        elif present:
            cluster.docker("stack", "rm", request.name)
            self._wait(cluster)
        result.files, result.foreign_files, kept = removal.remove(request, check=check)
        result.warnings += kept
        result.changed = result.changed or bool(result.files)
        if not check:
            run.releases.forget(run.releases.sets(), Tagger(engine, run.world))
            local_images.prune(run, cluster, result)
            state_file.forget(request.state_folder)
            promised.keep_memory(os.path.join(request.state_folder, promised.NAME))
        return result

    def _wait(self, cluster: Cluster) -> None:
        """Wait until no node runs the stack and its networks are gone, so that it can be deployed again at once."""
        label = f"label={STACK_LABEL}={self._request.name}"

        def gone() -> bool:
            rows = cluster.docker("ps", "-aq", "--filter", label).stdout.split()
            networks = cluster.docker("network", "ls", "-q", "--filter", label).stdout.split()
            return not rows and not networks and not cluster.running(self._request.name)

        if not self._run.world.wait_until(gone, _SECONDS, 0.5):
            raise ComposeError(
                f"stack {self._request.name} was removed, but containers or networks of it are left after "
                f"{_SECONDS:.0f} s. Inspect them with docker ps -a --filter {label}, and run this again."
            )
