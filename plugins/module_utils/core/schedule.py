# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times in systemd's notation, and the same times for launchd and cron."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core.jobs import JobError
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown

DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
# Names of systemd.time(7), in seconds.
_SPANS = {
    **dict.fromkeys(("", "s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604800.0),
    **dict.fromkeys(("M", "month", "months"), 2629800.0),
    **dict.fromkeys(("y", "year", "years"), 31557600.0),
    **dict.fromkeys(("ms", "msec"), 1e-3),
    **dict.fromkeys(("us", "usec", "µs"), 1e-6),
}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-zµ]*)")
_DAILY = re.compile(r"(?:(\w{3}(?:,\w{3})*) )?\*-\*-\* ([01]\d|2[0-3]):([0-5]\d)(?::00)?")


@dataclass(frozen=True)
class Daily:
    """A time of the day, on some days of the week.

    Attributes:
        hour: 0 to 23.
        minute: 0 to 59.
        days: days of the week, 0 for Sunday; empty for every day.
    """

    hour: int
    minute: int
    days: tuple[int, ...] = ()


def seconds(where: str, text: str) -> float:
    """The length of a span of time such as ``15min``, ``1h 30min`` or ``90``, in seconds.

    Args:
        where: name of the option, for the error.
        text: the span.

    Raises:
        JobError: it is not a span of time.
    """
    parts = list(_PART.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text.rstrip() or any(part[2] not in _SPANS for part in parts):
        raise JobError(f"{where}: {shown(text)} is not a span of time. Write it like 15min, 1h 30min or 90 (seconds).")
    return sum(float(part[1]) * _SPANS[part[2]] for part in parts)


def daily(where: str, text: str) -> Daily:
    """A calendar expression that launchd and cron can follow.

    Args:
        where: name of the option, for the error.
        text: ``*-*-* 02:15:00`` or ``Sun,Wed *-*-* 02:15:00``.

    Raises:
        JobError: it has another form.
    """
    found = _DAILY.fullmatch(text)
    days = found[1].split(",") if found and found[1] else []
    if not found or set(days) - set(DAYS):
        raise JobError(
            f"{where}: without systemd, {shown(text)} cannot be followed. Write it like *-*-* 02:15:00 (each day) or "
            "Sun,Wed *-*-* 02:15:00."
        )
    return Daily(int(found[2]), int(found[3]), tuple(sorted({DAYS.index(day) for day in days})))


def cron_daily(when: Daily) -> str:
    """The five fields of a crontab for a time of the day."""
    return f"{when.minute} {when.hour} * * {','.join(map(str, when.days)) or '*'}"


def cron_interval(where: str, length: float) -> str:
    """The five fields of a crontab for a job that runs every ``length`` seconds.

    Raises:
        JobError: cron has no such interval.
    """
    if length and length % _MINUTE == 0 and _HOUR % length == 0 and length < _HOUR:
        every = int(length // _MINUTE)
        return f"*/{every} * * * *" if every > 1 else "* * * * *"
    if length and length % _HOUR == 0 and _DAY % length == 0:
        every = int(length // _HOUR)
        return f"0 */{every} * * *" if every < _DAY // _HOUR else "0 0 * * *"
    raise JobError(
        f"{where}: cron cannot run a job every {length:g} s. Choose whole minutes that divide an hour, or whole hours "
        "that divide a day, such as 15min or 6h."
    )


def launchd_daily(when: Daily) -> list[dict[str, int]]:
    """The value of ``StartCalendarInterval`` for a time of the day."""
    time = {"Hour": when.hour, "Minute": when.minute}
    return [{**time, "Weekday": day} for day in when.days] or [time]


def launchd_interval(where: str, length: float) -> int:
    """The value of ``StartInterval`` for a job that runs every ``length`` seconds.

    Raises:
        JobError: launchd counts whole seconds only.
    """
    if length < 1 or length != int(length):
        raise JobError(f"{where}: launchd cannot run a job every {length:g} s. Choose whole seconds.")
    return int(length)


def span_or_none(text: str) -> float | None:
    """Seconds of a span of time as systemd prints it, None for ``infinity``, an empty text and others."""
    try:
        return seconds("", text)
    except JobError:
        return None
