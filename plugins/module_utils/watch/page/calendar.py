# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calendar of 35 days of backups, with rehearsals marked."""

from __future__ import annotations

import datetime
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.verdicts import span
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import Facts
from ansible_collections.onebox.stack.plugins.module_utils.watch.page.markup import Html, tag

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WEEKS = 5
Dated = t.Callable[[float], datetime.date]


@dataclass
class Day:
    """Backups and rehearsals of one day; None where there was none."""

    backup: bool | None = None
    rehearsal: bool | None = None

    def backed_up(self, ok: bool) -> None:
        self.backup = ok or bool(self.backup)

    def rehearsed(self, ok: bool) -> None:
        self.rehearsal = ok and self.rehearsal is not False


def days(stack: Facts) -> dict[datetime.date, Day]:
    """What is known of each day, from the watch's notes, the sets and the evidence of rehearsals."""
    found: dict[datetime.date, Day] = {}

    def day(at: float) -> Day:
        return found.setdefault(_date(at), Day())

    for run in stack["runs"]:
        day(run[0]).backed_up(bool(run[1]))
    for row in stack["sets"]:
        at = _taken(str(row.get("taken") or ""))
        if at is not None:
            found.setdefault(at, Day()).backed_up(not row.get("problem"))
    backup = stack["backup"] or {}
    if backup.get("committed"):
        day(backup["committed"]).backed_up(True)
    for place in (backup.get("rehearsals") or {}).values():
        for run in place["runs"]:
            if run["at"]:
                day(run["at"]).rehearsed(run["ok"])
    return found


def calendar(stack: Facts, now: float) -> Html | None:
    """Five weeks, Monday first, that end with this week. None for a stack without backups."""
    if stack["backup"] is None:
        return None
    if stack["backup"].get("error"):
        return tag("p", "No data of the backups: ", stack["backup"]["error"])
    known, today = days(stack), _date(now)
    first = today - datetime.timedelta(days=today.weekday() + 7 * (_WEEKS - 1))
    weeks = []
    for week in range(_WEEKS):
        cells = [_cell(first + datetime.timedelta(days=7 * week + number), today, known) for number in range(7)]
        weeks.append(tag("tr", cells))
    committed = stack["backup"]["committed"]
    newest = f"newest {span(now - committed)} old" if committed else "no backup yet"
    return tag(
        "div",
        tag(
            "table",
            tag("caption", f"Backups of the last five weeks, {newest}"),
            tag("thead", tag("tr", [tag("th", name, scope="col") for name in _DAYS])),
            tag("tbody", weeks),
            class_="calendar",
        ),
        tag("p", "✓ backup, ✕ failed, R in a frame: restored and compared. Times are UTC.", class_="legend"),
    )


def _cell(date: datetime.date, today: datetime.date, known: t.Mapping[datetime.date, Day]) -> Html:
    label = f"{date.day} {date:%b}: "
    if date > today:
        return tag("td", tag("span", label, "ahead", class_="hide"), date.day, class_="ahead")
    day = known.get(date, Day())
    sign = {True: "✓", False: "✕", None: "·"}[day.backup]
    words = {True: "backup", False: "backup failed", None: "no backup known"}[day.backup]
    classes = {True: "good", False: "critical", None: ""}[day.backup]
    if day.rehearsal is not None:
        sign += " R"
        words += ", rehearsed" if day.rehearsal else ", rehearsal failed"
        classes += " rehearsed" if day.rehearsal else " lost"
    shown = tag("span", f"{date:%b} 1", class_="first") if date.day == 1 else date.day
    return tag(
        "td",
        tag("span", label + words, class_="hide"),
        tag("span", shown, tag("b", sign), aria_hidden="true"),
        class_=classes.strip() or None,
    )


def _date(at: float) -> datetime.date:
    return datetime.datetime.fromtimestamp(at, datetime.timezone.utc).date()


def _taken(text: str) -> datetime.date | None:
    try:
        at = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return at.astimezone(datetime.timezone.utc).date()
