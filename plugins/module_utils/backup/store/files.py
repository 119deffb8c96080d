# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets as plain files: restorable with standard tools alone.

    sets/000042/            a committed set; the rename to this name is the commit
    sets/000042/manifest.json
    .partial-000043-<run>/  a run under way, or killed; never listed, removed by the next run
    .trash-000007/          a set being removed; never listed

The order of durable writes: all files of a partial set, then its manifest, then the rename, then the result of the run.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import manifest as manifests
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import schema
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.authentication import Keys
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import Store, StoredSet
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Manifest
from ansible_collections.onebox.stack.plugins.module_utils.core import files, trees

_SET = re.compile(r"[0-9]{6,9}\Z")
_LEFTOVER = re.compile(r"\.(?:partial|trash)-")
_FOREIGN = "belongs to the stack"


class FilesStore(Store):
    """The ``files`` engine.

    Args:
        path: the repository, a directory of its own with mode 0700.
        stack: the stack of the sets. A repository with sets of another stack is refused.
        run_id: makes the name of a partial set unique.
        keys: authenticate manifests; without them no set is authentic.
    """

    trees = False

    def __init__(self, path: str, stack: str, run_id: str, keys: Keys | None = None) -> None:
        self.location = path
        self._keys = keys
        self._stack = stack
        self._sets = os.path.join(path, "sets")
        self._run_id = run_id

    def prepare(self) -> None:
        trees.private_dir(self.location)
        trees.private_dir(self._sets)
        for found in self.sets():
            # Before leftovers are removed: they may belong to a run of the other stack.
            if found.manifest is None and found.problem.startswith(_FOREIGN):
                raise StoreError(f"{self.location}: set {found.seq} {found.problem}; nothing was written")
        for name in os.listdir(self.location):
            if _LEFTOVER.match(name):
                trees.remove_tree(os.path.join(self.location, name))

    def sets(self) -> list[StoredSet]:
        try:
            names = [name for name in os.listdir(self._sets) if _SET.match(name) and name == f"{int(name):06d}"]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"cannot read the repository {self._sets}: {error.strerror}") from error
        return [self._read(name) for name in sorted(names, key=int)]

    def _read(self, name: str) -> StoredSet:
        place = os.path.join(self._sets, name, manifests.NAME)
        try:
            with files.open_regular(place) as file:
                found, not_authentic = manifests.load_judged(file.read(schema.MAX_BYTES + 1), place, self._keys)
            if found.seq != int(name):
                raise StoreError(f"{place} is the manifest of set {found.seq}")
            if found.stack != self._stack:
                raise StoreError(f"{_FOREIGN} {found.stack}: configure one repository for each stack")
        except OSError as error:
            return StoredSet(int(name), name, None, f"its manifest cannot be read: {error.strerror or error}")
        except StoreError as error:
            return StoredSet(int(name), name, None, str(error))
        return StoredSet(found.seq, name, found, not_authentic=not_authentic)

    def stage(self, seq: int) -> str:
        staging = os.path.join(self.location, f".partial-{seq:06d}-{self._run_id}")
        trees.private_dir(staging)
        return staging

    def commit(self, staging: str, manifest: Manifest, directories: t.Sequence[str], excludes: t.Sequence[str]) -> str:
        name = f"{manifest.seq:06d}"
        target = os.path.join(self._sets, name)
        trees.sync_tree(staging)
        files.write_new(os.path.join(staging, manifests.NAME), manifests.dump(manifest, self._keys), durable=True)
        files.sync_directory(staging)
        # rename() would replace an empty directory, so any existing name is an error.
        if os.path.lexists(target):
            raise StoreError(f"{target} exists already; nothing was overwritten")
        os.rename(staging, target)
        files.sync_directory(self._sets)
        files.sync_directory(self.location)
        return name

    def fetch(self, found: StoredSet, into: str, only: t.Sequence[str] = ()) -> None:
        for artefact in self._artefacts(found):
            if only and artefact.path not in only:
                continue
            target = trees.private_parents(into, artefact.path)
            stored = os.path.join(self._sets, found.id, artefact.path)
            try:
                source = files.open_regular(stored)
            except OSError as error:
                raise StoreError(f"set {found.seq}: {stored} cannot be read: {error.strerror}; use another") from error
            with source, files.HashedFile(target) as copy:
                while chunk := source.read(files.CHUNK):
                    copy.write(chunk)
            _compare(artefact, copy.sha256(), copy.size, self.location, found.seq)

    def fetch_tree(self, found: StoredSet, path: str, into: str) -> None:
        raise StoreError(f"set {found.seq} in {self.location} holds no archive of {path}. Use another set.")

    def verify(self, found: StoredSet) -> int:
        total = 0
        expected = {manifests.NAME}
        for artefact in self._artefacts(found):
            expected.add(artefact.path)
            place = os.path.join(self._sets, found.id, artefact.path)
            try:
                sha256, size = files.digest(place)
            except OSError as error:
                raise StoreError(f"set {found.seq}: {place} cannot be read: {error.strerror}") from error
            _compare(artefact, sha256, size, self.location, found.seq)
            total += size
        root = os.path.join(self._sets, found.id)
        for base, _dirs, names in os.walk(root):
            for name in names:
                relative = os.path.relpath(os.path.join(base, name), root)
                if relative not in expected:
                    raise StoreError(f"set {found.seq}: {relative} in {root} is not in its manifest")
        return total

    def inspect(self, turn: int) -> None:
        there = [found for found in self.sets() if found.manifest]
        if there:
            self.verify(there[turn % len(there)])

    def delete(self, seqs: t.Sequence[int]) -> list[int]:
        gone = []
        for seq in sorted(seqs):
            name = f"{seq:06d}"
            trash = os.path.join(self.location, f".trash-{name}")
            trees.remove_tree(trash)
            os.rename(os.path.join(self._sets, name), trash)
            # After the rename the set is not listed, even if its files are not removed.
            files.sync_directory(self._sets)
            files.sync_directory(self.location)
            trees.remove_tree(trash)
            gone.append(seq)
        return gone

    def _artefacts(self, found: StoredSet) -> list[manifests.Artefact]:
        # The manifest is read again, because it may have been changed since it was listed.
        artefacts = [artefact for source in found.understood().sources for artefact in source.artefacts]
        fresh = self._read(found.id).understood()
        if artefacts != [artefact for source in fresh.sources for artefact in source.artefacts]:
            raise StoreError(f"set {found.seq} in {self.location}: its manifest was changed since it was listed.")
        return artefacts


def _compare(artefact: manifests.Artefact, sha256: str, size: int, location: str, seq: int) -> None:
    if (sha256, size) != (artefact.sha256, artefact.size):
        raise StoreError(
            f"set {seq} in {location}: {artefact.path} is damaged ({size} bytes, sha256 {sha256[:12]}…; "
            f"written were {artefact.size} bytes, {artefact.sha256[:12]}…); use another set"
        )
