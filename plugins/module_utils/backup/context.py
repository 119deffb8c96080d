# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run works with: the declaration, the engine, the stores, and the outside world as parameters."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import socket
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.backup import lock
from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import Cli
from ansible_collections.onebox.stack.plugins.module_utils.backup.declaration import Declaration
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    SourceError,
    SpaceError,
    file_errors,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.state import State
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import Store
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.files import FilesStore
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.restic import ResticStore
from ansible_collections.onebox.stack.plugins.module_utils.core import process, trees
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


def _now() -> dt.datetime:
    return dt.datetime.now().astimezone().replace(microsecond=0)


def clock_synchronised() -> bool:
    """False when the system says that its clock is not synchronised; True when it does so, or does not know."""
    try:
        said = process.run(["timedatectl", "show", "--property=NTPSynchronized", "--value"], timeout=10, check=False)
    except process.CommandError:
        return True
    return said.stdout.strip() != "no"


@dataclass
class Context:
    """One run's surroundings.

    ``now`` gives local wall time with zone, ``clock_trusted`` whether to believe it; ``log`` takes a line of progress.
    """

    declaration: Declaration
    store: Store
    offsite: ResticStore | None
    state: State
    now: t.Callable[[], dt.datetime] = _now
    clock_trusted: t.Callable[[], bool] = clock_synchronised
    host: str = field(default_factory=socket.gethostname)
    log: t.Callable[[str], None] = lambda _line: None
    _cli: Cli | None = None

    @contextlib.contextmanager
    def locked(self, what: str, wait: float) -> t.Iterator[None]:
        """Hold the lock of this stack's backups, and create what the state directory needs.

        Errors of files and of the system inside the block become errors of this domain.

        Args:
            what: what this run does, for the message of whoever finds the lock taken.
            wait: seconds to wait for another run to end.

        Raises:
            Busy: another run holds it; the text says which.
            StoreError: the state directory cannot be used.
        """
        with file_errors():
            self.state.prepare()
            with lock.held(self.state.lock, what, wait) as descriptor:
                self._give_lock(descriptor)
                try:
                    yield
                finally:
                    self._give_lock(-1)

    def require_room(self, place: str, size: int, what: str) -> None:
        """Refuse to begin where ``place`` has no room for 1.2 times ``size`` bytes and the reserve.

        Raises:
            SpaceError: with what is free and what is needed.
        """
        needed = int(size * 1.2) + (self.declaration.reserve_mib << 20)
        free = trees.free_bytes(place)
        if free < needed:
            raise SpaceError(
                f"{place} has {free >> 20} MiB free and {what} needs {needed >> 20} MiB (1.2 times the set and "
                f"{self.declaration.reserve_mib} MiB in reserve); make room, old sets are not deleted for it"
            )

    def _give_lock(self, descriptor: int) -> None:
        for store in (self.store, self.offsite):
            if store is not None:
                store.lock = descriptor

    def open_cli(self) -> Cli:
        """The engine, looked for when it is first needed. Raises :class:`SourceError` when none answers."""
        if self._cli is None:
            # Half of what a run of files alone would load.
            from ansible_collections.onebox.stack.plugins.module_utils.engine import discover as find
            from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError

            try:
                engine = find.find(
                    self.declaration.container_engine, self.declaration.socket or None, world=World.real()
                )
            except EngineError as error:
                raise SourceError(str(error)) from error
            self._cli = Cli(engine, self.declaration.timeout)
        return self._cli


def make(declaration: Declaration, log: t.Callable[[str], None] = lambda _line: None) -> Context:
    """The surroundings of a declaration on this machine."""
    state = State(declaration.state_dir)
    run_id = f"{os.getpid():x}-{os.urandom(3).hex()}"
    spec = declaration.repository
    store: Store
    if spec.engine == "files":
        store = FilesStore(spec.path, declaration.stack, run_id)
    else:
        store = ResticStore(spec, declaration.stack, declaration.state_dir, declaration.timeout)
    offsite = None
    if declaration.offsite is not None:
        offsite = ResticStore(declaration.offsite, declaration.stack, declaration.state_dir, declaration.timeout)
    return Context(declaration, store, offsite, state, log=log)
