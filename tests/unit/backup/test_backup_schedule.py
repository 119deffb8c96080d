# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Due jobs without systemd: a simulated clock, and real runs on a directory."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import zoneinfo

import pytest
import worlds
from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration, run
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import ConfigError
from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import cli, credentials, schedule
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

SEOUL = zoneinfo.ZoneInfo("Asia/Seoul")
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
NIGHTLY = {"backup": schedule.parse("*-*-* 02:15:00")}


def moment(day: int, hour: int, minute: int = 0, month: int = 3, zone: dt.tzinfo = SEOUL) -> dt.datetime:
    return dt.datetime(2026, month, day, hour, minute, tzinfo=zone)


@pytest.mark.parametrize(
    ("text", "days", "hour", "minute"),
    [
        ("*-*-* 02:15:00", range(7), 2, 15),
        ("*-*-* 23:59", range(7), 23, 59),
        ("Sun *-*-* 04:15:00", [6], 4, 15),
        ("Mon,Thu *-*-* 00:00:00", [0, 3], 0, 0),
    ],
)
def test_schedule_is_parsed_to_its_times(text, days, hour, minute):
    assert schedule.parse(text) == schedule.When(frozenset(days), hour, minute)


@pytest.mark.parametrize(
    "text", ["daily", "", "*-*-1 02:15:00", "*:0/15", "Sun 04:15", "Sonntag *-*-* 04:15:00", "*-*-* 24:00:00",
             "*-*-* 02:60:00", "*-*-* 02:15:30", "Foo *-*-* 02:15:00", "*-*-* 02:15:00\n"],
)  # fmt: skip
def test_schedule_for_systemd_alone_is_refused_with_an_example(text):
    with pytest.raises(ConfigError, match=r"\*-\*-\* 02:15:00"):
        schedule.parse(text)


@pytest.mark.parametrize(
    ("now", "ended", "expected"),
    [
        (moment(5, 2, 14), moment(4, 2, 20), False),
        (moment(5, 2, 15), moment(4, 2, 20), True),
        (moment(5, 9), moment(5, 2, 40), False),
        (moment(5, 9), moment(5, 2, 10), True),
        (moment(9, 1), moment(4, 2, 20), True),  # switched off for four days
    ],
)
def test_time_that_passed_since_the_last_run_is_due(now, ended, expected):
    last = {"backup": {"ended": ended.timestamp(), "error": ""}}
    assert schedule.jobs(NIGHTLY, last, now) == (["backup"] if expected else [])


def test_weekly_job_and_a_job_that_never_ran_are_due():
    when = {"rehearse": schedule.parse("Sun *-*-* 04:15:00")}
    sunday = moment(8, 4, 15)
    assert sunday.weekday() == 6
    assert schedule.jobs(when, {}, moment(5, 12)) == ["rehearse"]
    assert schedule.jobs(when, {"rehearse": {"ended": moment(2, 4, 30).timestamp()}}, moment(8, 4, 14)) == []
    assert schedule.jobs(when, {"rehearse": {"ended": moment(2, 4, 30).timestamp()}}, sunday) == ["rehearse"]


def test_failed_job_is_retried_after_an_hour():
    last = {"backup": {"ended": moment(5, 2, 20).timestamp(), "error": "no engine"}}
    assert schedule.jobs(NIGHTLY, last, moment(5, 3, 19)) == []
    assert schedule.jobs(NIGHTLY, last, moment(5, 3, 20)) == ["backup"]


def test_note_from_the_future_does_not_stop_backups():
    last = {"backup": {"ended": moment(5, 2, 20, month=9).timestamp(), "error": ""}}
    assert schedule.jobs(NIGHTLY, last, moment(5, 9)) == ["backup"]


@pytest.mark.parametrize("zone", [SEOUL, BERLIN], ids=str)
def test_day_with_an_hour_awake_is_not_missed(zone):
    """8 random months: started every quarter of an hour while awake, exactly one run a scheduled moment."""
    rng = random.Random(6)

    def local(now: dt.datetime) -> dt.datetime:
        wall = now.astimezone(zone)
        return wall.replace(tzinfo=dt.timezone(wall.utcoffset()))  # a fixed offset, as the system's clock is read

    for number in range(8):
        # Over the change to summer time in Berlin, and back.
        now = moment(15, 0, month=3 if number % 2 else 10, zone=zone).astimezone(dt.timezone.utc)
        ended, runs, owed = now.timestamp(), 0, 0
        latest = NIGHTLY["backup"].last(local(now))
        for _start in range(28 * 96):
            now += dt.timedelta(minutes=15)
            if rng.random() < 0.01:
                now += dt.timedelta(hours=rng.uniform(1, 60))
            if NIGHTLY["backup"].last(local(now)) > latest:
                latest, owed = NIGHTLY["backup"].last(local(now)), owed + 1
            if schedule.jobs(NIGHTLY, {"backup": {"ended": ended, "error": ""}}, local(now)):
                ended, runs = now.timestamp(), runs + 1
            assert runs == owed
        assert runs > 10


