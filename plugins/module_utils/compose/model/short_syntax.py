# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports, volumes and durations of a compose file, in long or short syntax."""

from __future__ import annotations

import math
import os
import re
import typing as t
from dataclasses import dataclass


@dataclass(frozen=True)
class Bind:
    """A directory or file of the host in a container. ``written`` is the source as in the file."""

    source: str
    target: str
    read_only: bool
    relative: bool
    written: str


@dataclass(frozen=True)
class PortRow:
    """A declared port. ``published`` is 0 when the engine chooses it; ``host_ip`` is "" for every address."""

    host_ip: str
    published: int
    target: int
    protocol: str

    @property
    def loopback(self) -> bool:
        """Whether only this host can reach it."""
        return self.host_ip.startswith("127.") or self.host_ip in ("::1", "localhost")


def absolute(path: str, base: str) -> str:
    """``path`` against ``base``, with ``~`` expanded; symbolic links stay."""
    return os.path.normpath(os.path.join(base, os.path.expanduser(path)))


def volume(row: t.Any, base: str, relative: t.Container[str] = ()) -> Bind | tuple[str, str] | None:
    """One item of ``volumes``: a :class:`Bind`, or ``(name, target)`` of a volume ("" for an anonymous one), or None.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(row, dict):
        kind = row.get("type") or "volume"
        source, target = str(row.get("source") or ""), str(row.get("target") or "")
        if kind == "bind":
            return _bind(source, target, bool(row.get("read_only")), base, relative)
        if kind == "volume":
            return source, target
        return None  # tmpfs, npipe, cluster: not on the host
    if not isinstance(row, str):
        raise ValueError(f"volume {row!r} is neither a string nor a mapping")
    parts = row.split(":")
    if len(parts) == 1:
        return "", parts[0]
    source, target, options = parts[0], parts[1], ",".join(parts[2:]).split(",")
    if source[:1] in ("/", ".", "~"):
        return _bind(source, target, "ro" in options, base, relative)
    return source, target


def _bind(source: str, target: str, read_only: bool, base: str, relative: t.Container[str]) -> Bind:
    if "\0" in source:
        raise ValueError("a source must not contain a zero byte")
    full = absolute(source, base)
    is_relative = not source.startswith(("/", "~")) or full in relative
    return Bind(full, target, read_only, is_relative, source)


def port(row: t.Any) -> list[PortRow]:
    """One item of ``ports``; a range becomes one item for each port.

    Raises:
        ValueError: it is not a port.
    """
    if isinstance(row, dict):
        published = str(row.get("published") or "0")
        protocol = str(row.get("protocol") or "tcp")
        host_ip = str(row.get("host_ip") or "")
        outside, inside = _range(published), _range(str(row.get("target") or "0"))
        return _rows(host_ip, outside, inside, protocol)
    text, unused, protocol = str(row).partition("/")
    head, colon, inner = text.rpartition(":")
    if not colon:
        return _rows("", [0], _range(inner), protocol or "tcp")
    address, colon, outer = head.rpartition(":")
    if not colon:
        address, outer = ("", head) if "." not in head else (head, "0")
    return _rows(address.strip("[]"), _range(outer or "0"), _range(inner), protocol or "tcp")


def _rows(host_ip: str, outside: list[int], inside: list[int], protocol: str) -> list[PortRow]:
    if len(outside) == len(inside):
        return [PortRow(host_ip, there, here, protocol) for there, here in zip(outside, inside)]
    if outside == [0] or len(inside) == 1:
        # A range for one port: the engine chooses, so the number is unknown.
        return [PortRow(host_ip, 0, here, protocol) for here in inside]
    raise ValueError(f"ranges of ports with different lengths: {len(outside)} outside, {len(inside)} inside")


def _range(text: str) -> list[int]:
    first, dash, last = text.partition("-")
    start = int(first)
    return list(range(start, int(last) + 1)) if dash else [start]


_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def seconds(text: t.Any, default: int) -> int:
    """A duration such as ``1m30s`` in whole seconds, rounded up; ``default`` for None.

    Raises:
        ValueError: it is not a duration.
    """
    if text is None:
        return default
    if isinstance(text, (int, float)):
        return math.ceil(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s)", text)
    if "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration such as 10s or 1m30s")
    return math.ceil(sum(float(number) * _UNITS[unit] for number, unit in parts))
