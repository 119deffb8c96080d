# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command that runs by itself: one description, written as systemd units, as a LaunchAgent or as a cron line."""

from __future__ import annotations

import re
import shlex
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.core import jobs, schedule
from ansible_collections.onebox.stack.plugins.module_utils.core.jobs import JobError, Quoted, Setting
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown

_NAME = re.compile(r"[A-Za-z0-9:_.-]{1,200}")
_LISTS_OF_PATHS = ("ReadWritePaths", "RequiresMountsFor")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TIMES = ("on_calendar", "interval", "description")
_TEXTS = (
    *("interval_from", "boot_delay", "random_delay", "timer_description", "comment", "timer_comment"),
    *("working_directory", "quote"),
)
Settings = t.Sequence[t.Mapping[str, t.Any]]


@dataclass(frozen=True)
class Job:
    """One command and the times at which it runs.

    Attributes:
        name: name of the units without their suffixes.
        command: absolute path of the program, and its arguments.
        on_calendar: a calendar expression of systemd.time(7); "" when ``interval`` counts.
        interval: a span of time between two runs; "" when ``on_calendar`` counts.
        interval_from: ``start`` or ``end`` of a run.
        boot_delay: a span of time from the boot to the first run, with ``interval``.
        random_delay: the largest random delay of a run; "" for none.
        description: one line for lists of units.
        timer_description: the same for the timer.
        comment: the first line of the service.
        timer_comment: the first line of the timer.
        environment: variables of the command.
        working_directory: an absolute path; "" for the scheduler's default.
        quote: words in quotes: ``needed``, ``paths`` or ``all``. It changes the text only.
        unit: further settings of the section Unit of the service.
        service: further settings of the section Service, in their order. ``#`` is a comment.
        timer: settings of the section Timer, in their order. They replace those of this job.
        agent: further keys of the LaunchAgent. They replace those of this job.
    """

    name: str
    command: tuple[str, ...]
    on_calendar: str = ""
    interval: str = ""
    interval_from: str = "start"
    boot_delay: str = "2min"
    random_delay: str = ""
    description: str = ""
    timer_description: str = ""
    comment: str = ""
    timer_comment: str = ""
    environment: t.Mapping[str, str] = field(default_factory=dict)
    working_directory: str = ""
    quote: str = "needed"
    unit: Settings = ()
    service: Settings = ()
    timer: Settings = ()
    agent: t.Mapping[str, t.Any] = field(default_factory=dict)


@dataclass
class Change:
    """A change to jobs, made or planned.

    Attributes:
        written: paths of files that are new or differ.
        removed: paths of files that go.
        started: names of jobs that are started.
        before: the texts of those files before, by path; "" for a missing one.
        after: the texts of those files afterwards.
        commands: the command of each job before the change, by its name.
    """

    written: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    before: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    commands: dict[str, list[str]] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        return bool(self.written or self.removed or self.started)

    def add(self, other: Change) -> None:
        """Include another change."""
        for mine, more in ((self.written, other.written), (self.removed, other.removed), (self.started, other.started)):
            mine += more
        self.before.update(other.before)
        self.after.update(other.after)
        self.commands.update(other.commands)


@dataclass(frozen=True)
class Request:
    """The jobs of one task.

    Attributes:
        wanted: jobs to install.
        unwanted: names of jobs to remove.
        names: the names of all of them, in their order.
    """

    wanted: list[Job]
    unwanted: list[str]
    names: list[str]


def request(given: t.Mapping[str, t.Any]) -> Request:
    """The jobs that the options of scheduled_job describe.

    Raises:
        JobError: an option is wrong. The text names it.
    """
    several = given["schedules"] is not None
    if several and (given["on_calendar"] or given["interval"]):
        raise JobError("schedules: move on_calendar and interval into its entries.")
    single = {"name": "", "state": "present", "arguments": (), **{key: given[key] for key in _TIMES}}
    entries = given["schedules"] if several else [single]
    names = [f"{given['name']}-{one['name']}" if one["name"] else given["name"] for one in entries]
    if len(set(names)) < len(names):
        raise JobError("schedules: two entries have the same name. Rename one.")
    for name in names:
        if not _NAME.fullmatch(name):
            raise JobError(f"name: {shown(name)} cannot be the name of a unit. Use letters, digits and any of : _ . -")
    present = [given["state"] == "present" and one["state"] == "present" for one in entries]
    wanted = [_job(given, name, one) for name, one, stays in zip(names, entries, present) if stays]
    return Request(wanted, [name for name, stays in zip(names, present) if not stays], names)


def _job(given: t.Mapping[str, t.Any], name: str, entry: t.Mapping[str, t.Any]) -> Job:
    job = Job(
        name=name,
        command=(*(given["command"] or ()), *entry["arguments"]),
        on_calendar=entry["on_calendar"] or "",
        interval=entry["interval"] or "",
        description=entry["description"] or given["description"] or "",
        environment={variable: _text(value) for variable, value in given["environment"].items()},
        unit=given["unit"],
        service=given["service"],
        timer=given["timer"],
        agent=given["agent"],
        **{key: given[key] or "" for key in _TEXTS},
    )
    check(job)
    return job


