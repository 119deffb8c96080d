# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The times that engines write, which no version of Python can read directly."""

from __future__ import annotations

import datetime
import re

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d+)?\s?(Z|[+-]\d\d:?\d\d)?")


def epoch_of(timestamp: str) -> float:
    """Seconds since 1970 of an engine's RFC 3339 ``timestamp``, nanoseconds and missing zones included; 0 for none."""
    found = _TIME.match(timestamp)
    if found is None:
        return 0.0
    day, clock, fraction, zone = found.groups()
    zone = "+00:00" if zone in (None, "Z") else zone
    zone = zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
    return datetime.datetime.fromisoformat(f"{day}T{clock}{zone}").timestamp() + float(fraction or 0)
