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

from ansible_collections.onebox.stack.plugins.module_utils.backup.directory import listing
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import BackupError, SourceError, StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Artefact
from ansible_collections.onebox.stack.plugins.module_utils.core import files, trees


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
    before: str = "",
) -> Captured:
    """Capture ``root`` as source ``name``: its list, its SQLite files, and with ``archive`` a tar of the rest.

    Args:
        before: where the list of the last set is, "" for none; only asked for files that are left to the store.
    """
    found = listing.Listing(root, exclude, sqlite)
    take: _Take
    with contextlib.ExitStack() as stack:
        if archive:
            tar = _Archive(root, staging, f"files/{name}.tar")
            take = stack.enter_context(tar)
        else:
            take = _Look(root, before)
            stack.callback(take.known.close)
        artefacts = _write_list(found, take, staging, name)
    if archive:
        artefacts.insert(-1, tar.artefact())
    warnings = []
    if take.changed:
        more = f" and {len(take.changed) - 5} more" if len(take.changed) > 5 else ""
        shown = ", ".join(take.changed[:5]) + more
        warnings.append(f"{len(take.changed)} files changed while they were read: {shown}")
    if found.left_out:
        warnings.append(f"{len(found.left_out)} sockets or devices are left out: {', '.join(found.left_out[:5])}")
    facts = {
        "root": root,
        "entries": take.entries,
        "bytes": take.bytes,
        "plain_files": take.files,
        "list": f"files/{name}.list",
        "list_order": "walk",
        "archive": f"files/{name}.tar" if archive else "",
        "databases": {path: f"sqlite/{name}/{path}" for path in found.databases},
    }
    # Companions also where there were none: the store looks later, and one of then does not go with our copy.
    companions = [path + tail for path in found.databases for tail in listing.COMPANIONS]
    excludes = [os.path.join(root, path) for path in dict.fromkeys([*found.databases, *companions, *found.skipped])]
    return Captured(artefacts, facts, warnings, excludes)


def _write_list(found: listing.Listing, take: _Take, staging: str, name: str) -> list[Artefact]:
    """Go through a directory once. Returns the artefacts of the SQLite files, and last that of the list."""
    artefacts = []
    target = f"files/{name}.list"
    with files.HashedFile(trees.private_parents(staging, target)) as file:
        lines: list[bytes] = []
        for path, status in found:
            if found.databases and found.databases[-1] == path:
                copy = _copy_database(os.path.join(found.root, path), staging, f"sqlite/{name}/{path}")
                artefacts.append(copy)
                line = listing.file_line(path, status, copy.sha256, copy.size)
                take.bytes += copy.size
            else:
                line = take(path, status)
            if not line:
                take.changed.append(path)
                continue
            take.entries += 1
            lines.append(line)
            if len(lines) == 1000:
                file.write(b"".join(lines))
                lines.clear()
        file.write(b"".join(lines))
    return [*artefacts, Artefact(target, file.size, file.sha256())]


