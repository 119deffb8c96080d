# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of scheduled_job become jobs, and a job becomes units, an agent or a cron line."""

from __future__ import annotations

import shlex
import subprocess
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import scheduled
from ansible_collections.onebox.stack.plugins.module_utils.core.jobs import JobError

NOTHING: dict[str, t.Any] = {
    **dict.fromkeys(("schedules", "on_calendar", "interval", "description", "random_delay", "timer_description")),
    **dict.fromkeys(("comment", "timer_comment", "working_directory")),
    "state": "present",
    "environment": {},
    "unit": [],
    "service": [],
    "timer": [],
    "agent": {},
    "quote": "needed",
    "interval_from": "start",
    "boot_delay": "2min",
}


def request(**given: t.Any) -> scheduled.Request:
    return scheduled.request({**NOTHING, "name": "beat", "command": ["/bin/beat"], **given})


def job(**given: t.Any) -> scheduled.Job:
    (found,) = request(**{"interval": "5min", **given}).wanted
    return found


def entry(name: str, **given: t.Any) -> dict[str, t.Any]:
    empty = {"state": "present", "arguments": [], "on_calendar": None, "interval": None, "description": None}
    return {**empty, "name": name, **given}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "beat: set one of on_calendar and interval"),
        ({"interval": "5min", "on_calendar": "daily"}, "beat: set one of on_calendar and interval"),
        ({"interval": "often"}, "interval: often is not a span of time"),
        ({"interval": "5min", "boot_delay": "x"}, "boot_delay: x is not a span of time"),
        ({"interval": "5min", "random_delay": "x"}, "random_delay: x is not a span of time"),
        ({"interval": "5min", "command": ["beat"]}, "command: beat is not the absolute path of a program"),
        ({"interval": "5min", "command": []}, "command: it is empty"),
        ({"interval": "5min", "name": "../beat"}, "name: ../beat cannot be the name of a unit"),
        ({"interval": "5min", "name": "a b"}, "name: 'a b' cannot be the name of a unit"),
        ({"schedules": [entry("a/b", interval="5min")]}, "name: beat-a/b cannot be the name of a unit"),
        ({"schedules": [entry("a"), entry("a")]}, "schedules: two entries have the same name"),
        ({"schedules": [entry("a")]}, "beat-a: set one of on_calendar and interval"),
        ({"schedules": [], "interval": "5min"}, "schedules: move on_calendar and interval into its entries"),
    ],
)
def test_wrong_option_is_refused_with_its_name(given, message):
    with pytest.raises(JobError) as caught:
        request(**given)
    assert message in str(caught.value)


def test_schedules_share_the_command_and_are_removed_one_by_one():
    found = request(
        description="Beat",
        schedules=[
            entry("fast", interval="5min", arguments=["--fast"], description="Beat fast"),
            entry("slow", on_calendar="*-*-* 02:15:00"),
            entry("old", state="absent"),
        ],
    )
    assert [(one.name, one.command, one.description) for one in found.wanted] == [
        ("beat-fast", ("/bin/beat", "--fast"), "Beat fast"),
        ("beat-slow", ("/bin/beat",), "Beat"),
    ]
    assert (found.unwanted, found.names) == (["beat-old"], ["beat-fast", "beat-slow", "beat-old"])


def test_absent_state_removes_every_schedule_without_reading_its_times():
    found = request(state="absent", command=None, schedules=[entry("fast"), entry("slow")])
    assert (found.wanted, found.unwanted) == ([], ["beat-fast", "beat-slow"])
    assert request(state="absent", command=None).unwanted == ["beat"]


def test_numbers_and_truth_values_of_yaml_become_words_of_systemd():
    texts = scheduled.units(job(service=[{"Nice": 10, "PrivateTmp": True, "Persistent": False}], environment={"A": 1}))
    assert "Nice=10\nPrivateTmp=yes\nPersistent=no\n" in texts["service"]
    assert "Environment=A=1\n" in texts["service"]


def test_setting_that_is_not_known_is_refused():
    with pytest.raises(JobError, match="ExecStartPre: the collection cannot write this key of a unit"):
        scheduled.units(job(service=[{"ExecStartPre": "/bin/true"}]))


