# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide the steps for one machine. This file does not run or read anything: all values are arguments.

Only requested settings are compared. ``podman machine set`` is neither idempotent nor validated (an equal disk size is
an error, zero CPUs are accepted, every setting is refused unless the machine is stopped), so the plan is made here.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import rules, volumes
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.model import Machine
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.wanted import Host, Wanted


@dataclass(frozen=True)
class Step:
    """One step: ``init``, ``set``, ``start``, ``stop``, ``recover``, ``rm``, ``forget`` or ``default``."""

    verb: str
    words: tuple[str, ...] = ()


@dataclass
class Plan:
    """The planned steps, or the reason against them.

    Attributes:
        steps: in order; empty if no step is needed.
        refusal: the reason why the steps are not allowed, "" if they are.
        before: the current values of the compared settings.
        after: the requested values of the same settings.
        restart_required: a running machine needs stop, set and start for a setting that differs.
        recreate_required: settings that differ and that only a new machine can get.
        warnings: warnings that do not fail the task.
    """

    steps: list[Step] = field(default_factory=list)
    refusal: str = ""
    before: dict[str, t.Any] = field(default_factory=dict)
    after: dict[str, t.Any] = field(default_factory=dict)
    restart_required: bool = False
    recreate_required: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return bool(self.steps) and not self.refusal


# Options of ``set``, by the name of the setting.
_SET = {"cpus": "--cpus", "memory_mib": "--memory", "disk_gib": "--disk-size"}
# Settings without a ``set`` in any version.
_FIXED = ("provider", "swap_mib", "username", "volumes")


def make(wanted: Wanted, current: Machine | None, host: Host) -> Plan:
    """The plan that converges ``current`` (None: the machine does not exist) to ``wanted``."""
    plan = Plan()
    if wanted.state == "absent":
        return _absent(wanted, current, plan, host)
    plan.refusal = rules.request(wanted, host)
    if plan.refusal:
        return plan
    if current is None:
        plan.before["state"], plan.after["state"] = "absent", _target(wanted, None)
        plan.after.update(_given(wanted))
        plan.refusal = rules.creation(wanted, host) or _readonly(host)
        plan.warnings += rules.warnings(wanted, None, host)
        _forget(plan, host)
        _create(wanted, plan, host)
        return plan
    _compare(wanted, current, plan)
    plan.refusal = rules.difference(wanted, current, host)
    if plan.recreate_required:
        _recreate(wanted, current, plan, host)
    else:
        plan.warnings += rules.warnings(wanted, current, host)
        _adapt(wanted, current, plan, host)
    if plan.steps and not plan.refusal:
        plan.refusal = _readonly(host)
    return plan


def _readonly(host: Host) -> str:
    if host.version >= (5, 0, 0):
        return ""
    version = ".".join(str(part) for part in host.version)
    return f"machines of podman {version} are not changed, because podman 5 cannot use them. Upgrade podman first."


def _given(wanted: Wanted) -> dict[str, t.Any]:
    """The settings of the task, as they are compared and shown."""
    given: dict[str, t.Any] = {}
    for key in ("provider", "cpus", "memory_mib", "disk_gib", "swap_mib", "rootful", "username"):
        value = getattr(wanted, key)
        if value is not None:
            given[key] = value
    if wanted.volumes is not None:
        given["volumes"] = [volume.text for volume in wanted.volumes]
    return given


def _target(wanted: Wanted, current: Machine | None) -> str:
    if wanted.state == "present":
        return "stopped" if current is None else current.state
    return "stopped" if wanted.state == "stopped" else "running"


def _compare(wanted: Wanted, current: Machine, plan: Plan) -> None:
    now: dict[str, t.Any] = {**current.as_dict(), "username": current.config.username}
    for key, value in _given(wanted).items():
        if key == "volumes":
            equal = volumes.same(wanted.volumes or (), current.config.volumes)
        elif key == "swap_mib" and now[key] is None:
            continue  # this version of podman does not record it
        else:
            equal = now[key] == value
        if equal:
            continue
        plan.before[key], plan.after[key] = now[key], value
        if key in _FIXED:
            plan.recreate_required.append(key)
    if not current.image_there:
        plan.before["disk"], plan.after["disk"] = f"missing: {current.config.image_path}", "present"
        plan.recreate_required.append("disk")
    if wanted.default_connection and not current.default:
        plan.before["default_connection"], plan.after["default_connection"] = False, True


