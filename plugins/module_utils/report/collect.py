# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build one report of the results of the roles and the present state. It contains no secrets."""

from __future__ import annotations

import datetime
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.report.usage import NOTHING, Usage

VERSION = 1
Results = t.Mapping[str, t.Mapping[str, t.Any]]


@dataclass(frozen=True)
class Run:
    """One run of the roles.

    Attributes:
        results: of the roles, by name; missing for roles that did not run.
        steps: seconds each role took.
        next_steps: commands the reader may want to type next.
        notes: from building the report.
        check: the run was in check mode.
    """

    results: Results
    steps: t.Mapping[str, float] = field(default_factory=dict)
    next_steps: t.Sequence[str] = ()
    notes: t.Sequence[str] = ()
    check: bool = False


@dataclass(frozen=True)
class Running:
    """The containers of the project at one moment, and their usage by id."""

    at: datetime.datetime
    containers: t.Sequence[Container] = ()
    usages: t.Mapping[str, Usage] = field(default_factory=dict)


def collect(project: str, host: str, run: Run, running: Running) -> dict[str, t.Any]:
    """The report as it is stored."""
    results, now = run.results, running.at
    engine, stack = results.get("container_engine", {}), results.get("compose_stack", {})
    dirs = results.get("data_dirs", {})
    asked = {row.get("container"): str(row.get("evidence") or "") for row in stack.get("health") or ()}
    services = _replicas(stack.get("health") or ()) or [
        _service(container, running.usages.get(container.id, NOTHING), asked.get(container.name, ""))
        for container in running.containers
    ]
    # A Swarm has a proof of each node, that of this host included.
    proofs = list((stack.get("nodes") or {"": stack.get("mounts") or {}}).items())
    mounts = _mounts(proofs)
    endpoints = [{key: row.get(key) for key in ("url", "ok", "status", "ms")} for row in stack.get("endpoints") or ()]
    changes = _changes(results)
    backups = _backups(results.get("backups", {}).get("backups") or {}, now)
    good = [service for service in services if service["ok"]]
    return {
        "version": VERSION,
        "project": project,
        "host": host,
        "generated_at": now.isoformat(timespec="seconds"),
        "ok": bool(services)
        and len(good) == len(services)
        and all(row["verdict"] == "ok" for row in mounts)
        and all(row["ok"] for row in endpoints)
        and (run.check or not backups.get("problems")),
        "changed": bool(changes),
        "check": run.check,
        "engine": _engine(engine, stack),
        "machine": _machine(results.get("podman_machine", {}).get("machine") or {}),
        "services": services,
        "mounts": mounts,
        "data_at_risk": [
            {key: row[key] for key in ("service", "path", "verdict", "message")}
            for _node, proof in proofs
            for row in proof.get("data_places") or ()
            if row["at_risk"]
        ],
        "directories": [
            {
                key: row.get(key)
                for key in ("path", "class", "owner", "group", "mode", "fstype", "free_bytes", "changed")
            }
            for row in dirs.get("directories") or ()
        ],
        "endpoints": endpoints,
        "backups": backups,
        "changes": changes,
        "derived": [str(row.get("variable")) for row in stack.get("derived") or ()],
        "notes": _notes(results, run.notes),
        "steps": dict(run.steps),
        "next": list(run.next_steps),
    }


def _engine(engine: t.Mapping[str, t.Any], stack: t.Mapping[str, t.Any]) -> dict[str, str]:
    backend = stack.get("backend") or {}
    return {
        "name": backend.get("engine") or engine.get("name") or "",
        "version": backend.get("engine_version") or engine.get("version") or "",
        "rootless": "rootless" if engine.get("rootless") else "",
        "compose": " ".join(word for word in (backend.get("name"), backend.get("version")) if word),
    }


