# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Schedules without systemd: launchd, cron.

launchd runs a job that it missed while the Mac slept, but not one that it missed while the Mac was off. So launchd
starts ``onebox-backup due`` periodically and at login. This module determines the due jobs from the end of their last
runs. It also repeats failed runs, which a timer does not.
"""

from __future__ import annotations

import datetime as dt
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.backup import guard, rehearse, run, status
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    BackupError,
    Busy,
    ConfigError,
    OffsiteError,
    file_errors,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.reports import Dict, DueReport, JobResult

# The error of a job, "" for none, and its exit code.
Outcome = t.Tuple[str, int]  # noqa: UP006 (evaluated at import, where type checkers for 3.9 want typing)
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# A failed job is retried after this many seconds, not at every start.
AGAIN = 3600.0
_FORM = re.compile(
    r"(?:(?P<days>[A-Z][a-z]{2}(?:,[A-Z][a-z]{2})*) )?\*-\*-\* (?P<hour>\d\d):(?P<minute>\d\d)(?::00)?\Z"
)


@dataclass(frozen=True)
class When:
    """A time of day, on some days of the week; ``days`` as :meth:`datetime.date.weekday` counts them."""

    days: frozenset[int]
    hour: int
    minute: int

    def last(self, now: dt.datetime) -> dt.datetime:
        """The latest time of the schedule that is not after ``now``, a wall time with its zone."""
        for back in range(8):
            day = now - dt.timedelta(days=back)
            moment = day.replace(hour=self.hour, minute=self.minute, second=0, microsecond=0)
            if moment <= now and day.weekday() in self.days:
                return moment
        raise AssertionError("unreachable: every schedule has a day in each week")


def parse(text: str) -> When:
    """A schedule in the subset of systemd's OnCalendar that works with launchd and cron, too.

    Raises:
        ConfigError: it is outside of that subset.
    """
    found = _FORM.match(text)
    words = (found.group("days") or ",".join(DAYS)).split(",") if found else []
    if not found or not set(words) <= set(DAYS) or int(found.group("hour")) > 23 or int(found.group("minute")) > 59:
        raise ConfigError(
            f"the schedule {text!r} is not supported without systemd. Write it as '*-*-* 02:15:00' (each day) "
            "or 'Sun,Wed *-*-* 04:15:00' (on these days)"
        )
    return When(frozenset(DAYS.index(word) for word in words), int(found.group("hour")), int(found.group("minute")))


def jobs(schedules: t.Mapping[str, When], last: t.Mapping[str, t.Mapping[str, t.Any]], now: dt.datetime) -> list[str]:
    """The jobs that are due, in the order of ``schedules``.

    Args:
        last: the last result of each job: ``ended`` in seconds since 1970, ``error``, ``exit_code``; {} when it
            never ran.
    """
    found = []
    for name, when in schedules.items():
        note = last.get(name) or {}
        ended = float(note.get("ended") or 0)
        missed = ended < when.last(now).timestamp()
        # A retry is not needed for off-site: the next regular run copies the missing sets.
        wrong = bool(note.get("error")) and note.get("exit_code") != OffsiteError.exit_code
        failed = wrong and now.timestamp() - ended >= AGAIN
        # A note from the future comes from a wrong clock. Without this check, backups would stop until then.
        if missed or failed or ended > now.timestamp() + AGAIN:
            found.append(name)
    return found


def run_due(context: Context, schedules: t.Mapping[str, When], *, wait: float = 0.0) -> Dict:
    """Run the jobs that are due, one after the other. A failed one does not stop the next.

    Args:
        schedules: of the jobs backup, rehearse, offsite and check, in the order to run them.
        wait: seconds to wait for another run of this stack.
    """
    context.state.prepare()
    report = DueReport(context.config.stack)
    last = {name: _last(context, name) for name in schedules}
    for name in jobs(schedules, last, context.now()):
        context.log(f"{name} is due")
        row = JobResult(name)
        try:
            with guard.everything(), file_errors():
                row.error, row.exit_code = JOBS[name](context, wait)
        except Busy as error:
            row.error, row.exit_code = str(error), error.exit_code  # not recorded: the job remains due until it has run
        except BackupError as error:
            row.error, row.exit_code = str(error), error.exit_code
            status.notify(context, f"{name} failed", str(error), report.warnings)
            _note(context, row)
        else:
            _note(context, row)
        report.jobs.append(row)
    failed = [row for row in report.jobs if row.error]
    if failed:
        report.error = "; ".join(f"{row.job}: {row.error}" for row in failed)
        report.exit_code = failed[0].exit_code
    return report.as_dict()


def _last(context: Context, job: str) -> t.Mapping[str, t.Any]:
    """The last result of a job, started by this program, an operator or a playbook."""
    ours = (context.state.read("due").get("jobs") or {}).get(job) or {}
    names = {"rehearse": "last-rehearsal-local", "offsite": "last-rehearsal-offsite"}
    note = context.state.read(names.get(job, f"last-{job}"))
    theirs = {
        "ended": note.get("ended") or note.get("at") or 0,
        "error": note.get("error", ""),
        "exit_code": note.get("exit_code", 0),
    }
    return max(ours, theirs, key=lambda found: float(found.get("ended") or 0))


def _note(context: Context, row: JobResult) -> None:
    known = context.state.read("due").get("jobs") or {}
    known[row.job] = {"ended": context.now().timestamp(), "error": row.error, "exit_code": row.exit_code}
    context.state.write("due", {"jobs": known})


def _backup(context: Context, wait: float) -> Outcome:
    return _outcome(run.backup(context, wait=wait))


def _rehearse(context: Context, wait: float, where: str = "local") -> Outcome:
    return _outcome(rehearse.rehearse(context, where=where, wait=wait))


def _offsite(context: Context, wait: float) -> Outcome:
    return _rehearse(context, wait, "offsite")


def _check(context: Context, wait: float) -> Outcome:
    # The check itself notified of its findings. Here only its end matters.
    status.check(context, wait=wait)
    return "", 0


def _outcome(report: Dict) -> Outcome:
    return str(report["error"]), int(report["exit_code"])


JOBS: dict[str, t.Callable[[Context, float], Outcome]] = {
    "backup": _backup,
    "rehearse": _rehearse,
    "offsite": _offsite,
    "check": _check,
}
