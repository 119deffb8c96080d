# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture a directory: archived as tar, or left to restic. SQLite files are copied by SQLite's backup API.

A file that changes while it is read causes a warning with its path; the stored content is the hashed content. A
database in use belongs in ``sqlite`` or in a source of its own.
"""

from __future__ import annotations

import contextlib
import os
import stat
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    BackupError,
    RoomLimit,
    SourceLimit,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import (
    attributes,
    listing,
    sparse,
    tar_format,
    walk,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory.limits import Limits
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory.model import WALK, DirectoryFacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory.walk import Listing
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.sqlite import online
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Artefact
from ansible_collections.onebox.stack.plugins.module_utils.core import files, trees


class Captured(t.NamedTuple):
    """A captured directory. ``excludes`` are absolute paths that restic must leave out."""

    artefacts: list[Artefact]
    facts: DirectoryFacts
    warnings: list[str]
    excludes: list[str]


def capture(
    root: str,
    exclude: t.Sequence[str],
    sqlite: t.Sequence[str],
    staging: str,
    name: str,
    *,
    archive: bool,
    before: str = "",
    limits: Limits | None = None,
) -> Captured:
    """Capture ``root`` as source ``name``: its list, its SQLite files, and with ``archive`` a tar of the rest.

    Args:
        before: path of the list of the previous set, "" for none. Only used when the store reads the files.
        limits: the limits of the directory.

    Raises:
        SourceLimit: it exceeds the limits, or has content that cannot be backed up. Its staged files are removed.
        SourceError: it cannot be read.
    """
    walk.raise_open_files()
    found = Listing(root, exclude, sqlite, limits)
    take: _Take
    try:
        with contextlib.ExitStack() as stack:
            if archive:
                tar = _Archive(found, staging, f"files/{name}.tar")
                take = stack.enter_context(tar)
            else:
                take = _Look(found, before)
                stack.callback(take.known.close)
            artefacts = _write_list(found, take, staging, name)
        if archive:
            artefacts.insert(-1, tar.artefact())
    except BaseException as error:
        for part in (f"files/{name}.tar", f"files/{name}.list", f"sqlite/{name}"):
            trees.remove_tree(os.path.join(staging, part))
        if isinstance(error, files.DiskFull):
            raise RoomLimit(f"{error}. Make room, or exclude large files in {root}") from error
        raise
    facts = DirectoryFacts(
        root=root,
        entries=take.entries,
        bytes=take.bytes,
        holes=take.holes,
        plain_files=take.files,
        list=f"files/{name}.list",
        list_order=WALK,
        archive=f"files/{name}.tar" if archive else "",
        databases={path: f"sqlite/{name}/{path}" for path in found.databases},
    )
    # Exclude companions that do not exist yet: the store reads later, and a newer one does not match our copy.
    companions = [path + tail for path in found.databases for tail in walk.COMPANIONS]
    excludes = [os.path.join(root, path) for path in dict.fromkeys([*found.databases, *companions, *found.skipped])]
    return Captured(artefacts, facts, _warnings(found, take), excludes)


def _warnings(found: Listing, take: _Take) -> list[str]:
    warnings = []
    changed = [*take.changed, *found.changed]
    if changed:
        more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
        shown = ", ".join(changed[:5]) + more
        warnings.append(f"{len(changed)} files changed while they were read: {shown}")
    if found.left_out:
        warnings.append(f"{len(found.left_out)} sockets or devices are left out: {', '.join(found.left_out[:5])}")
    return warnings


def _write_list(found: listing.Listing, take: _Take, staging: str, name: str) -> list[Artefact]:
    """Walk through a directory once. Returns the artefacts of the SQLite files, and last that of the list."""
    artefacts = []
    target = f"files/{name}.list"
    with files.HashedFile(trees.private_parents(staging, target)) as file:
        lines: list[bytes] = []
        for path, status in found:
            if found.databases and found.databases[-1] == path:
                copy = _copy_database(found, path, staging, f"sqlite/{name}/{path}")
                artefacts.append(copy)
                line = listing.head(path, status, copy.size) + listing.tail(copy.sha256, {})
                take.bytes += copy.size
            else:
                line = take(path, status)
            if not line:
                found.lost(path)
                continue
            take.entries += 1
            lines.append(line)
            if len(lines) == 1000:
                file.write(b"".join(lines))
                lines.clear()
        file.write(b"".join(lines))
    return [*artefacts, Artefact(target, file.size, file.sha256())]


def _copy_database(found: Listing, path: str, staging: str, target: str) -> Artefact:
    target_path = trees.private_parents(staging, target)
    live_path = os.path.join(found.root, path)
    descriptor = found.open_file(path)
    if descriptor is None:
        raise SourceLimit(f"the SQLite file {live_path} changed its type while it was read")
    try:
        online.copy(live_path, descriptor, target_path)
    finally:
        os.close(descriptor)
    sha256, size = files.digest(target_path)
    return Artefact(target, size, sha256)


class _Take:
    """Reads the entries of the walk. Returns lines for the list, b"" for an entry that vanished or changed its type."""

    def __init__(self, found: Listing) -> None:
        self.found = found
        self.limits = found.limits
        self.links = listing.HardLinks()
        self.entries = 0
        self.bytes = 0
        # Bytes of holes: the size of the files minus their stored data.
        self.holes = 0
        self.files = 0
        self.changed: list[str] = []

    def __call__(self, path: str, status: os.stat_result) -> bytes:
        kind = stat.S_IFMT(status.st_mode)
        try:
            if kind == stat.S_IFREG:
                line = self.file(path, status)
                self.files += 1 if line else 0
                return line
            link = self.found.link(path) if kind == stat.S_IFLNK else ""
            if link is None:
                return b""
            extended = attributes.read(self.found.opened) if kind == stat.S_IFDIR else {}
        except OSError as error:
            raise SourceLimit(f"{self.found.root}/{path} cannot be read: {error.strerror or error}") from error
        self.other(path, status, link, extended)
        return listing.other_line(path, status, link, attributes.digests(extended))

    def file(self, path: str, status: os.stat_result) -> bytes:
        raise NotImplementedError

    def other(self, path: str, status: os.stat_result, link: str, extended: attributes.Attributes) -> None:
        """Read an entry that is not a plain file."""

    def change(self, path: str) -> None:
        """Record a file that changed while it was read."""
        self.changed.append(path)


class _Look(_Take):
    """Hashes the files that changed since the list ``before``. The store reads the files itself."""

    def __init__(self, found: Listing, before: str) -> None:
        super().__init__(found)
        self.known = listing.Known(before)

    def file(self, path: str, status: os.stat_result) -> bytes:
        hard = self.links.first(path, status)
        blocks = sparse.is_sparse(status)
        known = self.known.line(path, listing.head(path, status, hard=hard, blocks=blocks))
        if known and not blocks:
            self.bytes += status.st_size
            return known
        descriptor = self.found.open_file(path)
        if descriptor is None:
            return b""
        try:
            if blocks:
                # The store reads holes as zeros in every run.
                self.limits.hole(status.st_size - sparse.data_bytes(sparse.segments(descriptor, status.st_size)))
            if known:
                self.bytes += status.st_size
                return known
            sha256, size, after = listing.hash_file(path, descriptor, self.limits, blocks=blocks)
            extended = attributes.digests(attributes.read(descriptor))
        finally:
            os.close(descriptor)
        self.bytes += size
        if _moved(status, after):
            self.change(path)
            # The hashed content may be mixed. Record the old times, so that the next run hashes the file again.
            after = status
        return listing.head(path, after, size, hard=hard, blocks=blocks) + listing.tail(sha256, extended)


class _Archive(_Take):
    """Writes everything to a tar."""

    def __init__(self, found: Listing, staging: str, target: str) -> None:
        super().__init__(found)
        self._target = target
        self._file = files.HashedFile(trees.private_parents(staging, target))
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> _Archive:
        self._stack.enter_context(self._file)
        self._tar = self._stack.enter_context(tar_format.writer(self._file))
        return self

    def __exit__(self, *why: t.Any) -> None:
        try:
            self._stack.__exit__(*why)
        except (files.FileError, OSError):
            # The disk is full and the end of the archive does not fit. The earlier error says more.
            if why[0] is None:
                raise

    def artefact(self) -> Artefact:
        return Artefact(self._target, self._file.size, self._file.sha256())

    def file(self, path: str, status: os.stat_result) -> bytes:
        descriptor = self.found.open_file(path)
        if descriptor is None:
            return b""
        try:
            status = os.fstat(descriptor)
            hard = self.links.first(path, status)
            extended = attributes.read(descriptor)
            blocks = sparse.is_sparse(status)
            parts = sparse.segments(descriptor, status.st_size) if blocks else None
            stored = status.st_size if parts is None else sparse.data_bytes(parts)
            self.limits.hole(status.st_size - stored)
            got = tar_format.add_file(self._tar, path, status, descriptor, extended, hard, parts, self.limits)
            if got.short or _moved(status, os.fstat(descriptor)):
                self.change(path)
        finally:
            os.close(descriptor)
        self.bytes += stored
        self.holes += status.st_size - stored
        line = listing.head(path, status, hard=hard, blocks=blocks)
        return line + listing.tail(got.sha256, attributes.digests(extended))

    def other(self, path: str, status: os.stat_result, link: str, extended: attributes.Attributes) -> None:
        tar_format.add_other(self._tar, path, status, link, extended)


def _moved(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)


def check(
    facts: DirectoryFacts, staged: str, restored: str, owners: bool, lost: t.Collection[str] = ()
) -> tuple[list[str], list[str]]:
    """Compare a restored root with the list of the set. Returns differences, and files that changed during the backup.

    Args:
        lost: attributes that could not be set.
    """
    expected = listing.read(os.path.join(staged, facts.list))
    if facts.list_order != WALK:  # a set of version 1.0.0
        expected = iter(sorted(expected, key=lambda row: listing.order(row["path"])))
    comparison = listing.Comparison(
        facts.root, drifting=not facts.archive, copies=facts.databases, owners=owners, lost=lost
    )
    try:
        comparison.run(expected, listing.Scan(restored, owners))
    except (OSError, BackupError) as error:
        return [f"{facts.root}: the restored copy cannot be read: {error}"], []
    return comparison.problems, comparison.moved
