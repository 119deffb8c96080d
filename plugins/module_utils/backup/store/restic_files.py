# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A local restic repository as files, without its key.

restic names each file after the sha256 of its content, and each call of restic spends half a second on the key. So
snapshots are listed, and written packs checked, from the files themselves.
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
    """The files of the repository at ``location``, a directory."""

    def __init__(self, location: str) -> None:
        self.location = location

    def made(self) -> bool:
        """Whether there is a repository."""
        return os.path.exists(os.path.join(self.location, "config"))

    def locked(self) -> bool:
        """Whether restic has a lock there, of any process."""
        return bool(os.listdir(os.path.join(self.location, "locks")))

    def snapshots(self) -> list[str]:
        """Ids of all snapshots, of every stack."""
        try:
            return sorted(_names(os.path.join(self.location, "snapshots")))
        except OSError as error:
            raise StoreError(f"the repository {self.location} cannot be read: {error.strerror}") from error

    def packs(self) -> set[str]:
        """Names of all pack files."""
        data = os.path.join(self.location, "data")
        found: set[str] = set()
        for part in os.listdir(data):
            with contextlib.suppress(FileNotFoundError):
                found.update(_names(os.path.join(data, part)))
        return found

    def verify_part(self, packs: t.Iterable[str], part: int, parts: int) -> int:
        """Read one part of ``packs``, chosen by their names. Returns bytes read; raises as :meth:`verify`."""
        return sum(self._verify_pack(name) for name in sorted(packs) if int(name[:8], 16) % parts == part)

    def verify(self, packs: t.Iterable[str]) -> int:
        """Read the metadata of the repository, and these ``packs``. Returns bytes read.

        Raises:
            StoreError: a file is damaged; the text names it.
        """
        total = sum(self._verify_pack(name) for name in sorted(packs))
        for kind in ("index", "snapshots"):
            folder = os.path.join(self.location, kind)
            total += sum(self._verify(os.path.join(folder, name), name) for name in _names(folder))
        return total

    def _verify_pack(self, name: str) -> int:
        return self._verify(os.path.join(self.location, "data", name[:2], name), name)

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
