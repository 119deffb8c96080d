# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forecast when a filesystem is full, from the watch's own samples."""

from __future__ import annotations

import statistics
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.verdicts import DAY, HOUR

# [seconds since 1970, used]
Sample = t.Sequence[float]
_KEEP = 8 * DAY
# Younger samples are all kept, older ones once an hour.
_FINE = 3 * HOUR
_COARSE = HOUR
# A forecast over days needs a whole day, so that what grows by day and is rotated at night does not count as a trend.
_LONG_LEAST = DAY
_SHORT_LEAST = 1.5 * HOUR
_FEWEST = 8
_MOST_POINTS = 24


def add(samples: t.Sequence[Sample], now: float, *values: float) -> list[list[float]]:
    """The samples with one more, thinned. Samples from the future, left by a wrong clock, are dropped."""
    kept: list[list[float]] = []
    for sample in samples:
        at = sample[0]
        if not now - _KEEP < at < now:
            continue
        if at > now - _FINE or not kept or at - kept[-1][0] >= _COARSE * 0.95:
            kept.append(list(sample))
    return [*kept, [now, *values]]


def slope(samples: t.Sequence[Sample], column: int = 1) -> float | None:
    """Growth in units a second: the median of the slopes between all samples, which single peaks do not move.

    None for fewer samples than a forecast needs.
    """
    if len(samples) < _FEWEST:
        return None
    step = -(-len(samples) // _MOST_POINTS)
    points = list(samples)[::-1][::step]
    slopes = [
        (later[column] - earlier[column]) / (later[0] - earlier[0])
        for number, later in enumerate(points)
        for earlier in points[number + 1 :]
        if later[0] > earlier[0]
    ]
    return statistics.median(slopes) if slopes else None


def seconds_left(samples: t.Sequence[Sample], free: float, column: int = 1) -> float | None:
    """Seconds until nothing is free, None when it does not grow or is not known yet.

    The trend of days counts, and that of the last two hours when it fills the filesystem within a day.
    """
    if not samples:
        return None
    now = samples[-1][0]
    found = []
    if now - samples[0][0] >= _LONG_LEAST:
        # Only whole days: the part of a day that grows would count once more than the part that shrinks.
        days = (now - samples[0][0]) // DAY
        rate = slope([sample for sample in samples if sample[0] >= now - days * DAY - 60], column)
        if rate is not None and rate > 0:
            found.append(free / rate)
    recent = [sample for sample in samples if sample[0] >= now - 2 * HOUR]
    if recent and now - recent[0][0] >= _SHORT_LEAST:
        rate = slope(recent, column)
        if rate is not None and rate > 0 and free / rate < DAY:
            found.append(free / rate)
    return min(found) if found else None


def growth(samples: t.Sequence[Sample]) -> float:
    """Bytes written within the time of the samples: the sum of what was added, whatever was rotated away."""
    return sum(max(0.0, later[1] - earlier[1]) for earlier, later in zip(samples, samples[1:]))
