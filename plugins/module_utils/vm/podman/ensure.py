# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Converge one machine: read, decide, apply, read again. The module ``podman_machine`` calls this."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.vm import sizes
from ansible_collections.onebox.stack.plugins.module_utils.vm.errors import Hung, MachineError
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import (
    apply,
    clock,
    model,
    paths,
    plan,
    read,
    recover,
    visible,
)
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.client import Podman
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.wanted import Host, Wanted

# Seconds from podman's record that it starts a machine to the first process with one of its files in its argv.
_NO_PROCESS_YET = 10.0

Result = dict[str, t.Any]


class Refused(MachineError):
    """The plan is refused; the module returns ``facts`` with the text."""


@dataclass(frozen=True)
class Options:
    """How one task changes a machine.

    Attributes:
        system: ``sys.platform``.
        check: only report what would be done.
        limits: seconds for the steps.
        wait_api: a machine is started only when its API answers.
        must_see: directories of the host that the guest must see, checked while the machine runs.
        token: random text for that proof.
        mend_clock: set the clock of a guest that is off to the host's time.
    """

    system: str
    check: bool = False
    limits: apply.Limits = apply.Limits()
    wait_api: bool = True
    must_see: tuple[str, ...] = ()
    token: str = ""
    mend_clock: bool = False


def host_facts(podman: Podman) -> Host:
    """The facts of this host for the rules."""
    home = podman.env["HOME"]
    try:
        memory: int | None = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    except (ValueError, OSError):
        memory = None
    return Host(podman.version, home, os.cpu_count() or 1, memory, sizes.free_gib(home), os.path.exists)


def ensure(podman: Podman, wanted: Wanted, options: Options, host: Host) -> Result:
    """Converge the machine to ``wanted``. Returns the module's result, ``changed`` included.

    Raises:
        Refused: the change is not allowed; nothing was changed.
        MachineError: the machine cannot be read, or a step failed.
    """
    return _Task(podman, wanted, options, host).run()


class _Task:
    """One run of the module."""

    def __init__(self, podman: Podman, wanted: Wanted, options: Options, host: Host) -> None:
        self._podman = podman
        self._world = podman.world
        self._wanted = wanted
        self._options = options
        self._host = host
        self._runtime = paths.runtime_dir(podman.env, system=options.system, uid=podman.world.uid)

    def run(self) -> Result:
        """See :func:`ensure`."""
        ended: list[str] = []
        try:
            current = self._read()
        except Hung:
            if self._wanted.recover != "kill_stale" or self._options.check:
                raise
            with self._alone():
                ended = self._end_hung()
            current = self._read()
        if self._options.check:
            return self._check_clock(current, self._result(current, self._decide(current), done=False))
        current = self._wait_for_other_start(current)
        decided = self._decide(current)
        if decided.steps:
            decided = self._apply(decided, current)
            provider = None if self._wanted.state == "absent" else self._wanted.provider
            current = read.machine(self._podman, self._wanted.name, provider)
        result = self._result(current, decided, done=bool(decided.steps or ended))
        result["changed"] = decided.changed or bool(ended)
        self._check_visible(current, result)
        return self._check_clock(current, result)

    def _read(self) -> model.Machine | None:
        return read.machine(self._podman, self._wanted.name, self._wanted.provider)

    def _alone(self) -> contextlib.AbstractContextManager[None]:
        return apply.alone(self._runtime, self._wanted.name, self._options.limits.start, self._world)

    def _end_hung(self) -> list[str]:
        """End a machine that podman cannot report on, by the process details in its configuration file."""
        config = read.choose(read.configurations(self._podman), self._wanted.name, self._wanted.provider)
        if config is None:
            return []
        ended = recover.end(config, self._runtime, world=self._world)
        self._podman.actions.append(["kill", *(command.split(" ")[0] for command in ended)])
        return ended

    def _wait_for_other_start(self, current: model.Machine | None) -> model.Machine | None:
        deadline = self._world.monotonic() + self._options.limits.start
        while self._may_still_start(current) and self._world.monotonic() < deadline:
            self._world.sleep(1.0)
            current = self._read()
        return current

    def _may_still_start(self, current: model.Machine | None) -> bool:
        """Whether another process is starting the machine: not ready, not stale by its age, not killed."""
        return (
            self._wanted.state == "started"
            and current is not None
            and current.starting
            and not current.healthy
            and current.config.age < self._options.limits.start
            and (current.config.age < _NO_PROCESS_YET or bool(self._processes(current.config)))
        )

    def _processes(self, config: model.ConfigFile) -> list[t.Any]:
        return recover.running(config, self._runtime, self._world)

    def _decide(self, current: model.Machine | None) -> plan.Plan:
        decided = plan.make(self._wanted, current, self._facts(current))
        if decided.refusal:
            raise Refused(decided.refusal, facts=self._result(current, decided, done=False))
        return decided

    def _facts(self, machine: model.Machine | None) -> Host:
        """The host with leftovers of interrupted commands: connections without machine, processes of a stopped one."""
        if machine is None:
            return dataclasses.replace(self._host, leftovers=read.leftovers(self._podman.env, self._wanted.name))
        if machine.stopped and self._wanted.recover == "kill_stale":
            return dataclasses.replace(self._host, orphans=len(self._processes(machine.config)))
        return self._host

    def _apply(self, decided: plan.Plan, current: model.Machine | None) -> plan.Plan:
        """Apply the plan under the lock. Returns the plan that was applied."""
        with self._alone():
            # Another run may have changed the machine while this one waited for the lock.
            now = self._read()
            if now != current:
                current, decided = now, self._decide(now)
            wanted = self._wanted.provider or ""
            applier = apply.Applier(
                podman=self._podman,
                name=self._wanted.name,
                provider=current.provider if current else wanted,
                next_provider=wanted,
                runtime=self._runtime,
                limits=self._options.limits,
                wait_api=self._options.wait_api,
            )
            applier.apply(decided)
        return decided

    def _check_clock(self, machine: model.Machine | None, result: Result) -> Result:
        """Warn of a wrong clock, or set it; in check mode only report that it would be set."""
        if machine is None or not clock.is_off(machine):
            return result
        if not self._options.mend_clock:
            result["warnings"].append(clock.warning(machine))
            return result
        result["changed"] = True
        result["diff"]["before"]["clock_drift"], result["diff"]["after"]["clock_drift"] = machine.clock_drift, 0.0
        if not self._options.check:
            clock.adjust(self._podman, machine, self._world.epoch())
            result["machine"]["clock_drift"] = 0.0
            result["actions"] = self._podman.actions
        return result

    def _check_visible(self, machine: model.Machine | None, result: Result) -> None:
        """Add ``visible`` to the result. Fails if the guest does not see a directory."""
        result["visible"] = []
        if self._options.must_see and machine is not None and machine.healthy:
            result["visible"] = visible.check(self._podman, machine, self._options.must_see, self._options.token)
        missing = [row["message"] for row in result["visible"] if not row["ok"]]
        if missing:
            raise Refused("; ".join(missing), facts=result)

    def _result(self, machine: model.Machine | None, decided: plan.Plan, *, done: bool) -> Result:
        set_now = done and "set" in {one.verb for one in decided.steps}
        commands = [["podman", *step.words] for step in decided.steps if step.words]
        return {
            "changed": decided.changed,
            "machine": machine.as_dict() if machine is not None else {},
            "actions": self._podman.actions if done else commands,
            "restart_required": decided.restart_required and not set_now,
            "recreate_required": [] if done else decided.recreate_required,
            "diff": {"before": decided.before, "after": decided.after},
            "warnings": list(decided.warnings),
        }