def _changed_settings(plan: Plan) -> list[str]:
    return [key for key in (*_SET, "rootful") if key in plan.after]


def _set_words(plan: Plan, name: str) -> tuple[str, ...]:
    words = ["machine", "set"]
    for key, option in _SET.items():
        if key in plan.after:
            words += [option, str(plan.after[key])]
    if "rootful" in plan.after:
        words.append("--rootful" if plan.after["rootful"] else "--rootful=false")
    return (*words, name)


def _adapt(wanted: Wanted, current: Machine, plan: Plan, host: Host) -> None:
    """Plan settings and state of a machine that is kept: at most one stop, one set, one start."""
    settings = _changed_settings(plan)
    hung = _hung(current)
    target = _target(wanted, current)
    down = current.stopped
    plan.restart_required = bool(settings) and not down
    # A machine that is stopped or restarted in any case gets its settings meanwhile.
    stops = wanted.state in ("stopped", "restarted") and not down
    allowed = down or stops or wanted.may_restart
    if wanted.apply == "never" or (wanted.apply == "when_stopped" and not (down or stops)):
        settings = []
    elif settings and not allowed:
        plan.refusal = plan.refusal or (
            f"{', '.join(settings)} of {current.name} would change. Podman changes a machine only while it is stopped, "
            "which stops every container in it. Set allow_restart to allow that, or apply: never to keep the settings."
        )
    brings_down = not down and (stops or bool(settings))
    wants_running = target == "running"
    mends = hung and wanted.state in ("started", "restarted")
    if brings_down or mends:
        _bring_down(wanted, current, plan)
        down = True
    elif down and host.orphans:
        plan.steps.append(Step("recover"))
        plan.before["orphans"], plan.after["orphans"] = host.orphans, 0
    if settings:
        plan.steps.append(Step("set", _set_words(plan, current.name)))
    else:
        for key in _changed_settings(plan):
            plan.warnings.append(f"{key} remains {plan.before.pop(key)} until the machine may be stopped")
            del plan.after[key]
    if mends:
        plan.before["healthy"], plan.after["healthy"] = False, True
    if down and wants_running:
        plan.steps.append(_start(current.name))
    _default(wanted, plan, bool(plan.after.get("rootful", current.rootful)))
    if wanted.state != "present" and current.state != target:
        plan.before["state"], plan.after["state"] = current.state, target


def _hung(current: Machine) -> bool:
    return not current.stopped and (current.starting or not current.healthy)


def _bring_down(wanted: Wanted, current: Machine, plan: Plan) -> None:
    if not _hung(current):
        plan.steps.append(Step("stop", ("machine", "stop", current.name)))
        return
    what = "has been starting" if current.starting else "is running according to podman, but its API does not answer"
    if current.starting:
        what += f" for {current.config.age:.0f} s and is not ready"
    plan.steps.append(Step("recover"))
    if wanted.recover == "none":
        plan.refusal = plan.refusal or (
            f"the machine {current.name} {what} (the guest did not boot, or a start was killed). Set recover: "
            "kill_stale to stop it, and to end exactly its own processes if it does not stop. Unsaved work in its "
            "containers is lost, as in a power cut"
        )


def _start(name: str) -> Step:
    return Step("start", ("machine", "start", "--quiet", "--no-info", name))


def _default(wanted: Wanted, plan: Plan, rootful: bool) -> None:
    if plan.after.get("default_connection"):
        connection = wanted.name + ("-root" if rootful else "")
        plan.steps.append(Step("default", ("system", "connection", "default", connection)))


def _create(wanted: Wanted, plan: Plan, host: Host) -> None:
    plan.steps.append(Step("init", init_words(wanted, host)))
    if wanted.state in ("started", "restarted"):
        plan.steps.append(_start(wanted.name))
    if wanted.default_connection:
        plan.after["default_connection"] = True
        _default(wanted, plan, bool(wanted.rootful))


