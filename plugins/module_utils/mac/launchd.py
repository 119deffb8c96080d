# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talk to launchd, and believe only what ``print`` says afterwards.

``launchctl`` has exit codes of its own for the same outcome in different versions: ``bootout`` of a job that is not
loaded is 3 on older systems and 5 on newer ones, 36 means "still stopping" and is no failure, ``print`` of an unknown
job is 113. So no code but those of ``print`` decides anything; a change is asked for, then ``print`` is polled.
"""

from __future__ import annotations

import re
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.mac.errors import MacError

NOT_FOUND = (3, 113, 125)  # no such process; no such service; the domain is not there (nobody logged in)
_DISABLED = re.compile(r'^\s*"(?P<label>[^"]+)"\s*=>\s*(?P<value>true|false|enabled|disabled)\s*$')
_PID = re.compile(r"^\s*pid = (\d+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Job:
    """One job of one domain. ``pid`` is 0 when it is loaded and does not run."""

    domain: str
    label: str
    loaded: bool
    pid: int


class Launchctl:
    """The command, for one user.

    Args:
        uid: whose agents.
        executable: a path, or a name.
        run: starts a process.
        clock, sleep: time, for waiting.
    """

    def __init__(
        self,
        uid: int,
        executable: str = "/bin/launchctl",
        run: process.Runner = process.run,
        clock: t.Callable[[], float] = time.monotonic,
        sleep: t.Callable[[float], None] = time.sleep,
    ) -> None:
        self.uid = uid
        self._executable = executable
        self._run = run
        self._clock = clock
        self._sleep = sleep

    def _call(self, *words: str) -> process.Result:
        try:
            return self._run([self._executable, *words], timeout=30.0, check=False)
        except process.CommandMissing as error:
            raise MacError(f"{error}: LaunchAgents are a part of macOS; there are none on this host") from error
        except process.CommandError as error:
            raise MacError(f"launchd does not answer: {error}") from error

    def domains(self, wanted: str) -> list[str]:
        """Where to look. ``gui`` is there only while the user is logged in at the screen; ``user`` always is."""
        kinds = ("gui", "user") if wanted == "auto" else (wanted,)
        return [f"{kind}/{self.uid}" for kind in kinds]

    def job(self, domain: str, label: str) -> Job:
        """What launchd knows of a job now.

        Raises:
            MacError: ``print`` answered with a code that is neither "there" nor "not there".
        """
        done = self._call("print", f"{domain}/{label}")
        if done.rc in NOT_FOUND:
            return Job(domain, label, False, 0)
        if done.rc != 0:
            raise MacError(
                f"launchctl print {domain}/{label} failed with exit code {done.rc}: {process.last_words(done.stderr)}"
            )
        pid = _PID.search(done.stdout)
        return Job(domain, label, True, int(pid.group(1)) if pid else 0)

    def disabled(self, domain: str) -> dict[str, bool]:
        """Labels with an entry in the override database, which wins over the file. Missing means enabled."""
        return parse_disabled(self._call("print-disabled", domain).stdout)

    def loaded_labels(self) -> list[str]:
        """Labels of all jobs of the caller's own domain, also those whose file has gone."""
        return parse_list(self._call("list").stdout)

    def set_disabled(self, domain: str, label: str, value: bool) -> None:
        """Enter it in the override database; that also works for a job that is not loaded, and survives a restart."""
        verb = "disable" if value else "enable"
        done = self._call(verb, f"{domain}/{label}")
        if done.rc not in (0, *NOT_FOUND):
            raise MacError(f"launchctl {verb} {domain}/{label} failed: {process.last_words(done.stderr)}")

    def unload(self, domain: str, label: str, patience: float) -> None:
        """``bootout`` by name, then wait until it is gone; a stopping job is still shown for a while.

        Raises:
            MacError: it is still there after ``patience`` seconds.
        """
        done = self._call("bootout", f"{domain}/{label}")
        until = self._clock() + patience
        while self.job(domain, label).loaded:
            if self._clock() >= until:
                raise MacError(
                    f"{domain}/{label} is still loaded {patience:g} s after launchctl bootout "
                    f"(exit code {done.rc}: {process.last_words(done.stderr) or 'no message'}); look with: "
                    f"launchctl print {domain}/{label}"
                )
            self._sleep(0.1)

    def load(self, domain: str, label: str, path: str, patience: float) -> None:
        """``bootstrap`` the file, then wait until the job is there; half-unloaded jobs make it fail with 5 for a while.

        Raises:
            MacError: it is not there after ``patience`` seconds.
        """
        until = self._clock() + patience
        while True:
            done = self._call("bootstrap", domain, path)
            if self.job(domain, label).loaded:
                return
            if self._clock() >= until:
                raise MacError(
                    f"launchctl bootstrap {domain} {path} does not load {label} "
                    f"(exit code {done.rc}: {process.last_words(done.stderr) or 'no message'}); is somebody logged in "
                    "at the screen? Without that, only the domain user is there"
                )
            self._sleep(0.2)


def parse_disabled(text: str) -> dict[str, bool]:
    """``print-disabled``: true and false before macOS 13, disabled and enabled since; other blocks are skipped."""
    found = {}
    for line in text.splitlines():
        match = _DISABLED.match(line)
        if match:
            found[match.group("label")] = match.group("value") in ("true", "disabled")
        elif line.strip().startswith("login item associations"):
            break
    return found


def parse_list(text: str) -> list[str]:
    """``launchctl list``: PID, status and label, separated by tabs, under a heading."""
    rows = [line.split("\t") for line in text.splitlines()[1:]]
    return [row[2] for row in rows if len(row) == 3]
