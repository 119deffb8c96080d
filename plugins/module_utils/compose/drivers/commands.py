# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the commands that is the same for each compose tool: running them, networks, healthchecks."""

from __future__ import annotations

import concurrent.futures
import contextlib
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Target, Tool
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.engine import changes

# Builds and pulls may take as long as the network does.
LONG_TIMEOUT = 3600.0
TIMEOUT = 600.0
_PROBE_TIMEOUT = 30.0


class BaseCommands:
    """Runs commands for one stack.

    Args:
        tool: the compose tool.
        target: the stack.
    """

    def __init__(self, tool: Tool, target: Target) -> None:
        self._tool = tool
        self._target = target

    def remove_network(self, name: str, identity: str) -> None:
        """Remove a network that no container of the stack uses. The next start creates it as declared.

        Raises:
            ComposeError: another container uses it, or the engine refused.
        """
        engine = self._target.engine
        what = f"remove network {name}, which was changed"
        if not engine.socket:
            self.run(["podman", "network", "rm", name], what)
            return
        status, said = changes.change(engine.socket, "DELETE", f"/networks/{identity}")
        if status >= 400 and status != 404:
            raise ComposeError(f"could not {what} (stack {self._target.project}): {said}")

    def probe(self, containers: t.Sequence[str]) -> None:
        """Run healthchecks now, side by side. Podman records the results."""

        def one(identity: str) -> None:
            words = ["podman", "healthcheck", "run", identity]
            # If one hangs or podman is not on PATH, the health gate uses the result that Podman recorded.
            with contextlib.suppress(process.CommandError):
                self._target.world.run(words, timeout=_PROBE_TIMEOUT, env=self._tool.env, check=False)

        with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(one, containers))

    def source(self, what: str) -> Source:
        """The declaration of the stack, for a command that reads it.

        Raises:
            ComposeError: only the containers of the stack are known.
        """
        if self._target.source is None:
            raise ComposeError(f"stack {self._target.project}: cannot {what}, because its compose file is unknown")
        return self._target.source

    def run(self, argv: t.Sequence[str], what: str, timeout: float = TIMEOUT, cwd: str | None = None) -> process.Result:
        """Run one command, which holds the stack's lock until it ends.

        Args:
            what: its purpose, for the message of a failure.

        Raises:
            ComposeError: it failed. The message has the last lines it printed, masked.
        """
        target = self._target
        try:
            return target.world.run(argv, timeout=timeout, env=self._tool.env, cwd=cwd, holding=target.lock)
        except process.CommandError as error:
            # Masked before it is cut: the rest of a secret of many lines is not recognised.
            out, err = target.shown(error.result.stdout), target.shown(error.result.stderr)
            said = process.last_words(err or out, 4) or str(error)
            said += _failed_step(out)
            raise ComposeError(f"could not {what} (stack {target.project}): {said}") from error


def _failed_step(text: str) -> str:
    """The output of the failed step of a build. BuildKit prints it between two lines of dashes on standard output."""
    parts = re.split(r"(?m)^------$", text)
    lines = parts[-2].strip().splitlines() if len(parts) > 2 else []
    return "".join(f"\n    {line.strip()}" for line in lines[-15:])
