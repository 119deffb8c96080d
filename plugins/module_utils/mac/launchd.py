# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control launchd, and trust only its ``print`` command.

Exit codes of ``launchctl`` differ between versions: ``bootout`` of a job that is not loaded ends with 3 on older
systems and with 5 on newer ones, 36 means "still stopping" and is not a failure, and ``print`` of an unknown job ends
with 113. So only the codes of ``print`` count. A change is requested, then ``print`` is polled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.mac.errors import MacError

NOT_FOUND = (3, 113, 125)  # no such process; no such service; no such domain (no user is logged in)
_DISABLED = re.compile(r'^\s*"(?P<label>[^"]+)"\s*=>\s*(?P<value>true|false|enabled|disabled)\s*$')
_PID = re.compile(r"^\s*pid = (\d+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Job:
    """One job of one domain. ``pid`` is 0 if it is loaded and does not run."""

    domain: str
    label: str
    loaded: bool
    pid: int


class Launchctl:
    """The command, for the agents of one user.

    Args:
        world: the user, processes and clocks.
        executable: a path, or a name.
    """

    def __init__(self, world: World, executable: str = "/bin/launchctl") -> None:
        self.world = world
        self._executable = executable

    def _call(self, *words: str) -> process.Result:
        try:
            return self.world.run([self._executable, *words], timeout=30.0, check=False)
        except process.CommandMissing as error:
            raise MacError(f"{error}. LaunchAgents exist only on macOS.") from error
        except process.CommandError as error:
            raise MacError(f"launchd does not answer: {error}") from error

    def domains(self, wanted: str) -> list[str]:
        """The domains to query. ``gui`` exists only while the user is logged in at the screen, ``user`` always."""
        kinds = ("gui", "user") if wanted == "auto" else (wanted,)
        return [f"{kind}/{self.world.uid}" for kind in kinds]

    def job(self, domain: str, label: str) -> Job:
        """The current state of a job.

        Raises:
            MacError: ``print`` ended with an unknown code.
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
        """Labels in the override database, which has priority over the file. Others are enabled."""
        return parse_disabled(self._call("print-disabled", domain).stdout)

    def loaded_labels(self) -> list[str]:
        """Labels of all jobs of the caller's own domain, also of those without a file."""
        return parse_list(self._call("list").stdout)

    def set_disabled(self, domain: str, label: str, value: bool) -> None:
        """Disable or enable a job in the override database. This needs no loaded job, and survives a restart."""
        verb = "disable" if value else "enable"
        done = self._call(verb, f"{domain}/{label}")
        if done.rc not in (0, *NOT_FOUND):
            raise MacError(f"launchctl {verb} {domain}/{label} failed: {process.last_words(done.stderr)}")

    def unload(self, domain: str, label: str, timeout: float) -> None:
        """``bootout`` by name, then wait until the job is gone. ``print`` shows a stopping job for a while.

        Raises:
            MacError: it is still loaded after ``timeout`` seconds.
        """
        done = self._call("bootout", f"{domain}/{label}")
        if not self.world.wait_until(lambda: not self.job(domain, label).loaded, timeout, 0.1):
            raise MacError(
                f"{domain}/{label} is still loaded {timeout:g} s after launchctl bootout "
                f"(exit code {done.rc}: {process.last_words(done.stderr) or 'no message'}). Inspect it with: "
                f"launchctl print {domain}/{label}"
            )

    def load(self, domain: str, label: str, path: str, timeout: float) -> None:
        """``bootstrap`` the file until the job is loaded. While an old job is unloading, it fails with 5.

        Raises:
            MacError: it is not loaded after ``timeout`` seconds.
        """
        last: list[process.Result] = []

        def loaded() -> bool:
            last[:] = [self._call("bootstrap", domain, path)]
            return self.job(domain, label).loaded

        if not self.world.wait_until(loaded, timeout):
            raise MacError(
                f"launchctl bootstrap {domain} {path} does not load {label} "
                f"(exit code {last[0].rc}: {process.last_words(last[0].stderr) or 'no message'}). Log in at the "
                "screen first: until then, only the domain user exists."
            )


def parse_disabled(text: str) -> dict[str, bool]:
    """``print-disabled``: true and false before macOS 13, disabled and enabled since. Other blocks are skipped."""
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
