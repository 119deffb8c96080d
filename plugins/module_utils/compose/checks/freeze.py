# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change freezes: windows of time in which a stack must not be changed."""

from __future__ import annotations

import datetime
import re
import typing as t
import zoneinfo

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def until(windows: t.Sequence[t.Mapping[str, t.Any]], epoch: float) -> str:
    """The end, as text, of the window that contains ``epoch`` (seconds since 1970); "" outside of all windows.

    A window whose end is not after its beginning lasts past midnight. Its days are the days on which it begins.

    Args:
        windows: ``days`` (of :data:`DAYS`), ``start`` and ``end`` (HH:MM), ``timezone`` (an IANA name).

    Raises:
        ComposeError: a window is invalid.
    """
    for window in windows:
        zone = _zone(str(window.get("timezone") or "UTC"))
        now = datetime.datetime.fromtimestamp(epoch, zone)
        days = [_day(str(name)) for name in window.get("days") or DAYS]
        start, end = _clock(str(window["start"])), _clock(str(window["end"]))
        for began in (now.date(), now.date() - datetime.timedelta(days=1)):
            opens = datetime.datetime.combine(began, start, zone)
            over = began if end > start else began + datetime.timedelta(days=1)
            closes = datetime.datetime.combine(over, end, zone)
            if began.weekday() in days and opens <= now < closes:
                return closes.strftime("%a %Y-%m-%d %H:%M ") + str(window.get("timezone") or "UTC")
    return ""


def _day(name: str) -> int:
    short = name.lower()[:3]
    if short not in DAYS:
        raise ComposeError(f"freeze: {name!r} is not a day. Write one of {', '.join(DAYS)}")
    return DAYS.index(short)


def _clock(text: str) -> datetime.time:
    match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text)
    if match is None:
        raise ComposeError(f"freeze: {text!r} is not a time of day. Write it as 09:00")
    return datetime.time(int(match.group(1)), int(match.group(2)))


def _zone(name: str) -> datetime.tzinfo:
    if name == "UTC":
        return datetime.timezone.utc
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise ComposeError(
            f"freeze: the host does not know the timezone {name!r}. Write an IANA name such as Asia/Seoul, and install "
            "the package tzdata if that is missing"
        ) from error


def stops(containers: t.Iterable[Container]) -> list[str]:
    """The changes of a run that only stops these containers, as text."""
    return [f"{row.service} (stop)" for row in containers]
