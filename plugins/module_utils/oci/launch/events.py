# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The launcher's reports, and their text on a terminal."""

from __future__ import annotations

import datetime
import typing as t
from dataclasses import dataclass

# The kinds of events. CAPTURED and ABORTED end a launch loop.
STARTED = "started"
ATTEMPT = "attempt"
ANSWERED = "answered"
UNKNOWN_OUTCOME = "unknown outcome"
LAUNCHED = "launched"
ADOPTED = "adopted"
DISCARDED = "discarded"
CAPTURED = "captured"
ABORTED = "aborted"
STOPPED = "stopped"
DUPLICATE = "duplicate"


@dataclass(frozen=True)
class Event:
    """``wait`` is the number of seconds until the next request, None if none is planned. Times are epoch seconds.

    ``since`` is when the launch loop began.
    """

    kind: str
    name: str
    text: str
    attempt: int
    at: float
    since: float
    wait: float | None = None


Teller = t.Callable[[Event], None]


def duration(seconds: float) -> str:
    """Seconds as text: 45 s, 12 min, 3 h 05 min, 2 d 4 h."""
    whole = int(round(seconds))
    if whole < 120:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"


def line(event: Event) -> str:
    """One line for the terminal."""
    parts = [f"[{event.name}] {event.text}"]
    if event.wait is not None and event.wait >= 1:
        when = datetime.datetime.fromtimestamp(event.at + event.wait).strftime("%H:%M:%S")
        parts.append(f"next request at {when} (in {duration(event.wait)})")
    if event.kind in (ANSWERED, UNKNOWN_OUTCOME):
        parts.append(f"launching for {duration(event.at - event.since)}")
    return "; ".join(parts)
