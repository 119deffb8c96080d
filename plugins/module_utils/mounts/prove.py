# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove the mounts of one container: hold its process, collect the facts, decide, try the access.

Each group of processes with its own answer of the kernel is tried (see :mod:`kernel.groups`), and the worst answer is
the verdict. Runs in the child process of :mod:`subprocess_pool`, so it returns plain data.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import typing as t
from dataclasses import asdict, dataclass, replace

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import layers
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.engine.times import epoch_of
from ansible_collections.onebox.stack.plugins.module_utils.mounts import facts, sources
from ansible_collections.onebox.stack.plugins.module_utils.mounts.by_group import GroupProof, Tried, worst
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import groups
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.control_groups import ControlGroups
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.process import Gone, Identity, Process, Refused
from ansible_collections.onebox.stack.plugins.module_utils.mounts.model import Declared, Finding, Times
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state import writers
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verdict.decide import decide
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verdict.messages import Words

# Accepted difference between the engine's start time and the kernel's.
_SAME_START = 10.0
_NO_MOUNT = -1


@dataclass(frozen=True)
class Job:
    """One container to prove: its declared mounts, and the access to try (none, read, write).

    ``shared`` are sources that other containers have, too. ``remember`` is whether to return their file
    systems, ``places`` whether to return the directories its processes write to.
    """

    container: Container
    declared: tuple[Declared, ...]
    access: str
    shared: frozenset[str] = frozenset()
    remember: bool = False
    places: bool = False


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
        self._control_groups = ControlGroups(host.table)
        # Shared with the child that proves, so that its parent knows which mount it hangs at.
        self._at = mmap.mmap(-1, 4)

    @property
    def at(self) -> int:
        """The index of the mount that is being checked, -1 for none. Also known after the child was given up."""
        return int.from_bytes(self._at[:4], "little", signed=True)

    def _mark(self, index: int) -> None:
        self._at[:4] = index.to_bytes(4, "little", signed=True)

    def __call__(self, job: Job) -> dict[str, t.Any]:
        """Return ``state`` (``proven``, ``doubt`` or ``gone``), ``user``, ``written``, and a row for each mount.

        ``doubt``: no control group names the container, the engine must confirm the pid.
        """
        self._mark(_NO_MOUNT)
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
            reason = f"the caller may not inspect {container.name}: {error}; run the check as root or as its owner"
            finding = Finding("unverifiable", "none", "none", reason)
            return {"state": "proven", "user": None, "rows": [row(one, finding) for one in job.declared]}

    def _prove(self, job: Job, process: Process, state: str) -> dict[str, t.Any]:
        hosts = []
        for index, declared in enumerate(job.declared):
            self._mark(index)
            hosts.append(self._host.look(declared.wanted_source or declared.source))
        main = self._see(job, process, hosts)
        proof = GroupProof(job.declared, hosts, job.access, job.shared, self._seconds, self._world, self._mark)
        found = groups.of_container(process, job.container.id, self._control_groups)
        views = {found.main: main}
        tried: list[Tried] = []
        for group in found.groups:
            for member in (*group.members, *group.waiting):
                with contextlib.suppress(Gone, Refused), contextlib.ExitStack() as held:
                    other = process if member.pid == process.pid else held.enter_context(Process(member.pid))
                    if group.view not in views:
                        views[group.view] = self._see(job, other, hosts)
                    seen = views[group.view]
                    tried.append(proof.of_group(group, member, other, seen, main))
                    break
        if not tried:
            raise Gone(f"all processes of {job.container.name} have ended")
        asleep = job.container.status == "paused"
        stopped = all(group.stopped for group in found.groups)
        rows = []
        for index, declared in enumerate(job.declared):
            finding, outcome = worst(declared, index, main[index], tried)
            if finding.ok and (asleep or stopped):
                finding = Words(declared).paused(stopped and not asleep)
            made = row(declared, finding, _tried(job, declared, outcome))
            made["host"] = _host(hosts[index], job.remember)
            rows.append(made)
        written = writers.by(member for group in found.groups for member in group.members) if job.places else {}
        return {"state": state, "user": _user(_whose(tried)), "rows": rows, "written": written}

    def _see(self, job: Job, process: Process, hosts: list[facts.Host]) -> list[facts.Seen]:
        """The object that the process has at each destination, before access is tried. Completes ``hosts``."""
        table = process.table()
        container = job.container
        times = Times(*(epoch_of(getattr(container, name)) for name in ("created", "finished_at", "started_at")))
        root = process.root()
        try:
            seen = []
            for index, declared in enumerate(job.declared):
                self._mark(index)
                host = hosts[index]
                inside = facts.look_inside(
                    root, table, declared.destination, host, self._host.table, container_id=container.id
                )
                if host.node and inside.node and host.node.identity != inside.node.identity and not host.link_birth:
                    birth = facts.newest_link(declared.wanted_source or declared.source)
                    host = hosts[index] = replace(host, link_birth=birth)
                finding = decide(declared, host, inside, times)
                if finding.ok and host.node is not None and host.node.kind == "dir":
                    finding = self._filled(job, declared, host.real) or finding
                seen.append(facts.Seen(inside, finding))
            return seen
        finally:
            os.close(root)

    @staticmethod
    def _filled(job: Job, declared: Declared, directory: str) -> Finding | None:
        """A finding if the directory is unexpectedly empty."""
        # A read-write directory may be empty until the application has written; an empty read-only one is a mistake.
        suspicious = declared.type == "bind" and not declared.read_write
        if not (declared.not_empty or suspicious):
            return None
        try:
            if not facts.is_empty(directory):
                return None
        except OSError:
            return None  # the access probe reports an unreadable directory
        if declared.not_empty:
            return Words(declared).empty(hidden=False)
        merged = layers.of(job.container).merged
        return Words(declared).empty(hidden=True) if facts.image_ships(merged, declared.destination) else None


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


def _host(host: facts.Host, remember: bool) -> dict[str, t.Any]:
    """The facts that the caller compares with the record of the deploy, and removes from the row again."""
    if not remember:
        return {"real": host.real}
    kind = "" if host.node is None else "dir" if host.node.kind == "dir" else "file"
    return {"real": host.real, "kind": kind, "disk": asdict(sources.disk_of(host))}


def _tried(job: Job, declared: Declared, outcome: t.Any) -> dict[str, t.Any] | None:
    if outcome is None:
        return None
    tried = "write" if job.access == "write" and declared.read_write else "read"
    return {"declared": _mode(declared), "tried": tried, "error": os.strerror(outcome.error) if outcome.error else ""}


def _mode(declared: Declared) -> str:
    return "rw" if declared.read_write else "ro"


def _whose(tried: t.Sequence[Tried]) -> Identity | None:
    """The user that was tried: of several the one with a finding."""
    for one in tried:
        if one.outcomes and any(not finding.ok for finding in one.findings):
            return one.group.identity
    return next((one.group.identity for one in tried if one.outcomes), None)


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
    """A process without a known control group: in other mounts than ours, and as old as the container's run?"""
    if not process.in_own_mount_namespace():
        return False
    return abs(process.started() - epoch_of(container.started_at)) <= _SAME_START
