# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sign of life while a task runs long, the time each role took, and the report as the last thing on the screen."""

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: aggregate
short_description: Shows that a long task is alive, how long each role took, and the report last
version_added: 0.1.0
author: The onebox.stack developers (@onebox-stack)
description:
  - Prints a line every few seconds while one task runs, so that a slow installation does not seem to hang.
  - Adds up how long each role took and offers it to the play as JSON in the environment variable E(ONEBOX_STEPS).
  - Prints the text that M(onebox.stack.stack_report) returned after everything else, as it is.
  - Prints the failures and their reasons after the reports, so that they are easy to find.
  - With several hosts, prints one line for each host last, the worst host first.
  - Prints which file of group_vars or host_vars is not YAML, with the line, or is encrypted when no vault password was
    given. Ansible itself names no file then.
requirements:
  - Enable it with C(callbacks_enabled = onebox.stack.progress) in C(ansible.cfg).
options:
  interval:
    description: Seconds between two lines of a task that is still running.
    type: float
    default: 4
    env:
      - name: ONEBOX_PROGRESS_INTERVAL
    ini:
      - section: callback_progress
        key: interval
  report:
    description:
      - Whether to print the text of M(onebox.stack.stack_report) and the lines of the hosts.
      - Molecule takes each line that begins with C(changed) for a task, so set it to V(false) there.
    type: bool
    default: true
    ini:
      - section: callback_progress
        key: report
"""

import json
import os
import pathlib
import threading
import time
import typing as t

from ansible.plugins.callback import CallbackBase
from ansible_collections.onebox.stack.plugins.plugin_utils import host_summary, value_files

STEPS_VARIABLE = "ONEBOX_STEPS"
REPORT_ACTION = "onebox.stack.stack_report"


class Steps:
    """Adds up seconds by role, in the order in which the roles began. Clock in, numbers out."""

    def __init__(self, clock: t.Callable[[], float]) -> None:
        self._clock = clock
        self._seconds: dict[str, float] = {}
        self._current = ""
        self._since = clock()

    def begin(self, role: str) -> None:
        """The time from now on belongs to ``role``; "" means to none."""
        now = self._clock()
        if self._current:
            self._seconds[self._current] = self._seconds.get(self._current, 0.0) + now - self._since
        self._current, self._since = role, now

    def seconds(self) -> dict[str, float]:
        """Finished time by role, in seconds to one decimal."""
        return {role: round(value, 1) for role, value in self._seconds.items()}


class CallbackModule(CallbackBase):
    """See DOCUMENTATION."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "onebox.stack.progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, display: t.Any = None) -> None:
        super().__init__(display)
        self._steps = Steps(time.monotonic)
        self._reports: dict[str, str] = {}
        self._failures: dict[str, str] = {}
        self._summary = host_summary.Summary()
        self._task = ""
        self._began = 0.0
        self._wake = threading.Condition()
        self._ended = False
        self._checked: set[pathlib.Path] = set()

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        threading.Thread(target=self._beat, args=(float(self.get_option("interval")),), daemon=True).start()

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        # The next thing that Ansible does is to read the values of the hosts; it ends the run at a file it cannot read.
        manager = play.get_variable_manager()
        inventory = manager._inventory
        hosts = inventory.get_hosts(play.hosts) if inventory else []
        groups = {group.name for host in hosts for group in host.get_groups()} | {"all"}
        sources = [pathlib.Path(source) for source in (inventory._sources or () if inventory else ())]
        folders = [source if source.is_dir() else source.parent for source in sources]
        folders.append(pathlib.Path(manager._loader.get_basedir()))
        files = value_files.find(folders, [host.name for host in hosts], sorted(groups))
        has_password = bool(getattr(manager._loader._vault, "secrets", None))
        for path in dict.fromkeys(files):
            problem = "" if path in self._checked else value_files.problem(path, has_password=has_password)
            self._checked.add(path)
            if problem:
                self._display.display(problem, color="red", stderr=True)

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        role = getattr(task, "_role", None)
        self._steps.begin(role.get_name(include_role_fqcn=False) if role else "")
        # The workers are forked from this process: lookup('env') returns the present value to them.
        os.environ[STEPS_VARIABLE] = json.dumps(self._steps.seconds())
        self._running(task.get_name().strip())

    def v2_playbook_on_handler_task_start(self, task: t.Any) -> None:
        self.v2_playbook_on_task_start(task, False)

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._summary.result(result.host.get_name(), result.result)
        if result.task.action == REPORT_ACTION and result.result.get("text"):
            self._reports[result.host.get_name()] = result.result["text"]

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        message = result.result.get("msg")
        if not ignore_errors and isinstance(message, str):
            self._failures[result.host.get_name()] = f"{result.task.get_name().strip()}\n{message}"

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        message = str(result.result.get("msg") or "did not answer")
        self._summary.of(result.host.get_name()).unreachable = message

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        self._running("")
        self._ended = True
        for text in self._reports.values() if self.get_option("report") else ():
            self._display.display("\n" + text.rstrip("\n"))
        for host, text in self._failures.items():
            if stats.summarize(host)["failures"]:  # and not rescued
                self._display.display(f"\n{host} failed at: {text}", color="red")
                self._summary.of(host).failed = text
        for host in stats.processed if stats else ():
            self._summary.of(host).changed = stats.summarize(host)["changed"]
        lines = self._summary.lines() if self.get_option("report") else []
        if lines:
            self._display.display("\n" + "\n".join(lines))

    def _running(self, task: str) -> None:
        with self._wake:
            self._task, self._began = task, time.monotonic()
            self._wake.notify()

    def _beat(self, interval: float) -> None:
        """Print a line for each ``interval`` seconds that one task has been running."""
        while not self._ended:
            with self._wake:
                self._wake.wait(timeout=interval)
                task, took = self._task, time.monotonic() - self._began
            if task and took >= interval * 0.9 and not self._ended:
                self._display.display(f"  ... {task} ({took:.0f} s)")
