# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inspect a host that runs compose projects already: one read-only report about each of them."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.running import bundle, facts, projects
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import discover as engines
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verify import Check, verify

# Names of engines, and auto for every engine of the host.
ENGINES = engines.ENGINES
_MOST_LINES = 6


@dataclass(frozen=True)
class Order:
    """The request.

    Attributes:
        engine: docker, podman, or auto for both.
        project: the one to report, with its files; "" for all, without files.
        seconds: for all proofs together. Mounts that are not checked by then are reported as such.
        searched: patterns of directories in which compose files of stopped projects are searched.
    """

    engine: str = "auto"
    socket: str | None = None
    project: str = ""
    seconds: float = 45.0
    searched: tuple[str, ...] = projects.SEARCHED


def discover(order: Order, world: World, boot: facts.Boot | None = None) -> dict[str, t.Any]:
    """Every compose project of this host. Changes nothing.

    Returns:
        ``engines``, ``projects``, ``stopped`` (directories with a compose file and without containers), ``other``
        (containers of no project), ``text``; with ``project`` also ``bundle`` and ``left``.

    Raises:
        EngineError: no engine answers.
        ComposeError: there is no such project, or its files cannot be packed.
    """
    found: list[tuple[Engine, projects.Project]] = []
    other: list[str] = []
    answering = _answering(order, world)
    for engine in answering:
        theirs, alone = projects.of_engine(engine)
        found += [(engine, each) for each in theirs]
        other += [each.name for each in alone]
    names = sorted({each.name for _engine, each in found})
    folders = [each.folder for _engine, each in found]
    result: dict[str, t.Any] = {
        "engines": [{"name": each.name, "version": each.version, "socket": each.socket} for each in answering],
        "stopped": projects.folders_without_containers(folders, order.searched),
        "other": other,
    }
    if order.project:
        found = [(engine, each) for engine, each in found if each.name == order.project]
        if not found:
            raise ComposeError(_unknown(order.project, names, result["stopped"]))
    deadline = world.monotonic() + order.seconds
    boot = boot or facts.Boot(world)
    result["projects"] = [_described(engine, each, boot, world, deadline) for engine, each in found]
    if order.project:
        result["bundle"], result["left"] = bundle.pack(found[0][1], result["projects"][0]["data"])
    result["text"] = lines(result)
    return result


def _unknown(name: str, names: t.Sequence[str], stopped: t.Sequence[str]) -> str:
    known = f"Projects with containers: {', '.join(names)}." if names else "No compose project has containers."
    folder = next((each for each in stopped if os.path.basename(each).lower() == name), "")
    hint = f" {folder} has a compose file: start it with its own tool first." if folder else ""
    return f"project: {name} is not a compose project of this host. {known}{hint}"


def _answering(order: Order, world: World) -> list[Engine]:
    if order.engine != "auto" or order.socket:
        return [engines.find(order.engine, order.socket, world=world)]
    found, reasons = [], []
    for name in ("docker", "podman"):
        try:
            found.append(engines.find(name, world=world))
        except EngineError as error:
            reasons.append(str(error))
    if not found:
        raise EngineError(" ".join(reasons))
    return found


def _described(
    engine: Engine, project: projects.Project, boot: facts.Boot, world: World, deadline: float
) -> dict[str, t.Any]:
    mounted = facts.data(project)
    return {
        "name": project.name,
        "engine": project.engine,
        "tool": project.tool,
        "provider": project.provider,
        "working_dir": project.working_dir,
        "folder": project.folder,
        "files": list(project.files),
        "env_file": project.env_file,
        "services": _services(project),
        "mounts": _proof(engine, project, world, deadline),
        "data": mounted,
        "reboot": boot.of(project),
        "public": facts.public(project),
        "not_backed_up": facts.not_backed_up(project, mounted, world),
    }


def _services(project: projects.Project) -> list[dict[str, t.Any]]:
    return [
        {
            "name": each.service,
            "container": each.name,
            "image": each.image_ref,
            "status": each.status,
            "health": each.health,
            "restart": each.restart_policy or "no",
        }
        for each in project.containers
    ]


def _proof(engine: Engine, project: projects.Project, world: World, deadline: float) -> dict[str, t.Any]:
    """The verdict on the mounts of a project."""
    left = deadline - world.monotonic()
    nothing = {"ok": False, "checked": 0, "failed": 0, "unverifiable": 0}
    if left <= 0:
        return {**nothing, "problems": ["not checked within the time. Run again with project: " + project.name]}
    try:
        check = Check(project=project.name, seconds=min(10.0, left / len(project.containers)))
        proven = verify(engine, check, world=world)
    except OneboxError as error:
        return {**nothing, "problems": [str(error)]}
    wrong = [
        f"service {each['service']}, {row['destination']}: {row['message']}"
        for each in proven["containers"]
        for row in each["mounts"]
        if row["verdict"] != "ok"
    ]
    counts = {key: proven["summary"][key] for key in ("checked", "failed", "unverifiable")}
    return {"ok": not wrong, **counts, "problems": wrong}


def lines(result: t.Mapping[str, t.Any]) -> list[str]:
    """The report for a terminal."""
    found = [
        f"{len(result['projects'])} compose project{'' if len(result['projects']) == 1 else 's'} on "
        + ", ".join(f"{each['name']} {each['version']}" for each in result["engines"])
    ]
    for project in result["projects"]:
        found += ["", *_lines_of(project)]
    tail = [
        ("containers of no compose project", result["other"]),
        ("compose files without containers", result["stopped"]),
    ]
    found += [line for title, rows in tail if rows for line in ("", f"{title}: {_some(rows)}")]
    return found


def _lines_of(project: t.Mapping[str, t.Any]) -> list[str]:
    running = sum(each["status"] == "running" for each in project["services"])
    where = project["folder"] or f"{project['working_dir'] or 'unknown'} (not on this host)"
    mounts = project["mounts"]
    proven = f"{mounts['checked'] - mounts['failed'] - mounts['unverifiable']} of {mounts['checked']} proven"
    owned = [
        f"{row['path']} ({row['uid']}:{row['gid']} {row['mode']})" for row in project["data"] if not row["read_only"]
    ]
    return [
        f"{project['name']}: {running} of {len(project['services'])} containers run, by {project['tool']}, in {where}",
        *_block("mounts", [*mounts["problems"]], proven),
        *_block("data", owned, "none outside the containers"),
        f"  reboot: {project['reboot']['message']}",
        *_block("public", project["public"], "nothing"),
        *_block("no backup", project["not_backed_up"], "all data has a backup configuration"),
    ]


def _block(title: str, rows: t.Sequence[str], nothing: str) -> list[str]:
    if not rows:
        return [f"  {title}: {nothing}"]
    shown = [f"  {title}:", *(f"    - {' '.join(each.split())}" for each in rows[:_MOST_LINES])]
    rest = len(rows) - _MOST_LINES
    return [*shown, f"    - and {rest} more"] if rest > 0 else shown


def _some(rows: t.Sequence[str]) -> str:
    rest = len(rows) - _MOST_LINES
    return ", ".join(rows[:_MOST_LINES]) + (f" and {rest} more" if rest > 0 else "")
