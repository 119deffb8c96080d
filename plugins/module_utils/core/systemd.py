# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install, start and remove timers of systemd. One query shows the state of all of them."""

from __future__ import annotations

import calendar
import os
import time
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import files, jobs, process, schedule, scheduled
from ansible_collections.onebox.stack.plugins.module_utils.core.jobs import JobError
from ansible_collections.onebox.stack.plugins.module_utils.core.scheduled import Change
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

BOOTED = "/run/systemd/system"
_TIMEOUT = 60.0
_SUFFIXES = ("service", "timer")
_PROPERTIES = (
    *("Id", "LoadState", "UnitFileState", "ActiveState", "NeedDaemonReload"),
    *("NextElapseUSecRealtime", "NextElapseUSecMonotonic"),
)
# Each name of a unit with its text, by suffix.
Texts = t.Mapping[str, t.Mapping[str, str]]


class Systemd:
    """One systemd: that of the system, or that of a user.

    Args:
        world: processes, user and home directory.
        user: whether it is the user's own.
        booted: a directory that exists while systemd runs this host.
        folder: the directory of unit files; "" for systemd's usual one.
    """

    def __init__(self, world: World, *, user: bool, booted: str = BOOTED, folder: str = "") -> None:
        self._world = world
        self._user = user
        self._booted = booted
        usual = os.path.join(world.home, ".config/systemd/user") if user else "/etc/systemd/system"
        self.folder = folder or usual

    def runs(self) -> bool:
        """Whether systemd runs this host."""
        return os.path.isdir(self._booted)

    def path(self, name: str, suffix: str) -> str:
        """The file of a unit."""
        return os.path.join(self.folder, f"{name}.{suffix}")

    def converge(self, request: scheduled.Request, *, check: bool) -> Change:
        """Remove the unwanted jobs of a request, and install the wanted ones.

        Raises:
            JobError: a value cannot be written, or systemd refuses a unit. In the first case nothing was changed.
            FileError: a unit cannot be written or removed.
        """
        texts = {job.name: scheduled.units(job) for job in request.wanted}
        change = Change()
        if texts:
            if not self.runs():
                raise JobError("kind: systemd does not run this host. Use kind auto, or cron.")
            for job in request.wanted:
                if job.on_calendar and not self._same(self.path(job.name, "timer"), texts[job.name]["timer"]):
                    self._check_calendar(job.on_calendar)
        if request.unwanted:
            change.add(self.remove(request.unwanted, check=check))
        if texts:
            change.add(self.ensure(texts, check=check))
        return change

    def ensure(self, texts: Texts, *, check: bool) -> Change:
        """Install units with exactly these texts, and have their timers enabled and active.

        Args:
            texts: the units.
            check: only report the change.

        Raises:
            JobError: systemd refuses a unit.
            FileError: a unit cannot be written.
        """
        change = Change()
        for name, wanted in texts.items():
            self._compare(name, wanted, change)
        states = self._states(list(texts))
        stale = any(state.get("NeedDaemonReload") == "yes" for state in states.values())
        idle = [name for name in texts if not _waiting(states.get(f"{name}.timer", {}))]
        rewritten = [name for name in texts if self.path(name, "timer") in change.written]
        change.started = [name for name in texts if name in {*idle, *rewritten}]
        if stale and not change.changed:
            # A run was killed between a write and the reload, or somebody changed a drop-in.
            change.started = list(texts)
        if check or not change.changed:
            return change
        for path in change.written:
            files.make_directories(self.folder, 0o755)
            files.replace(path, change.after[path].encode(), 0o644, durable=True)
        if change.written or stale:
            self._call("daemon-reload")
        timers = [f"{name}.timer" for name in change.started]
        if timers:
            self._call("enable", *timers)
            self._call("restart", *timers)
        return change

    def remove(self, names: t.Sequence[str], *, check: bool) -> Change:
        """Stop timers and remove them with their services. A service that runs now ends by itself.

        Raises:
            JobError: systemd does not stop a timer.
            FileError: a file cannot be removed.
        """
        change = Change()
        for name in names:
            for suffix in _SUFFIXES:
                path = self.path(name, suffix)
                if os.path.lexists(path):
                    change.removed.append(path)
                    change.before[path], change.after[path] = self._read(path), ""
            change.commands[name] = _command(change.before.get(self.path(name, "service"), ""))
        if check or not change.removed:
            return change
        timers = [name for name in names if self.path(name, "timer") in change.removed]
        if timers and self.runs():
            self._call("disable", "--now", *(f"{name}.timer" for name in timers))
        for path in change.removed:
            files.remove(path)
        if self.runs():
            self._call("daemon-reload")
            # A unit that failed stays in the list of failed units after its file is gone.
            gone = sorted({os.path.splitext(os.path.basename(path))[0] for path in change.removed})
            self._call("reset-failed", *(f"{name}.service" for name in gone), must=False)
        return change

    def next_runs(self, names: t.Sequence[str]) -> dict[str, str]:
        """When each timer fires next, as ISO 8601 in UTC; "" where systemd does not know it."""
        states = self._states(names) if self.runs() else {}
        return {name: self._next(states.get(f"{name}.timer", {})) for name in names}

    def _check_calendar(self, expression: str) -> None:
        """Check a calendar expression before a unit with it is written.

        Raises:
            JobError: systemd does not know it.
        """
        try:
            done = self._world.run(["systemd-analyze", "calendar", expression], timeout=_TIMEOUT, check=False)
        except process.CommandError:
            return  # a small system has no systemd-analyze: systemd itself refuses the timer then
        if done.rc != 0:
            why = process.last_words(done.stderr, 1) or f"exit code {done.rc}"
            raise JobError(f"on_calendar: systemd does not know {shown(expression)} ({why}). See systemd.time(7).")

    def _compare(self, name: str, wanted: t.Mapping[str, str], change: Change) -> None:
        for suffix in _SUFFIXES:
            path = self.path(name, suffix)
            now = self._read(path)
            if not self._same(path, wanted[suffix]):
                change.written.append(path)
                change.before[path], change.after[path] = now, wanted[suffix]
            if suffix == "service":
                change.commands[name] = _command(now)

    def _same(self, path: str, text: str) -> bool:
        return not files.write_if_changed(path, text.encode(), 0o644, durable=True, check=True)

    def _read(self, path: str) -> str:
        try:
            with files.open_regular(path) as stream:
                return stream.read().decode("utf-8", "replace")
        except OSError:
            return ""

    def _states(self, names: t.Sequence[str]) -> dict[str, dict[str, str]]:
        """The properties of the units of these names, by unit."""
        ids = [f"{name}.{suffix}" for name in names for suffix in _SUFFIXES]
        text = self._call("show", f"--property={','.join(_PROPERTIES)}", *ids).stdout if ids else ""
        found = {}
        for block in text.split("\n\n"):
            state = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
            found[state.get("Id", "")] = state
        return found

    def _next(self, state: t.Mapping[str, str]) -> str:
        times = []
        try:
            when = time.strptime(state.get("NextElapseUSecRealtime", ""), "%a %Y-%m-%d %H:%M:%S UTC")
            times.append(float(calendar.timegm(when)))
        except ValueError:
            pass
        since_boot = schedule.span_or_none(state.get("NextElapseUSecMonotonic", ""))
        if since_boot:
            times.append(self._world.epoch() + since_boot - self._world.monotonic())
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(min(times))) if times else ""

    def _call(self, *words: str, must: bool = True) -> process.Result:
        """Run systemctl. Its times are in UTC."""
        environ = {**self._world.environ, "TZ": "UTC"}
        if self._user:
            environ.setdefault("XDG_RUNTIME_DIR", f"/run/user/{self._world.uid}")
        argv = ["systemctl", *(["--user"] if self._user else []), *words]
        try:
            return self._world.run(argv, timeout=_TIMEOUT, check=must, env=environ)
        except process.CommandError as error:
            raise JobError(f"the timer cannot be changed: {error}") from error


def _waiting(state: t.Mapping[str, str]) -> bool:
    return state.get("UnitFileState") == "enabled" and state.get("ActiveState") == "active"


def _command(text: str) -> list[str]:
    """The command of a service, an empty list when it cannot be read."""
    try:
        return jobs.command_of(text)
    except JobError:
        return []
