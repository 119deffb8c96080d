# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""End a machine that hangs: exactly its own processes.

A killed or failed ``podman machine start`` leaves the VM, gvproxy and virtiofsd behind, and podman's own ``rm --force``
removes their disk. A process belongs to a machine if its command line contains one of that machine's own files (disk
image, sockets, pid file) as a whole word or as the value of an option, and if it belongs to the same user. The number
in a pid file is never enough, because numbers are reused.
"""

from __future__ import annotations

import os
import re
import signal
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import ps
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.vm.errors import MachineError
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.model import ConfigFile

Kill = t.Callable[[int, int], None]


def own_files(config: ConfigFile, runtime: str) -> list[str]:
    """The paths that only this machine uses. ``runtime`` is podman's runtime directory."""
    name = config.name
    below = [f"{name}_vm.pid", f"qmp_{name}.sock", f"{name}.sock", f"{name}-gvproxy.sock", f"{name}-api.sock"]
    below += [f"{name}-ignition.sock", f"{name}-krun.sock", f"{name}-vfkit.sock"]
    return [path for path in (config.image_path, *config.pid_files) if path] + [
        os.path.join(runtime, file) for file in below
    ]


def belonging(
    config: ConfigFile, runtime: str, found: t.Sequence[ps.Process], uid: int, spare: t.Container[int]
) -> list[ps.Process]:
    """The processes of this machine.

    Only one machine can run at a time, so the virtiofsd processes of the runtime directory are this machine's as well.

    Args:
        config: the machine.
        runtime: podman's runtime directory.
        found: the host's ps.
        uid: whose processes may be ended.
        spare: this process and its parents.
    """
    words = [re.escape(path) for path in own_files(config, runtime)]
    words.append(re.escape(os.path.join(runtime, "virtiofschar")) + r"\d+")
    names = re.compile(r"(?:^|[\s=,:/])(?:" + "|".join(words) + r")(?:$|[\s,])")
    return [one for one in found if one.uid == uid and one.pid not in spare and names.search(one.command)]


# Files of the one running machine: with a stale pid file, podman would end a foreign process.
_SHARED = re.compile(r"virtiofschar\d+(?:\.pid)?|gvproxy\.pid")


def _remove_dead(config: ConfigFile, runtime: str) -> None:
    """Remove the sockets and pid files of a machine none of whose processes is left."""
    if not os.path.isdir(runtime):
        return
    own = {os.path.basename(path) for path in own_files(config, runtime) if path != config.image_path}
    for name in os.listdir(runtime):
        if name in own or _SHARED.fullmatch(name):
            os.unlink(os.path.join(runtime, name))


def running(config: ConfigFile, runtime: str, world: World) -> list[ps.Process]:
    """The processes of a machine that this user may end. Raises process.CommandError when ps fails."""
    found = ps.listing(world)
    return belonging(config, runtime, found, world.uid, ps.family(os.getpid(), found))


def end(config: ConfigFile, runtime: str, *, world: World, kill: Kill = os.kill, timeout: float = 10.0) -> list[str]:
    """End the processes of a machine: by SIGTERM, then by SIGKILL; then remove its dead sockets.

    Args:
        config: the machine.
        runtime: podman's runtime directory.
        world: whose processes may be ended, and the clock.
        kill: sends a signal.
        timeout: seconds to wait after each of the two signals.

    Returns:
        The command lines of the ended processes.

    Raises:
        MachineError: a process still runs.
    """
    remaining: list[ps.Process] = []

    def gone() -> bool:
        remaining[:] = running(config, runtime, world)
        return not remaining

    ended: dict[int, str] = {}
    for number in (signal.SIGTERM, signal.SIGKILL):
        if gone():
            break
        ended.update({one.pid: one.command for one in remaining})
        for one in remaining:
            try:
                kill(one.pid, number)
            except ProcessLookupError:
                continue  # it ended by itself
        if world.wait_until(gone, timeout, 0.1):
            break
    else:
        raise MachineError(
            f"process {remaining[0].pid} of the machine {config.name} does not end even by SIGKILL: "
            f"{remaining[0].command[:200]}"
        )
    _remove_dead(config, runtime)
    return [ended[pid] for pid in sorted(ended)]
