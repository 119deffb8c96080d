# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes that listen on ports of this host, read from ``/proc``."""

from __future__ import annotations

import glob
import os
import socket
import struct
from dataclasses import dataclass

_LISTEN = "0A"


@dataclass(frozen=True)
class Listener:
    """A listening socket; ``inode`` leads to its process."""

    address: str
    port: int
    protocol: str
    inode: str


def listeners(proc: str = "/proc") -> list[Listener]:
    """Every listening TCP and bound UDP socket of this network namespace; empty where there is no ``/proc/net``."""
    found = []
    for name, protocol, family in (
        ("tcp", "tcp", socket.AF_INET),
        ("tcp6", "tcp", socket.AF_INET6),
        ("udp", "udp", socket.AF_INET),
        ("udp6", "udp", socket.AF_INET6),
    ):
        try:
            with open(f"{proc}/net/{name}", encoding="ascii") as stream:
                rows = stream.readlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if protocol == "udp" and not fields[2].endswith(":0000"):
                continue  # connected, so not a server
            if protocol == "udp" or fields[3] == _LISTEN:
                address, unused, port = fields[1].partition(":")
                found.append(Listener(_address(address, family), int(port, 16), protocol, fields[9]))
    return found


def clashes(listener: Listener, host_ip: str, port: int, protocol: str) -> bool:
    """Whether binding ``host_ip:port`` ("" for every address) would clash with ``listener``."""
    if listener.port != port or listener.protocol != protocol:
        return False
    everything = ("", "0.0.0.0", "::", "*")
    if host_ip in everything or listener.address in everything:
        # [::1] and 0.0.0.0 do not clash.
        families = {":" in host_ip, ":" in listener.address}
        return host_ip in ("", "*") or "::" in (host_ip, listener.address) or families == {False}
    return host_ip == listener.address


def owner(inode: str, proc: str = "/proc") -> tuple[int, str]:
    """Pid and name of a process that has the socket open; ``(0, "")`` when this user may not read it."""
    wanted = f"socket:[{inode}]"
    for place in glob.iglob(f"{proc}/[0-9]*/fd/*"):
        try:
            if os.readlink(place) != wanted:
                continue
            pid = place[len(proc) + 1 :].split("/")[0]
            with open(f"{proc}/{pid}/comm", encoding="utf-8", errors="replace") as stream:
                return int(pid), stream.read().strip()
        except OSError:
            continue  # it ended in the meantime
    return 0, ""


def _address(text: str, family: socket.AddressFamily) -> str:
    raw = bytes.fromhex(text)
    # The kernel prints 32-bit words in host order.
    packed = b"".join(struct.pack("=I", word) for word in struct.unpack(f">{len(raw) // 4}I", raw))
    address = socket.inet_ntop(family, packed)
    return address[len("::ffff:") :] if address.startswith("::ffff:") else address
