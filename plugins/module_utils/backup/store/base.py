# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface of repositories, and a set in one."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Manifest

# No stack has so many backups; a number above it is forged.
_LIKELY = 100_000_000


@dataclass(frozen=True)
class StoredSet:
    """A committed set. If it cannot be read, ``manifest`` is None and ``problem`` the reason. Such a set is kept.

    Attributes:
        not_authentic: the reason, "" for an authentic set. Others are listed, but only used when accepted.
    """

    seq: int
    id: str
    manifest: Manifest | None
    problem: str = ""
    not_authentic: str = ""

    def understood(self) -> Manifest:
        """The manifest. Raises :class:`StoreError` when the set cannot be read."""
        if self.manifest is None:
            raise StoreError(f"set {self.seq} cannot be used: {self.problem}")
        return self.manifest


class Store:
    """A repository of sets.

    Attributes:
        location: its path or URL, for messages.
        trees: True when the store reads directories itself, False when they are staged as archives.
        warnings: warnings of the last commit.
        lock: descriptor of the held lock, inherited by programs of the store; -1 for none.
    """

    location = ""
    trees = False
    lock = -1
    warnings: t.Sequence[str] = ()

    def prepare(self) -> None:
        """Create a missing repository, and remove leftovers of killed runs. Only under the lock."""
        raise NotImplementedError

    def sets(self) -> list[StoredSet]:
        """Committed sets, oldest first. Empty for a repository that does not exist yet."""
        raise NotImplementedError

    def stage(self, seq: int) -> str:
        """An empty private directory for the files of a new set."""
        raise NotImplementedError

    def begin(self, seq: int, staging: str, directories: t.Sequence[str]) -> None:
        """Prepare a commit of these directories while sources are still captured. Optional."""

    def abandon(self) -> None:
        """Undo :meth:`begin` without a commit."""

    def commit(self, staging: str, manifest: Manifest, directories: t.Sequence[str], excludes: t.Sequence[str]) -> str:
        """Make the staged set (and, with :attr:`trees`, these directories) one committed set. Returns its id."""
        raise NotImplementedError

    def fetch(self, found: StoredSet, into: str, only: t.Sequence[str] = ()) -> None:
        """Write the staged files of a set below ``into``. ``only``: paths below the set; default all."""
        raise NotImplementedError

    def fetch_tree(self, found: StoredSet, path: str, into: str) -> None:
        """Write the directory ``path`` of a set below ``into`` (only with :attr:`trees`)."""
        raise NotImplementedError

    def verify(self, found: StoredSet) -> int:
        """Read back a set that was just committed and compare checksums. Returns bytes read.

        Raises:
            StoreError: it is damaged; the text names the file.
        """
        raise NotImplementedError

    def inspect(self, turn: int) -> None:
        """Check older data for damage, a part of it in each ``turn``. Only under the lock.

        Raises:
            StoreError: there is damage; the text names it.
        """
        raise NotImplementedError

    def delete(self, seqs: t.Sequence[int]) -> list[int]:
        """Delete these sets, oldest first. Returns the deleted ones."""
        raise NotImplementedError


def pick(sets: t.Sequence[StoredSet], wanted: str, location: str, accepted: int = 0) -> StoredSet:
    """The set ``wanted``: a sequence number or ``latest``.

    Args:
        accepted: the number of a set that its owner accepts without authentication, 0 for none.

    Raises:
        StoreError: there is none, or it is not authentic and not accepted; the text names the existing sets.
    """
    usable = [found for found in sets if found.manifest is not None]
    if wanted == "latest":
        if not usable:
            raise StoreError(f"there is no usable set in {location}; run a backup first")
        return _believed(usable[-1], location, accepted)
    for found in sets:
        if str(found.seq) == wanted.lstrip("0"):
            if found.manifest is None:
                raise StoreError(f"set {found.seq} in {location} cannot be used: {found.problem}")
            return _believed(found, location, accepted)
    if not usable:
        raise StoreError(f"there is no usable set in {location}; run a backup first")
    known = ", ".join(str(found.seq) for found in usable[-12:])
    raise StoreError(f"there is no set {wanted} in {location}; the newest are {known}")


def _believed(found: StoredSet, location: str, accepted: int) -> StoredSet:
    if found.not_authentic and found.seq != accepted:
        raise StoreError(
            f"set {found.seq} in {location}: {found.not_authentic}. Make a new backup and use that; or name the key of "
            f"the set (--authentication-key FILE, backups_authentication_key of the role); or, if no other "
            f"user could write to {location}, accept this set: --accept-unauthenticated {found.seq}."
        )
    return found


def passed_over(sets: t.Sequence[StoredSet], chosen: StoredSet) -> list[str]:
    """A warning for each set that is newer than the ``chosen`` one and cannot be used."""
    newer = [found for found in sets if found.seq > chosen.seq and found.manifest is None]
    return [f"set {found.seq} is newer and cannot be used: {found.problem}" for found in newer]


def numbers(sets: t.Sequence[StoredSet]) -> list[int]:
    """The numbers that the next number must exceed: those of authentic sets, or of all sets if none is authentic.

    An attacker who can write to the repository could store a set with the largest number, to prevent new sets.
    """
    authentic = [found.seq for found in sets if found.manifest is not None and not found.not_authentic]
    return authentic or [found.seq for found in sets if found.seq < _LIKELY]
