# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""restic as the store: one snapshot is one set, found by tags and deleted by id.

Each call of restic spends half a second on the key. So a backup into a local repository is one call. Everything else is
read from the repository's files (restic_files) and from the list of snapshots in the state directory.

The checks guard against restic's traps: before 0.17, ``forget`` with a policy and a mistyped tag deleted every
snapshot. Before 0.19, a missing directory is not an error. Exit code 3 means that the snapshot is incomplete.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.background import Background
from ansible_collections.onebox.stack.plugins.module_utils.backup.configuration import RepositorySpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError, TreesUnread
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import manifest as manifests
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.authentication import Keys
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import Store, StoredSet
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Manifest
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.restic_backup import (
    WaitingBackup,
    escaped,
    patterns,
    summary,
    unread,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.restic_command import Restic
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.restic_files import RepositoryFiles, Vanished
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.restic_memory import Memory
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.restic_snapshots import OPEN_TIMEOUT, Snapshots
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.restic_stage import STAGE, expected, stage_path
from ansible_collections.onebox.stack.plugins.module_utils.core import files, lock, process, trees
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

_CHECK_PARTS = 14
# Seconds to wait for a lock before locks of dead processes are removed.
_SOON = 5.0


class ResticStore(Store):
    """The ``restic`` engine, local or off-site.

    Args:
        spec: its path and its credentials.
        stack: the stack of the sets. Sets of other stacks in the same repository are not touched.
        state_dir: holds restic's cache, the staging directory and the manifests already read.
        timeout: seconds for one call of restic.
        keys: authenticate manifests; without them no set is authentic.
    """

    trees = True

    def __init__(
        self,
        spec: RepositorySpec,
        stack: str,
        state_dir: str,
        timeout: float,
        world: World,
        keys: Keys | None = None,
    ) -> None:
        self.location = spec.path
        self._keys = keys
        self._spec = spec
        self._tag = f"onebox-{stack}"
        self._host = stack
        self._state_dir = state_dir
        self._program = Restic(spec, state_dir, timeout, world)
        self._files = RepositoryFiles(spec.path) if os.path.isabs(spec.path) else None
        self._memory = Memory(self._files, state_dir) if self._files else None
        self._snapshots = Snapshots(self._program, self._files, self._memory, self._tag)
        # The packs of the last commit, and the concurrent verification of a part of the others.
        self._fresh: set[str] = set()
        self._reading: Background[int] | None = None
        # The backup that :meth:`begin` started.
        self._waiting: WaitingBackup | None = None

    # -- the interface of a store ------------------------------------------------------------------------------------

    def prepare(self) -> None:
        self._program.require_version(self._known_program())
        trees.private_dir(os.path.join(self._state_dir, "staging"))
        trees.private_dir(os.path.join(self._state_dir, "manifests"))
        trees.remove_tree(self._staging)
        if self._files:
            trees.private_dir(self.location)
        self._create()
        self._unlock()

    def sets(self) -> list[StoredSet]:
        found: dict[int, StoredSet] = {}
        for row in self._snapshots.rows(self.lock):
            seq = next((int(tag[4:]) for tag in row.get("tags") or () if re.fullmatch(r"seq-[0-9]{1,9}", tag)), 0)
            if seq:
                # A repeated copy after an interruption may exist twice: one of them is enough.
                found[seq] = self._read(seq, row)
        return [found[seq] for seq in sorted(found)]

    def stage(self, seq: int) -> str:
        trees.private_dir(self._staging)
        return self._staging

    def begin(self, seq: int, staging: str, directories: t.Sequence[str]) -> None:
        # Before 0.19 restic skips a missing directory without an error. The source itself reports it.
        if all(os.path.isdir(path) for path in directories):
            self._begin(seq, staging, directories, ())

    def _begin(self, seq: int, staging: str, directories: t.Sequence[str], others: t.Sequence[str]) -> WaitingBackup:
        words = ["--host", self._host, "--tag", f"{self._tag},seq-{seq}"]
        words += [word for pattern in others for word in ("--exclude", pattern)]
        excludes = os.path.join(self._state_dir, "excludes")
        targets = ["--", staging, *directories]
        self._waiting = WaitingBackup(self._program, [*words, *targets], excludes, self.lock, directories)
        return self._waiting

    def abandon(self) -> None:
        if self._waiting:
            self._waiting.abandon()
            self._waiting = None

    def commit(self, staging: str, manifest: Manifest, directories: t.Sequence[str], excludes: t.Sequence[str]) -> str:
        for path in directories:
            if not os.path.isdir(path):
                raise StoreError(f"the directory {path} disappeared during the run; nothing was committed")
        sealed = manifests.dump(manifest, self._keys)
        files.write_new(os.path.join(staging, manifests.NAME), sealed, durable=False)
        lines, others = patterns(excludes)
        if others or (self._waiting and self._waiting.directories != list(directories)):
            self.abandon()  # restic accepts them on its command line only
        waiting = self._waiting or self._begin(manifest.seq, staging, directories, others)
        self._waiting = None
        known = self._snapshots.forget()
        before = set()
        if self._files:
            before = self._files.packs()
            self._reading = self._read_part(self._files, before, manifest.seq)
        result = waiting.go(lines)
        self.warnings = [waiting.unconfined] if waiting.unconfined else []
        said = summary(result.stdout)
        identity = str(said.get("snapshot_id") or "")
        if result.rc != 0:
            if identity:
                # Code 3: an incomplete snapshot, which must never be listed as a set.
                self._restic("forget", identity)
            raise TreesUnread(str(self._program.failed("backup", result)), unread(result.stderr))
        lost = expected(manifest) - int(said.get("total_files_processed") or 0)
        if lost > max(2, expected(manifest) // 10):
            self._restic("forget", identity)
            raise StoreError(
                f"restic found {lost} files less than the run listed before. Was a disk unmounted meanwhile? "
                "Nothing was committed"
            )
        if self._files:
            self._fresh = self._files.packs() - before
        elif self._dump(identity, os.path.join(staging, manifests.NAME)) != sealed:
            self._restic("forget", identity)
            raise StoreError(f"restic in {self.location} did not return the stored manifest; nothing was committed")
        files.replace(os.path.join(self._state_dir, "manifests", f"{identity}.json"), sealed, durable=False)
        if known is not None:
            tags = [self._tag, f"seq-{manifest.seq}"]
            row = {"id": identity, "time": "9", "tags": tags, "paths": [staging, *directories]}
            self._snapshots.remember([*known, row])
        return identity

    def fetch(self, found: StoredSet, into: str, only: t.Sequence[str] = ()) -> None:
        usable = found.understood()
        # All staged files in one call, even if only some are needed: a call costs more than the files.
        self._restic("restore", f"{found.id}:{self._stage_of(found.id)}", "--target", into, "--quiet")
        os.unlink(os.path.join(into, manifests.NAME))
        for artefact in [artefact for source in usable.sources for artefact in source.artefacts]:
            try:
                sha256, size = files.digest(os.path.join(into, artefact.path))
            except OSError as error:
                raise StoreError(
                    f"set {found.seq} in {self.location}: restic left out {artefact.path}: {error}"
                ) from error
            if (sha256, size) != (artefact.sha256, artefact.size):
                raise StoreError(f"set {found.seq} in {self.location}: {artefact.path} is damaged; use another set")

    def fetch_tree(self, found: StoredSet, path: str, into: str) -> None:
        found.understood()
        # --verify reads the written files back. A damaged pack is an error with the file's name.
        words = ["--verify", "--quiet", "--sparse"]
        parent, name = os.path.split(path.rstrip("/"))
        if not name:
            self._restic("restore", f"{found.id}:/", "--target", into, *words)
            return
        # Restore from the parent, because restic does not restore the times of the top directory.
        holding = f"{into}.whole"
        os.mkdir(holding, 0o700)
        try:
            only = f"/{escaped(name)}"
            self._restic("restore", f"{found.id}:{parent}", "--include", only, "--target", holding, *words)
            whole = os.path.join(holding, name)
            if not os.path.isdir(whole):
                raise StoreError(f"set {found.seq} in {self.location} holds no directory {path}")
            os.chmod(whole, 0o700)
            os.rename(whole, into)
        finally:
            trees.remove_tree(holding)

    def verify(self, found: StoredSet) -> int:
        usable = found.understood()
        if self._files:
            reading = self._reading or self._read_part(self._files, self._files.packs(), found.seq)
            self._reading = None
            try:
                return self._files.verify(self._fresh) + reading.join()
            except Vanished:
                pass  # only restic can determine whether the repository needs it
        self.inspect(found.seq)
        return usable.size

    @staticmethod
    def _read_part(repository: RepositoryFiles, packs: set[str], turn: int) -> Background[int]:
        # One fourteenth in turn: two weeks of daily checks read everything once.
        return Background(lambda: repository.verify_part(packs, turn % _CHECK_PARTS, _CHECK_PARTS))

    def inspect(self, turn: int) -> None:
        # The structure in full, and in turn a part of all data.
        self._restic("check", "--read-data-subset", f"{turn % _CHECK_PARTS + 1}/{_CHECK_PARTS}", "--quiet")

    def delete(self, seqs: t.Sequence[int]) -> list[int]:
        wanted = {found.seq: found.id for found in self.sets() if found.seq in seqs}
        if wanted:
            known = self._snapshots.forget()
            # By id, never by policy, see the docstring of this module.
            self._alone("forget", *[wanted[seq] for seq in sorted(wanted)])
            self._snapshots.remember([row for row in known or () if row["id"] not in wanted.values()])
        return sorted(wanted)

    def require_whole(self) -> None:
        """Check that every object of the sets exists, without reading the content.

        Raises:
            StoreError: objects are missing, or the repository cannot be queried.
        """
        if not self._snapshots.exist(self.lock):
            raise StoreError(
                f"{self.location}: the repository is missing. The next backup copies all sets there again."
            )
        try:
            # With the cache. Without it, the metadata of the sets would be transferred each day.
            self._restic("check", "--with-cache", "--quiet")
        except StoreError as error:
            raise StoreError(f"{error}. If objects were deleted there, configure a new off-site repository.") from error

    # -- only for restic --------------------------------------------------------------------------------------

    def prune(self) -> None:
        """Free the space of deleted sets, after a check of the repository's structure."""
        self._restic("check", "--quiet")
        self._alone("prune", "--quiet")

    def prepare_copy(self) -> None:
        """As :meth:`prepare`, for a repository of copies, which the first copy creates."""
        self._program.require_version(self._known_program())
        trees.private_dir(os.path.join(self._state_dir, "manifests"))

    def copy_from(self, other: ResticStore, ids: t.Sequence[str]) -> None:
        """Copy snapshots from another repository. This one is created first, with the same chunk sizes."""
        self._program.require_version(self._known_program())
        words = ["--from-repo", other._spec.path, "--from-password-file", other._spec.password_file]
        if self._files:
            trees.private_dir(self.location)
        self._create("--copy-chunker-params", *words)
        self._unlock()
        self._snapshots.forget()
        self._restic("copy", *words, "--quiet", *ids)

    # -- inside --------------------------------------------------------------------------------------------------

    @property
    def _staging(self) -> str:
        return os.path.join(self._state_dir, "staging", STAGE)

    def _read(self, seq: int, row: t.Mapping[str, t.Any]) -> StoredSet:
        identity = str(row["id"])
        kept = os.path.join(self._state_dir, "manifests", f"{identity}.json")
        try:
            # A snapshot's id is the hash of its content, so its manifest is only read once.
            with files.open_regular(kept) as file:
                data = file.read()
            known, not_authentic = manifests.load_judged(data, kept, self._keys)
        except (OSError, StoreError):
            try:
                data = self._dump(identity, f"{stage_path(row)}/{manifests.NAME}")
                where = f"of snapshot {identity[:8]} in {self.location}"
                known, not_authentic = manifests.load_judged(data, where, self._keys)
            except StoreError as error:
                return StoredSet(seq, identity, None, str(error))
            if os.path.isdir(os.path.dirname(kept)):
                files.replace(kept, data, durable=False)
        if known.seq != seq:
            return StoredSet(seq, identity, None, f"its manifest is that of set {known.seq}")
        return StoredSet(seq, identity, known, not_authentic=not_authentic)

    def _stage_of(self, identity: str) -> str:
        for row in self._snapshots.rows(self.lock):
            if row["id"] == identity:
                return stage_path(row)
        raise StoreError(f"snapshot {identity[:8]} is gone from {self.location}")

    def _known_program(self) -> t.Any:
        return self._memory.program() if self._memory else None

    def _unlock(self) -> None:
        # Only locks of dead processes are removed, and our own lock excludes other runs of this stack.
        if self._files is None or self._files.locked():
            self._restic("unlock")

    def _dump(self, identity: str, path: str) -> bytes:
        return self._restic("dump", "--no-lock", "--quiet", identity, path).stdout.encode("utf-8", "replace")

    def _create(self, *words: str) -> None:
        """Create a missing repository under a lock: two concurrent ones would mix their keys and configurations."""
        if self._snapshots.exist(self.lock):
            return
        shared = self.location if self._files else os.path.dirname(self._state_dir)
        try:
            with lock.directory_held(shared, timeout=OPEN_TIMEOUT, world=self._program.world):
                if not self._snapshots.exist(self.lock):
                    self._restic("init", *words)
        except (lock.LockHeld, lock.LockError) as error:
            raise StoreError(f"{self.location}: the repository cannot be created: {error}") from error
        self._snapshots.made = True

    def _alone(self, command: str, *words: str) -> None:
        """A call that needs an exclusive lock."""
        result = self._program.run([command, *words], check=False, lock=self.lock, retry_lock=_SOON)
        if result.rc == 11:
            # restic may only now recognise the lock of a process that was killed just before this run.
            self._restic("unlock")
            result = self._restic(command, *words, check=False)
        if result.rc != 0:
            raise self._program.failed(command, result)

    def _restic(self, command: str, *words: str, check: bool = True) -> process.Result:
        return self._program.run([command, *words], check=check, lock=self.lock)
