# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify the mounts of running containers: what the module ``bind_mount_verify`` and the deployment ask.

The proof is that source and destination are the same object (device and inode), seen through the kernel's view of the
container's main process. Nothing is run in the container, nothing needs to be in its image, nothing is left behind.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, NotFound
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.mounts import facts, labels, prove, table
from ansible_collections.onebox.stack.plugins.module_utils.mounts.expected import Expectation, declare, with_inherited
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import subprocess_pool, syscalls
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.mountinfo import Table
from ansible_collections.onebox.stack.plugins.module_utils.mounts.model import CheckError, Finding
from ansible_collections.onebox.stack.plugins.module_utils.mounts.unpersisted import report as unpersisted
from ansible_collections.onebox.stack.plugins.module_utils.mounts.unpersisted.scan import IGNORED
from ansible_collections.onebox.stack.plugins.module_utils.mounts.vm.prover import Prover

ACCESS = ("none", "read", "write")


@dataclass(frozen=True)
class Check:
    """Which containers to verify, and how far to go.

    Attributes:
        project: all containers of this compose project.
        names: these containers instead.
        expected: mounts that must be there, as dictionaries with ``container`` or ``service``, ``source``,
            ``destination``, and optionally ``read_only``, ``type`` (file or dir), ``not_empty``. Default: what the
            engine says it mounted.
        access: what to try as the application: none, read, or write (reading included).
        ephemeral: look for what was written outside of every mount, too.
        ephemeral_ignore: paths and patterns that are left out of that.
        working_dir: the directory the containers must have been made in, by their labels; "" is not compared.
        config_files: the compose files they must have been made from; none is not compared.
        one_shots: names or services whose containers may have finished with exit code 0.
        seconds: how long one container may take before it is given up as unverifiable.
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
    seconds: float = 10.0


def verify(
    engine: Engine, check: Check, *, world: World, through: Prover | None = None, fstab: str = "/etc/fstab"
) -> dict[str, t.Any]:
    """Prove every bind mount and volume of the containers asked for.

    Args:
        engine: where the containers run; it is only read.
        check: which containers, and how far to go.
        world: the clock.
        through: proves mounts of containers in a virtual machine.
        fstab: the file that says which disks the host should have mounted.

    Returns:
        The module's result: ok, summary, containers, missing_mounts, label_mismatch, ephemeral_writes, message,
        table, duration_ms.

    Raises:
        EngineError: the engine does not answer, or has no container of that name.
        MachineError: the virtual machine does not answer.
        CheckError: an expectation or ``access`` is not understood; the text says which.
    """
    began = world.monotonic()
    if check.access not in ACCESS:
        raise CheckError(f"access must be one of {', '.join(ACCESS)}, not {check.access!r}")
    wanted = [Expectation.parse(one) for one in check.expected or ()]
    containers = _with_inherited(engine, engine.containers(check.project, check.names))
    jobs, missing = [], []
    for container in containers:
        declared, absent = declare(engine.name, container, wanted)
        jobs.append(prove.Job(container, declared, check.access))
        missing.append(absent)
    unsupported = "" if through else syscalls.supported()
    if through:
        proven = _prove_through(through, jobs, check.one_shots)
    elif unsupported:
        proven = [_unverifiable(job, unsupported) for job in jobs]
    else:
        proven = _prove_all(engine, jobs, check, world, fstab)
    reports = [_report(job.container, answer, absent) for job, answer, absent in zip(jobs, proven, missing)]
    result = _result(reports, _without_container(wanted, containers), check.project, engine)
    result["label_mismatch"] = labels.mismatches(containers, check.working_dir, check.config_files)
    result["ok"] = result["ok"] and not result["label_mismatch"]
    result["ephemeral_writes"] = (
        unpersisted.look(engine, containers, check.ephemeral_ignore, check.seconds, local=through is None, world=world)
        if check.ephemeral and not unsupported
        else []
    )
    result["table"] = table.lines(result)
    result["duration_ms"] = round((world.monotonic() - began) * 1000, 1)
    return result


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


def _prove_all(engine: Engine, jobs: list[prove.Job], check: Check, world: World, fstab: str) -> list[dict[str, t.Any]]:
    seconds = check.seconds
    with open("/proc/self/mountinfo", "rb") as stream:
        mounted = Table.parse(stream.read())
    prover = prove.Prover(facts.HostView(mounted, _disks(fstab)), seconds, world)
    answers: dict[int, dict[str, t.Any]] = {}
    waiting = list(range(len(jobs)))
    for last in (False, True):
        running = [index for index in waiting if jobs[index].container.running]
        for index in waiting:
            if not jobs[index].container.running:
                answers[index] = _not_running(jobs[index], check.one_shots)
        waiting = []
        proofs = subprocess_pool.each(prover, [jobs[one] for one in running], seconds, world)
        for index, answer in zip(running, proofs):
            if answer is None:
                answers[index] = _unverifiable(
                    jobs[index],
                    f"{shown(jobs[index].container.name)} did not answer within {seconds:g} s: the disk or network "
                    "share behind one of its mounts hangs; see `dmesg`",
                )
                continue
            answers[index] = answer
            if answer["state"] == "proven":
                continue
            now = _again(engine, jobs[index].container)
            before = jobs[index].container
            if answer["state"] == "doubt" and (now.pid, now.started_at) == (before.pid, before.started_at):
                continue
            # It ended or started anew between the list and the look: one more look at what is there now.
            jobs[index] = prove.Job(now, jobs[index].declared, jobs[index].access)
            waiting.append(index)
            if last and now.running:
                answers[index] = _unverifiable(
                    jobs[index],
                    f"the engine says that {shown(now.name)} is process {now.pid}, but no such process of it is "
                    "visible here: run the check on the host itself, in its own process namespace; or the container "
                    "keeps restarting",
                )
            elif last:
                answers[index] = _not_running(jobs[index], check.one_shots)
    return [answers[index] for index in range(len(jobs))]


def _prove_through(through: Prover, jobs: list[prove.Job], one_shots: t.Sequence[str]) -> list[dict[str, t.Any]]:
    running = [job for job in jobs if job.container.running]
    answers = dict(zip((job.container.id for job in running), through.prove(running)))
    return [answers[job.container.id] if job.container.running else _not_running(job, one_shots) for job in jobs]


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


def _again(engine: Engine, container: Container) -> Container:
    try:
        return engine.containers(names=[container.id])[0]
    except NotFound:
        return replace(container, status="removed", pid=0)


def _disks(fstab: str) -> list[str]:
    try:
        with open(fstab, encoding="utf-8", errors="surrogateescape") as stream:
            return facts.declared_disks(stream.read())
    except OSError:
        return []  # a host without the file promises nothing


def _every(job: prove.Job, finding: Finding) -> dict[str, t.Any]:
    return {"user": None, "rows": [prove.row(declared, finding) for declared in job.declared]}


def _unverifiable(job: prove.Job, reason: str) -> dict[str, t.Any]:
    return _every(job, Finding("unverifiable", "none", "none", reason))


def _not_running(job: prove.Job, one_shots: t.Sequence[str]) -> dict[str, t.Any]:
    container = job.container
    name = shown(container.name)
    engine = job.declared[0].engine if job.declared else "docker"
    finished = container.status == "exited" and container.exit_code == 0
    if finished and {container.name, container.service} & set(one_shots):
        return {"user": None, "rows": []}
    if container.status == "restarting":
        text = f"{name} keeps ending and restarting (exit code {container.exit_code}): `{engine} logs --tail 50 {name}`"
        return _every(job, Finding("not_running", "inspect", "none", text))
    if container.status == "removed":
        text = f"{name} was removed while it was looked at. Start the stack again"
        return _every(job, Finding("not_running", "inspect", "recreate", text))
    text = (
        f"{name} is not running ({container.status}, exit code {container.exit_code}), so there is nothing to prove. "
        f"Type: `{engine} logs --tail 50 {name}`, then `{engine} start {name}`"
    )
    return _every(job, Finding("not_running", "inspect", "restart", text))


def _without_container(wanted: t.Sequence[Expectation], containers: t.Sequence[Container]) -> list[dict[str, t.Any]]:
    lost = []
    for one in wanted:
        if not any(one.concerns(container) for container in containers):
            lost.append(one.missing("", f"there is no container of {shown(one.owner)}: start it"))
    return lost


def _result(
    reports: list[dict[str, t.Any]], lost: list[dict[str, t.Any]], project: str | None, engine: Engine
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
        what = f"project {project!r}" if project else "this engine"
        message = f"no container of {what} on {engine.name} ({engine.socket or 'command line'}): is the stack up?"
    return {
        "ok": bool(reports) and good == len(verdicts),
        "summary": summary,
        "containers": reports,
        "missing_mounts": missing,
        "message": message,
    }
