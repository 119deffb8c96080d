# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove many containers on this host. A hang, a restart or an error affects only its own container."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.onebox.stack.plugins.module_utils.core.mountinfo import Table
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, NotFound
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.engine.times import epoch_of
from ansible_collections.onebox.stack.plugins.module_utils.mounts import facts, hung, prove
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import subprocess_pool
from ansible_collections.onebox.stack.plugins.module_utils.mounts.model import Finding

Answer = dict[str, t.Any]

# Seconds a restarted container must have run to count as running and not as between two crashes.
_STEADY = 3.0
# Mounts of one container that may hang before the others are skipped.
_MOST_HANGING = 3


class Proofs:
    """The proofs of containers on this host.

    Args:
        engine: where they run.
        world: clock and waiting.
        seconds: how long one container may take.
        one_shots: names or services whose containers may have finished with exit code 0.
        fstab: the file that says which disks the host should have mounted.
    """

    def __init__(self, engine: Engine, world: World, seconds: float, one_shots: t.Sequence[str], fstab: str) -> None:
        self._engine = engine
        self._world = world
        self._seconds = seconds
        self._one_shots = one_shots
        with open("/proc/self/mountinfo", "rb") as stream:
            mounted = Table.parse(stream.read())
        self._prover = prove.Prover(facts.HostView(mounted, _disks(fstab)), seconds, world)
        self._hung = hung.Memory(world)

    def of(self, jobs: t.Sequence[prove.Job]) -> list[Answer]:
        """One answer for each job: ``user`` and ``rows``."""
        jobs = list(jobs)
        answers: dict[int, Answer] = {}
        waiting = list(range(len(jobs)))
        for last in (False, True):
            running = [index for index in waiting if jobs[index].container.running]
            for index in waiting:
                if not jobs[index].container.running:
                    answers[index] = not_running(jobs[index], self._one_shots)
            waiting = []
            for index, answer in zip(running, self._each([jobs[one] for one in running])):
                answers[index] = answer
                if answer["state"] == "proven":
                    continue
                now = self._again(jobs[index].container)
                before = jobs[index].container
                if answer["state"] == "doubt" and (now.pid, now.started_at) == (before.pid, before.started_at):
                    continue
                # It ended or restarted between the list and the proof: inspect it once more.
                jobs[index] = replace(jobs[index], container=now)
                waiting.append(index)
                if last and now.running:
                    answers[index] = unverifiable(
                        jobs[index],
                        f"the engine reports {shown(now.name)} as process {now.pid}, but this process is not "
                        "visible here: run the check on the host itself, in its own process namespace; or the "
                        "container keeps restarting",
                    )
                elif last:
                    answers[index] = not_running(jobs[index], self._one_shots)
        self._outlive(jobs, answers)
        return [answers[index] for index in range(len(jobs))]

    def _each(self, jobs: t.Sequence[prove.Job]) -> t.Iterator[Answer]:
        """The answers to jobs; a hanging one is repeated without the mount that hung."""
        ready = [self._without_hung(job) for job in jobs]
        pool = subprocess_pool.each(self._prover, [job for job, _rows in ready], self._seconds, self._world)
        for (job, known), original, answer in zip(ready, jobs, pool):
            hanging = dict(known)
            while answer is None and len(hanging) < len(known) + _MOST_HANGING:
                at = self._prover.at
                if not 0 <= at < len(job.declared):
                    break
                lost = job.declared[at]
                self._hung.remember(lost.source, subprocess_pool.given_up())
                hanging[lost.destination] = prove.row(lost, self._hung.finding(lost, self._seconds))
                job = replace(job, declared=tuple(one for one in job.declared if one != lost))
                (answer,) = subprocess_pool.each(self._prover, [job], self._seconds, self._world)
            yield self._whole(original, job, answer, hanging)

    def _without_hung(self, job: prove.Job) -> tuple[prove.Job, dict[str, t.Any]]:
        """The job without mounts at which an earlier check still hangs, and the rows of those."""
        known = {
            one.destination: prove.row(one, self._hung.finding(one, self._seconds))
            for one in job.declared
            if self._hung.knows(one.source)
        }
        return replace(job, declared=tuple(one for one in job.declared if one.destination not in known)), known

    def _whole(self, original: prove.Job, job: prove.Job, answer: t.Any, hanging: t.Mapping[str, t.Any]) -> Answer:
        """An answer with all mounts of the container, in their order."""
        name = shown(job.container.name)
        if isinstance(answer, subprocess_pool.Failure):
            answer = unverifiable(job, f"{name} could not be inspected: {answer.text}. Please report this")
        elif answer is None:
            text = f"{name} did not answer within {self._seconds:g} s: the disk or network share behind one of its"
            answer = unverifiable(job, f"{text} mounts hangs; see `dmesg`")
        rows = {one.destination: row for one, row in zip(job.declared, answer["rows"])}
        rows.update(hanging)
        answer.setdefault("state", "proven")
        answer["rows"] = [rows[one.destination] for one in original.declared if one.destination in rows]
        return answer

    def _outlive(self, jobs: list[prove.Job], answers: dict[int, Answer]) -> None:
        """Check containers again that were just started and would be restarted: they may be about to end."""
        young = {
            index: job.container
            for index, job in enumerate(jobs)
            if job.container.running
            and job.container.restart_policy not in ("", "no")
            and self._world.epoch() - epoch_of(job.container.started_at) < _STEADY
        }
        # By our own clock: the engine's may differ.
        deadline = self._world.monotonic() + _STEADY
        while young and self._world.monotonic() < deadline:
            self._world.sleep(0.2)
            for index, before in list(young.items()):
                now = self._again(before)
                if now.running and now.started_at == before.started_at:
                    if self._world.epoch() - epoch_of(now.started_at) >= _STEADY:
                        del young[index]
                    continue
                del young[index]
                jobs[index] = replace(jobs[index], container=now)
                answers[index] = _restarts(jobs[index])

    def _again(self, container: Container) -> Container:
        try:
            return self._engine.containers(names=[container.id])[0]
        except NotFound:
            return replace(container, status="removed", pid=0)


