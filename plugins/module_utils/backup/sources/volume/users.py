# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop the containers that use data while it is replaced, and start them again.

A container keeps the directory that it was started with: a running one would continue to write to the previous copy.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import on_swarm
from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import Cli
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container

# Kept across a kill, so that the next restore starts what the killed one stopped.
_NOTE = "volume-users"
# The engine kills what has not stopped after its own ten seconds, or those that the compose file states.
_PATIENCE = 600.0


def of_volume(name: str) -> t.Callable[[Container], bool]:
    """Whether a container uses the volume of that name."""
    return lambda container: any(row.type == "volume" and row.name == name for row in container.mounts)


def running(cli: Cli, uses: t.Callable[[Container], bool], what: str) -> list[str]:
    """Names of the running containers that use the data.

    Raises:
        RestoreRefused: a Swarm runs one of them.
        SourceError: the engine does not answer.
    """
    from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError

    try:
        every = cli.engine.containers()
    except EngineError as error:
        raise SourceError(str(error)) from error
    found = [container for container in every if container.running and uses(container)]
    on_swarm.require_scaled_down(found, what)
    return [container.name for container in found]


def require_none_on_swarm(context: Context, path: str) -> None:
    """Refuse to replace a directory that a container of a Swarm has: no deploy creates that container again.

    Raises:
        RestoreRefused: the text has the commands to type.
    """
    place = realpath(path)

    def uses(container: Container) -> bool:
        sources = [realpath(row.source) for row in container.mounts if row.source]
        return bool(container.swarm_service) and any(
            f"{place}/".startswith(f"{source.rstrip('/')}/") or source.startswith(f"{place}/") for source in sources
        )

    with contextlib.suppress(SourceError):  # without an engine there is no container
        running(context.open_cli(), uses, f"the directory {path}")


@contextlib.contextmanager
def stopped(context: Context, uses: t.Callable[[Container], bool], what: str) -> t.Iterator[None]:
    """Stop the containers that use the data for the block.

    Args:
        what: the data, for messages.

    Raises:
        RestoreRefused: a Swarm runs one.
        SourceError: one cannot be stopped, or does not start again.
    """
    cli = context.open_cli()
    noted = context.state.read(_NOTE).get("containers")
    names = list(dict.fromkeys([*(noted if isinstance(noted, list) else ()), *running(cli, uses, what)]))
    if names:
        context.state.write(_NOTE, {"containers": names})
    failed: list[str] = []
    try:
        for name in names:
            context.log(f"stopping {name}")
            cli.call("stop", name, check=False, timeout=_PATIENCE)
        left = running(cli, uses, what)
        if left:
            raise SourceError(f"{', '.join(left)} did not stop and would write to {what}. Stop them first")
        yield
    finally:
        for name in names:
            context.log(f"starting {name}")
            done = cli.call("start", name, check=False, timeout=_PATIENCE)
            if done.rc != 0 and "no such" not in done.stderr.lower():
                failed.append(f"{name} ({done.stderr.strip()[-200:]})")
        context.state.write(_NOTE, {})
    if failed:
        raise SourceError(f"{what} is restored, and these did not start: {'; '.join(failed)}. Start them")
