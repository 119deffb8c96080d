# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine as desired: read, decide, do, read again. What the module ``podman_machine`` calls."""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core import ps as processes
from ansible_collections.onebox.stack.plugins.module_utils.vm.errors import Hung, MachineError
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import (
    apply,
    health,
    model,
    plan,
    read,
    recover,
    visible,
)
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import clock as guest_clock
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import paths as places
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.client import Podman

# Seconds from podman's note that it starts a machine to the first process that names one of its files.
_NO_PROCESS_YET = 10.0


class Refused(MachineError):
    """The plan may not be carried out; ``result`` is what the module returns beside the text."""

    def __init__(self, message: str, result: dict[str, t.Any]) -> None:
        super().__init__(message)
        self.result = result


@dataclass(frozen=True)
class Limits:
    """Seconds for each kind of step."""

    start: float = 300.0
    stop: float = 120.0
    init: float = 1800.0


def host_facts(podman: Podman) -> plan.Host:
    """What the rules need to know of this host."""
    home = podman.env["HOME"]
    try:
        memory: int | None = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    except (ValueError, OSError):
        memory = None
    try:
        free: int | None = shutil.disk_usage(home).free // 2**30
    except OSError:
        free = None
    return plan.Host(podman.version, home, os.cpu_count() or 1, memory, free, os.path.exists)


def ensure(
    podman: Podman,
    wanted: plan.Wanted,
    limits: Limits,
    *,
    check: bool,
    system: str,
    uid: int,
    wait_api: bool = True,
    must_see: t.Sequence[str] = (),
    token: str = "",
    mend_clock: bool = False,
    host: plan.Host | None = None,
    run: process.Runner = process.run,
    ping: health.Ping = health.ping,
    clock: t.Callable[[], float] = time.monotonic,
    sleep: t.Callable[[float], None] = time.sleep,
    epoch: t.Callable[[], float] = time.time,
) -> dict[str, t.Any]:
    """Bring the machine to what is wanted.

    Args:
        podman: the client.
        wanted: the task's wishes.
        limits: seconds for the steps.
        check: only say what would be done.
        system: ``sys.platform``.
        uid: who we are.
        wait_api: started means that the API answers.
        must_see: directories of the host that the guest must see, proven when the machine runs.
        token: random text for that proof.
        mend_clock: give a guest whose clock is off the host's time.

    Returns:
        The module's result, ``changed`` included.

    Raises:
        Refused: it may not be done; nothing was changed.
        MachineError: it cannot be read, or a step failed.
    """
    facts = host or host_facts(podman)
    runtime = places.runtime_dir(podman.env, system=system, uid=uid)
    ended: list[str] = []
    try:
        current = read.machine(podman, wanted.name, wanted.provider, ping)
    except Hung:
        if wanted.recover != "kill_stale" or check:
            raise
        with apply.alone(runtime, wanted.name, limits.start, clock, sleep):
            ended = _end_hung(podman, wanted, runtime, uid, run, clock, sleep)
        current = read.machine(podman, wanted.name, wanted.provider, ping)

    def decide(machine: model.Machine | None) -> plan.Plan:
        return _decide(podman, wanted, machine, _left_behind(podman, wanted, machine, facts, runtime, uid, run))

    if check:
        result = _result(podman, current, decide(current), done=False)
        return _on_time(podman, current, mend_clock, result)

    def lives(config: model.ConfigFile) -> bool:
        return bool(_processes(config, runtime, uid, run))

    deadline = clock() + limits.start
    while _may_still_start(wanted, current, limits, lives) and clock() < deadline:
        sleep(1.0)
        current = read.machine(podman, wanted.name, wanted.provider, ping)
    decided = decide(current)
    if not decided.steps:
        result = _result(podman, current, decided, done=bool(ended))
        result["changed"] = bool(ended)
        return _on_time(podman, current, mend_clock, _seen(podman, current, must_see, token, run, result), epoch)
    with apply.alone(runtime, wanted.name, limits.start, clock, sleep):
        # Another run may have done it while we waited for the lock.
        now = read.machine(podman, wanted.name, wanted.provider, ping)
        if now != current:
            current, decided = now, decide(now)
        applier = apply.Applier(
            podman=podman,
            name=wanted.name,
            provider=current.provider if current else wanted.provider or "",
            next_provider=wanted.provider or "",
            runtime=runtime,
            uid=uid,
            timeout_start=limits.start,
            timeout_stop=limits.stop,
            timeout_init=limits.init,
            wait_api=wait_api,
            ping=ping,
            run=run,
            clock=clock,
            sleep=sleep,
        )
        applier.apply(decided)
    after = read.machine(podman, wanted.name, None if wanted.state == "absent" else wanted.provider, ping)
    result = _result(podman, after, decided, done=True)
    return _on_time(podman, after, mend_clock, _seen(podman, after, must_see, token, run, result), epoch)