def check(job: Job) -> None:
    """Check the values that are not checked where they are written.

    Raises:
        JobError: one is wrong. The text names the option.
    """
    if not job.command:
        raise JobError("command: it is empty. Name the program and its arguments.")
    if not job.command[0].startswith("/"):
        raise JobError(f"command: {shown(job.command[0])} is not the absolute path of a program.")
    if bool(job.on_calendar) == bool(job.interval):
        raise JobError(f"{job.name}: set one of on_calendar and interval.")
    spans = {"interval": job.interval, "boot_delay": job.boot_delay, "random_delay": job.random_delay}
    for option, text in spans.items():
        if text:
            schedule.seconds(option, text)


def units(job: Job) -> dict[str, str]:
    """The texts of the service and of the timer, by suffix.

    Raises:
        JobError: a value cannot be written.
    """
    command = [_quoted(word, job.quote) for word in job.command]
    name = job.description or job.name
    own = _settings(job.timer, job.quote)
    replaced = {key for key, _value in own}
    service: list[Setting] = [
        ("Type", "oneshot"),
        *([("WorkingDirectory", job.working_directory)] if job.working_directory else []),
        ("Environment", job.environment),
        ("ExecStart", command),
        *_settings(job.service, job.quote),
    ]
    timer: dict[str, t.Sequence[Setting]] = {
        "Unit": [("Description", job.timer_description or name)],
        "Timer": [*((key, value) for key, value in _timer(job) if key not in replaced), *own],
        "Install": [("WantedBy", "timers.target")],
    }
    head: list[Setting] = [("Description", name), *_settings(job.unit, job.quote)]
    return {
        "service": jobs.unit({"Unit": head, "Service": service}, job.comment),
        "timer": jobs.unit(timer, job.timer_comment or job.comment),
    }


def _timer(job: Job) -> list[Setting]:
    random: list[Setting] = [("RandomizedDelaySec", job.random_delay)] if job.random_delay else []
    if job.interval:
        ends = job.interval_from == "end"
        # A timer that counts from the end of a run has no first one by itself.
        spans = ["OnActiveSec", "OnUnitInactiveSec"] if ends else ["OnUnitActiveSec"]
        return [("OnBootSec", job.boot_delay), *((key, job.interval) for key in spans), *random]
    # Each host keeps its own delay.
    spread: list[Setting] = [*random, ("FixedRandomDelay", "true")] if random else []
    return [("OnCalendar", job.on_calendar), *spread, ("Persistent", "true")]


def _settings(given: Settings, quote: str) -> list[Setting]:
    """Settings from YAML: numbers and truth values become systemd's words."""
    return [(key, _value(key, value, quote)) for one in given for key, value in one.items()]


def _value(key: str, value: t.Any, quote: str) -> jobs.Value:
    if isinstance(value, (list, tuple)):
        texts = [_text(one) for one in value]
        quoted = quote != "needed" and key in _LISTS_OF_PATHS
        return [Quoted(one) for one in texts] if quoted else texts
    if isinstance(value, dict):
        return {str(name): _text(one) for name, one in value.items()}
    return _text(value)


def _text(value: t.Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _quoted(word: str, quote: str) -> str:
    return Quoted(word) if quote == "all" or (quote == "paths" and word.startswith("/")) else word


def agent(job: Job) -> dict[str, t.Any]:
    """The property list of the LaunchAgent, without its label.

    Raises:
        JobError: launchd has no such time.
    """
    found: dict[str, t.Any] = {"ProgramArguments": list(job.command)}
    if job.environment:
        found["EnvironmentVariables"] = dict(job.environment)
    if job.working_directory:
        found["WorkingDirectory"] = job.working_directory
    if job.interval:
        length = schedule.seconds("interval", job.interval)
        found["StartInterval"] = schedule.launchd_interval("interval", length)
        # The counterpart of a run after the boot.
        found["RunAtLoad"] = True
    else:
        found["StartCalendarInterval"] = schedule.launchd_daily(schedule.daily("on_calendar", job.on_calendar))
    return {**found, **job.agent}


def cron(job: Job) -> str:
    """The line for the user's crontab.

    Raises:
        JobError: cron has no such time, or a word has a character that a crontab cannot hold.
    """
    if job.interval:
        times = schedule.cron_interval("interval", schedule.seconds("interval", job.interval))
    else:
        times = schedule.cron_daily(schedule.daily("on_calendar", job.on_calendar))
    words = [f"{name}={shlex.quote(value)}" for name, value in job.environment.items()]
    text = " ".join([*words, *map(shlex.quote, job.command)])
    if job.working_directory:
        text = f"cd {shlex.quote(job.working_directory)} && {text}"
    found = _CONTROL.search(text)
    if found:
        raise JobError(f"{job.name}: a crontab cannot hold the character U+{ord(found[0]):04X}. Remove it.")
    if "\\\\" in text or "\\%" in text:
        raise JobError(f"{job.name}: crons read a backslash before another one or before % differently. Avoid it.")
    # cron turns a percent sign into a newline.
    return f"{times} {text}".replace("%", "\\%")
