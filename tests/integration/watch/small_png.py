# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a browser's screenshot small: a palette of its most frequent colours, with the standard library alone."""

from __future__ import annotations

import collections
import struct
import typing as t
import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
Colour = tuple[int, int, int]


def shrink(data: bytes, most: int = 64) -> bytes:
    """The same picture with at most ``most`` colours. Other colours become the nearest of these.

    Raises:
        ValueError: it is not a PNG of 8 bits a channel, without interlacing.
    """
    width, height, step, raw = _decoded(data)
    lines = list(_lines(raw, width * step, height, step))
    counts: collections.Counter[Colour] = collections.Counter()
    for line in lines:
        counts.update(zip(line[0::step], line[1::step], line[2::step]))
    palette = [colour for colour, _count in counts.most_common(most)]
    number = {colour: _nearest(colour, palette) for colour in counts}
    rows = bytearray()
    for line in lines:
        rows.append(0)
        rows += bytes(number[colour] for colour in zip(line[0::step], line[1::step], line[2::step]))
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = [(b"IHDR", head), (b"PLTE", b"".join(map(bytes, palette))), (b"IDAT", zlib.compress(bytes(rows), 9))]
    return _SIGNATURE + b"".join(_chunk(kind, body) for kind, body in [*parts, (b"IEND", b"")])


def _decoded(data: bytes) -> tuple[int, int, int, bytes]:
    """Width, height, bytes of a pixel, and the filtered lines."""
    if not data.startswith(_SIGNATURE):
        raise ValueError("is not a PNG")
    at, packed, head = len(_SIGNATURE), b"", b""
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        head, packed = body if kind == b"IHDR" else head, packed + body if kind == b"IDAT" else packed
        at += length + 12
    width, height, depth, colours, _packing, _filters, interlaced = struct.unpack(">IIBBBBB", head)
    if depth != 8 or colours not in (2, 6) or interlaced:
        raise ValueError("is not a PNG with 8 bits a channel and without interlacing")
    return width, height, 3 if colours == 2 else 4, zlib.decompress(packed)


def _lines(raw: bytes, length: int, height: int, step: int) -> t.Iterator[bytearray]:
    """The lines without their filters (PNG specification, 9.2)."""
    above = bytearray(length)
    for number in range(height):
        start = number * (length + 1)
        kind, line = raw[start], bytearray(raw[start + 1 : start + 1 + length])
        for at in range(length) if kind else ():
            left = line[at - step] if at >= step else 0
            corner = above[at - step] if at >= step else 0
            line[at] = (line[at] + _predicted(kind, left, above[at], corner)) & 255
        yield line
        above = line


def _predicted(kind: int, left: int, up: int, corner: int) -> int:
    if kind < 3:
        return left if kind == 1 else up
    if kind == 3:
        return (left + up) // 2
    guess = left + up - corner
    return min((left, up, corner), key=lambda each: abs(guess - each))


def _nearest(colour: Colour, palette: t.Sequence[Colour]) -> int:
    return min(range(len(palette)), key=lambda at: sum((a - b) ** 2 for a, b in zip(colour, palette[at])))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
