# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories: archived as tar (plain files) or handed to restic as they are; SQLite files by SQLite's backup API.

A file that changes while it is read is told, not hidden: what was stored is what was hashed, and the path is in the
warnings. A database that is written to belongs into ``sqlite`` or into a source of its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import stat
import tarfile
import typing as t
import urllib.parse

from ansible_collections.onebox.stack.plugins.module_utils.backup import listing, safefs
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import BackupError, SourceError, StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.manifest import Artefact


class Captured(t.NamedTuple):
    """What capturing a directory gave. ``excludes`` are absolute paths restic must leave out."""

    artefacts: list[Artefact]
    facts: dict[str, t.Any]
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
    cache: listing.HashCache | None = None,
) -> Captured:
    """Capture ``root`` as source ``name``: its list, its SQLite files, and with ``archive`` a tar of the rest."""
    found = listing.Listing(root, exclude, sqlite)
    changed: list[str] = []
    rows: dict[str, listing.Entry] = {}
    artefacts = []
    for path in found.databases:
        artefact = _copy_database(os.path.join(root, path), staging, f"sqlite/{name}/{path}")
        artefacts.append(artefact)
        rows[path] = listing.entry(path, found.entries[path], artefact.sha256, artefact.size)
    rest = {path: status for path, status in found.entries.items() if path not in rows}
    if archive:
        artefacts.append(_archive(root, rest, staging, f"files/{name}.tar", rows, changed))
    else:
        for path, status in rest.items():
            rows.update(_look(root, path, status, cache, changed))
    artefacts.append(_write_list(rows, staging, f"files/{name}.list"))
    warnings = []
    if changed:
        shown = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
        warnings.append(f"{len(changed)} files changed while they were read: {shown}")
    if found.left_out:
        warnings.append(f"{len(found.left_out)} sockets or devices are left out: {', '.join(found.left_out[:5])}")
    facts = {
        "root": root,
        "entries": len(rows),
        "bytes": sum(row.get("size", 0) for row in rows.values()),
        "list": f"files/{name}.list",
        "archive": f"files/{name}.tar" if archive else "",
        "databases": {path: f"sqlite/{name}/{path}" for path in found.databases},
    }
    excludes = [os.path.join(root, path) for path in [*found.databases, *found.skipped]]
    return Captured(artefacts, facts, warnings, excludes)


