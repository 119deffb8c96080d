# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the steps of a plan, each with its own time limit, and clean up half-started machines."""

from __future__ import annotations

import contextlib
import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.core import files, lock, process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.vm.errors import MachineError
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import model, read, recover
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.client import Podman
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.plan import Plan, Step


@dataclass(frozen=True)
class Limits:
    """Seconds for each kind of step.

    Attributes:
        start: a start, the API included.
        stop: a stop; Apple's machines need up to 90 before podman stops them by force.
        init: the creation of a machine, the download of its image included.
    """

    start: float = 300.0
    stop: float = 120.0
    init: float = 1800.0


@dataclass
class Applier:
    """Runs the steps of one plan.

    Attributes:
        podman: the client.
        name: the machine.
        provider: the machine's current or future provider; "" for podman's default.
        runtime: podman's runtime directory.
        limits: seconds for the steps.
        next_provider: the provider of a machine that is created again, if it is another one.
        wait_api: whether a start is complete only when the API answers.
        ended: command lines of the processes that were ended.
    """

    podman: Podman
    name: str
    provider: str
    runtime: str
    limits: Limits
    next_provider: str = ""
    wait_api: bool = True
    ended: list[str] = field(default_factory=list)

    def apply(self, plan: Plan) -> None:
        """Run the steps in order until one fails.

        Raises:
            MachineError: a step failed; the text names the step and the resulting state of the machine.
        """
        for step in plan.steps:
            getattr(self, "_" + step.verb)(step)

    def _config(self) -> model.ConfigFile | None:
        return read.choose(read.configurations(self.podman), self.name, self.provider or None)

    def _init(self, step: Step) -> None:
        self.provider = self.next_provider or self.provider
        try:
            self.podman.change(self.provider, step.words, self.limits.init)
        except process.CommandTimeout as error:
            raise MachineError(
                f"{error}. A new machine downloads its image: increase timeout_init, or set image to a local file."
            ) from error
        config = self._config()
        self.provider = config.provider if config else self.provider

    def _set(self, step: Step) -> None:
        self._plain(step)

    def _default(self, step: Step) -> None:
        try:
            self._plain(step)
        except MachineError as error:
            raise MachineError(
                f"{error}. The connections of {self.name} are lost. Add them with: podman system connection add "
                f"{self.name} (podman machine inspect {self.name} shows port and key). Or create the machine again "
                "with podman_machine (state: absent, then started), which deletes its containers, images and volumes"
            ) from error

    def _rm(self, step: Step) -> None:
        self._plain(step)

    def _forget(self, step: Step) -> None:
        self._plain(step)

    def _plain(self, step: Step) -> None:
        try:
            self.podman.change(self.provider, step.words)
        except process.CommandTimeout as error:
            raise MachineError(
                f"{error}: another podman command holds the machine's lock, perhaps a start that never ends; "
                "check with: ps ax | grep 'podman machine'"
            ) from error

    def _stop(self, step: Step) -> None:
        try:
            self.podman.change(self.provider, step.words, self.limits.stop)
        except process.CommandTimeout as error:
            raise MachineError(
                f"{error}: the guest of {self.name} does not shut down. Set recover: kill_stale to end its processes, "
                "or increase timeout_stop"
            ) from error

    def _start(self, step: Step) -> None:
        words = list(step.words)
        if self.podman.version >= (6, 0, 0):
            words.insert(2, "--update-connection=false")
        self._alone()
        until = self.podman.world.monotonic() + self.limits.start
        try:
            self.podman.change(self.provider, words, self.limits.start)
        except process.CommandTimeout as error:
            raise MachineError(
                f"the guest of {self.name} was not ready after {self.limits.start:g} s, and podman would wait "
                "forever; its state is 'starting'. Run again with recover: kill_stale to end its processes and start "
                "it again, or with a larger timeout_start"
            ) from error
        except MachineError as error:
            raise MachineError(
                f"{error}. Run again with recover: kill_stale to end the processes that the start of {self.name} left"
            ) from error
        if not self.wait_api:
            return
        if not self.podman.world.wait_until(self._answers, until - self.podman.world.monotonic()):
            raise MachineError(
                f"{self.name} started, but its API did not answer within {self.limits.start:g} s: gvproxy may "
                f"have ended; run again with recover: kill_stale, or check with: podman machine ssh {self.name}"
            )

    def _answers(self) -> bool:
        seen = self.podman.inspect(self.provider, [self.name])
        return bool(seen) and self.podman.ping(seen[0].socket).ok

    def _alone(self) -> None:
        """Refuse a start while another machine runs: Podman runs one machine, and the other one is not stopped."""
        for provider in model.PROVIDERS if self.podman.version < (6, 0, 0) else (self.provider,):
            if provider != self.provider and not self._has(provider):
                continue
            for other in self._listing(provider):
                if other.running and other.name != self.name:
                    raise MachineError(
                        f"the machine {other.name} (provider {other.provider}) is running, and podman runs one at a "
                        f"time. To start {self.name} instead, run: podman machine stop {other.name}"
                    )

    def _listing(self, provider: str) -> list[model.Listed]:
        try:
            return self.podman.listing(provider)
        except MachineError:
            if provider == self.provider:
                raise
            return []  # the folder of a provider that this podman does not support: its machines cannot run

    def _has(self, provider: str) -> bool:
        return any(file.provider == provider for file in read.configurations(self.podman))

    def _recover(self, step: Step) -> None:
        """Stop a machine that hangs, and kill its processes if it does not stop."""
        config = self._config()
        if config is None:
            return
        if not config.starting:
            # While a start holds the lock, stop waits forever.
            with contextlib.suppress(process.CommandTimeout, MachineError):
                self.podman.change(self.provider, ("machine", "stop", self.name), self.limits.stop)
        self.ended += recover.end(config, self.runtime, world=self.podman.world)
        if self.ended:
            self.podman.actions.append(["kill", *(command.split(" ")[0] for command in self.ended)])
        seen = self.podman.inspect(self.provider, [self.name])
        if seen and seen[0].state != "stopped":
            raise MachineError(
                f"{self.name} is still {seen[0].state} in podman, although none of its processes is left. "
                f"Set recreate: when_needed, or run: podman machine rm --force {self.name}"
            )


@contextlib.contextmanager
def alone(runtime: str, name: str, timeout: float, world: World) -> t.Iterator[None]:
    """Prevent a second run of the module between stop, set and start. The lock ends with the process.

    Raises:
        MachineError: another run held it for longer than ``timeout`` seconds.
        FileError, LockError: podman's runtime directory cannot be used.
    """
    files.make_directories(runtime, 0o700)
    path = os.path.join(runtime, f"onebox-{name}.lock")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock.held(path, purpose="podman_machine", timeout=timeout, world=world, mode=0o644))
        except lock.LockHeld as error:
            raise MachineError(f"another run is changing the machine {name}: {error}") from error
        yield
