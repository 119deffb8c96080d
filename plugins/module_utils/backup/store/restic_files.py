# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A local restic repository as files, without its key.

restic names each file after the sha256 of what is in it, and each call of restic pays half a second for the key. So
the list of snapshots, and the check of written packs, come from the files themselves.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from ansible_collections.onebox.stack.plugins.module_utils.core import files

_NAME_LENGTH = 64


class Vanished(StoreError):
    """A file was removed since it was listed: by a deletion of another stack in the same repository, or by damage."""


class RepositoryFiles:
    """The files of the repository at ``place``, a directory."""

    def __init__(self, place: str) -> None:
        self.place = place

    def made(self) -> bool:
        """Whether there is a repository."""
        return os.path.exists(os.path.join(self.place, "config"))

    def locked(self) -> bool:
        """Whether restic has a lock there, of whatever process."""
        return bool(os.listdir(os.path.join(self.place, "locks")))

    def snapshots(self) -> list[str]:
        """Ids of all snapshots, of every stack."""
        try:
            return sorted(_names(os.path.join(self.place, "snapshots")))
        except OSError as error:
            raise StoreError(f"the repository {self.place} cannot be read: {error.strerror}") from error

    def packs(self) -> set[str]:
        """Names of all files that hold data."""
        data = os.path.join(self.place, "data")
        found: set[str] = set()
        for part in os.listdir(data):
            with contextlib.suppress(FileNotFoundError):
                found.update(_names(os.path.join(data, part)))
        return found

    def verify_part(self, packs: t.Iterable[str], part: int, parts: int) -> int:
        """Read one part of ``packs``, chosen by their names. Returns bytes read; raises as :meth:`verify`."""
        return sum(self._verify_pack(name) for name in sorted(packs) if int(name[:8], 16) % parts == part)

    def verify(self, packs: t.Iterable[str]) -> int:
        """Read all that describes the repository, and these ``packs``. Returns bytes read.

        Raises:
            StoreError: a file is not what restic wrote; the text names it.
        """
        total = sum(self._verify_pack(name) for name in sorted(packs))
        for kind in ("index", "snapshots"):
            folder = os.path.join(self.place, kind)
            total += sum(self._verify(os.path.join(folder, name), name) for name in _names(folder))
        return total

    def _verify_pack(self, name: str) -> int:
        return self._verify(os.path.join(self.place, "data", name[:2], name), name)

    def _verify(self, path: str, name: str) -> int:
        try:
            sha256, size = files.digest(path)
        except FileNotFoundError as error:
            raise Vanished(f"{path} cannot be read: {error.strerror}") from error
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror}") from error
        if sha256 != name:
            raise StoreError(
                f"{path} is damaged: its sha256 is {sha256[:12]}…, not its name; rehearse to learn which sets are "
                "whole, and see restic's repair commands"
            )
        return size


def _names(folder: str) -> t.Iterator[str]:
    with os.scandir(folder) as rows:
        # Leftovers of a killed restic have other names.
        yield from (row.name for row in rows if len(row.name) == _NAME_LENGTH)
