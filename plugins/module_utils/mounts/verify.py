# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify the mounts of running containers: the function of the module ``bind_mount_verify`` and of the deployment.

The proof is that source and destination are the same object (device and inode), seen through the kernel's view of the
container's main process. Nothing is run in the container, nothing needs to be in its image, nothing is left behind.
"""

from __future__ import annotations

import collections
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, NotFound
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.engine.project_containers import current
from ansible_collections.onebox.stack.plugins.module_utils.mounts import (
    after,
    labels,
    on_swarm,
    promised,
    proofs,
    prove,
    table,
)
from ansible_collections.onebox.stack.plugins.module_utils.mounts.expected import Expectation, declare, with_inherited
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import syscalls
from ansible_collections.onebox.stack.plugins.module_utils.mounts.model import CheckError
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state import survey
from ansible_collections.onebox.stack.plugins.module_utils.mounts.unpersisted import report as unpersisted
from ansible_collections.onebox.stack.plugins.module_utils.mounts.unpersisted.scan import IGNORED
from ansible_collections.onebox.stack.plugins.module_utils.mounts.vm.prover import Prover

ACCESS = ("none", "read", "write")


@dataclass(frozen=True)
class Check:
    """Which containers to verify, and how far to go.

    Attributes:
        project: all containers of this compose project, or of this stack on a Swarm.
        names: these containers instead.
        expected: mounts that must be there, as dictionaries with ``container`` or ``service``, ``source``,
            ``destination``, and optionally ``read_only``, ``type`` (file or dir), ``not_empty``. Default: the
            mounts that the engine reports.
        access: to try as the application: none, read, or write (reading included).
        ephemeral: also search for files written outside every mount.
        ephemeral_ignore: paths and patterns that are left out of that.
        working_dir: the directory the containers must have been created from, by their labels; "" is not compared.
        config_files: the compose files they must have been created from; none is not compared.
        one_shots: names or services whose containers may have finished with exit code 0.
        promised: the record of the last deploy of the project; may be missing.
        remember: fill in ``hosts``, for the record of a deploy.
        places: fill in ``data_places``, the data map.
        seconds: how long one container may take before it counts as unverifiable.
    """

    project: str | None = None
    names: t.Sequence[str] = ()
    expected: t.Sequence[t.Mapping[str, t.Any]] | None = None
    access: str = "write"
    ephemeral: bool = False
    ephemeral_ignore: t.Sequence[str] = IGNORED
    working_dir: str = ""
    config_files: t.Sequence[str] = ()
    one_shots: t.Sequence[str] = ()
    promised: str = ""
    remember: bool = False
    places: bool = True
    seconds: float = 10.0


def verify(
    engine: Engine, check: Check, *, world: World, through: Prover | None = None, fstab: str = "/etc/fstab"
) -> dict[str, t.Any]:
    """Prove every bind mount and volume of the selected containers.

    Args:
        engine: where the containers run; it is only read.
        check: which containers, and how far to go.
        world: the clock.
        through: proves mounts of containers in a virtual machine.
        fstab: the file that says which disks the host should have mounted.

    Returns:
        The module's result: ok, summary, containers, missing_mounts, label_mismatch, ephemeral_writes,
        data_places, services, message, table, duration_ms; and ``hosts``, for :mod:`promised`.

    Raises:
        EngineError: the engine does not answer, or has no container of that name.
        MachineError: the virtual machine does not answer.
        CheckError: an expectation or ``access`` is not understood; the text says which.
    """
    began = world.monotonic()
    if check.access not in ACCESS:
        raise CheckError(f"access must be one of {', '.join(ACCESS)}, not {check.access!r}")
    promise = promised.load(check.promised) if check.promised else None
    wanted = _wanted(check, promise)
    one_shots = [*check.one_shots, *(name for name, row in _services(promise).items() if row.one_shot)]
    containers = _with_inherited(engine, _selected(engine, check))
    shared = _shared(containers)
    remember = check.remember or promise is not None
    jobs, missing = [], []
    for container in containers:
        declared, absent = declare(engine.name, container, wanted)
        jobs.append(prove.Job(container, declared, check.access, shared, remember, check.places))
        missing.append(absent)
    proven = _proven(engine, jobs, one_shots, check.seconds, world, through, fstab)
    hosts: list[dict[str, t.Any]] = []
    if through is None:
        found = [after.Proven(job.container, job.declared, answer["rows"]) for job, answer in zip(jobs, proven)]
        hosts = after.complete(engine, found, promise, check.promised, world)
    reports = [_report(job.container, answer, absent) for job, answer, absent in zip(jobs, proven, missing)]
    lost, on_others = _lost(engine, check, wanted, promise, containers)
    result = _result(reports, lost, check.project, engine, on_others)
    running = {container.service for container in containers if container.running and container.service}
    result["services"] = {"running": len(running), "promised": len(_services(promise))}
    result["hosts"] = hosts
    result["label_mismatch"] = labels.mismatches(containers, check.working_dir, check.config_files)
    result["ok"] = result["ok"] and not result["label_mismatch"]
    result["ephemeral_writes"] = (
        unpersisted.look(engine, containers, check.ephemeral_ignore, check.seconds, local=through is None, world=world)
        if check.ephemeral and (through or not syscalls.supported())
        else []
    )
    seen = [survey.seen_of(job.container, answer) for job, answer in zip(jobs, proven)]
    survey.complete(engine, result, seen if check.places else (), check.seconds, local=through is None, world=world)
    result["table"] = table.lines(result)
    result["duration_ms"] = round((world.monotonic() - began) * 1000, 1)
    return result


def _selected(engine: Engine, check: Check) -> list[Container]:
    found = engine.containers(check.project, check.names)
    return found if check.names else current(found)


def _lost(
    engine: Engine,
    check: Check,
    wanted: t.Sequence[Expectation],
    promise: promised.Promise | None,
    containers: t.Sequence[Container],
) -> tuple[list[dict[str, t.Any]], str]:
    """Rows for what has no container, and a sentence if the stack runs on other nodes of a Swarm alone."""
    lost = _without_container(wanted, containers)
    if promise is not None and promise.services:
        named = {row["service"] for row in lost}
        return lost + [row for row in after.lacking(promise, containers) if row["service"] not in named], ""
    if not check.project or check.names:
        return lost, ""
    lacking, on_others = on_swarm.replicas(engine, check.project, containers)
    return lost + lacking, on_others


def _proven(
    engine: Engine,
    jobs: t.Sequence[prove.Job],
    one_shots: t.Sequence[str],
    seconds: float,
    world: World,
    through: Prover | None,
    fstab: str,
) -> list[dict[str, t.Any]]:
    """One answer for each job, on this host or through the virtual machine."""
    if through:
        return _prove_through(through, jobs, one_shots)
    unsupported = syscalls.supported()
    if unsupported:
        return [proofs.unverifiable(job, unsupported) for job in jobs]
    return proofs.Proofs(engine, world, seconds, one_shots, fstab).of(jobs)


def _services(promise: promised.Promise | None) -> t.Mapping[str, promised.Service]:
    return promise.services if promise is not None else {}


def _wanted(check: Check, promise: promised.Promise | None) -> list[Expectation]:
    """The expectations of the caller and of the last deploy."""
    wanted = [Expectation.parse(one) for one in check.expected or ()]
    if promise is None:
        return wanted
    known = {(one.owner, one.destination) for one in wanted}
    more = [Expectation.parse(one) for one in promise.expected()]
    return wanted + [one for one in more if (one.owner, one.destination) not in known]


def _shared(containers: t.Sequence[Container]) -> frozenset[str]:
    """Sources that more than one container has."""
    counts = collections.Counter(source for each in containers for source in {mount.source for mount in each.mounts})
    return frozenset(source for source, count in counts.items() if count > 1)


def _report(container: Container, answer: t.Mapping[str, t.Any], absent: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    return {
        "name": container.name,
        "id": container.id,
        "service": container.service,
        "status": container.status,
        "pid": container.pid,
        "user": answer["user"],
        "mounts": answer["rows"] + absent,
    }


def _prove_through(through: Prover, jobs: t.Sequence[prove.Job], one_shots: t.Sequence[str]) -> list[dict[str, t.Any]]:
    running = [job for job in jobs if job.container.running]
    answers = dict(zip((job.container.id for job in running), through.prove(running)))
    return [answers[job.container.id] if job.container.running else proofs.not_running(job, one_shots) for job in jobs]


def _with_inherited(engine: Engine, containers: list[Container]) -> list[Container]:
    known = {key: container for container in containers for key in (container.id, container.name)}

    def look_up(name: str) -> Container | None:
        if name not in known:
            try:
                known[name] = engine.containers(names=[name])[0]
            except NotFound:
                return None
        return known[name]

    return [with_inherited(container, look_up) for container in containers]


def _without_container(wanted: t.Sequence[Expectation], containers: t.Sequence[Container]) -> list[dict[str, t.Any]]:
    lost = []
    for one in wanted:
        if not any(one.concerns(container) for container in containers):
            lost.append(one.missing("", f"there is no container of {shown(one.owner)}: start it"))
    return lost


def _result(
    reports: list[dict[str, t.Any]],
    lost: list[dict[str, t.Any]],
    project: str | None,
    engine: Engine,
    on_others: str,
) -> dict[str, t.Any]:
    missing = list(lost)
    verdicts = ["missing"] * len(lost)
    for report in reports:
        for mount in report["mounts"]:
            verdicts.append(mount["verdict"])
            if mount["verdict"] == "missing":
                missing.append(
                    {
                        "container": report["name"],
                        "service": report["service"],
                        "source": mount["source"],
                        "destination": mount["destination"],
                        "message": mount["message"],
                    }
                )
    good = verdicts.count("ok")
    unverifiable = verdicts.count("unverifiable")
    summary = {
        "checked": len(verdicts),
        "ok": good,
        "failed": len(verdicts) - good - unverifiable,
        "unverifiable": unverifiable,
    }
    message = f"{good} of {len(verdicts)} mounts proven in {len(reports)} containers"
    if not reports:
        scope = f"project {project!r}" if project else "this engine"
        message = f"no container of {scope} on {engine.name} ({engine.socket or 'command line'}): is the stack up?"
        message = on_others or message
    return {
        "ok": bool(reports or on_others) and good == len(verdicts),
        "summary": summary,
        "containers": reports,
        "missing_mounts": missing,
        "message": message,
    }
