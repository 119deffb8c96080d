# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host: filesystems, clock, units, and the endpoints that clients use."""

from __future__ import annotations

import ctypes
import datetime
import os
import socket
import ssl
import sys
import typing as t
import urllib.parse

from ansible_collections.onebox.stack.plugins.module_utils.core import http, process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.watch.config import Endpoint
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import Facts

_STA_UNSYNC = 0x40
_UNIT_SECONDS = 10.0
_HTTP_SECONDS = 5.0
_SYSTEMD = "/run/systemd/system"


def disk(path: str) -> Facts:
    """Room and inodes of the filesystem that holds ``path``."""
    try:
        found = os.statvfs(path)
        device = os.stat(path).st_dev
    except OSError as error:
        return {"path": path, "error": f"{error.strerror}"}
    return {
        "path": path,
        "device": device,
        "total": found.f_blocks * found.f_frsize,
        # What processes other than root's can still write.
        "free": found.f_bavail * found.f_frsize,
        "inodes": found.f_files,
        "inodes_free": found.f_favail,
    }


def uptime() -> float | None:
    """Seconds since boot, None where the system does not have them in ``/proc``."""
    try:
        with open("/proc/uptime", encoding="ascii") as stream:
            return float(stream.read().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def clock(world: World) -> Facts:
    """Whether the kernel's clock is synchronised."""
    if sys.platform == "darwin":
        # timed keeps the clock of a Mac; its state has no public interface.
        return {"synchronised": None}
    return _kernel_clock()


def _kernel_clock() -> Facts:
    # struct timex is 208 bytes on 64-bit Linux; status is its sixth field, after two ints with padding and three longs.
    buffer = (ctypes.c_byte * 512)()
    libc = ctypes.CDLL(None, use_errno=True)
    state = libc.adjtimex(ctypes.byref(buffer))
    if state < 0:
        return {"error": f"adjtimex: {os.strerror(ctypes.get_errno())}"}
    word = ctypes.sizeof(ctypes.c_long)
    # modes (int, padded), offset, freq, maxerror, esterror (longs), status (int)
    status = ctypes.c_int.from_buffer(buffer, word * 5).value
    return {"synchronised": not status & _STA_UNSYNC}


def scheduler(world: World) -> str:
    """What runs the timers of this user: ``system``, ``user``, ``launchd`` or ``cron``."""
    if sys.platform == "darwin":
        return "launchd"
    if not os.path.isdir(_SYSTEMD):
        return "cron"
    return "system" if world.is_root else "user"


def units(patterns: t.Sequence[str], world: World) -> Facts:
    """Failed units and stopped timers whose names match; {} on a host without systemd."""
    if not os.path.isdir(_SYSTEMD):
        return {"absent": True}
    scope = [] if world.is_root else ["--user"]
    base = ["systemctl", *scope, "list-units", "--all", "--plain", "--no-legend", "--no-pager", "--full"]
    try:
        text = world.run([*base, *patterns], timeout=_UNIT_SECONDS).stdout
        enabled = world.run(
            ["systemctl", *scope, "list-unit-files", "--no-legend", "--no-pager", "--state=enabled", *patterns],
            timeout=_UNIT_SECONDS,
            check=False,
        ).stdout
    except process.CommandError as error:
        return {"error": str(error)}
    return parse_units(text, enabled)


def parse_units(text: str, enabled: str) -> dict[str, t.Any]:
    """From the lines of ``list-units`` and ``list-unit-files``."""
    rows = [line.split(None, 4) for line in text.splitlines() if len(line.split(None, 4)) >= 4]
    active = {row[0] for row in rows if row[2] in ("active", "activating", "reloading")}
    timers = [line.split()[0] for line in enabled.splitlines() if line.split() and line.split()[0].endswith(".timer")]
    return {
        "failed": sorted(row[0] for row in rows if row[2] == "failed"),
        "stopped": sorted(timer for timer in timers if timer not in active and "@." not in timer),
        "seen": len(rows),
    }


def endpoint(one: Endpoint, world: World) -> Facts:
    """The status of a URL and the end of its certificate's validity."""
    parts = urllib.parse.urlsplit(one.url)
    answer = http.get(one.url, _HTTP_SECONDS, 0)
    found: dict[str, t.Any] = {
        "url": http.shown(one.url),
        "days": one.days,
        "status": answer.status,
        "why": "" if answer.status else answer.error,
        "expires": 0.0,
        "certificate_error": "",
    }
    if parts.scheme == "https" and parts.hostname:
        found.update(certificate(parts.hostname, parts.port or 443))
    return found


def certificate(host: str, port: int, trusted: str | None = None) -> dict[str, t.Any]:
    """When the certificate of a server ends, and why it is not valid ("" when it is).

    Args:
        trusted: a file of authorities next to those of the system.
    """
    context = ssl.create_default_context()
    if trusted:
        context.load_verify_locations(trusted)
    try:
        with (
            socket.create_connection((host, port), _HTTP_SECONDS) as raw,
            context.wrap_socket(raw, server_hostname=host) as wrapped,
        ):
            ends = (wrapped.getpeercert() or {}).get("notAfter")
    except ssl.SSLCertVerificationError as error:
        return {"certificate_error": error.verify_message or "it cannot be verified"}
    except OSError:
        return {}  # the status of the URL reports it
    if not isinstance(ends, str):
        return {}
    seconds = ssl.cert_time_to_seconds(ends)
    return {"expires": float(seconds), "expires_day": datetime.date.fromtimestamp(seconds).isoformat()}
