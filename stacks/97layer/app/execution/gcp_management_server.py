# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GET /status: the state of this host from /proc, because a slim image has no ``ps``.

Environment: ``PORT`` (8888; 0 takes a free one), ``WORKSPACE`` (/app), ``ENVIRONMENT``.
"""

from __future__ import annotations

import os
import pathlib
import typing as t

from service import JsonHandler, Server, number, workspace

PROC = pathlib.Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def processes(proc: pathlib.Path = PROC) -> list[dict[str, t.Any]]:
    """Each process: pid, name, state (proc(5)'s letter), cpu_seconds, memory_bytes (resident). No command lines:
    they may hold secrets."""
    found = []
    for directory in proc.iterdir():
        if not directory.name.isdigit():
            continue
        try:
            stat = (directory / "stat").read_text(errors="replace")
        except OSError:
            continue  # it ended meanwhile
        # The name is in parentheses and may itself hold spaces and parentheses.
        name, rest = stat[stat.index("(") + 1 : stat.rindex(")")], stat[stat.rindex(")") + 2 :].split()
        found.append(
            {
                "pid": int(directory.name),
                "name": name,
                "state": rest[0],
                "cpu_seconds": round((int(rest[11]) + int(rest[12])) / TICKS, 2),
                "memory_bytes": int(rest[21]) * PAGE,
            }
        )
    return sorted(found, key=lambda row: row["pid"])


def memory(proc: pathlib.Path = PROC) -> dict[str, int]:
    """Bytes of memory in all and still available, of the machine."""
    rows = dict(line.split(":", 1) for line in (proc / "meminfo").read_text().splitlines())
    kilobytes = {name: int(value.split()[0]) for name, value in rows.items()}
    return {"total_bytes": kilobytes["MemTotal"] * 1024, "available_bytes": kilobytes["MemAvailable"] * 1024}


def status(place: pathlib.Path, proc: pathlib.Path = PROC) -> dict[str, t.Any]:
    """The whole answer of GET /status."""
    load = (proc / "loadavg").read_text().split()
    disk = os.statvfs(place)
    return {
        "server": "running",
        "environment": os.environ.get("ENVIRONMENT", ""),
        "uptime_seconds": float((proc / "uptime").read_text().split()[0]),
        "load": {"1m": float(load[0]), "5m": float(load[1]), "15m": float(load[2])},
        "memory": memory(proc),
        "workspace": {
            "path": str(place),
            "free_bytes": disk.f_bavail * disk.f_frsize,
            "total_bytes": disk.f_blocks * disk.f_frsize,
        },
        "processes": processes(proc),
    }


class Handler(JsonHandler):
    place = pathlib.Path("/app")

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/status":
            self.refuse(404, f"no {self.path} here; there is GET /status")
            return
        try:
            self.answer(200, status(self.place))
        except OSError as error:
            self.refuse(500, f"cannot read the state of this host: {error}")


if __name__ == "__main__":
    Handler.place = workspace()
    Server(("", number("PORT", 8888, least=0)), Handler).run()
