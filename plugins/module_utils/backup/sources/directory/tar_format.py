# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive of a directory: a tar as GNU tar and bsdtar read it, with attributes, hard links and holes.

Attributes are ``SCHILY.xattr`` records and files with holes are of GNU's sparse format 1.0, as those programs write
them.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import sparse
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory.limits import Limits
from ansible_collections.onebox.stack.plugins.module_utils.core import files

_XATTR = "SCHILY.xattr."
# Larger members have their size in a separate record, which readers mistake for the size with holes.
_MOST_SPARSE = 8 << 30


class Stored(t.NamedTuple):
    """The stored part of a file: its hash, and whether it was shorter than before."""

    sha256: str
    short: bool


def writer(target: files.HashedFile) -> tarfile.TarFile:
    """A new archive. Use as a context manager."""
    return tarfile.open(
        fileobj=t.cast("t.IO[bytes]", target),
        mode="w|",
        format=tarfile.PAX_FORMAT,
        encoding="utf-8",
        errors="surrogateescape",
        bufsize=files.CHUNK,
    )


def reader(source: t.BinaryIO) -> tarfile.TarFile:
    """An archive to read once. Use as a context manager."""
    return tarfile.open(fileobj=source, mode="r:", encoding="utf-8", errors="surrogateescape")


def forget_members(tar: tarfile.TarFile) -> None:
    """Drop the unused list of all members: a hundred thousand of them take 100 MB."""
    t.cast(t.Any, tar).members.clear()


def attributes_of(info: tarfile.TarInfo) -> dict[str, bytes]:
    """The extended attributes of a member."""
    found = {}
    for key, value in info.pax_headers.items():
        if key.startswith(_XATTR):
            found[key[len(_XATTR) :]] = value.encode("utf-8", "surrogateescape")
    return found


def add_file(
    tar: tarfile.TarFile,
    path: str,
    status: os.stat_result,
    descriptor: int,
    extended: t.Mapping[str, bytes],
    hard: str,
    parts: t.Sequence[sparse.Segment] | None,
    limits: Limits,
) -> Stored:
    """Store an open file with its present length.

    Args:
        hard: the path of a member that is the same file. Then only the link is stored.
        parts: the parts with data of a file with holes, None for a file without holes.
    """
    info = _info(path, status, extended)
    blocks = iter(sparse.blocks(descriptor, [(0, status.st_size)] if parts is None else parts))
    content = _Content(blocks, status.st_size, limits, by_blocks=parts is not None)
    if hard:
        info.type, info.linkname = tarfile.LNKTYPE, hard
        # Read for its hash, which the list has for each name.
        content.skip()
        tar.addfile(info)
    else:
        info.size = status.st_size
        stored = sum(length for _at, length in parts or ())
        if parts is not None and stored < min(_MOST_SPARSE, status.st_size):
            content.before = _sparse(info, path, parts, status.st_size)
            info.size = len(content.before) + stored
        elif parts is not None:
            content = _Content(
                iter(sparse.blocks(descriptor, [(0, status.st_size)])), status.st_size, limits, by_blocks=True
            )
        tar.addfile(info, t.cast("t.IO[bytes]", content))
    forget_members(tar)
    return Stored(content.sha256(), os.fstat(descriptor).st_size < status.st_size)


def add_other(
    tar: tarfile.TarFile, path: str, status: os.stat_result, link: str, extended: t.Mapping[str, bytes]
) -> None:
    """Store a directory, link or pipe."""
    info = _info(path, status, extended)
    kinds = {stat.S_IFDIR: tarfile.DIRTYPE, stat.S_IFIFO: tarfile.FIFOTYPE, stat.S_IFLNK: tarfile.SYMTYPE}
    info.type = kinds[stat.S_IFMT(status.st_mode)]
    info.linkname = link
    tar.addfile(info)
    forget_members(tar)


def _info(path: str, status: os.stat_result, extended: t.Mapping[str, bytes]) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.mode, info.uid, info.gid = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
    info.mtime = status.st_mtime
    info.pax_headers = {_XATTR + name: value.decode("utf-8", "surrogateescape") for name, value in extended.items()}
    return info


def _sparse(info: tarfile.TarInfo, path: str, parts: t.Sequence[sparse.Segment], size: int) -> bytes:
    """Convert a member to one of a file with holes. Returns the map of its parts, which precedes the data."""
    folder, _slash, name = path.rpartition("/")
    info.name = f"{folder}/GNUSparseFile.0/{name}" if folder else f"GNUSparseFile.0/{name}"
    records = {"major": "1", "minor": "0", "name": path, "realsize": str(size)}
    info.pax_headers = {**info.pax_headers, **{f"GNU.sparse.{key}": value for key, value in records.items()}}
    # The last entry is the end, as in GNU tar. Without it, a hole at the end is not restored.
    entries = [*parts, (size, 0)]
    text = "".join([f"{len(entries)}\n", *(f"{at}\n{length}\n" for at, length in entries)]).encode()
    return text + bytes(-len(text) % tarfile.BLOCKSIZE)


class _Content:
    """The bytes of a file for its member, hashed while they are read."""

    def __init__(self, blocks: t.Iterator[tuple[int, bytes]], size: int, limits: Limits, *, by_blocks: bool) -> None:
        self.before = b""
        self._blocks = blocks
        self._limits = limits
        self._plain = None if by_blocks else hashlib.sha256()
        self._by_blocks = sparse.BlockHash(size)
        self._block = memoryview(b"")

    def read(self, size: int) -> bytes:
        given = []
        while size > 0:
            if not self._block:
                self._block = memoryview(self._next())
                if not self._block:
                    break
            given.append(self._block[:size])
            self._block = self._block[size:]
            size -= len(given[-1])
        return b"".join(given)

    def _next(self) -> bytes:
        if self.before:
            data, self.before = self.before, b""
            return data
        offset, block = next(self._blocks, (0, b""))
        if block:
            self._limits.moved(len(block))
            if self._plain is not None:
                self._plain.update(block)
            else:
                self._by_blocks.add(offset, block)
        return block

    def skip(self) -> None:
        """Read everything, for the hash alone."""
        while self._next():
            pass

    def sha256(self) -> str:
        return self._by_blocks.hexdigest() if self._plain is None else self._plain.hexdigest()
