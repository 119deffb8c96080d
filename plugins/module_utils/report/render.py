# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render a report that can be read in ten seconds: at most 30 lines of 100 columns, plain ASCII."""

from __future__ import annotations

import textwrap
import typing as t
from dataclasses import dataclass

LINES = 30
COLUMNS = 100


@dataclass
class Section:
    """Rows under a heading. If there is not enough room, the last ones become ``... and N more``.

    Rows with problems come first. ``least`` rows are always shown.
    """

    heading: str
    rows: list[str]
    least: int
    more: str = ""
    gap: bool = True  # an empty line before it, if there is room

    def lines(self, room: int) -> list[str]:
        head = [self.heading] if self.heading else []
        if len(self.rows) <= room:
            return head + self.rows
        hidden = len(self.rows) - room + 1
        return [*head, *self.rows[: room - 1], f"... and {hidden} more{self.more}"]


def render(report: t.Mapping[str, t.Any]) -> str:
    """The text of a report as :func:`collect.collect` makes it."""
    sections = [section for section in _sections(report) if section.rows]
    rooms = [len(section.rows) for section in sections]
    fixed = 1 + sum(1 for section in sections if section.heading)
    while fixed + sum(rooms) > LINES:
        spare = [room - section.least for room, section in zip(rooms, sections)]
        widest = spare.index(max(spare))
        if spare[widest] <= 0:
            break
        rooms[widest] -= 1
    blocks = [section.lines(room) for section, room in zip(sections, rooms)]
    lines = [_headline(report)]
    # Empty lines between the blocks as far as there is room for them.
    air = LINES - 1 - sum(len(block) for block in blocks)
    for section, block in zip(sections, blocks):
        if section.gap and air > 0:
            lines.append("")
            air -= 1
        lines += block
    return "\n".join(fit(line, COLUMNS).rstrip() for line in lines[:LINES]) + "\n"


def _sections(report: t.Mapping[str, t.Any]) -> list[Section]:
    services = sorted(report["services"], key=lambda row: (row["ok"], row["service"]))
    mounts = sorted(report["mounts"], key=lambda row: (row["verdict"] == "ok", row["source"]))
    endpoints = sorted(report["endpoints"], key=lambda row: row["ok"])
    backups = _backups(report.get("backups") or {})
    healthy = all(row["ok"] for row in services)
    on_swarm = any("nodes" in row for row in services)
    return [
        Section("", _labelled("engine", [_engine(report["engine"])]), 1, gap=False),
        # Reports of an earlier version have no machine.
        Section("", _labelled("machine", _machine(report.get("machine") or {})), 1, gap=False),
        _table(
            ("SERVICE", "STATE", "HEALTH", *(("REPLICAS", "NODES") if on_swarm else ("PORTS", "CPU", "MEMORY"))),
            [_service(row) for row in services],
            least=3,
            more=", all healthy" if healthy else "",
        ),
        _table(("MOUNT", "SEEN AS", "BY", "PROOF"), [_mount(row) for row in mounts], least=2),
        _table(
            ("DIRECTORY", "CLASS", "OWNER", "MODE", "FREE"), [_directory(row) for row in report["directories"]], least=1
        ),
        _table(("ENDPOINT", "ANSWERS", "IN"), [_endpoint(row) for row in endpoints], least=1),
        Section("", _labelled("backups", backups), 1),
        Section(
            "", _labelled("to change" if report.get("check") else "changed", [_changes(report)]), 1, gap=not backups
        ),
        Section("", _labelled("derived", _derived(report.get("derived") or ())), 1, gap=False),
        Section("", _labelled("took", [_steps(report["steps"])]), 1, gap=False),
        Section("", _labelled("note", report["notes"]), 1, gap=False),
        Section("", _labelled("next", report["next"]), 1, gap=False),
    ]


def _derived(variables: t.Sequence[str]) -> list[str]:
    """Variables whose values come from the compose file or are proposed, and where to see them."""
    counted = [f"{variables.count(name)} for {name}" for name in dict.fromkeys(variables)]
    return [f"values from the compose file: {', '.join(counted)}. The plan lists them"] if counted else []


def _headline(report: t.Mapping[str, t.Any]) -> str:
    counts = []
    risky = len(report.get("data_at_risk") or ())
    for key, label, good in (
        ("services", "services healthy", lambda row: row["ok"]),
        ("mounts", "mounts proven", lambda row: row["verdict"] == "ok"),
        ("endpoints", "endpoints answer", lambda row: row["ok"]),
    ):
        rows = [row for row in report[key] for unused in range(len(row.get("services", "1")))]
        if rows:
            counts.append(f"{sum(1 for row in rows if good(row))} of {len(rows)} {label}")
    if risky:
        # Instead of endpoints that answer: a long line is cut.
        counts = [each for each in counts if not each.endswith("endpoints answer") or not report["ok"]]
        counts.append(f"{risky} data {'path' if risky == 1 else 'paths'} unmounted")
    state = "OK" if report["ok"] else "NOT OK" if report["services"] else "nothing runs"
    where = f" on {report['host']}" if report["host"] else ""
    return f"{report['project']}{where}: {state}" + (f" - {', '.join(counts)}" if counts else "")


def _engine(engine: t.Mapping[str, str]) -> str:
    words = [" ".join(word for word in (engine["name"], engine["version"]) if word)]
    words += [engine["rootless"], engine["compose"]]
    return ", ".join(word for word in words if word)


