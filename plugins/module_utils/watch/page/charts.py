# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts of the page as SVG: the forecast of a filesystem, and launch attempts over time."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.verdicts import DAY, HOUR, moment, size, span
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import Facts
from ansible_collections.onebox.stack.plugins.module_utils.watch.page.markup import Html, tag

_WIDTH, _HEIGHT = 340.0, 120.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 4.0, 4.0, 16.0, 20.0
_POINTS = 80
# A forecast beyond this is drawn as "not soon".
_SHOWN_AHEAD = 30 * DAY


def disk(row: Facts, now: float) -> Html:
    """Used room over time, with the forecast until the filesystem is full."""
    if row.get("error"):
        return tag("figure", tag("figcaption", tag("code", row["path"]), ": no data. ", row["error"]))
    left = row["seconds_left"]
    used = row["total"] - row["free"]
    percent = 100 * used / row["total"] if row["total"] else 0.0
    ahead = "no end in sight" if left is None else f"full in about {span(left)}"
    words = f"{size(row['free'])} of {size(row['total'])} free, {percent:.0f} % used, {ahead}"
    samples = _thinned(row["samples"])
    start = min(samples[0][0], now - HOUR)
    soon = left if left is not None and left < _SHOWN_AHEAD else None
    end = now + (soon * 1.05 if soon is not None else max(HOUR, (now - start) / 4))

    def x(at: float) -> float:
        return round(_LEFT + (at - start) / (end - start) * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(bytes_used: float) -> float:
        share = bytes_used / row["total"] if row["total"] else 0.0
        return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)

    line = [f"{x(at)},{y(value)}" for at, value in samples]
    area = f"M{x(samples[0][0])},{y(0)} L" + " L".join(line) + f" L{x(samples[-1][0])},{y(0)} Z"
    picture = tag(
        "svg",
        tag("title", f"Used room of {row['path']}: {words}"),
        tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y(0), y2=y(0), class_="grid"),
        tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y(row["total"]), y2=y(row["total"]), class_="full"),
        tag("path", d=area, class_="area"),
        tag("polyline", points=" ".join(line), class_="used"),
        _forecast(soon, (x, y), samples[-1], row["total"]),
        tag("text", f"full: {size(row['total'])}", x=_LEFT, y=_TOP - 5),
        tag("text", f"{span(now - samples[0][0])} ago", x=_LEFT, y=_HEIGHT - 5),
        tag("text", "now", x=x(now), y=_HEIGHT - 5, text_anchor="middle" if soon else "end"),
        tag("text", moment(now + soon)[:10], x=_WIDTH - _RIGHT, y=_HEIGHT - 5, text_anchor="end") if soon else None,
        viewBox=f"0 0 {_WIDTH:.0f} {_HEIGHT:.0f}",
        role="img",
    )
    return tag("figure", tag("figcaption", tag("code", row["path"]), tag("br"), words), picture)


def _forecast(
    soon: float | None,
    scale: tuple[t.Callable[[float], float], t.Callable[[float], float]],
    last: t.Sequence[float],
    total: float,
) -> Html | None:
    if soon is None:
        return None
    x, y = scale
    points = f"{x(last[0])},{y(last[1])} {x(last[0] + soon)},{y(total)}"
    return tag("polyline", points=points, class_="ahead-line")


def _thinned(samples: t.Sequence[t.Sequence[float]]) -> list[t.Sequence[float]]:
    step = -(-len(samples) // _POINTS)
    return list(samples)[::-1][::step][::-1]


def attempts(launch: Facts, now: float) -> Html:
    """Launch attempts in each of 48 equal parts of the time since the first sample."""
    log = [row for row in launch.get("log") or () if isinstance(row[1], int)]
    name = str(launch.get("name") or launch["path"])
    if launch.get("error"):
        return tag("figure", tag("figcaption", tag("code", name), ": no data. ", launch["error"]))
    state = "running" if launch["captured"] else (launch["ended"] and "ended") or "tries"
    words = f"{launch['attempts']} attempts, {state}"
    last = launch["last_error"]
    detail = f" Last answer: {last.get('status')} {last.get('code')}." if last else ""
    caption = tag("figcaption", tag("strong", name), ": ", words, ". ", detail, " ", launch["why"])
    if len(log) < 2:
        return tag("figure", caption)
    start, parts = log[0][0], [0.0] * 48
    length = max(now - start, 1.0)
    for before, after in zip(log, log[1:]):
        number = min(47, max(0, int((after[0] - start) / length * 48)))
        parts[number] += max(0, after[1] - before[1])
    most = max(parts) or 1.0
    room = _HEIGHT - _TOP - _BOTTOM
    bars = [
        tag(
            "rect",
            x=round(number * _WIDTH / 48, 1),
            y=round(_HEIGHT - _BOTTOM - count / most * room, 1),
            width=round(_WIDTH / 48 - 1.5, 1),
            height=round(count / most * room, 1),
            class_="bar",
        )
        for number, count in enumerate(parts)
        if count
    ]
    picture = tag(
        "svg",
        tag("title", f"Launch attempts of {name} over {span(length)}: {words}"),
        bars,
        tag("line", x1=0, x2=_WIDTH, y1=_HEIGHT - _BOTTOM, y2=_HEIGHT - _BOTTOM, class_="grid"),
        tag("text", f"{span(length)} ago", x=0, y=_HEIGHT - 5),
        tag("text", "now", x=_WIDTH, y=_HEIGHT - 5, text_anchor="end"),
        tag("text", f"most: {most:.0f} in {span(length / 48)}", x=0, y=_TOP - 5),
        viewBox=f"0 0 {_WIDTH:.0f} {_HEIGHT:.0f}",
        role="img",
    )
    return tag("figure", caption, picture)
