# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in the user namespace of a rootless Podman, in which its volumes have the owners that containers see.

Outside of it, files of other ids of the user's range can neither be read nor created: a copy would lack them.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import errors, foreign, guard
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import BackupError, SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.state import State
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import syscalls

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine

Enter = t.Callable[[], None]
# What the work of a child may raise; anything else arrives as a SourceError.
_KINDS: dict[str, type[BackupError]] = {
    kind.__name__: kind
    for kind in (
        errors.MismatchError,
        errors.RestoreRefused,
        errors.RoomLimit,
        errors.SourceLimit,
        errors.SpaceError,
        errors.StoreError,
        errors.Unexpected,
    )
}


class Namespace:
    """Runs work in the namespace, each in a child process.

    Args:
        state: the state directory of the stack.
        timeout: limit of the work in seconds.
    """

    def __init__(self, state: State, world: World, timeout: float) -> None:
        self._state = state
        self._world = world
        self._timeout = timeout

    @classmethod
    def of(cls, context: Context) -> Namespace:
        """The namespace for a restore or a rehearsal, whose work may take a time limit for each of several programs."""
        return cls(context.state, context.world, 10 * context.config.timeout)

    def run(
        self,
        what: str,
        work: t.Callable[[Enter], dict[str, t.Any]],
        unexpected: type[BackupError] = errors.Unexpected,
    ) -> dict[str, t.Any]:
        """Do ``work`` in a child and return its result, which JSON can hold.

        Args:
            what: the directory, for messages.
            work: begins outside of the namespace, as this user, and gets a function that enters it for good.
            unexpected: raised for an exception that no code expected.

        Raises:
            SourceError: Podman has no namespace, or the child died.
            BackupError: as the work raised it.
        """
        with _held(self._world) as pid:
            done: list[int] = []

            def enter() -> None:
                if not done:
                    _enter(pid)
                    done.append(pid)

            def child(_beat: t.Callable[[], None]) -> dict[str, t.Any]:
                try:
                    with errors.file_errors(), guard.everything(unexpected):
                        return {"result": work(enter)}
                except BackupError as error:
                    return {"error": str(error), "kind": type(error).__name__}

            answer = foreign.in_child(child, what, self._timeout, self._state, self._world)
        if not answer:
            raise SourceError(
                f"the process that worked on {what} in Podman's user namespace died. Check the log of the kernel for a "
                "full memory"
            )
        if "error" in answer:
            raise _KINDS.get(answer["kind"], SourceError)(answer["error"])
        return dict(answer["result"])


def is_mapped(engine: Engine, world: World) -> bool:
    """Whether the files of the engine's volumes have owners that only its user namespace knows."""
    return engine.name == "podman" and not world.is_root


def _enter(pid: int) -> None:
    """Join the user namespace of a process, with all its capabilities. Raises :class:`SourceError`."""
    try:
        descriptor = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        try:
            syscalls.enter_user_namespace(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SourceError(
            f"cannot enter the user namespace of Podman: {error.strerror}. Its volumes cannot be read completely "
            "without it. Run the backup as the user of the containers"
        ) from error


@contextlib.contextmanager
def _held(world: World) -> t.Iterator[int]:
    """Keep the namespace alive. Yields the id of a process in it. Raises :class:`SourceError`."""
    argv = ["podman", "unshare", "sh", "-c", "echo $$; exec cat"]
    try:
        held = process.start(argv, env=world.environ, stdin=subprocess.PIPE)
    except OSError as error:
        raise SourceError(f"cannot run podman unshare: {error.strerror}") from error
    with held:
        line = t.cast("t.IO[bytes]", held.stdout).readline().strip()
        if not line.isdigit():
            said = held.communicate()[1].decode("utf-8", "replace").strip()
            raise SourceError(
                f"podman unshare failed: {said[-500:]}. The volumes of a rootless Podman are read in its user "
                "namespace: check /etc/subuid and /etc/subgid"
            )
        yield int(line)