@pytest.mark.parametrize(
    ("quote", "line"),
    [
        ("needed", "/bin/beat --to /x 'y'"),
        ("paths", '"/bin/beat" --to "/x" \'y\''),
        ("all", '"/bin/beat" "--to" "/x" "\'y\'"'),
    ],
)
def test_quote_changes_the_text_and_not_the_command(quote, line):
    text = scheduled.units(job(command=["/bin/beat", "--to", "/x", "'y'"], quote=quote))["service"]
    (written,) = [one for one in text.splitlines() if one.startswith("ExecStart=")]
    assert written == "ExecStart=" + line.replace("'y'", "\"'y'\"") if quote != "all" else "ExecStart=" + line
    assert scheduled.jobs.command_of(text) == ["/bin/beat", "--to", "/x", "'y'"]


def test_interval_from_the_end_of_a_run_also_starts_a_first_run():
    assert (
        "OnBootSec=2min\nOnActiveSec=5min\nOnUnitInactiveSec=5min\n"
        in scheduled.units(job(interval_from="end"))["timer"]
    )
    assert "OnBootSec=2min\nOnUnitActiveSec=5min\n" in scheduled.units(job())["timer"]


def test_calendar_makes_up_for_missed_runs_and_spreads_hosts():
    text = scheduled.units(job(interval=None, on_calendar="*-*-* 02:15:00", random_delay="30min"))["timer"]
    for line in ("OnCalendar=*-*-* 02:15:00", "RandomizedDelaySec=30min", "FixedRandomDelay=true", "Persistent=true"):
        assert line in text.splitlines()


def test_settings_of_timer_replace_those_of_the_job():
    own = [{"#": "Why", "Persistent": False}, {"OnCalendar": "weekly"}]
    text = scheduled.units(job(interval=None, on_calendar="daily", random_delay="5min", timer=own))["timer"]
    assert "[Timer]\nRandomizedDelaySec=5min\nFixedRandomDelay=true\n# Why\nPersistent=no\nOnCalendar=weekly\n" in text


def test_keys_of_agent_replace_those_of_the_job():
    found = scheduled.agent(
        job(environment={"A": "1"}, working_directory="/x", agent={"EnvironmentVariables": {"B": "2"}, "Nice": 10})
    )
    assert found == {
        "ProgramArguments": ["/bin/beat"],
        "EnvironmentVariables": {"B": "2"},
        "WorkingDirectory": "/x",
        "StartInterval": 300,
        "RunAtLoad": True,
        "Nice": 10,
    }


def test_agent_on_a_calendar_does_not_run_when_it_is_loaded():
    found = scheduled.agent(job(interval=None, on_calendar="Sun *-*-* 02:15:00"))
    assert found == {
        "ProgramArguments": ["/bin/beat"],
        "StartCalendarInterval": [{"Hour": 2, "Minute": 15, "Weekday": 0}],
    }


def test_shell_of_cron_runs_exactly_the_command(tmp_path):
    """cron gives the part after the times to sh, where ``\\%`` is a percent sign."""
    words = ["50%", "it's", "$HOME", "a  b", "", ";", "%%", "a\\b"]
    place = tmp_path / "a 'b"
    place.mkdir()
    line = scheduled.cron(
        job(command=["/usr/bin/printf", "%s|", *words], environment={"LC_ALL": "C % x"}, working_directory=str(place))
    )
    assert line.startswith("*/5 * * * * ")
    command = line[len("*/5 * * * * ") :]
    assert "%" not in command.replace("\\%", "")
    done = subprocess.run(["sh", "-c", command.replace("\\%", "%")], capture_output=True, text=True, check=True)
    assert done.stdout == "".join(f"{word}|" for word in words)
    shown = scheduled.cron(job(command=["/usr/bin/env"], working_directory=str(place), environment={"A": "x y"}))
    assert shlex.split(shown)[5:] == ["cd", str(place), "&&", "A=x y", "/usr/bin/env"]


@pytest.mark.parametrize("word", ["a\nb", "a\rb", "a\0b"])
def test_character_that_ends_a_crontab_line_is_refused(word):
    with pytest.raises(JobError, match=r"beat: a crontab cannot hold the character U\+00"):
        scheduled.cron(job(command=["/bin/beat", word]))


@pytest.mark.parametrize("word", ["a\\\\b", "50\\%"])
def test_backslash_that_crons_read_differently_is_refused(word):
    with pytest.raises(JobError, match="beat: crons read a backslash"):
        scheduled.cron(job(command=["/bin/beat", word]))
