# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hours in which nothing may be changed."""

import datetime

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import freeze
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError

SEOUL = {"days": ["mon", "tue", "wed", "thu", "fri"], "start": "09:00", "end": "15:30", "timezone": "Asia/Seoul"}
NIGHT = {"days": ["fri"], "start": "22:00", "end": "06:00"}


def at(text: str) -> float:
    """Seconds since 1970 of a UTC time."""
    return datetime.datetime.fromisoformat(text + "+00:00").timestamp()


@pytest.mark.parametrize(
    ("window", "moment", "frozen"),
    [
        (SEOUL, "2026-11-20T00:00", True),  # Friday 09:00 in Seoul
        (SEOUL, "2026-11-19T23:59", False),
        (SEOUL, "2026-11-20T06:29", True),
        (SEOUL, "2026-11-20T06:30", False),
        (SEOUL, "2026-11-21T03:00", False),  # Saturday
        (SEOUL, "2026-11-22T23:59", False),  # Monday 08:59 in Seoul
        (SEOUL, "2026-11-23T00:01", True),  # Monday 09:01 in Seoul, still Sunday in UTC's morning
        (NIGHT, "2026-11-20T23:00", True),
        (NIGHT, "2026-11-21T05:59", True),
        (NIGHT, "2026-11-21T06:00", False),
        (NIGHT, "2026-11-20T05:00", False),  # Thursday's night is not meant
        ({"start": "00:00", "end": "23:59"}, "2026-11-21T12:00", True),
    ],
)
def test_freeze_covers_its_window(window, moment, frozen):
    assert bool(freeze.until([window], at(moment))) is frozen


def test_freeze_reports_its_end():
    assert freeze.until([NIGHT, SEOUL], at("2026-11-20T03:00")) == "Fri 2026-11-20 15:30 Asia/Seoul"


@pytest.mark.parametrize(
    ("window", "why"),
    [
        ({"start": "9", "end": "10:00"}, "not a time of day"),
        ({"start": "09:00", "end": "24:00"}, "not a time of day"),
        ({"start": "09:00", "end": "10:00", "days": ["holiday"]}, "not a day"),
        ({"start": "09:00", "end": "10:00", "timezone": "Asia/Soul"}, "tzdata"),
    ],
)
def test_invalid_window_is_refused(window, why):
    with pytest.raises(ComposeError, match=why):
        freeze.until([window], 0.0)