def _machine(machine: t.Mapping[str, t.Any]) -> list[str]:
    if not machine:
        return []
    state = machine["state"] if machine["healthy"] or machine["state"] != "running" else "running, but does not answer"
    words = [
        f"{machine['name']} {state}",
        machine["provider"],
        f"{machine['cpus']} CPUs",
        f"{machine['memory_mib']} MiB",
        f"disk {machine['disk_gib']} GiB",
        "rootful" if machine["rootful"] else "rootless",
        f"podman {machine['podman_client']}, in it {machine['podman_server'] or 'unknown'}",
    ]
    return [", ".join(words)]


# Why a service without a healthcheck counts as healthy.
_EVIDENCE = {"http": "URL answers", "port": "port listens", "none": "not checked"}


def _service(row: t.Mapping[str, t.Any]) -> tuple[str, ...]:
    state = row["state"]
    if not row["ok"] and state == "exited":
        state = f"exited ({row['exit_code']})"
    if row["restarts"]:
        state += f", {row['restarts']}x restarted"
    cpu = "-" if row["cpu_percent"] is None else f"{row['cpu_percent']:.1f}%"
    memory = "-" if row["memory_bytes"] is None else size(row["memory_bytes"])
    evidence = _EVIDENCE.get(row.get("evidence") or "", "-") if row["state"] == "running" else "-"
    health = row["health"] or evidence
    if "nodes" in row:
        return (fit(row["service"], 28), state, health, row["replicas"], fit(", ".join(row["nodes"]), 36))
    return (fit(row["service"], 28), state, health, fit(" ".join(row["ports"]) or "-", 26), cpu, memory)


def _mount(row: t.Mapping[str, t.Any]) -> tuple[str, ...]:
    services = row["services"]
    who = services[0] if len(services) == 1 else f"{len(services)} services"
    proof = f"{row['proof']}, {row['tried']} tried" if row["tried"] != "none" else row["proof"]
    if row["verdict"] != "ok":
        proof = f"{row['verdict']}!"
    if "node" in row:
        return fit(row["source"], 26), fit(row["destination"], 20), fit(f"{who} on {row['node']}", 26), proof
    return fit(row["source"], 34), fit(row["destination"], 24), fit(who, 14), proof


def _directory(row: t.Mapping[str, t.Any]) -> tuple[str, ...]:
    free = f"{size(row['free_bytes'])} {row['fstype']}"
    return fit(row["path"], 48), row["class"], fit(f"{row['owner']}:{row['group']}", 18), row["mode"], free


def _endpoint(row: t.Mapping[str, t.Any]) -> tuple[str, ...]:
    took = "-" if row["ms"] is None else f"{row['ms']:.0f} ms"
    return fit(row["url"], 70), str(row["status"] or "no answer"), took


def _backups(found: t.Mapping[str, t.Any]) -> list[str]:
    """Backups in words. Problems come first, because they cause NOT OK in the headline."""
    if not found:
        return []
    rows = [f"PROBLEM: {problem}" for problem in found["problems"]]
    if found["age_seconds"] is not None:
        spans = [
            f"{age(seconds)} ago" + (" (off-site)" if where == "offsite" else "")
            for where, seconds in sorted(found["rehearsed_seconds"].items())
        ]
        restored = f"rehearsed {', '.join(spans)}" if spans else "never rehearsed"
        sets = f"{found['sets']} set" + ("s" if found["sets"] != 1 else "")
        rows.append(f"{sets}, newest {age(found['age_seconds'])} old, {size(found['size_bytes'] or 0)}")
        rows[-1] += f"; {restored}"
    return rows


def _changes(report: t.Mapping[str, t.Any]) -> str:
    return "; ".join(report["changes"]) or "nothing"


def _steps(steps: t.Mapping[str, float]) -> str:
    if not steps:
        return ""
    words = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in steps.items())
    return f"{words}; {sum(steps.values()):.1f} s in all" if len(steps) > 1 else words


def _labelled(label: str, rows: t.Sequence[str]) -> list[str]:
    """Rows with the label before the first, and the others under it; long ones continue in the next line."""
    room = COLUMNS - 10
    lines = [line for row in rows for line in textwrap.wrap(ascii_only(row), room)]
    return [f"{label if number == 0 else '':<9} {line}" for number, line in enumerate(lines)]


def _table(headings: tuple[str, ...], rows: list[tuple[str, ...]], least: int, more: str = "") -> Section:
    """Columns as wide as their widest cell, two spaces apart, and left-aligned: numbers would be read across."""
    plain = [[ascii_only(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(headings, *plain)]

    def line(cells: t.Iterable[str]) -> str:
        return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths))

    return Section(line(headings) if rows else "", [line(row) for row in plain], least, more)


def ascii_only(text: str) -> str:
    """``text`` without characters that a terminal could interpret."""
    plain = text.encode("unicode_escape").decode("ascii")
    return plain.replace("\\\\", "\\")


def fit(text: str, width: int) -> str:
    """At most ``width`` characters of plain ASCII, with the middle omitted if it is longer: both ends matter most."""
    plain = ascii_only(text)
    if len(plain) <= width:
        return plain
    head = (width - 3) // 2
    return plain[:head] + "..." + plain[len(plain) - (width - 3 - head) :]


def age(seconds: float) -> str:
    """A span in words, cut to one unit."""
    for length, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        count = int(max(seconds, 0) // length)
        if count:
            return f"{count} {unit}" + ("s" if count > 1 else "")
    return "less than a minute"


def size(count: float) -> str:
    """Bytes in words: three digits at most before the unit."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 999.5 or unit == "TB":
            return f"{count:.0f} {unit}" if unit in ("B", "kB") or count >= 99.5 else f"{count:.3g} {unit}"
        count /= 1000
    raise AssertionError("unreachable: the loop ends with TB")
