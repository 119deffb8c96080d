# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Timers are installed, taken over, removed and finished after a kill at every step.

There is no systemd here. ``Systemd`` below plays it: it loads unit files at a reload, as documented in
systemctl(1), and answers in the form that systemd 252 and 257 print. tests/integration/core/test_scheduled_job.py does
the same with a real one.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import files, process, scheduled, systemd
from ansible_collections.onebox.stack.plugins.module_utils.core.jobs import JobError
from ansible_collections.onebox.stack.plugins.module_utils.core.scheduled import Job
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

JOB = Job("beat", ("/bin/beat",), interval="5min")
SLOW = dataclasses.replace(JOB, interval="1h")


class Killed(BaseException):
    """The process was killed."""


class Systemd:
    """systemd with unit files in a folder; it dies for us after ``steps`` calls or writes."""

    def __init__(self, home: pathlib.Path) -> None:
        self.folder, self.booted = home / "units", home / "booted"
        self.booted.mkdir()
        self.loaded: dict[str, str] = {}
        self.enabled: set[str] = set()
        self.active: set[str] = set()
        self.calls: list[list[str]] = []
        self.bad_calendars: set[str] = set()
        self.steps = -1
        self.epoch, self.uptime = 1_800_000_000.0, 1000.0

    def step(self) -> None:
        self.steps -= 1
        if self.steps == 0:
            raise Killed

    def text(self, unit: str) -> str | None:
        path = self.folder / unit
        return path.read_text() if path.exists() else None

    def run(self, argv: t.Sequence[str], **options: t.Any) -> process.Result:
        words = [word for word in argv if word not in ("systemctl", "--user")]
        self.calls.append(list(words))
        out, rc = "", 0
        if words[0] == "systemd-analyze":
            rc = 1 if words[2] in self.bad_calendars else 0
        elif words[0] == "show":
            assert options["env"]["TZ"] == "UTC"
            out = "\n".join(self.show(unit) for unit in words[2:])
        elif words[0] == "daemon-reload":
            self.loaded = {path.name: path.read_text() for path in self.folder.glob("*")}
        elif words[0] in ("enable", "restart", "disable"):
            units = [word for word in words[1:] if not word.startswith("--")]
            for unit in units:
                if self.text(unit) is None:
                    raise process.CommandError(f"Unit file {unit} does not exist.", process.Result((), 1, "", "", 0.0))
                self.change(words, unit)
        self.step()
        return process.Result(tuple(argv), rc, out, "Failed to parse", 0.0)

    def change(self, words: t.Sequence[str], unit: str) -> None:
        if words[0] == "enable":
            self.enabled.add(unit)
        elif words[0] == "restart":
            self.loaded.setdefault(unit, self.text(unit) or "")
            self.active.add(unit)
        else:
            self.enabled.discard(unit)
            self.active.discard(unit)

    def show(self, unit: str) -> str:
        # systemd loads a unit at the first query for it.
        there = self.text(unit)
        if there is not None:
            self.loaded.setdefault(unit, there)
        stale = unit in self.loaded and self.loaded[unit] != there
        next_run = "15min 0.250000s" if unit in self.active and "OnBootSec" in self.loaded[unit] else "infinity"
        real = "Sun 2026-11-29 12:00:00 UTC" if unit in self.active and "OnCalendar" in self.loaded[unit] else ""
        return (
            f"NextElapseUSecRealtime={real}\nNextElapseUSecMonotonic={next_run}\nId={unit}\n"
            f"LoadState={'loaded' if there is not None else 'not-found'}\n"
            f"ActiveState={'active' if unit in self.active else 'inactive'}\n"
            f"UnitFileState={'enabled' if unit in self.enabled else 'disabled' if there is not None else ''}\n"
            f"NeedDaemonReload={'yes' if stale else 'no'}\n"
        )

    def manager(self) -> systemd.Systemd:
        world = dataclasses.replace(
            World.real(), run=self.run, epoch=lambda: self.epoch, monotonic=lambda: self.uptime, environ={}, uid=1000
        )
        return systemd.Systemd(world, user=True, booted=str(self.booted), folder=str(self.folder))

    def ensure(self, *jobs: Job, unwanted: t.Sequence[str] = (), check: bool = False) -> scheduled.Change:
        request = scheduled.Request(list(jobs), list(unwanted), [])
        return self.manager().converge(request, check=check)

    def state(self) -> tuple[t.Any, ...]:
        there = {path.name: path.read_text() for path in self.folder.glob("*") if not path.name.startswith(".")}
        return there, dict(self.loaded), set(self.enabled), set(self.active)


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Systemd:
    return Systemd(tmp_path)


def test_timer_is_installed_once_and_then_left_alone(host):
    planned = host.ensure(JOB, check=True)
    assert planned.changed
    assert not host.folder.exists()
    done = host.ensure(JOB)
    assert (done.written, done.started) == (planned.written, ["beat"])
    assert {path.name for path in host.folder.iterdir()} == {"beat.service", "beat.timer"}
    assert (host.enabled, host.active) == ({"beat.timer"}, {"beat.timer"})
    host.calls.clear()
    assert not host.ensure(JOB).changed
    assert [call[0] for call in host.calls] == ["show"]


