# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One line for each host of a run, the worst first."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

UNREACHABLE, FAILED, NOT_OK, OK = "unreachable", "failed", "not ok", "ok"
_ORDER = (UNREACHABLE, FAILED, NOT_OK, OK)
_WIDTH = 160


@dataclass
class Host:
    """What a run knows of one host.

    Attributes:
        unreachable: why it did not answer, "" when it did.
        failed: the failed task and its message, "" when none failed.
        problems: what is not as promised, by the report and the watch. None when neither ran.
        changed: tasks that changed something.
    """

    unreachable: str = ""
    failed: str = ""
    problems: list[str] | None = None
    changed: int = 0

    @property
    def state(self) -> str:
        """One of unreachable, failed, not ok and ok."""
        if self.unreachable:
            return UNREACHABLE
        if self.failed:
            return FAILED
        return NOT_OK if self.problems else OK

    @property
    def text(self) -> str:
        """The reason of the state in one line."""
        if self.state == NOT_OK:
            first, more = (self.problems or [""])[0], len(self.problems or ()) - 1
            return first + (f" (and {more} more)" if more else "")
        said = {UNREACHABLE: self.unreachable, FAILED: self.failed}.get(self.state, "")
        return said or (f"{self.changed} changed" if self.changed else "nothing changed")


@dataclass
class Summary:
    """The hosts of a run, by name."""

    hosts: dict[str, Host] = field(default_factory=dict)

    def of(self, name: str) -> Host:
        """The host of this name, added when it is new."""
        return self.hosts.setdefault(name, Host())

    def result(self, name: str, result: t.Mapping[str, t.Any]) -> None:
        """Take the report of stack_report or the document of stack_watch from a task's result."""
        document, report = result.get("document"), result.get("report")
        if isinstance(document, dict) and "findings" in document:
            self._add(name, [] if document.get("ok") else list(document.get("lines") or ["not as promised"]))
        elif isinstance(report, dict) and "ok" in report:
            self._add(name, [] if report["ok"] else [_reported(report)])

    def _add(self, name: str, problems: list[str]) -> None:
        host = self.of(name)
        host.problems = [*(host.problems or ()), *problems]

    def lines(self) -> list[str]:
        """The lines, the worst host first and hosts of one state by name. Empty for a single host."""
        if len(self.hosts) < 2:
            return []
        rows = sorted(self.hosts.items(), key=lambda row: (_ORDER.index(row[1].state), row[0]))
        wide = max(len(name) for name, _host in rows)
        counted = [f"{sum(host.state == state for _name, host in rows)} {state}" for state in _ORDER]
        used = [words for words in counted if not words.startswith("0 ")]
        return [f"{len(rows)} hosts: {', '.join(used)}"] + [
            _cut(f"  {name:<{wide}}  {host.state:<11}  {' '.join(host.text.split())}") for name, host in rows
        ]


def _reported(report: t.Mapping[str, t.Any]) -> str:
    """The first part of a report that is not good."""
    services, mounts = report.get("services") or (), report.get("mounts") or ()
    bad = [str(row.get("name") or row.get("service")) for row in services if not row.get("ok")]
    if bad or not services:
        return f"services that are not healthy: {', '.join(bad)}" if bad else "no service runs"
    broken = [row for row in mounts if row.get("verdict") != "ok"]
    if broken:
        return f"{len(broken)} of {len(mounts)} mounts are not proven"
    if any(not row.get("ok") for row in report.get("endpoints") or ()):
        return "an endpoint does not answer"
    return "the backups have problems"


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"
