# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Podman's commands for machines, with a time limit for each call and without prompts.

podman itself has no time limits: ``start`` waits forever for a guest that never gets ready, and meanwhile other
``start``, ``set`` and ``stop`` commands wait forever for its lock.
"""

from __future__ import annotations

import functools
import json
import re
import shutil
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.vm.errors import Hung, MachineError
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import health, model

Version = tuple[int, int, int]


class Podman:
    """The client: its commands, and the APIs of its machines. ``actions`` collects the commands that changed something.

    Args:
        executable: a path, or a name that is searched in PATH.
        env: the whole environment, from :func:`paths.environment`.
        timeout: seconds for a call that only reads or writes files, and for an answer of an API.
        world: processes and clocks.
        ping: checks the API behind a socket; default :func:`health.ping`.
    """

    def __init__(
        self,
        executable: str,
        env: t.Mapping[str, str],
        timeout: float,
        world: World,
        ping: health.Ping | None = None,
    ) -> None:
        self.env = dict(env)
        self.timeout = timeout
        self.world = world
        self.ping = ping or functools.partial(health.ping, timeout=timeout, world=world)
        self.actions: list[list[str]] = []
        self.executable = shutil.which(executable, path=self.env.get("PATH")) or executable
        self.version_text = self._version_text()
        self.version = parse_version(self.version_text)

    def _version_text(self) -> str:
        try:
            return self.world.run([self.executable, "--version"], timeout=self.timeout, env=self.env).stdout.split()[-1]
        except process.CommandMissing as error:
            raise MachineError(
                f"{error}. Install podman (on a Mac: brew install podman), or set executable to its path."
            ) from error
        except process.CommandError as error:
            raise MachineError(f"podman --version fails: {error}") from error

    def _environment(self, provider: str) -> dict[str, str]:
        # Before 6.0 the provider is a namespace: without this, a machine of another provider does not exist.
        return {**self.env, "CONTAINERS_MACHINE_PROVIDER": provider} if provider else self.env

    def inspect(self, provider: str, names: t.Sequence[str]) -> list[model.Inspected]:
        """The machines of these names that exist. For an unknown name, podman only sets the exit code."""
        done = self._read(provider, "inspect", *names)
        return [model.parse_inspect(row) for row in self._decode(done)]

    def listing(self, provider: str) -> list[model.Listed]:
        """Machines of ``provider``; from podman 6 on, of all. ``--all-providers`` exists only in some versions."""
        done = self._read(provider, "list", "--format", "json")
        if done.rc != 0:
            raise MachineError(_failed("list", done))
        return [model.parse_list(row) for row in self._decode(done)]

    def _read(self, provider: str, *words: str) -> process.Result:
        argv = [self.executable, "machine", *words]
        try:
            return self.world.run(argv, timeout=self.timeout, check=False, env=self._environment(provider))
        except process.CommandTimeout as error:
            raise Hung(
                f"{error}: the virtual machine's own process does not answer podman. Run again with "
                "recover: kill_stale to end it, or check with: ps ax | grep podman"
            ) from error
        except process.CommandError as error:
            raise MachineError(f"podman machine cannot be read: {error}") from error

    def _decode(self, done: process.Result) -> t.Any:
        try:
            rows = json.loads(done.stdout)
        except ValueError as error:
            raise MachineError(_failed(done.argv[2], done)) from error
        return rows or []

    def change(self, provider: str, words: t.Sequence[str], timeout: float | None = None) -> None:
        """Run a command that changes a machine and record it.

        Raises:
            MachineError: it failed.
            process.CommandTimeout: it did not finish within ``timeout`` (default the client's).
        """
        self.actions.append(["podman", *words])
        argv = [self.executable, *words]
        try:
            self.world.run(argv, timeout=timeout or self.timeout, env=self._environment(provider))
        except process.CommandTimeout:
            raise
        except process.CommandError as error:
            raise MachineError(str(error)) from error


def parse_version(text: str) -> Version:
    """``5.8.0-rc1`` is (5, 8, 0). Raises MachineError if it is not a version."""
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if not found:
        raise MachineError(f"podman's version {text!r} cannot be parsed")
    return int(found.group(1)), int(found.group(2)), int(found.group(3) or 0)


def _failed(verb: str, done: process.Result) -> str:
    return f"podman machine {verb} failed with exit code {done.rc}: {process.last_words(done.stderr) or 'no message'}"
