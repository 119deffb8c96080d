# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove the mounts of one container: hold its process, collect the facts, decide, try the access.

Runs in the child process of :mod:`subprocess_pool`, so what it returns is plain data.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.engine.times import epoch_of
from ansible_collections.onebox.stack.plugins.module_utils.mounts import facts
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import access
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.process import (
    Gone,
    Identity,
    Process,
    Refused,
    identity_of_application,
)
from ansible_collections.onebox.stack.plugins.module_utils.mounts.model import Declared, Finding, Times
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verdict import access as access_verdicts
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verdict.decide import decide
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verdict.messages import Words

# How far the engine's time of start may lie from the kernel's.
_SAME_START = 10.0


@dataclass(frozen=True)
class Job:
    """One container to prove: what it should have, and how far to go (access: none, read, write)."""

    container: Container
    declared: tuple[Declared, ...]
    access: str


class Prover:
    """Proves containers against one view of the host.

    Args:
        host: the host's mounts.
        seconds: how long one container's access probe may take.
        world: waiting for children.
    """

    def __init__(self, host: facts.HostView, seconds: float, world: World) -> None:
        self._host = host
        self._seconds = seconds
        self._world = world

    def __call__(self, job: Job) -> dict[str, t.Any]:
        """Return ``state`` (proven, doubt, gone), ``user`` and one row for each mount declared.

        ``doubt`` means that no control group names the container: the engine has to confirm the pid afterwards.
        """
        container = job.container
        try:
            with Process(container.pid) as process:
                state = "proven"
                if not process.in_control_group_of(container.id):
                    if not _is_plausible(process, container):
                        return {"state": "gone", "user": None, "rows": []}
                    state = "doubt"
                return self._prove(job, process, state)
        except Gone:
            return {"state": "gone", "user": None, "rows": []}
        except Refused as error:
            reason = f"the caller may not look into {container.name}: {error}; run the check as root or as its owner"
            finding = Finding("unverifiable", "none", "none", reason)
            return {"state": "proven", "user": None, "rows": [row(one, finding) for one in job.declared]}

    def _prove(self, job: Job, process: Process, state: str) -> dict[str, t.Any]:
        table = process.table()
        times = Times(*(epoch_of(getattr(job.container, name)) for name in ("created", "finished_at", "started_at")))
        root = process.root()
        try:
            hosts, findings, read_only = [], [], []
            for declared in job.declared:
                host = self._host.look(declared.wanted_source or declared.source)
                inside = facts.look_inside(root, table, declared.destination, host, self._host.table)
                if host.node and inside.node and host.node.identity != inside.node.identity:
                    host = replace(host, link_birth=facts.newest_link(declared.wanted_source or declared.source))
                hosts.append(host)
                finding = decide(declared, host, inside, times)
                if finding.ok and host.node is not None and host.node.kind == "dir":
                    finding = self._filled(job, declared, host.real) or finding
                findings.append(finding)
                read_only.append(inside.row is not None and inside.row.file_system_read_only)
            identity = None
            answers: dict[int, access.Outcome] = {}
            if job.access != "none" and any(finding.ok for finding in findings):
                identity, pid = identity_of_application(process)
                answers = self._try(job, findings, process, pid, root, identity)
        finally:
            os.close(root)
        rows = []
        for index, declared in enumerate(job.declared):
            finding = findings[index]
            if index in answers and identity is not None:
                finding = access_verdicts.judge(declared, hosts[index], identity, answers[index], read_only[index])
            rows.append(row(declared, finding, _tried(job, declared, answers.get(index))))
        return {"state": state, "user": _user(identity), "rows": rows}

    @staticmethod
    def _filled(job: Job, declared: Declared, directory: str) -> Finding | None:
        """A finding when the directory is empty and must not be."""
        # A read-write directory may be empty until the application has written; a read-only one can only be forgotten.
        suspicious = declared.type == "bind" and not declared.read_write
        if not (declared.not_empty or suspicious):
            return None
        try:
            if not facts.is_empty(directory):
                return None
        except OSError:
            return None  # that it cannot be read is for the access probe to say
        if declared.not_empty:
            return Words(declared).empty(hidden=False)
        graph = job.container.raw.get("GraphDriver") or {}
        merged = (graph.get("Data") or {}).get("MergedDir") or ""
        return Words(declared).empty(hidden=True) if facts.image_ships(merged, declared.destination) else None

    def _try(
        self, job: Job, findings: t.Sequence[Finding], process: Process, pid: int, root: int, identity: Identity
    ) -> dict[int, access.Outcome]:
        indexes = [index for index, finding in enumerate(findings) if finding.ok]
        wanted = [
            access.Wanted(job.declared[index].destination, job.access == "write" and job.declared[index].read_write)
            for index in indexes
        ]
        if pid == process.pid:
            outcomes = access.probe(process, root, identity, wanted, self._seconds, self._world)
        else:
            with Process(pid) as application:
                outcomes = access.probe(application, root, identity, wanted, self._seconds, self._world)
        return dict(zip(indexes, outcomes))


def row(declared: Declared, finding: Finding, tried: t.Mapping[str, t.Any] | None = None) -> dict[str, t.Any]:
    """One mount as the module returns it."""
    return {
        "type": declared.type,
        "source": declared.source,
        "destination": declared.destination,
        "verdict": finding.verdict,
        "proof": finding.proof,
        "fix": finding.fix,
        "access": dict(tried or {"declared": _mode(declared), "tried": "none", "error": ""}),
        "message": finding.message,
    }


def _tried(job: Job, declared: Declared, outcome: access.Outcome | None) -> dict[str, t.Any] | None:
    if outcome is None:
        return None
    tried = "write" if job.access == "write" and declared.read_write else "read"
    return {"declared": _mode(declared), "tried": tried, "error": os.strerror(outcome.error) if outcome.error else ""}


def _mode(declared: Declared) -> str:
    return "rw" if declared.read_write else "ro"


def _user(identity: Identity | None) -> dict[str, t.Any] | None:
    if identity is None:
        return None
    return {
        "uid": identity.uid,
        "gid": identity.gid,
        "groups": list(identity.groups),
        "capabilities": f"{identity.capabilities:016x}",
        "own_user_namespace": identity.own_user_namespace,
    }


def _is_plausible(process: Process, container: Container) -> bool:
    """A process without a telling control group: in other mounts than ours, and as old as the container's run?"""
    if not process.in_own_mount_namespace():
        return False
    return abs(process.started() - epoch_of(container.started_at)) <= _SAME_START
