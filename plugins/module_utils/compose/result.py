# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a run, and how its parts are derived from containers and models."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Driver
from ansible_collections.onebox.stack.plugins.module_utils.compose.health import evidence
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model
from ansible_collections.onebox.stack.plugins.module_utils.compose.proposals import mount_owner, needs
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container


@dataclass
class Result:
    """What a run returns. The module's documentation describes each field.

    A field that is None is not returned: only some states and endings of a run have it.
    """

    project: str
    changed: bool = False
    backend: dict[str, str] = field(default_factory=dict)
    plan: list[dict[str, t.Any]] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    health: list[dict[str, t.Any]] = field(default_factory=list)
    images: list[dict[str, str]] = field(default_factory=list)
    mounts: dict[str, t.Any] = field(default_factory=dict)
    endpoints: list[dict[str, t.Any]] = field(default_factory=list)
    targets: list[dict[str, t.Any]] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    files_read: list[str] = field(default_factory=list)
    files: list[dict[str, str]] = field(default_factory=list)
    directories: list[dict[str, str]] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)
    derived: list[dict[str, str]] = field(default_factory=list)
    foreign_files: list[str] = field(default_factory=list)
    pulls: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    last_good: dict[str, t.Any] = field(default_factory=dict)
    rolled_back: bool = False
    data_written: list[dict[str, str]] = field(default_factory=list)
    timings_ms: dict[str, float] = field(default_factory=dict)
    actions: list[dict[str, str]] | None = None
    boot: dict[str, t.Any] | None = None
    rollback_reason: str | None = None
    held: bool | None = None
    released: bool | None = None
    node_images: list[dict[str, t.Any]] | None = None
    node_images_kept: list[str] | None = None
    history_file: str | None = None
    problems: list[dict[str, t.Any]] | None = None
    needs: list[dict[str, str]] | None = None
    history: list[dict[str, t.Any]] | None = None
    text: list[str] | None = None
    would_change: bool | None = None
    failed: bool | None = None
    msg: str | None = None

    def as_dict(self) -> dict[str, t.Any]:
        """The fields that a module returns."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def take_over(self, other: Result) -> None:
        """Overwrite each field that ``other`` has."""
        vars(self).update(other.as_dict())

    def take_findings(self, other: Result) -> None:
        """Overwrite the fields that describe the stack as it runs."""
        for name in ("health", "images", "mounts", "endpoints", "targets"):
            setattr(self, name, getattr(other, name))

    def lines(self) -> list[str]:
        """The plan, its problems and the last runs as text for a person."""
        text = []
        for row in self.plan:
            why = f" ({', '.join(row['reasons'])})" if row["reasons"] else ""
            text.append(f"{row['service']}: {row['action']}{why}")
            for name, change in sorted(row["diff"].items()):
                text.append(f"    {name}: {_shown(change['before'])} -> {_shown(change['after'])}")
        text += [f"{row['service']}: pulls {row['image']} before it compares" for row in self.pulls]
        text += [f"{row['path']}: {row['action']}" for row in self.files]
        text += [
            f"{each['path']}: create, owner {each['owner'] or 'root'} ({each['reason']})" for each in self.directories
        ]
        text += [f"network {name}: create, since it is external and does not exist" for name in self.networks]
        text += needs.listed(self.derived)
        text += [f"{path}: not from a deploy, stays" for path in self.foreign_files]
        text += [f"{name}: no longer declared, still exists" for name in self.orphans]
        text += [f"warning: {warning}" for warning in self.warnings]
        text += [f"problem: {row['where']}: {row['message']}" for row in self.problems or ()]
        text += needs.shown(self.needs or (), most=200)
        return [*text, *(_run(entry) for entry in self.history or ())]


class Timings:
    """Milliseconds by the name of a step; steps of one name add up.

    Args:
        world: its clock.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.ms: dict[str, float] = {}

    def add(self, name: str, seconds: float) -> None:
        """Count ``seconds`` for ``name``."""
        self.ms[name] = round(self.ms.get(name, 0.0) + seconds * 1000, 1)

    @contextlib.contextmanager
    def step(self, name: str) -> t.Iterator[None]:
        """Count the time until the block ends, however it ends."""
        began = self._world.monotonic()
        try:
            yield
        finally:
            self.add(name, self._world.monotonic() - began)


