# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports as lines of text, for the command line."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.reports import (
    BackupReport,
    Dict,
    DueReport,
    RehearsalReport,
    RestoreReport,
    SelfTestReport,
    SourceResult,
    StatusReport,
)


def lines(command: str, report: Dict) -> list[str]:
    """The report of a command as lines."""
    return [*_common(report), *_COMMANDS[command](report)]


def _common(report: Dict) -> t.Iterator[str]:
    # In a status, ``sources`` is a mapping of counts.
    for row in [SourceResult.from_dict(row) for row in report.get("sources") or () if isinstance(row, dict)]:
        yield f"{'ok    ' if row.ok else 'FAILED'} {row.kind:<10} {row.name} {row.error}".rstrip()
    for warning in report.get("warnings") or ():
        yield f"warning: {warning}"


def _backup(data: Dict) -> t.Iterator[str]:
    report = BackupReport.from_dict(data)
    if report.snapshot:
        yield f"set {report.snapshot['seq']}: {report.snapshot['size']} bytes, {report.seconds} s"
        if report.pruned:
            yield "deleted: " + ", ".join(map(str, report.pruned))


def _plan(plan: Dict) -> t.Iterator[str]:
    for seq, why in plan["keep"].items():
        yield f"keep   {seq}: {', '.join(why)}"
    for seq in plan["delete"]:
        yield f"delete {seq}"
    if plan["reason"]:
        yield f"because: {plan['reason']}"


def _status(data: Dict) -> t.Iterator[str]:
    report = StatusReport.from_dict(data)
    for row in report.rows:
        marks = [word for word, true in (("rehearsed", row.rehearsed), ("pinned", row.pinned)) if true]
        marks += [] if row.authentic or row.problem else ["not authenticated"]
        marks += [row.problem] if row.problem else []
        marks += [f"without {name}" for name in row.lacks]
        yield f"{row.seq:>6} {row.taken} {row.size:>12} {' '.join(marks)}".rstrip()
    for note in report.notes:
        yield f"note: {note}"
    for problem in report.problems:
        yield f"problem: {problem}"
    yield "healthy" if report.healthy else "NOT healthy"


def _rehearse(data: Dict) -> t.Iterator[str]:
    if "controls" in data:
        yield from _self_test(SelfTestReport.from_dict(data))
        return
    report = RehearsalReport.from_dict(data)
    for row in report.sources:
        not_compared = (row.found or {}).get("not_compared")
        if not_compared:
            yield f"not compared in {row.name}: {'; '.join(not_compared)}"
    yield f"set {report.seq}: {'restored and equal' if report.ok else 'NOT good'}, {report.seconds} s"


def _self_test(report: SelfTestReport) -> t.Iterator[str]:
    for control in report.controls:
        yield f"{'caught' if control.caught else 'MISSED'} {control.damage}"
    for damage in report.skipped:
        yield f"SKIPPED {damage}: no source of its kind"
    yield f"set {report.seq}: {'every damage was found' if report.ok else 'NOT good'}, {report.seconds} s"


def _restore(data: Dict) -> t.Iterator[str]:
    report = RestoreReport.from_dict(data)
    undone = "not done" if report.error else "would"
    for step in report.steps:
        yield f"{'done' if step in report.finished else undone}: {step}"
    for path in report.aside:
        yield f"kept: {path}"
    if not report.done and not report.error:
        yield f"nothing was changed; to restore, add --yes {report.stack}"


def _due(data: Dict) -> t.Iterator[str]:
    report = DueReport.from_dict(data)
    for row in report.jobs:
        yield f"{'FAILED' if row.error else 'ok    '} {row.job}"
    if not report.jobs:
        yield "nothing is due"


def _pin(data: Dict) -> t.Iterator[str]:
    yield "pinned: " + (", ".join(map(str, data["pinned"])) or "none")


_COMMANDS: dict[str, t.Callable[[Dict], t.Iterator[str]]] = {
    "backup": _backup,
    "plan": _plan,
    "status": _status,
    "check": _status,
    "rehearse": _rehearse,
    "restore": _restore,
    "due": _due,
    "pin": _pin,
}
