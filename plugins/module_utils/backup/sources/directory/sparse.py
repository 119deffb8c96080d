# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sparse files: their parts with data, and a hash that skips the holes.

A hole reads as zeros and is not on the disk. The hash of blocks leaves out all blocks of zeros, so that it depends on
the content alone and not on the file system's choice of holes.
"""

from __future__ import annotations

import errno
import hashlib
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceLimit
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory.limits import Limits
from ansible_collections.onebox.stack.plugins.module_utils.core import files

BLOCK = files.CHUNK
_ZEROS = bytes(BLOCK)
_MOST_SEGMENTS = 100_000
# Smaller holes are stored as zeros.
_WORTH = 1 << 20

# Offset and length.
Segment = tuple[int, int]


def is_sparse(status: os.stat_result) -> bool:
    """Whether a plain file is longer than its data on the disk."""
    return status.st_size - status.st_blocks * 512 >= _WORTH


def zeros(data: bytes) -> bool:
    """Whether a block contains only zeros."""
    return data == (_ZEROS if len(data) == BLOCK else bytes(len(data)))


def segments(descriptor: int, size: int) -> list[Segment]:
    """The parts of a file with data, in whole blocks. The whole file if the file system does not report holes.

    Raises:
        SourceLimit: there are too many of them.
    """
    found: list[Segment] = []
    position = 0
    while position < size:
        try:
            data = os.lseek(descriptor, position, os.SEEK_DATA)
            hole = os.lseek(descriptor, data, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # a hole up to the end
                break
            if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):
                return [(0, size)]
            raise
        first, last = data // BLOCK * BLOCK, min(-(-hole // BLOCK) * BLOCK, size)
        if found and first <= sum(found[-1]):
            found[-1] = (found[-1][0], last - found[-1][0])
        elif first < size:
            found.append((first, last - first))
        if len(found) > _MOST_SEGMENTS:
            raise SourceLimit(f"a file has more than {_MOST_SEGMENTS} holes. Exclude it")
        position = last
    os.lseek(descriptor, 0, os.SEEK_SET)
    return found


def data_bytes(parts: t.Iterable[Segment]) -> int:
    """Bytes in these parts."""
    return sum(length for _at, length in parts)


class BlockHash:
    """sha256 of a file's size and of its blocks that are not zeros."""

    def __init__(self, size: int) -> None:
        self._hash = hashlib.sha256(f"blocks of {BLOCK} in {size}\n".encode())

    def add(self, offset: int, block: bytes) -> None:
        """Add the block at ``offset``, a multiple of the block size."""
        if not zeros(block):
            self._hash.update(offset.to_bytes(8, "big"))
            self._hash.update(block)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def blocks(descriptor: int, parts: t.Iterable[Segment]) -> t.Iterator[tuple[int, bytes]]:
    """Offset and content of each block of these parts. Bytes that were cut off meanwhile are zeros."""
    for offset, length in parts:
        for position in range(offset, offset + length, BLOCK):
            wanted = min(BLOCK, offset + length - position)
            block = b""
            while len(block) < wanted:
                got = os.pread(descriptor, wanted - len(block), position + len(block))
                if not got:
                    break
                block += got
            yield position, block + bytes(wanted - len(block))


def hash_blocks(descriptor: int, size: int, limits: Limits) -> str:
    """The hash of blocks of an open file, without reading its holes."""
    found = BlockHash(size)
    for offset, block in blocks(descriptor, segments(descriptor, size)):
        limits.moved(len(block))
        found.add(offset, block)
    return found.hexdigest()
