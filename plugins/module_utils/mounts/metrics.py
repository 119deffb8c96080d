# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result as Prometheus metrics, for the node exporter's textfile collector."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import files

_HELP = {
    "onebox_mounts_ok": "1 if every mount of the stack was proven at the last check.",
    "onebox_mounts_checked": "Mounts checked.",
    "onebox_mounts_failed": "Mounts that are wrong.",
    "onebox_mounts_unverifiable": "Mounts that could not be checked.",
    "onebox_mounts_unpersisted_files": "Files written outside every mount, if searched for.",
    "onebox_mounts_data_at_risk": "Paths with data that the next down or recreate would lose.",
    "onebox_mounts_services": "Services with a running container.",
    "onebox_mounts_services_promised": "Services that the last deploy left running, 0 without one.",
    "onebox_mounts_check_time_seconds": "End of the last check, in seconds since the epoch. Alert if it is old.",
    "onebox_mounts_check_duration_seconds": "Duration of the last check.",
    "onebox_mount_verdict": "1 for each mount that is not proven, with its verdict.",
}


def text(result: t.Mapping[str, t.Any] | None, stack: str, now: float) -> str:
    """The metrics in the text format.

    Args:
        result: of :func:`verify`; None if the check did not run.
        stack: value of the label ``stack``.
        now: seconds since the epoch.
    """
    labels = {"stack": stack}
    rows: list[tuple[str, dict[str, str], float]] = [("onebox_mounts_ok", labels, int(bool(result and result["ok"])))]
    if result is not None:
        summary = result["summary"]
        rows += [(f"onebox_mounts_{key}", labels, summary[key]) for key in ("checked", "failed", "unverifiable")]
        services = result["services"]
        rows.append(("onebox_mounts_services", labels, services["running"]))
        rows.append(("onebox_mounts_services_promised", labels, services["promised"]))
        files = sum(row["files"] for row in result["ephemeral_writes"])
        rows.append(("onebox_mounts_unpersisted_files", labels, files))
        risky = sum(row["at_risk"] for row in result["data_places"])
        rows.append(("onebox_mounts_data_at_risk", labels, risky))
        rows.append(("onebox_mounts_check_duration_seconds", labels, result["duration_ms"] / 1000))
        for container in result["containers"]:
            for mount in container["mounts"]:
                if mount["verdict"] != "ok":
                    place = {"container": container["name"], "destination": mount["destination"]}
                    rows.append(("onebox_mount_verdict", {**labels, **place, "verdict": mount["verdict"]}, 1))
    rows.append(("onebox_mounts_check_time_seconds", labels, round(now)))
    out = []
    for name, row_labels, value in rows:
        if f"# TYPE {name} gauge" not in out:
            out += [f"# HELP {name} {_HELP[name]}", f"# TYPE {name} gauge"]
        words = ",".join(f'{key}="{_escape(said)}"' for key, said in row_labels.items())
        out.append(f"{name}{{{words}}} {value:g}" if value < 1e6 else f"{name}{{{words}}} {value:.0f}")
    return "\n".join(out) + "\n"


def _escape(value: str) -> str:
    clean = value.encode("utf-8", "backslashreplace").decode("utf-8")
    return clean.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def write(path: str, content: str) -> None:
    """Replace a file in one step: the collector must never read a part of it. The next check writes it again.

    Raises:
        FileError: it cannot be written.
    """
    try:
        files.replace(path, content.encode(), 0o644, durable=False)
    except files.FileError as error:
        advice = "create its directory, or name another"
        raise files.FileError(f"{error}; {advice}", error.path, error.errno) from error