def snapshot(containers: t.Iterable[Container]) -> dict[str, tuple[str, ...]]:
    """The containers with image, state and start: a run is ``changed`` when these differ."""
    return {row.id: (row.image_id, "running" if row.running else "not running", row.started_at) for row in containers}


def backend(tool: Driver, engine: Engine | None) -> dict[str, str]:
    """The compose tool and the engine."""
    return {
        "name": tool.kind,
        "version": tool.version_text,
        "command": " ".join(tool.argv),
        "engine": engine.name if engine is not None else "",
        "engine_version": engine.version if engine is not None else "",
        "socket": engine.socket if engine is not None else "",
    }


def images(model: Model, containers: t.Iterable[Container]) -> list[dict[str, str]]:
    """The image of each service."""
    found = {}
    for row in containers:
        service = model.services.get(row.service)
        if service is not None:
            found[row.service] = {"service": row.service, "tag": service.image, "id": row.image_id}
    return [found[name] for name in sorted(found)]


def health(containers: t.Iterable[Container], model: Model, local: bool) -> list[dict[str, t.Any]]:
    """The state of each container on the engine.

    Args:
        local: see :func:`evidence.of`.
    """
    return [
        {
            "service": row.service,
            "container": row.name,
            "state": row.status,
            "health": row.health,
            "evidence": evidence.of(model.services.get(row.service), row, local),
            "restarts": row.restart_count,
            "exit_code": row.exit_code,
            "oom_killed": row.oom_killed,
        }
        for row in containers
    ]


def mount_failure(project: str, report: t.Mapping[str, t.Any]) -> str:
    """Why the proof of the mounts failed, one line for each mount."""
    lines = []
    for container in report.get("containers") or ():
        for row in container["mounts"]:
            if row["verdict"] != "ok":
                lines.append(f"- {container['service'] or container['name']}: {row['verdict']}: {row['message']}")
    for row in report.get("missing_mounts") or ():
        line = (
            f"- {row.get('service') or row.get('container')}: missing: {row.get('message') or row.get('destination')}"
        )
        if line not in lines:
            lines.append(line)
    lines += mount_owner.lines(row for container in report.get("containers") or () for row in container["mounts"])
    head = f"stack {project} runs, but its mounts are wrong"
    return "\n".join([head + ":", *lines]) if lines else f"{head}: {report.get('message', '')}"


def diff_text(result: t.Mapping[str, t.Any]) -> dict[str, str]:
    """A result for ``--diff``: files by name, the plan with one line for each field, secrets masked already."""
    before: list[str] = []
    after: list[str] = [f"# {row['path']}: {row['action']}" for row in result["files"]]
    for row in result["plan"]:
        if row["action"] == "keep":
            continue
        after.append(f"# {row['service']}: {row['action']} ({', '.join(row['reasons'])})")
        for name, change in sorted(row["diff"].items()):
            for lines, key in ((before, "before"), (after, "after")):
                if change[key] is not None:
                    lines.append(f"{row['service']}.{name}: {change[key]}")
    return {"before": "".join(f"{line}\n" for line in before), "after": "".join(f"{line}\n" for line in after)}


def _run(entry: t.Mapping[str, t.Any]) -> str:
    """One run of the history as a line."""
    ending = "healthy" if entry.get("ok") else "rolled back" if entry.get("rolled_back") else "failed"
    did = ", ".join(f"{name} {what[0]}" for name, what in sorted((entry.get("plan") or {}).items()))
    revision = f" {entry['revision']}" if entry.get("revision") else ""
    return f"{entry.get('at')} {entry.get('user')}{revision} {entry.get('state')}: {did or 'nothing'}: {ending}"


def _shown(value: t.Any) -> str:
    if value is None:
        return "nothing"
    return ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)