def test_refusal_of_systemd_reaches_the_user(host, monkeypatch):
    def masked(words, unit):
        raise process.CommandError(f"Unit file {unit} is masked.", process.Result((), 1, "", "", 0.0))

    monkeypatch.setattr(host, "change", masked)
    with pytest.raises(JobError, match=r"the timer cannot be changed: Unit file beat\.timer is masked"):
        host.ensure(JOB)


def test_changed_service_is_loaded_and_its_timer_continues(host):
    host.ensure(JOB)
    host.calls.clear()
    change = host.ensure(dataclasses.replace(JOB, command=("/bin/other",)))
    assert (change.written, change.started) == ([str(host.folder / "beat.service")], [])
    assert change.commands == {"beat": ["/bin/beat"]}
    assert [call[0] for call in host.calls] == ["show", "daemon-reload"]
    assert "/bin/other" in host.loaded["beat.service"]


def test_units_of_another_text_are_taken_over_by_name(host):
    host.folder.mkdir()
    (host.folder / "beat.service").write_text('[Service]\nExecStart="/bin/beat" "--old" "100%%"\n')
    (host.folder / "beat.timer").write_text("[Timer]\nOnUnitActiveSec=1h\nOnBootSec=1\n")
    for word in (["daemon-reload"], ["enable", "beat.timer"], ["restart", "beat.timer"]):
        host.run(word)
    change = host.ensure(JOB)
    assert change.commands == {"beat": ["/bin/beat", "--old", "100%"]}
    assert change.started == ["beat"]
    assert host.loaded == {f"beat.{suffix}": text for suffix, text in scheduled.units(JOB).items()}
    assert host.active == {"beat.timer"}


@pytest.mark.parametrize("spoiled", ["enabled", "active"])
def test_timer_that_somebody_stopped_or_disabled_is_started(host, spoiled):
    host.ensure(JOB)
    getattr(host, spoiled).clear()
    change = host.ensure(JOB)
    assert (change.written, change.started) == ([], ["beat"])
    assert (host.enabled, host.active) == ({"beat.timer"}, {"beat.timer"})


def test_removal_takes_the_named_job_and_no_other(host):
    two = dataclasses.replace(JOB, name="beat-two")
    host.ensure(JOB, two)
    assert host.ensure(unwanted=["beat"], check=True).changed
    assert "beat.timer" in host.active
    change = host.ensure(unwanted=["beat"])
    assert change.commands == {"beat": ["/bin/beat"]}
    assert sorted(os.listdir(host.folder)) == ["beat-two.service", "beat-two.timer"]
    assert host.active == {"beat-two.timer"}
    assert ["reset-failed", "beat.service"] in host.calls
    assert not host.ensure(unwanted=["beat"]).changed


def test_files_of_a_job_are_removed_where_systemd_does_not_run(host):
    host.ensure(JOB)
    host.booted.rmdir()
    host.calls.clear()
    assert host.ensure(unwanted=["beat"]).changed
    assert (os.listdir(host.folder), host.calls) == ([], [])
    with pytest.raises(JobError, match="kind: systemd does not run this host"):
        host.ensure(JOB)


def test_calendar_that_systemd_does_not_know_changes_nothing(host):
    host.ensure(JOB)
    before = host.state()
    host.bad_calendars = {"someday"}
    job = dataclasses.replace(JOB, name="other", interval="", on_calendar="someday")
    with pytest.raises(JobError, match=r"on_calendar: systemd does not know someday \(Failed to parse\)"):
        host.ensure(job, unwanted=["beat"])
    assert host.state() == before


def test_next_run_is_in_utc_for_both_clocks(host):
    daily = dataclasses.replace(JOB, name="daily", interval="", on_calendar="*-*-* 12:00:00")
    host.ensure(JOB, daily)
    found = host.manager().next_runs(["beat", "daily", "unknown"])
    # 900.25 s after a boot that was 1000 s ago.
    assert found == {"beat": "2027-01-15T07:58:20Z", "daily": "2026-11-29T12:00:00Z", "unknown": ""}


def after_kills(host: Systemd, prepare: t.Callable[[], t.Any], act: t.Callable[[], t.Any]) -> t.Iterator[int]:
    """Kill ``act`` after each of its steps, and finish it by a second run; yields at each end."""
    for step in range(1, 100):
        prepare()
        host.steps = step
        try:
            act()
        except Killed:
            host.steps = -1
            act()
            yield step
        else:
            host.steps = -1
            return
    raise AssertionError("it never ended")


def test_run_after_a_kill_at_any_step_ends_with_the_wanted_timer(host, monkeypatch):
    write, remove = files.replace, files.remove

    def replace(path: str, data: bytes, mode: int = 0o600, **options: t.Any) -> None:
        write(path, data, mode, **options)
        host.step()

    def unlink(path: str) -> bool:
        done = remove(path)
        host.step()
        return done

    monkeypatch.setattr(files, "replace", replace)
    monkeypatch.setattr(files, "remove", unlink)
    old = dataclasses.replace(JOB, name="old")
    units = {f"beat.{suffix}": text for suffix, text in scheduled.units(SLOW).items()}

    def prepare() -> None:
        host.ensure(JOB, old)

    def act() -> None:
        host.ensure(SLOW, unwanted=["old"])

    tried = 0
    for _step in after_kills(host, prepare, act):
        tried += 1
        assert host.state() == (units, units, {"beat.timer"}, {"beat.timer"})
    assert tried == 10
