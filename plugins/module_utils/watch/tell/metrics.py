# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The document as Prometheus metrics, for the node exporter's textfile collector."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import SEVERITIES, Facts

_HELP = {
    "onebox_watch_ok": "1 when nothing but notes and acknowledged findings is active.",
    "onebox_watch_last_run_timestamp_seconds": "When the watch last ran. Alert when it gets old or is absent.",
    "onebox_watch_interval_seconds": "Seconds between two runs of the watch.",
    "onebox_watch_duration_seconds": "How long the last run took.",
    "onebox_watch_findings": "Active findings that are not acknowledged, by severity.",
    "onebox_watch_finding": "1 for each active finding.",
    "onebox_watch_containers": "Containers of a stack, absent while the engine does not answer.",
    "onebox_watch_disk_free_bytes": "Free bytes of a filesystem.",
    "onebox_watch_disk_seconds_left": "Forecast seconds until the filesystem is full, absent when it does not grow.",
}
Row = t.Tuple[str, t.Dict[str, str], float]  # noqa: UP006 (evaluated at import, where type checkers for 3.9 want typing)


def text(found: Facts) -> str:
    """The metrics in the text format."""
    out: list[str] = []
    for name, labels, value in sorted(_rows(found), key=lambda row: list(_HELP).index(row[0])):
        if f"# TYPE {name} gauge" not in out:
            out += [f"# HELP {name} {_HELP[name]}", f"# TYPE {name} gauge"]
        pairs = ",".join(f'{key}="{_escape(label)}"' for key, label in labels.items())
        out.append(f"{name}{{{pairs}}} {value:.16g}")
    return "\n".join(out) + "\n"


def _rows(found: Facts) -> t.Iterator[Row]:
    watch = {"watch": str(found["host"])}
    yield "onebox_watch_ok", watch, int(found["ok"])
    yield "onebox_watch_last_run_timestamp_seconds", watch, round(found["at"])
    yield "onebox_watch_interval_seconds", watch, found["interval"]
    yield "onebox_watch_duration_seconds", watch, found["seconds"]
    counted = [row for row in found["findings"] if not row["acknowledged"]]
    for severity in SEVERITIES:
        number = sum(1 for row in counted if row["severity"] == severity)
        yield "onebox_watch_findings", {**watch, "severity": severity}, number
    for row in found["findings"]:
        labels = {key: str(row[key]) for key in ("code", "where", "severity")}
        yield "onebox_watch_finding", {**watch, **labels, "acknowledged": "1" if row["acknowledged"] else "0"}, 1
    for stack in found["stacks"]:
        if stack["live"].get("containers") is not None:
            yield "onebox_watch_containers", {**watch, "stack": stack["name"]}, len(stack["live"]["containers"])
    for disk in found["disks"]:
        labels = {**watch, "path": disk["path"]}
        if disk.get("error"):
            continue
        yield "onebox_watch_disk_free_bytes", labels, disk["free"]
        if disk["seconds_left"] is not None:
            yield "onebox_watch_disk_seconds_left", labels, round(disk["seconds_left"])


def _escape(value: str) -> str:
    clean = value.encode("utf-8", "backslashreplace").decode("utf-8")
    return clean.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def write(path: str, found: Facts) -> str:
    """Replace the metrics file in one step. Returns why it cannot be written, "" otherwise."""
    try:
        files.replace(path, text(found).encode(), 0o644, durable=False)
    except files.FileError as error:
        return f"metrics: {error}"
    return ""