def _copy_database(path: str, staging: str, target: str) -> Artefact:
    place = safefs.private_parents(staging, target)
    # The file must be made by us, private, before SQLite opens it by name.
    safefs.write_new(place, b"")
    try:
        with (
            contextlib.closing(
                sqlite3.connect(f"file:{urllib.parse.quote(path)}?mode=ro", uri=True, timeout=60)
            ) as live,
            contextlib.closing(sqlite3.connect(place)) as copy,
        ):
            live.backup(copy)
            (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
            copy.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise SourceError(f"the SQLite file {path} cannot be backed up: {error}") from error
    if verdict != "ok":
        raise SourceError(f"the SQLite file {path} is damaged: {verdict}")
    fd = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        safefs.sync(fd)
    finally:
        os.close(fd)
    sha256, size = safefs.digest(place)
    return Artefact(target, size, sha256)


def _archive(
    root: str,
    entries: t.Mapping[str, os.stat_result],
    staging: str,
    target: str,
    rows: dict[str, listing.Entry],
    changed: list[str],
) -> Artefact:
    place = safefs.private_parents(staging, target)
    with (
        safefs.HashedFile(place) as file,
        tarfile.open(
            fileobj=t.cast("t.IO[bytes]", file),
            mode="w|",
            format=tarfile.PAX_FORMAT,
            errors="surrogateescape",
            bufsize=safefs.CHUNK,
        ) as tar,
    ):
        for path, status in entries.items():
            _add(tar, root, path, status, rows, changed)
    return Artefact(target, file.size, file.sha256())


def _add(
    tar: tarfile.TarFile,
    root: str,
    path: str,
    status: os.stat_result,
    rows: dict[str, listing.Entry],
    changed: list[str],
) -> None:
    place = os.path.join(root, path)
    info = tarfile.TarInfo(path)
    info.mode, info.uid, info.gid = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
    info.mtime = status.st_mtime
    if stat.S_ISDIR(status.st_mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISFIFO(status.st_mode):
        info.type = tarfile.FIFOTYPE
    elif stat.S_ISLNK(status.st_mode):
        info.type = tarfile.SYMTYPE
        try:
            info.linkname = os.readlink(place)
        except OSError as error:
            raise SourceError(f"{place} changed while it was read: {error.strerror}; run again") from error
    else:
        try:
            source = safefs.open_regular(place)
        except FileNotFoundError:
            changed.append(path)
            return
        except OSError as error:
            raise SourceError(f"{place} cannot be read: {error.strerror}") from error
        with source:
            status = os.fstat(source.fileno())
            info.size = status.st_size
            reader = _Exactly(source, status.st_size)
            try:
                tar.addfile(info, t.cast("t.IO[bytes]", reader))
            except OSError as error:
                raise SourceError(f"{place} cannot be read: {error.strerror or error}") from error
            if reader.short or _moved(status, os.fstat(source.fileno())):
                changed.append(path)
        rows[path] = listing.entry(path, status, reader.sha256(), status.st_size)
        return
    tar.addfile(info)
    rows[path] = listing.entry(path, status, link=info.linkname)


def _look(
    root: str, path: str, status: os.stat_result, cache: listing.HashCache | None, changed: list[str]
) -> dict[str, listing.Entry]:
    place = os.path.join(root, path)
    try:
        if stat.S_ISLNK(status.st_mode):
            return {path: listing.entry(path, status, link=os.readlink(place))}
        if not stat.S_ISREG(status.st_mode):
            return {path: listing.entry(path, status)}
        known = cache.get(place, status) if cache else ""
        if known:
            return {path: listing.entry(path, status, known)}
        sha256, size, after = listing.hash_file(place)
    except FileNotFoundError:
        changed.append(path)
        return {}
    except OSError as error:
        raise SourceError(f"{place} cannot be read: {error.strerror}") from error
    if _moved(status, after):
        changed.append(path)
    elif cache:
        cache.put(place, status, sha256)
    return {path: listing.entry(path, after, sha256, size)}


def _moved(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)


def _write_list(rows: t.Mapping[str, listing.Entry], staging: str, target: str) -> Artefact:
    place = safefs.private_parents(staging, target)
    with safefs.HashedFile(place) as file:
        for line in listing.dump(rows[path] for path in sorted(rows)):
            file.write(line)
    return Artefact(target, file.size, file.sha256())


class _Exactly:
    """Gives exactly ``size`` bytes of a file, hashed; one that shrank is filled with zeros, as tar wants its length."""

    def __init__(self, file: t.BinaryIO, size: int) -> None:
        self._file = file
        self._left = size
        self._hash = hashlib.sha256()
        self.short = False

    def read(self, size: int) -> bytes:
        size = min(size, self._left)
        data = self._file.read(size)
        if len(data) < size:
            self.short = True
            data += b"\0" * (size - len(data))
        self._left -= size
        self._hash.update(data)
        return data

    def sha256(self) -> str:
        return self._hash.hexdigest()


def extract(archive: str, into: str, owners: bool) -> None:
    """Unpack our own kind of tar below ``into``; whatever would leave it is refused.

    Args:
        owners: give files to their owners (root only).

    Raises:
        StoreError: a name that leaves the directory, a path through a link, or a kind of entry we never write.
    """
    dirs: list[tarfile.TarInfo] = []
    links: set[str] = set()
    with safefs.open_regular(archive) as file, tarfile.open(fileobj=file, mode="r|", errors="surrogateescape") as tar:
        for info in tar:
            name = info.name
            if name != "." and not safefs.safe_relative(name):
                raise StoreError(f"{archive} holds {name!r}, which leaves the directory; refused")
            parts = name.split("/")
            if any("/".join(parts[:depth]) in links for depth in range(1, len(parts) + 1)):
                raise StoreError(f"{archive} holds {name!r}, whose way leads through a link; refused")
            place = into if name == "." else os.path.join(into, name)
            _extract_one(tar, info, place, archive)
            if info.issym():
                links.add(name)
            if info.isdir():
                dirs.append(info)
            else:
                _dress(place, info, owners)
    for info in reversed(dirs):  # last, because a directory may be read-only and its mtime is touched by what goes in
        _dress(into if info.name == "." else os.path.join(into, info.name), info, owners)


def _extract_one(tar: tarfile.TarFile, info: tarfile.TarInfo, place: str, archive: str) -> None:
    if info.isdir():
        if not os.path.isdir(place) or os.path.islink(place):
            os.mkdir(place, 0o700)
    elif info.issym():
        os.symlink(info.linkname, place)
    elif info.isfifo():
        os.mkfifo(place, 0o600)
    elif info.isreg():
        source = t.cast("t.IO[bytes]", tar.extractfile(info))
        with safefs.HashedFile(place) as copy:
            while chunk := source.read(safefs.CHUNK):
                copy.write(chunk)
    else:
        raise StoreError(f"{archive} holds {info.name!r} of a kind this program never writes; refused")


def _dress(place: str, info: tarfile.TarInfo, owners: bool) -> None:
    if owners:
        os.chown(place, info.uid, info.gid, follow_symlinks=False)
    if not info.issym():
        os.chmod(place, info.mode)
        os.utime(place, (info.mtime, info.mtime))


def overlay_databases(facts: t.Mapping[str, t.Any], staged: str, into: str, owners: bool) -> None:
    """Put the SQLite copies of a set to their places below a restored root, with the owner and mode of the list."""
    rows = listing.load(os.path.join(staged, facts["list"]))
    for path, artefact in facts["databases"].items():
        place = safefs.private_parents(into, path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(place)
        with safefs.open_regular(os.path.join(staged, artefact)) as source, safefs.HashedFile(place) as copy:
            while chunk := source.read(safefs.CHUNK):
                copy.write(chunk)
        if owners:
            os.chown(place, rows[path]["uid"], rows[path]["gid"])
        os.chmod(place, rows[path]["mode"])


def dress_root(facts: t.Mapping[str, t.Any], staged: str, into: str, owners: bool) -> None:
    """Give the restored root itself its owner and mode; restic restores only what is below it."""
    row = listing.load(os.path.join(staged, facts["list"]))["."]
    if owners:
        os.chown(into, row["uid"], row["gid"])
    os.chmod(into, row["mode"])


def check(facts: t.Mapping[str, t.Any], staged: str, restored: str, owners: bool) -> tuple[list[str], list[str]]:
    """Compare a restored root with the list of the set. Returns differences, and what changed under way."""
    expected = listing.load(os.path.join(staged, facts["list"]))
    try:
        found = listing.scan(restored, owners)
    except (OSError, BackupError) as error:
        return [f"{facts['root']}: the restored copy cannot be read: {error}"], []
    moved: set[str] = set()
    if not facts["archive"]:
        moved = listing.drift(expected, found) - set(facts["databases"])
        expected = {path: row for path, row in expected.items() if path not in moved}
        found = {path: row for path, row in found.items() if path not in moved}
    return listing.compare(expected, found, facts["root"]), sorted(moved)
