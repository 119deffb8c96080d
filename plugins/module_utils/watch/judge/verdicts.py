# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the judges share: the verdicts of one run, findings that stay for some hours, and words for people."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.commands import Commands
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import Finding, Notes

HOUR, DAY = 3600.0, 86400.0
_LONGEST = 240
_OF_THE_SYSTEM = Commands()


class Verdicts:
    """The findings of one run, and the kinds of findings that could not be judged.

    Attributes:
        now: seconds since 1970.
        host: the inventory's name of the host, for commands.
        notes: notes of earlier runs, which the judges update.
        findings: what is not as promised.
        commands: commands about timers and units on this host.
    """

    def __init__(self, now: float, host: str, notes: Notes, commands: Commands = _OF_THE_SYSTEM) -> None:
        self.now, self.host, self.notes, self.commands = now, host, notes, commands
        self.findings: list[Finding] = []
        self._unknown: list[tuple[tuple[str, ...], str]] = []

    def add(self, finding: Finding) -> None:
        """Report a finding."""
        self.findings.append(finding)

    def unknown(self, codes: t.Sequence[str], where: str = "") -> None:
        """State that there is no data for findings of these kinds at ``where`` and below. Known ones are kept."""
        self._unknown.append((tuple(codes), where))

    def is_unknown(self, code: str, where: str) -> bool:
        """Whether a finding that was not seen may exist all the same."""
        return any(
            code in codes and (not place or where == place or where.startswith((place + "/", place + ":")))
            for codes, place in self._unknown
        )

    def note(self, name: str) -> Notes:
        """The notes of one judge, kept for the next run."""
        found = self.notes.get(name)
        if not isinstance(found, dict):
            found = self.notes[name] = {}
        return found

    def hold(self, finding: Finding, seconds: float) -> None:
        """Report an event, which no later run can see, for ``seconds`` from now."""
        until = self.now + seconds
        self.note("held")[finding.key] = {**vars(finding), "since": finding.since or self.now, "until": until}

    def release(self) -> None:
        """Report the held events whose time is not over."""
        held = self.note("held")
        for key, row in list(held.items()):
            # A clock that was set back would keep it for too long.
            if not self.now < row["until"] < self.now + 8 * DAY:
                del held[key]
                continue
            self.add(Finding(**{name: row[name] for name in ("code", "where", "what", "fix", "since", "severity")}))


def one_line(text: str, most: int = _LONGEST) -> str:
    """A text of others as one printable line."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def span(seconds: float) -> str:
    """A time span: ``40 s``, ``12 min``, ``5 h``, ``3 days``."""
    seconds = max(0.0, seconds)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / HOUR:.0f} h" if seconds < 2 * DAY else f"{seconds / DAY:.0f} days"


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def moment(at: float) -> str:
    """A time in UTC: ``2026-11-29 03:15Z``."""
    return time.strftime("%Y-%m-%d %H:%MZ", time.gmtime(at))