def init_words(wanted: Wanted, host: Host) -> tuple[str, ...]:
    """``podman machine init`` with exactly the requested settings."""
    words = ["machine", "init"]
    for value, option in (
        (wanted.cpus, "--cpus"),
        (wanted.memory_mib, "--memory"),
        (wanted.disk_gib, "--disk-size"),
        (wanted.swap_mib, "--swap"),
        (wanted.timezone, "--timezone"),
        (wanted.username, "--username"),
        (wanted.image, "--image"),
        # Before 6.0 the environment sets the provider.
        (wanted.provider if host.version >= (6, 0, 0) else None, "--provider"),
    ):
        if value is not None:
            words += [option, str(value)]
    if wanted.rootful is not None:
        words.append("--rootful" if wanted.rootful else "--rootful=false")
    for volume in wanted.volumes or ():
        words += ["--volume", volume.text]
    return (*words, wanted.name)


def _recreate(wanted: Wanted, current: Machine, plan: Plan, host: Host) -> None:
    fields = ", ".join(plan.recreate_required)
    lost = f"every container, image and volume in {current.name} ({current.disk_gib} GiB disk) would be lost"
    if not (wanted.recreate and wanted.allow_destroy):
        plan.refusal = plan.refusal or (
            f"{fields} of the machine {current.name} can only change with a new machine, and {lost}. "
            "Save your data, then set recreate: when_needed and allow_destroy: true"
        )
    # Settings that are not requested are kept: the new machine gets the old one's values.
    plan.refusal = plan.refusal or rules.creation(wanted, host)
    if not current.stopped:
        _bring_down(wanted, current, plan)
    plan.steps.append(_remove(current.name))
    _create(inherit(wanted, current), plan, host)
    plan.before["state"], plan.after["state"] = current.state, _target(wanted, None)
    if wanted.state == "present" and not current.stopped:
        plan.steps.append(_start(wanted.name))
        plan.after["state"] = "running"
    plan.warnings.append(f"the machine is created again: {lost}")
    plan.warnings += rules.warnings(wanted, None, host)


def inherit(wanted: Wanted, current: Machine) -> Wanted:
    """``wanted``, with unset settings copied from the machine that is replaced."""
    config = current.config
    return Wanted(
        **{
            **wanted.__dict__,
            "provider": wanted.provider or current.provider,
            "cpus": wanted.cpus if wanted.cpus is not None else current.cpus,
            "memory_mib": wanted.memory_mib if wanted.memory_mib is not None else current.memory_mib,
            "disk_gib": wanted.disk_gib if wanted.disk_gib is not None else current.disk_gib,
            "swap_mib": wanted.swap_mib if wanted.swap_mib is not None else config.swap_mib or None,
            "rootful": wanted.rootful if wanted.rootful is not None else current.rootful,
            "volumes": wanted.volumes if wanted.volumes is not None else config.volumes,
            "username": wanted.username if wanted.username is not None else config.username or None,
            "default_connection": wanted.default_connection or current.default or None,
        }
    )


def _remove(name: str) -> Step:
    return Step("rm", ("machine", "rm", "--force", name))


def _forget(plan: Plan, host: Host) -> None:
    plan.steps += [Step("forget", ("system", "connection", "remove", one)) for one in host.leftovers]
    if host.leftovers:
        plan.before["connections"], plan.after["connections"] = list(host.leftovers), []


def _absent(wanted: Wanted, current: Machine | None, plan: Plan, host: Host) -> Plan:
    if current is None:
        _forget(plan, host)
        return plan
    plan.before, plan.after = {"state": current.state}, {"state": "absent"}
    plan.refusal = _readonly(host)
    if not current.stopped:
        # "rm --force" after a failed stop removes the disk of a running machine and leaves its processes.
        _bring_down(wanted, current, plan)
    elif host.orphans:
        plan.steps.append(Step("recover"))
    plan.steps.append(_remove(current.name))
    return plan
