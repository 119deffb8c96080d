# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics for the textfile collector of Prometheus' node exporter. Their alerts are in roles/backups/files."""

from __future__ import annotations

import os

from ansible_collections.onebox.stack.plugins.module_utils.backup.configuration import BackupConfig
from ansible_collections.onebox.stack.plugins.module_utils.backup.reports import StatusReport
from ansible_collections.onebox.stack.plugins.module_utils.core import files


def text(config: BackupConfig, status: StatusReport) -> str:
    """The result of :func:`status.inspect` in Prometheus' text format: times in seconds since 1970, sizes in bytes."""
    stack = config.stack.replace("\\", "\\\\").replace('"', '\\"')
    lines = []

    def add(name: str, what: str, value: float | None, extra: str = "") -> None:
        if value is None:
            return
        full = f"onebox_backup_{name}"
        if f"# TYPE {full} gauge" not in lines:
            lines.extend([f"# HELP {full} {what}", f"# TYPE {full} gauge"])
        lines.append(f'{full}{{stack="{stack}"{extra}}} {value:.16g}')

    add("sets", "Committed sets in the local repository.", status.sets)
    add("last_success_timestamp_seconds", "When the newest committed set was taken.", status.last_good_at)
    add("last_run_timestamp_seconds", "When the last run ended.", status.last_run_at)
    add("last_run_ok", "1 when the last run ended without any error, off-site included.", status.last_run_ok)
    add("last_size_bytes", "Bytes of the newest set's staged files.", status.last_size)
    add("last_duration_seconds", "How long the last run took.", status.last_seconds)
    add("max_age_seconds", "Largest allowed age of the newest set.", config.max_age_hours * 3600)
    rehearsals = (
        ("rehearsal_last_success_timestamp_seconds", "When a set was last restored and found equal.", "good_at"),
        ("rehearsal_last_ok", "1 when the last rehearsal succeeded.", "ok"),
        ("rehearsal_restore_seconds", "How long the restore in the last rehearsal took.", "seconds"),
    )
    for name, what, key in rehearsals:
        for where, note in sorted(status.rehearsals.items()):
            add(name, what, note.get(key), f',where="{where}"')
    checks = (
        ("last_check_ok", "1 when the last check of the repository found no damage.", "ok"),
        ("last_check_timestamp_seconds", "When the repository was last checked.", "at"),
    )
    for name, what, key in checks:
        for where, note in sorted(status.checks.items()):
            add(name, what, note.get(key), f',where="{where}"')
    lag = status.offsite_lag
    # Before the first copy every set counts as missing off-site. A missing series would not trigger an alert.
    lag = status.sets if lag is None and config.offsite is not None else lag
    add("offsite_lag_sets", "Committed local sets that are not known to be off-site.", lag)
    for name, source in sorted(status.sources.items()):
        add("source_entries", "Rows, keys or entries of a source in the newest set.", source, f',source="{name}"')
    return "\n".join(lines) + "\n"


def write(path: str, content: str) -> None:
    """Write the metrics for the node exporter's textfile collector, with the mode 0644 that it needs.

    Raises:
        FileError: they cannot be written.
    """
    files.make_directories(os.path.dirname(path), 0o755)
    files.replace(path, content.encode(), 0o644, durable=True)