@pytest.fixture
def site(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/f").write_text("x", encoding="utf-8")
    config = {
        "stack": "coin",
        "state_dir": str(tmp_path / "state"),
        "repository": {"engine": "files", "path": str(tmp_path / "repo")},
        "reserve_mib": 0,
        "sources": [{"name": "d", "kind": "directory", "path": str(tmp_path / "data")}],
    }
    (tmp_path / "c.json").write_text(json.dumps(config), encoding="utf-8")
    return tmp_path


def context(site, now=None):
    world = World.real() if now is None else worlds.at(lambda: now)
    return contexts.make(configuration.read(str(site / "c.json")), world)


WORDS = ["due", "--backup", "*-*-* 02:15:00", "--rehearse", "Sun *-*-* 04:15:00", "--check", "*-*-* 12:00:00"]


def test_manual_runs_are_due_once(site, capsys):
    argv = ["--config", str(site / "c.json"), *WORDS]
    assert cli.main(argv) == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line.startswith("ok")] == ["ok     backup", "ok     rehearse", "ok     check"]  # fmt: skip  # noqa: E501
    assert cli.main(argv) == 0
    assert capsys.readouterr().out == "nothing is due\n"
    with pytest.raises(SystemExit):
        cli.main(["--config", str(site / "c.json"), "due", "--backup", "daily"])
    assert "02:15:00" in capsys.readouterr().err


def test_due_and_other_commands_share_one_lock(site):
    made = context(site)
    with made.locked("restore", 0):
        report = schedule.run_due(made, NIGHTLY)
    assert report["exit_code"] == 3
    assert "(restore, since " in report["error"]
    assert schedule.run_due(made, NIGHTLY)["jobs"] == [{"job": "backup", "error": "", "exit_code": 0}]
    assert schedule.run_due(made, NIGHTLY)["jobs"] == []


def test_manual_run_counts_and_a_failed_one_is_repeated(site):
    os.rename(site / "data", site / "gone")
    now = dt.datetime.now().astimezone().replace(microsecond=0)
    ago = now - dt.timedelta(hours=2)  # the command line below has the real clock: the next time must be far
    nightly = {"backup": schedule.When(frozenset(range(7)), ago.hour, ago.minute)}
    report = schedule.run_due(context(site, now), {**nightly, "rehearse": schedule.parse("Sun *-*-* 04:15:00")})
    assert [row["exit_code"] for row in report["jobs"]] == [4, 5]  # no data, and so no set to rehearse
    assert schedule.run_due(context(site, now), nightly)["jobs"] == []
    os.rename(site / "gone", site / "data")
    assert cli.main(["--config", str(site / "c.json"), "backup"]) == 0
    soon = now + dt.timedelta(minutes=59)
    assert schedule.run_due(context(site, soon), nightly)["jobs"] == []


def test_manual_backup_counts_with_the_clock_of_its_run(site):
    now = dt.datetime(2031, 3, 5, 9, 0).astimezone()
    assert run.backup(context(site, now))["error"] == ""
    assert schedule.run_due(context(site, now + dt.timedelta(minutes=1)), NIGHTLY)["jobs"] == []


def test_secrets_are_read_from_credentials_of_systemd_or_their_files(tmp_path):
    data = {
        "stack": "coin",
        "state_dir": "/s",
        "repository": {"engine": "restic", "path": "/r", "password_file": "/etc/coin.key"},
        "offsite": {"path": "s3:x", "password_file": "/etc/coin.key", "environment_file": "/etc/coin.env"},
        "webhook": {"url_file": "/etc/coin.webhook", "style": "ntfy"},
        "sources": [{"name": "d", "kind": "directory", "path": "/d"}],
    }
    plain = configuration.parse(data)
    assert credentials.handed_over(plain, {}) == plain
    (tmp_path / "coin.key").write_text("k", encoding="utf-8")
    found = credentials.handed_over(plain, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert found.repository.password_file == str(tmp_path / "coin.key")
    assert found.offsite.password_file == str(tmp_path / "coin.key")
    assert found.offsite.environment_file == "/etc/coin.env"
    assert found.webhook.url_file == "/etc/coin.webhook"


def test_set_that_only_lacks_its_off_site_copy_is_not_repeated_each_hour():
    ended = moment(5, 2, 20).timestamp()
    for error, code, expected in (("no room", 6, ["backup"]), ("not off-site", 7, [])):
        last = {"backup": {"ended": ended, "error": error, "exit_code": code}}
        assert schedule.jobs(NIGHTLY, last, moment(5, 9)) == expected