def unverifiable(job: prove.Job, reason: str) -> Answer:
    """The answer if no mount could be proven."""
    return _every(job, Finding("unverifiable", "none", "none", reason))


def not_running(job: prove.Job, one_shots: t.Sequence[str]) -> Answer:
    """The answer for a container without a process."""
    container = job.container
    name = shown(container.name)
    engine = job.declared[0].engine if job.declared else "docker"
    finished = container.status == "exited" and container.exit_code == 0
    if finished and {container.name, container.service} & set(one_shots):
        return {"user": None, "rows": []}
    if container.status == "restarting":
        return _restarts(job)
    if container.status == "removed":
        text = f"{name} was removed during the check. Start the stack again"
        return _every(job, Finding("not_running", "inspect", "recreate", text))
    text = (
        f"{name} is not running ({container.status}, exit code {container.exit_code}), so its mounts cannot be proven. "
        f"Type: `{engine} logs --tail 50 {name}`, then `{engine} start {name}`"
    )
    return _every(job, Finding("not_running", "inspect", "restart", text))


def _restarts(job: prove.Job) -> Answer:
    container = job.container
    name = shown(container.name)
    engine = job.declared[0].engine if job.declared else "docker"
    text = f"{name} keeps exiting and restarting (exit code {container.exit_code}): `{engine} logs --tail 50 {name}`"
    return _every(job, Finding("not_running", "inspect", "none", text))


def _every(job: prove.Job, finding: Finding) -> Answer:
    return {"user": None, "rows": [prove.row(declared, finding) for declared in job.declared]}


def _disks(fstab: str) -> list[str]:
    try:
        with open(fstab, encoding="utf-8", errors="surrogateescape") as stream:
            return facts.declared_disks(stream.read())
    except OSError:
        return []  # a host without the file has no such disks
