# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every place that keeps sets can do, and what a set in it looks like."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Manifest


@dataclass(frozen=True)
class StoredSet:
    """A committed set. ``manifest`` is None and ``problem`` says why when it is not understood; it is kept then."""

    seq: int
    id: str
    manifest: Manifest | None
    problem: str = ""

    def understood(self) -> Manifest:
        """The manifest. Raises :class:`StoreError` when the set is not understood."""
        if self.manifest is None:
            raise StoreError(f"set {self.seq} cannot be used: {self.problem}")
        return self.manifest


class Store:
    """A repository of sets.

    Attributes:
        place: where it is, for messages.
        trees: True when directories go in by themselves, False when they must be staged as archives.
        lock: descriptor of the lock that is held, for programs the store starts; -1 for none.
    """

    place = ""
    trees = False
    lock = -1

    def prepare(self) -> None:
        """Make the repository when there is none, and clear what a killed run left. Only under the lock."""
        raise NotImplementedError

    def sets(self) -> list[StoredSet]:
        """Committed sets, oldest first. Works on a repository that does not exist yet: then there are none."""
        raise NotImplementedError

    def stage(self, seq: int) -> str:
        """An empty private directory for the files of a new set."""
        raise NotImplementedError

    def begin(self, seq: int, staging: str, directories: t.Sequence[str]) -> None:
        """Get ready to commit these, while they are still read. May be left out."""

    def abandon(self) -> None:
        """Undo :meth:`begin` where no commit followed."""

    def commit(self, staging: str, manifest: Manifest, directories: t.Sequence[str], excludes: t.Sequence[str]) -> str:
        """Make the staged set (and, with :attr:`trees`, these directories) one committed set. Returns its id."""
        raise NotImplementedError

    def fetch(self, found: StoredSet, into: str, only: t.Sequence[str] = ()) -> None:
        """Put the staged files of a set below ``into``. ``only``: paths below the set; default all."""
        raise NotImplementedError

    def fetch_tree(self, found: StoredSet, path: str, into: str) -> None:
        """Put the directory ``path`` of a set below ``into`` (only with :attr:`trees`)."""
        raise NotImplementedError

    def verify(self, found: StoredSet) -> int:
        """Read back what a set just committed consists of and compare checksums. Returns bytes read.

        Raises:
            StoreError: it is damaged; the text names the file.
        """
        raise NotImplementedError

    def inspect(self, turn: int) -> None:
        """Look for damage in what lies here for long, some of it in each ``turn``. Only under the lock.

        Raises:
            StoreError: there is damage; the text names it.
        """
        raise NotImplementedError

    def delete(self, seqs: t.Sequence[int]) -> list[int]:
        """Delete these sets, oldest first. Returns what was deleted."""
        raise NotImplementedError


def pick(sets: t.Sequence[StoredSet], wanted: str, place: str) -> StoredSet:
    """The set called ``wanted``: a sequence number or ``latest``. Raises :class:`StoreError` with what there is."""
    usable = [found for found in sets if found.manifest is not None]
    if not usable:
        raise StoreError(f"there is no usable set in {place}; run a backup first")
    if wanted == "latest":
        return usable[-1]
    for found in sets:
        if str(found.seq) == wanted.lstrip("0"):
            if found.manifest is None:
                raise StoreError(f"set {found.seq} in {place} cannot be used: {found.problem}")
            return found
    known = ", ".join(str(found.seq) for found in usable[-12:])
    raise StoreError(f"there is no set {wanted} in {place}; the newest are {known}")
