# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The context of a run: the backup configuration, the engine, the stores, and the world (clock and processes)."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import socket
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.backup.configuration import BackupConfig
from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import Cli
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    Busy,
    SourceError,
    SpaceError,
    StoreError,
    file_errors,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.state import State
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.authentication import Keys
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import Store
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.files import FilesStore
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.restic import ResticStore
from ansible_collections.onebox.stack.plugins.module_utils.core import lock, process, trees
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


@dataclass
class Context:
    """The context of one run.

    Attributes:
        keys: authenticate the manifests of this stack.
        log: called with each line of progress.
    """

    config: BackupConfig
    store: Store
    offsite: ResticStore | None
    state: State
    world: World
    keys: Keys
    host: str = field(default_factory=socket.gethostname)
    log: t.Callable[[str], None] = lambda _line: None
    _cli: Cli | None = None

    def now(self) -> dt.datetime:
        """Local wall time with zone, to the second."""
        return dt.datetime.fromtimestamp(int(self.world.epoch()), dt.timezone.utc).astimezone()

    def clock_trusted(self) -> bool:
        """False when the system reports that its clock is not synchronised; True otherwise, also when it is unknown."""
        argv = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
        try:
            return bool(self.world.run(argv, timeout=10, check=False).stdout.strip() != "no")
        except process.CommandError:
            return True

    @contextlib.contextmanager
    def locked(self, what: str, wait: float) -> t.Iterator[None]:
        """Hold the lock of this stack's backups, and create the state directory.

        Errors of files and of the system inside the block become errors of this domain.

        Args:
            what: what this run does, for the message of a run that finds the lock held.
            wait: seconds to wait for another run to end.

        Raises:
            Busy: another run holds it; the text says which.
            StoreError: the state directory cannot be used.
        """
        with file_errors(), contextlib.ExitStack() as stack:
            self.state.prepare()
            try:
                taken = stack.enter_context(lock.held(self.state.lock, purpose=what, timeout=wait, world=self.world))
            except lock.LockHeld as error:
                raise Busy(str(error)) from error
            except lock.LockError as error:
                raise StoreError(str(error)) from error
            # restic inherits the lock: if only this program is killed, restic continues to read the staged files, and
            # the next run must not replace them.
            self._give_lock(taken.descriptor)
            try:
                yield
            finally:
                self._give_lock(-1)

    def require_room(self, path: str, size: int, what: str) -> None:
        """Refuse to begin where the file system of ``path`` has no room for 1.2 times ``size`` bytes and the reserve.

        Raises:
            SpaceError: with the free and the needed space.
        """
        needed = int(size * 1.2) + (self.config.reserve_mib << 20)
        free = trees.free_bytes(path)
        if free < needed:
            raise SpaceError(
                f"{path} has {free >> 20} MiB free and {what} needs {needed >> 20} MiB (1.2 times the set and "
                f"{self.config.reserve_mib} MiB in reserve). Free some space: old sets are not deleted for it"
            )

    def _give_lock(self, descriptor: int) -> None:
        for store in (self.store, self.offsite):
            if store is not None:
                store.lock = descriptor

    def open_cli(self) -> Cli:
        """The engine, discovered when it is first needed. Raises :class:`SourceError` when none answers."""
        if self._cli is None:
            # Imported here: a run without containers would load twice the modules.
            from ansible_collections.onebox.stack.plugins.module_utils.engine import discover as find
            from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError

            try:
                engine = find.find(self.config.container_engine, self.config.socket or None, world=self.world)
            except EngineError as error:
                raise SourceError(str(error)) from error
            self._cli = Cli(engine, self.config.timeout, self.world)
        return self._cli


def make(config: BackupConfig, world: World, log: t.Callable[[str], None] = lambda _line: None) -> Context:
    """The context of a configuration on this host."""
    state = State(config.state_dir)
    stack, state_dir, timeout = config.stack, config.state_dir, config.timeout
    run_id = f"{os.getpid():x}-{os.urandom(3).hex()}"
    keys = Keys(config.authentication_file, state_dir)
    spec = config.repository
    store: Store
    if spec.engine == "files":
        store = FilesStore(spec.path, stack, run_id, keys)
    else:
        store = ResticStore(spec, stack, state_dir, timeout, world, keys)
    offsite = None
    if config.offsite is not None:
        offsite = ResticStore(config.offsite, stack, state_dir, timeout, world, keys)
    return Context(config, store, offsite, state, world, keys, log=log)