def _copy_database(path: str, staging: str, target: str) -> Artefact:
    place = trees.private_parents(staging, target)
    # The file must be made by us, private, before SQLite opens it by name.
    files.write_new(place, b"", durable=False)
    try:
        with (
            contextlib.closing(
                sqlite3.connect(f"file:{urllib.parse.quote(os.fsencode(path))}?mode=ro", uri=True, timeout=60)
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
    sha256, size = files.digest(place)
    return Artefact(target, size, sha256)


class _Take:
    """Takes what the walk finds, and gives the line of the list; b"" for a file that went away."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.entries = 0
        self.bytes = 0
        self.files = 0
        self.changed: list[str] = []

    def __call__(self, path: str, status: os.stat_result) -> bytes:
        place = f"{self.root}/{path}"
        kind = stat.S_IFMT(status.st_mode)
        try:
            if kind == stat.S_IFREG:
                line = self.file(path, place, status)
                self.files += 1
                return line
            link = os.readlink(place) if kind == stat.S_IFLNK else ""
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise SourceError(f"{place} cannot be read: {error.strerror or error}") from error
        self.other(path, status, link)
        return listing.other_line(path, status, link)

    def file(self, path: str, place: str, status: os.stat_result) -> bytes:
        raise NotImplementedError

    def other(self, path: str, status: os.stat_result, link: str) -> None:
        """Take what is no plain file."""


class _Look(_Take):
    """Leaves the files to the store, and hashes those that changed since the list ``before``."""

    def __init__(self, root: str, before: str) -> None:
        super().__init__(root)
        self.known = listing.Known(before)

    def file(self, path: str, place: str, status: os.stat_result) -> bytes:
        known = self.known.line(path, listing.head(path, status))
        if known:
            self.bytes += status.st_size
            return known
        sha256, size, after = listing.hash_file(place)
        self.bytes += size
        if _moved(status, after):
            self.changed.append(path)
            # What was hashed may be neither of both: with the former times it counts as changed, and is hashed anew.
            return listing.file_line(path, status, sha256, size)
        return listing.file_line(path, after, sha256, size)


class _Archive(_Take):
    """Puts everything into a tar."""

    def __init__(self, root: str, staging: str, target: str) -> None:
        super().__init__(root)
        self._target = target
        self._file = files.HashedFile(trees.private_parents(staging, target))
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> _Archive:
        self._stack.enter_context(self._file)
        self._tar = self._stack.enter_context(
            tarfile.open(
                fileobj=t.cast("t.IO[bytes]", self._file),
                mode="w|",
                format=tarfile.PAX_FORMAT,
                errors="surrogateescape",
                bufsize=files.CHUNK,
            )
        )
        return self

    def __exit__(self, *why: t.Any) -> None:
        self._stack.__exit__(*why)

    def artefact(self) -> Artefact:
        return Artefact(self._target, self._file.size, self._file.sha256())

    def file(self, path: str, place: str, status: os.stat_result) -> bytes:
        with files.open_regular(place) as source:
            status = os.fstat(source.fileno())
            info = self._info(path, status)
            info.size = status.st_size
            reader = _Exactly(source, status.st_size)
            self._add(info, reader)
            if reader.short or _moved(status, os.fstat(source.fileno())):
                self.changed.append(path)
        self.bytes += status.st_size
        return listing.file_line(path, status, reader.sha256(), status.st_size)

    def other(self, path: str, status: os.stat_result, link: str) -> None:
        info = self._info(path, status)
        kinds = {stat.S_IFDIR: tarfile.DIRTYPE, stat.S_IFIFO: tarfile.FIFOTYPE, stat.S_IFLNK: tarfile.SYMTYPE}
        info.type = kinds[stat.S_IFMT(status.st_mode)]
        info.linkname = link
        self._add(info)

    def _add(self, info: tarfile.TarInfo, reader: _Exactly | None = None) -> None:
        self._tar.addfile(info, t.cast("t.IO[bytes]", reader))
        _forget_members(self._tar)

    @staticmethod
    def _info(path: str, status: os.stat_result) -> tarfile.TarInfo:
        info = tarfile.TarInfo(path)
        info.mode, info.uid, info.gid = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
        info.mtime = status.st_mtime
        return info


def _forget_members(tar: tarfile.TarFile) -> None:
    # It remembers every member, for a list nobody asks for: a hundred thousand of them take 100 MB.
    t.cast(t.Any, tar).members.clear()


def _moved(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)


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
    inside = {""}  # directories that no link leads to
    with files.open_regular(archive) as file, tarfile.open(fileobj=file, mode="r|", errors="surrogateescape") as tar:
        for info in tar:
            _forget_members(tar)
            name = info.name
            if name != "." and not trees.safe_relative(name):
                raise StoreError(f"{archive} holds {name!r}, which leaves the directory; refused")
            if name in links or (name.rpartition("/")[0] not in inside and _through_a_link(name, links)):
                raise StoreError(f"{archive} holds {name!r}, whose way leads through a link; refused")
            place = into if name == "." else os.path.join(into, name)
            _extract_one(tar, info, place, archive)
            if info.issym():
                links.add(name)
            if info.isdir():
                inside.add(name)
                dirs.append(info)
            else:
                _dress(place, info, owners)
    for info in reversed(dirs):  # last, because a directory may be read-only and its mtime is touched by what goes in
        _dress(into if info.name == "." else os.path.join(into, info.name), info, owners)


def _through_a_link(name: str, links: t.Collection[str]) -> bool:
    parts = name.split("/")
    return any("/".join(parts[:depth]) in links for depth in range(1, len(parts)))


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
        with files.HashedFile(place) as copy:
            while chunk := source.read(files.CHUNK):
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
    rows = listing.find(os.path.join(staged, facts["list"]), facts["databases"])
    for path, artefact in facts["databases"].items():
        place = trees.private_parents(into, path)
        parent = os.stat(os.path.dirname(place))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(place)
        with files.open_regular(os.path.join(staged, artefact)) as source, files.HashedFile(place) as copy:
            while chunk := source.read(files.CHUNK):
                copy.write(chunk)
        if owners:
            os.chown(place, rows[path]["uid"], rows[path]["gid"])
        os.chmod(place, rows[path]["mode"])
        # Its times tell whether something came or went while the backup ran; this did not.
        os.utime(os.path.dirname(place), ns=(parent.st_atime_ns, parent.st_mtime_ns))


def dress_root(facts: t.Mapping[str, t.Any], staged: str, into: str, owners: bool) -> None:
    """Give the restored root itself its owner and mode."""
    row = listing.find(os.path.join(staged, facts["list"]), (".",))["."]
    if owners:
        os.chown(into, row["uid"], row["gid"])
    os.chmod(into, row["mode"])


def check(facts: t.Mapping[str, t.Any], staged: str, restored: str, owners: bool) -> tuple[list[str], list[str]]:
    """Compare a restored root with the list of the set. Returns differences, and what changed under way."""
    expected = listing.read(os.path.join(staged, facts["list"]))
    if facts.get("list_order") != "walk":  # a set of version 1.0.0
        expected = iter(sorted(expected, key=lambda row: listing.order(row["path"])))
    comparison = listing.Comparison(facts["root"], drifting=not facts["archive"], copies=facts["databases"])
    try:
        comparison.run(expected, listing.scan(restored, owners))
    except (OSError, BackupError) as error:
        return [f"{facts['root']}: the restored copy cannot be read: {error}"], []
    return comparison.problems, comparison.moved