def _on_time(
    podman: Podman,
    machine: model.Machine | None,
    mend: bool,
    result: dict[str, t.Any],
    epoch: t.Callable[[], float] | None = None,
) -> dict[str, t.Any]:
    """Warn of a clock that is off, or mend it; without ``epoch`` (check mode) only say that it would be mended."""
    if machine is None or not guest_clock.is_off(machine):
        return result
    if not mend:
        result["warnings"].append(guest_clock.warning(machine))
        return result
    result["changed"] = True
    result["diff"]["before"]["clock_drift"], result["diff"]["after"]["clock_drift"] = machine.clock_drift, 0.0
    if epoch is not None:
        guest_clock.mend(podman, machine, epoch())
        result["machine"]["clock_drift"] = 0.0
        result["actions"] = podman.actions
    return result


def _seen(
    podman: Podman,
    machine: model.Machine | None,
    paths: t.Sequence[str],
    token: str,
    run: process.Runner,
    result: dict[str, t.Any],
) -> dict[str, t.Any]:
    """Add ``visible`` to the result; a directory that is not is a refusal to go on."""
    result["visible"] = []
    if paths and machine is not None and machine.healthy:
        result["visible"] = visible.check(podman, machine, paths, token, run)
    missing = [row["message"] for row in result["visible"] if not row["ok"]]
    if missing:
        raise Refused("; ".join(missing), result)
    return result


def _left_behind(
    podman: Podman,
    wanted: plan.Wanted,
    machine: model.Machine | None,
    facts: plan.Host,
    runtime: str,
    uid: int,
    run: process.Runner,
) -> plan.Host:
    """``facts`` with what half-done commands left: connections of no machine, processes of one that is stopped."""
    if machine is None:
        return dataclasses.replace(facts, leftovers=read.leftovers(podman.env, wanted.name))
    if machine.stopped and wanted.recover == "kill_stale":
        return dataclasses.replace(facts, orphans=len(_processes(machine.config, runtime, uid, run)))
    return facts


def _processes(config: model.ConfigFile, runtime: str, uid: int, run: process.Runner) -> list[processes.Process]:
    every = processes.listing(run)
    return recover.belonging(config, runtime, every, uid, processes.family(os.getpid(), every))


def _end_hung(
    podman: Podman,
    wanted: plan.Wanted,
    runtime: str,
    uid: int,
    run: process.Runner,
    clock: t.Callable[[], float],
    sleep: t.Callable[[float], None],
) -> list[str]:
    """End a machine that podman can tell nothing of; its file still says which processes are its own."""
    config = read.choose(read.config_files(places.config_root(podman.env)), wanted.name, wanted.provider)
    if config is None:
        return []
    ended = recover.end(config, runtime, uid=uid, run=run, clock=clock, sleep=sleep)
    podman.actions.append(["kill", *(command.split(" ")[0] for command in ended)])
    return ended


def _decide(podman: Podman, wanted: plan.Wanted, current: model.Machine | None, facts: plan.Host) -> plan.Plan:
    decided = plan.make(wanted, current, facts)
    if decided.refusal:
        raise Refused(decided.refusal, _result(podman, current, decided, done=False))
    return decided


def _may_still_start(
    wanted: plan.Wanted,
    current: model.Machine | None,
    limits: Limits,
    lives: t.Callable[[model.ConfigFile], bool],
) -> bool:
    """Whether somebody else's start is under way: not ready, not for so long that it must be stale, and not killed."""
    return (
        wanted.state == "started"
        and current is not None
        and current.starting
        and not current.healthy
        and current.config.age < limits.start
        and (current.config.age < _NO_PROCESS_YET or lives(current.config))
    )


def _result(podman: Podman, machine: model.Machine | None, decided: plan.Plan, *, done: bool) -> dict[str, t.Any]:
    return {
        "changed": decided.changed,
        "machine": machine.as_dict() if machine is not None else {},
        "actions": podman.actions if done else [["podman", *step.words] for step in decided.steps if step.words],
        "restart_required": decided.restart_required and not (done and "set" in {one.verb for one in decided.steps}),
        "recreate_required": [] if done else decided.recreate_required,
        "diff": {"before": decided.before, "after": decided.after},
        "warnings": list(decided.warnings),
    }
