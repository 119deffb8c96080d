"""The least work a mount proof can be: inspect over the socket, read mountinfo, openat2 and fstat for each mount."""

from __future__ import annotations

import ctypes
import http.client
import json
import os
import re
import socket
import typing as t

_OPENAT2 = 437
_RESOLVE_IN_ROOT = 0x10
_libc = ctypes.CDLL(None, use_errno=True)
_octal = re.compile(r"\\([0-7]{3})")


class _Docker(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


class _How(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


def _mountinfo(pid: int) -> dict[int, tuple[str, str, list[str]]]:
    found = {}
    with open(f"/proc/{pid}/mountinfo", errors="surrogateescape") as stream:
        for line in stream:
            fields = line.split(" ")
            root, point = (_octal.sub(lambda one: chr(int(one[1], 8)), field) for field in fields[3:5])
            found[int(fields[0])] = (root, point, fields[5].split(","))
    return found


def check(path: str, names: t.Sequence[str]) -> None:
    """Compare source and destination of every mount of Docker containers; AssertionError when one differs.

    ``path`` is the engine's socket.
    """
    connection = _Docker(path)
    for name in names:
        connection.request("GET", f"/containers/{name}/json")
        told = json.loads(connection.getresponse().read())
        pid = told["State"]["Pid"]
        table = _mountinfo(pid)
        root = os.open(f"/proc/{pid}/root", os.O_PATH)
        for mount in told["Mounts"]:
            how = _How(os.O_PATH, 0, _RESOLVE_IN_ROOT)
            place = mount["Destination"].encode()
            inside = _libc.syscall(_OPENAT2, root, place, ctypes.byref(how), ctypes.sizeof(how))
            seen, real = os.fstat(inside), os.stat(mount["Source"])
            assert (seen.st_dev, seen.st_ino) == (real.st_dev, real.st_ino)
            with open(f"/proc/self/fdinfo/{inside}") as stream:
                (number,) = (int(line.split()[1]) for line in stream if line.startswith("mnt_id"))
            assert ("rw" in table[number][2]) == mount["RW"]
            os.close(inside)
        os.close(root)
    connection.close()