def _machine(machine: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The virtual machine the containers run in; empty where there is none."""
    keys = ("name", "provider", "state", "healthy", "cpus", "memory_mib", "disk_gib", "rootful", "podman_client")
    return {key: machine.get(key) for key in (*keys, "podman_server", "clock_drift")} if machine else {}


def _service(container: Container, used: Usage, evidence: str) -> dict[str, t.Any]:
    finished = container.status == "exited" and container.exit_code == 0
    return {
        "service": container.service or container.name,
        "container": container.name,
        "state": container.status,
        "health": container.health,
        "evidence": evidence,
        "ok": finished or (container.running and container.health in ("", "healthy")),
        "exit_code": container.exit_code,
        "restarts": container.restart_count,
        "ports": sorted({_port(port.host_ip, port.host_port, port.container_port) for port in container.ports}),
        "cpu_percent": used.cpu_percent,
        "memory_bytes": used.memory_bytes,
    }


def _replicas(health: t.Sequence[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """The services of a deploy to a Swarm, by the rows of its health gate: one for each replica, with its node."""
    by_service: dict[str, list[t.Mapping[str, t.Any]]] = {}
    for row in health:
        if row.get("node"):
            by_service.setdefault(row["service"], []).append(row)
    found = []
    for name, rows in by_service.items():
        running = [row for row in rows if row["state"] == "running"]
        bad = [row for row in rows if not row["ok"]]
        shown = next((row for row in bad if row["state"] != "running"), rows[0])
        found.append(
            {
                "service": name,
                "container": "",
                "state": shown["state"],
                "health": shown["health"],
                "evidence": shown["evidence"],
                "ok": not bad,
                "exit_code": shown["exit_code"],
                "restarts": 0,
                "ports": [],
                "cpu_percent": None,
                "memory_bytes": None,
                "replicas": f"{len(running)} of {len(rows)}",
                "nodes": list(dict.fromkeys(row["node"] for row in rows)),
            }
        )
    return found


def _port(host_ip: str, host_port: int, container_port: int) -> str:
    everywhere = host_ip in ("", "0.0.0.0", "::")
    return f"{'' if everywhere else host_ip + ':'}{host_port}->{container_port}"


def _mounts(proofs: t.Sequence[tuple[str, t.Mapping[str, t.Any]]]) -> list[dict[str, t.Any]]:
    """One row for each node, source and destination, with the services that have it."""
    rows: dict[tuple[str, ...], dict[str, t.Any]] = {}
    for node, container in ((node, each) for node, proof in proofs for each in proof.get("containers") or ()):
        for mount in container.get("mounts") or ():
            tried = (mount.get("access") or {}).get("tried", "none")
            key = (node, mount["source"], mount["destination"], mount["verdict"], mount["proof"], str(tried))
            row = rows.setdefault(
                key,
                {
                    **{name: mount[name] for name in ("source", "destination", "verdict", "proof", "message")},
                    "tried": tried,
                    "services": [],
                    **({"node": node} if node else {}),
                },
            )
            row["services"].append(container.get("service") or container.get("name"))
    return list(rows.values())


def _backups(found: t.Mapping[str, t.Any], now: datetime.datetime) -> dict[str, t.Any]:
    """The newest set and when a set was last restored and equal; {} when the stack declares no backups."""
    if not found:
        return {}
    newest = found.get("snapshot") or {}
    rehearsals = {
        where: now.timestamp() - float(note["good_at"])
        for where, note in (found.get("rehearsals") or {}).items()
        if note.get("good_at") is not None
    }
    return {
        "sets": len(found.get("sets") or ()),
        "seq": newest.get("seq"),
        "age_seconds": found.get("age_seconds"),
        "size_bytes": newest.get("size"),
        "rehearsed_seconds": rehearsals,
        "problems": list(found.get("problems") or ()),
    }


def _changes(results: Results) -> list[str]:
    """The changes of the run, in words."""
    found = []
    machine = results.get("podman_machine", {})
    if machine.get("changed"):
        done = dict.fromkeys(words[2] for words in machine.get("actions") or () if words[1:2] == ["machine"])
        found.append("machine " + (", ".join(done) or "changed"))
    engine = results.get("container_engine", {})
    if engine.get("changed"):
        settings = ", ".join(engine.get("settings") or ())
        found.append(f"{engine.get('name') or 'the container engine'} set up" + (f" ({settings})" if settings else ""))
    for row in engine.get("images") or ():
        if row.get("how") in ("pulled", "standin"):
            found.append(f"image {row['reference']} {'pulled' if row['how'] == 'pulled' else 'built'}")
    rows = [row for row in results.get("data_dirs", {}).get("directories") or () if row.get("changed")]
    if rows:
        found.append(f"{len(rows)} {'directory' if len(rows) == 1 else 'directories'}")
    stack = results.get("compose_stack", {})
    if stack.get("changed"):
        by_action: dict[str, list[str]] = {}
        for row in stack.get("plan") or ():
            if row["action"] != "keep":
                by_action.setdefault(row["action"], []).append(row["service"])
        found += [f"{action} {', '.join(services)}" for action, services in by_action.items()]
        boot = stack.get("boot") or {}
        if boot.get("changed"):
            found.append(f"start at boot ({boot.get('unit')})")
        if not by_action and not boot.get("changed"):
            found.append("the stack")
    agents = results.get("host_hygiene_agents", {})
    if agents.get("changed"):
        found.append(f"{len(agents.get('agents') or ())} agents retired")
    gone = results.get("host_hygiene", {})
    if gone.get("changed"):
        found.append(f"{len(gone.get('clutter') or ())} pieces of clutter removed")
    found += _backup_changes(results.get("backups", {}))
    known = {"podman_machine", "container_engine", "data_dirs", "compose_stack", "backups"}
    others = set(results) - known - {"host_hygiene_agents", "host_hygiene"}
    found += sorted(role for role in others if results[role].get("changed"))
    return found


def _backup_changes(result: t.Mapping[str, t.Any]) -> list[str]:
    if not result.get("changed"):
        return []
    words = []
    if any(result.get(f"{what}_changed") for what in ("config", "runner", "secrets", "units", "timers")):
        words.append("backups scheduled")
    if result.get("first"):
        words.append("first backup taken")
    return words or ["backups"]


def _notes(results: Results, more: t.Sequence[str]) -> list[str]:
    found: list[str] = []
    images = results.get("container_engine", {}).get("images") or ()
    found += [f"{row['reference']}: {row['note']}" for row in images if row.get("note")]
    for result in results.values():
        found += [str(line) for line in result.get("warnings") or ()]
    boot = results.get("compose_stack", {}).get("boot") or {}
    if boot and not boot.get("enabled") and boot.get("message"):
        found.append(boot["message"])
    found += more
    return list(dict.fromkeys(found))
