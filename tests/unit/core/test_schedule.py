# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times in systemd's notation, compared with systemd's own reading of them, and the same times for launchd and cron."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import schedule
from ansible_collections.onebox.stack.plugins.module_utils.core.jobs import JobError

ANALYZE = shutil.which("systemd-analyze")


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90", 90),
        ("15min", 900),
        ("1h 30min", 5400),
        ("1h30min", 5400),
        ("2 days", 172800),
        ("0.5h", 1800),
        ("5m", 300),
    ],
)
def test_span_is_read_as_systemd_reads_it(text, length):
    assert schedule.seconds("interval", text) == length
    if ANALYZE:
        done = subprocess.run([ANALYZE, "timespan", text], capture_output=True, text=True, check=True)
        (microseconds,) = re.findall(r"[μu]s: (\d+)", done.stdout)
        assert int(microseconds) == length * 1_000_000


@pytest.mark.parametrize("text", ["", "soon", "15 minuten", "5min x", "-5min", "min", "5min\n6min;", "%h"])
def test_text_that_is_not_a_span_is_refused_with_its_option(text):
    with pytest.raises(JobError, match=r"^interval: .* is not a span of time\. Write it like 15min"):
        schedule.seconds("interval", text)


@pytest.mark.parametrize("text", ["infinity", "", "n/a"])
def test_unknown_time_of_systemd_is_none(text):
    assert schedule.span_or_none(text) is None


@pytest.mark.parametrize(
    ("text", "cron", "launchd"),
    [
        ("*-*-* 02:15:00", "15 2 * * *", [{"Hour": 2, "Minute": 15}]),
        ("*-*-* 23:05", "5 23 * * *", [{"Hour": 23, "Minute": 5}]),
        (
            "Wed,Sun *-*-* 04:00:00",
            "0 4 * * 0,3",
            [{"Hour": 4, "Minute": 0, "Weekday": 0}, {"Hour": 4, "Minute": 0, "Weekday": 3}],
        ),
    ],
)
def test_time_of_the_day_has_the_same_meaning_everywhere(text, cron, launchd):
    when = schedule.daily("on_calendar", text)
    assert schedule.cron_daily(when) == cron
    assert schedule.launchd_daily(when) == launchd
    if ANALYZE:
        subprocess.run([ANALYZE, "calendar", text], capture_output=True, check=True)


@pytest.mark.parametrize(
    "text", ["daily", "*-*-* 24:00:00", "*-*-* 02:15:30", "Foo *-*-* 02:15", "*:0/5", "*-*-1 02:15:00"]
)
def test_calendar_that_only_systemd_follows_is_refused_with_the_form_to_use(text):
    with pytest.raises(JobError, match=r"on_calendar: .*Write it like \*-\*-\* 02:15:00"):
        schedule.daily("on_calendar", text)


@pytest.mark.parametrize(
    ("length", "fields"),
    [(60, "* * * * *"), (300, "*/5 * * * *"), (1800, "*/30 * * * *"), (3600, "0 */1 * * *"), (86400, "0 0 * * *")],
)
def test_interval_that_divides_an_hour_or_a_day_has_cron_fields(length, fields):
    assert schedule.cron_interval("interval", length) == fields


@pytest.mark.parametrize("length", [0, 30, 90, 420, 5 * 3600, 2 * 86400, 60.5])
def test_interval_that_cron_does_not_have_is_refused(length):
    with pytest.raises(JobError, match=f"interval: cron cannot run a job every {length:g} s"):
        schedule.cron_interval("interval", length)


@pytest.mark.parametrize("length", [0, 0.5, 90.5])
def test_interval_that_launchd_does_not_have_is_refused(length):
    with pytest.raises(JobError, match="interval: launchd cannot run a job"):
        schedule.launchd_interval("interval", length)
