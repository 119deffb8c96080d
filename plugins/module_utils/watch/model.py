# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A finding of the watch, and the rules by which each kind of finding is raised and cleared."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError

CRITICAL, WARNING, INFO = "critical", "warning", "info"
SEVERITIES = (CRITICAL, WARNING, INFO)
# One probe's answer, as JSON holds it. With the key ``error`` there is no data.
Facts = t.Mapping[str, t.Any]
# The watch's own notes of earlier runs, as JSON holds them.
Notes = t.Dict[str, t.Any]  # noqa: UP006 (evaluated at import, where type checkers for 3.9 want typing)


class WatchError(OneboxError):
    """The watch cannot run. The text names the file or the key, and what to do."""


@dataclass(frozen=True)
class Rule:
    """When a kind of finding is raised and cleared.

    Attributes:
        severity: critical, warning or info.
        sightings: consecutive runs that must see it before it is raised. More of them keep a deploy, a restart or a
            busy host from raising it.
        quiet: consecutive runs without it before it is cleared.
    """

    severity: str
    sightings: int = 1
    quiet: int = 2


@dataclass(frozen=True)
class Finding:
    """One thing that is not as promised.

    Attributes:
        code: the kind, a key of :data:`RULES`.
        where: the stack and service, path, URL or unit.
        what: the problem, one line.
        fix: the command to type.
        since: seconds since 1970, where the problem itself has a known beginning; 0 otherwise.
        severity: other than that of the rule, "" for the rule's.
    """

    code: str
    where: str
    what: str
    fix: str
    since: float = 0.0
    severity: str = ""

    @property
    def key(self) -> str:
        """The finding's identity over time, which ``acknowledge`` matches."""
        return f"{self.code} {self.where}"


RULES: t.Mapping[str, Rule] = {
    "engine_no_answer": Rule(CRITICAL, 2),
    "stack_absent": Rule(CRITICAL, 2),
    "stack_no_data": Rule(CRITICAL, 2),
    "promise_no_data": Rule(WARNING, 2),
    "service_missing": Rule(CRITICAL, 2),
    "service_exited": Rule(CRITICAL, 2),
    "service_paused": Rule(WARNING, 2),
    "unhealthy": Rule(CRITICAL, 2, 3),
    "crash_loop": Rule(CRITICAL, 1, 3),
    "unexpected_exit": Rule(WARNING, 1, 1),
    "oom_killed": Rule(CRITICAL, 1, 1),
    "deploy_stuck": Rule(WARNING, 1),
    "mount_broken": Rule(CRITICAL, 2),
    "mount_unverifiable": Rule(WARNING, 2),
    "mounts_no_data": Rule(CRITICAL, 2),
    "data_at_risk": Rule(WARNING, 3, 6),
    "drift": Rule(WARNING, 2),
    "drift_undeclared": Rule(WARNING, 2),
    "plan_refused": Rule(WARNING, 2),
    "plan_no_data": Rule(WARNING, 2),
    "backup_failed": Rule(CRITICAL),
    "backup_old": Rule(CRITICAL),
    "backup_no_data": Rule(CRITICAL, 2),
    "backup_damaged": Rule(CRITICAL),
    "offsite_old": Rule(CRITICAL),
    "offsite_no_data": Rule(CRITICAL, 2),
    "rehearsal_failed": Rule(CRITICAL),
    "rehearsal_old": Rule(WARNING),
    "rehearsal_no_data": Rule(WARNING, 2),
    "disk_full": Rule(CRITICAL, 2),
    "disk_fills": Rule(WARNING, 3, 6),
    "inodes_full": Rule(CRITICAL, 2),
    "inodes_fill": Rule(WARNING, 3, 6),
    "disk_no_data": Rule(CRITICAL, 2),
    "log_unbounded": Rule(WARNING, 2),
    "log_grows": Rule(WARNING, 3, 6),
    "certificate_expires": Rule(WARNING, 2),
    "certificate_invalid": Rule(CRITICAL, 2),
    "endpoint_fails": Rule(CRITICAL, 2),
    "clock_unsynchronised": Rule(WARNING, 3),
    "clock_jumped": Rule(WARNING, 1, 1),
    "clock_no_data": Rule(WARNING, 2),
    "image_old": Rule(INFO, 2),
    "unit_failed": Rule(CRITICAL, 2),
    "timer_stopped": Rule(CRITICAL, 2),
    "units_no_data": Rule(WARNING, 2),
    "launch_ended": Rule(CRITICAL),
    "launch_stalled": Rule(WARNING, 2),
    "launch_no_data": Rule(WARNING, 2),
    "watch_gap": Rule(WARNING, 1, 1),
    "watch_silent": Rule(CRITICAL),
    "watch_cut_short": Rule(WARNING, 2),
    "restart_refused": Rule(CRITICAL),
    "report_failed": Rule(WARNING, 2),
}
