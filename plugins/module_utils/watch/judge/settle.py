# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Raise and clear findings over several runs, so that what comes and goes is reported once.

Each finding keeps the runs that saw it, newest last, as a text of ``1`` (seen) and ``0`` (not seen). It is raised when
the last runs all saw it, or half of the last six did: a service that fails every other run is as broken as one that
fails in each. It is cleared after some runs in a row without it. Runs without data change nothing.
"""

from __future__ import annotations

import datetime
import fnmatch
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.watch.config import Acknowledged
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.verdicts import Verdicts
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import INFO, RULES, SEVERITIES, Finding, Notes

_REMEMBERED = 6
_FLAPS = 3


@dataclass
class Outcome:
    """The findings after this run.

    Attributes:
        active: raised findings as rows of the document, worst first.
        pending: findings that more runs must see before they are raised.
        raised: keys that became active in this run.
        cleared: rows that were cleared in this run.
    """

    active: list[dict[str, t.Any]] = field(default_factory=list)
    pending: list[dict[str, t.Any]] = field(default_factory=list)
    raised: list[str] = field(default_factory=list)
    cleared: list[dict[str, t.Any]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing but notes and acknowledged findings is active."""
        return not any(row["severity"] != INFO and not row["acknowledged"] for row in self.active)


def settle(verdicts: Verdicts, acknowledge: t.Sequence[Acknowledged], *, at_once: bool = False) -> Outcome:
    """Compare the findings of this run with those of earlier runs, which the notes hold and this function updates.

    Args:
        verdicts: the findings of this run.
        acknowledge: findings the owner knows of.
        at_once: raise every finding in its first run, for a check by hand.
    """
    known: Notes = verdicts.note("findings")
    outcome = Outcome()
    seen = {finding.key: finding for finding in verdicts.findings}
    for key, finding in seen.items():
        known[key] = _sighted(known.get(key), finding, verdicts.now)
    for key, row in list(known.items()):
        rule = RULES.get(row["code"])
        if rule is None:
            del known[key]  # of a release that knew other findings
            continue
        if key not in seen:
            if at_once or not verdicts.is_unknown(row["code"], row["where"]):
                row["runs"] = (row["runs"] + "0")[-_REMEMBERED:]
            else:
                row["stale"] = True
        was_active = bool(row["active"])
        row["active"] = _active(row["runs"], was_active, rule.sightings, rule.quiet, at_once and key in seen)
        if at_once and key not in seen:
            row["active"] = False
        shown = _shown(row, key, acknowledge, verdicts.now)
        if row["active"]:
            outcome.active.append(shown)
            if not was_active:
                outcome.raised.append(key)
        elif was_active:
            outcome.cleared.append(shown)
        elif key in seen:
            outcome.pending.append(shown)
        if "1" not in row["runs"]:
            del known[key]
    outcome.active.sort(key=lambda row: (bool(row["acknowledged"]), SEVERITIES.index(row["severity"]), row["since"]))
    return outcome


def _sighted(before: Notes | None, finding: Finding, now: float) -> Notes:
    row = before or {"runs": "", "active": False, "first": now}
    return {
        "code": finding.code,
        "where": finding.where,
        "what": finding.what,
        "fix": finding.fix,
        "severity": finding.severity or RULES[finding.code].severity,
        "since": finding.since or min(row.get("since") or now, row["first"], now),
        "first": min(row["first"], now),
        "runs": (row["runs"] + "1")[-_REMEMBERED:],
        "active": row["active"],
        "stale": False,
    }


def _active(runs: str, active: bool, sightings: int, quiet: int, at_once: bool) -> bool:
    if active:
        return not runs.endswith("0" * quiet)
    return (
        at_once or runs.endswith("1" * sightings) or (runs.endswith("1") and runs.count("1") >= max(_FLAPS, sightings))
    )


def _shown(row: Notes, key: str, acknowledge: t.Sequence[Acknowledged], now: float) -> dict[str, t.Any]:
    today = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).date()
    given = [
        each
        for each in acknowledge
        if each.until >= today and (fnmatch.fnmatchcase(key, each.finding) or row["code"] == each.finding)
    ]
    until = max((each.until for each in given), default=None)
    return {
        "key": key,
        **{name: row[name] for name in ("code", "where", "what", "fix", "severity", "since")},
        "current": not row.get("stale", False) and row["runs"].endswith("1"),
        "acknowledged": until.isoformat() if until else "",
        "reason": next((each.reason for each in given if each.reason), ""),
    }
