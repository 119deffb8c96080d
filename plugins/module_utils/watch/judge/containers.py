# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge the containers of a stack against the promise of its last deploy."""

from __future__ import annotations

from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.engine.times import epoch_of
from ansible_collections.onebox.stack.plugins.module_utils.watch.config import Stack
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge import swarm
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.verdicts import (
    DAY,
    HOUR,
    Verdicts,
    moment,
    one_line,
    span,
)
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import Facts, Finding

# Findings that need an engine's answer.
LIVE = (
    *("stack_absent", "service_missing", "service_exited", "service_paused", "unhealthy", "crash_loop"),
    *("log_unbounded", "image_old", "deploy_stuck", "drift_undeclared"),
)
# Restarts within an hour that are a crash loop.
_LOOP = 3
_STUCK = HOUR


def judge(stack: Stack, live: Facts, promise: Facts, uptime: float | None, verdicts: Verdicts) -> None:
    """Report on the engine, on missing services, and on each container.

    Args:
        live: the answer of :func:`probe.stack.facts`.
        promise: the answer of :func:`probe.stack.promise`.
        uptime: seconds since the host started, None where not known.
    """
    if live.get("error"):
        code = "stack_no_data" if live.get("hung") else "engine_no_answer"
        what = f"the container engine of {stack.name} does not answer: {one_line(str(live['error']))}"
        verdicts.add(Finding(code, stack.name, what, _engine_fix(stack)))
        verdicts.unknown((*LIVE, "engine_no_answer", "stack_no_data"), stack.name)
        return
    if live.get("deploying"):
        _deploying(stack, str(live["deploying"]), verdicts)
        verdicts.unknown([code for code in LIVE if code != "deploy_stuck"], stack.name)
        return
    on_swarm = live.get("swarm") or {}
    # A stack on a Swarm has no promise but the one of a compose stack of the same name, which is still deployed.
    if on_swarm and not promise.get("services") and not promise.get("damaged"):
        swarm.replicas(stack, on_swarm, verdicts)
    else:
        _promised(stack, live, promise, verdicts)
    if on_swarm:
        swarm.exits(stack, on_swarm, verdicts)
    services = promise.get("services")
    for container in live["containers"]:
        expected = services is None or container["service"] in services
        if services is None:
            one_shot = container["policy"] not in ("always", "unless-stopped")
        else:
            one_shot = bool(services.get(container["service"], {}).get("one_shot"))
        _container(stack, live["engine"]["name"], container, (expected, one_shot), verdicts)
        _restarts(stack, live["engine"]["name"], container, uptime, verdicts)


def _engine_fix(stack: Stack) -> str:
    return {"docker": "systemctl status docker", "podman": "podman info"}.get(stack.engine, "docker info; podman info")


def _deploying(stack: Stack, since: str, verdicts: Verdicts) -> None:
    began = epoch_of(since)
    if began and verdicts.now - began > _STUCK:
        what = f"a deploy has held the lock of {stack.name} for {span(verdicts.now - began)}"
        verdicts.add(Finding("deploy_stuck", stack.name, what, f"cat {shown(stack.folder)}/lock; ps aux", began))


def _promised(stack: Stack, live: Facts, promise: Facts, verdicts: Verdicts) -> None:
    deploy = f"ansible-playbook site.yml -l {verdicts.host}"
    if promise.get("error"):
        what = f"a missing service of {stack.name} would not be noticed: {one_line(str(promise['error']))}"
        damaged = promise.get("damaged")
        fix = f"rm {shown(damaged)}  # then {deploy}" if damaged else deploy
        verdicts.add(Finding("promise_no_data", stack.name, what, fix))
        verdicts.unknown(("service_missing", "drift_undeclared"), stack.name)
        if not live["containers"]:
            verdicts.add(Finding("stack_absent", stack.name, f"{stack.name} has no container", deploy))
        return
    services = promise["services"]
    counts: dict[str, int] = {}
    for container in live["containers"]:
        counts[container["service"]] = counts.get(container["service"], 0) + 1
    if services and not live["containers"]:
        what = f"{stack.name} has no container, {len(services)} services were promised"
        verdicts.add(Finding("stack_absent", stack.name, what, deploy))
        return
    for name, row in sorted(services.items()):
        lacking = row["count"] - counts.get(name, 0)
        if lacking > 0 and not (row["one_shot"] and counts.get(name)):
            what = f"service {name} of {stack.name} has {counts.get(name, 0)} of {row['count']} containers"
            verdicts.add(Finding("service_missing", f"{stack.name}/{name}", what, deploy))
    _undeclared(stack, live, services, verdicts)


def _undeclared(stack: Stack, live: Facts, services: Facts, verdicts: Verdicts) -> None:
    """Report containers of services that the last deploy did not declare: made by hand, or left by an older one."""
    for one in live["containers"]:
        if one["service"] in services:
            continue
        name = shown(one["name"])
        what = f"container {name} of service {one['service']} was not deployed with {stack.name}"
        fix = f"{live['engine']['name']} rm -f {name}  # or add the service to the compose file"
        verdicts.add(Finding("drift_undeclared", f"{stack.name}/{one['name']}", what, fix))


def _container(stack: Stack, engine: str, one: Facts, expected: tuple[bool, bool], verdicts: Verdicts) -> None:
    promised, one_shot = expected
    where, name = f"{stack.name}/{one['service']}", shown(one["name"])
    logs = f"{engine} logs --tail 50 {name}"
    status = one["status"]
    if status == "paused":
        verdicts.add(Finding("service_paused", where, f"container {name} is paused", f"{engine} unpause {name}"))
    elif status == "restarting":
        what = f"container {name} restarts again and again (exit code {one['exit_code']})"
        verdicts.add(Finding("crash_loop", where, what, logs))
    elif status != "running" and promised and (one["exit_code"] != 0 or not one_shot):
        what = f"container {name} is {status} (exit code {one['exit_code']})"
        verdicts.add(Finding("service_exited", where, what, logs, one["finished"]))
    elif status == "running" and one["health"] == "unhealthy":
        output = f": {one_line(one['health_output'], 120)}" if one["health_output"] else ""
        verdicts.add(Finding("unhealthy", where, f"container {name} is unhealthy{output}", logs))
    if not one["log"]["bounded"] and status == "running":
        what = f"nothing limits the log of container {name} ({one['log']['driver']})"
        fix = 'add to the service: logging: {options: {max-size: 10m, max-file: "3"}}'
        verdicts.add(Finding("log_unbounded", where, what, fix))
    age = verdicts.now - one["image_created"]
    if stack.image_days and one["image_created"] > 0 and age > stack.image_days * DAY:
        what = f"the image {shown(one['image'])} of container {name} was built {span(age)} ago"
        verdicts.add(Finding("image_old", where, what, f"{engine} pull {shown(one['image'])}"))


def _restarts(stack: Stack, engine: str, one: Facts, uptime: float | None, verdicts: Verdicts) -> None:
    """Restarts, unexpected exits and killed processes since the last run."""
    known = verdicts.note(f"containers {stack.name}")
    before = known.get(one["id"])
    now, count = verdicts.now, one["restarts"]
    last_run = float(verdicts.notes.get("at") or 0.0)
    if before is None:
        # A container that is new since the last run has counted from 0; an older one has an unknown past.
        before = {"count": 0 if 0 < last_run < one["created"] else count, "kills": 0, "recent": []}
    rebooted = uptime is not None and last_run > 0 and uptime < now - last_run
    grown = 0 if rebooted else count - before["count"] if count >= before["count"] else count
    recent = [row for row in before["recent"] if now - HOUR < row[0] <= now] + ([[now, grown]] if grown else [])
    kills = one["oom_kills"]
    where, name = f"{stack.name}/{one['service']}", shown(one["name"])
    logs = f"{engine} logs --tail 50 {name}"
    total = sum(row[1] for row in recent)
    if total >= _LOOP:
        what = f"container {name} ended and was restarted {total} times within an hour"
        verdicts.add(Finding("crash_loop", where, what, logs, recent[0][0]))
    elif grown:
        times = "once" if grown == 1 else f"{grown} times"
        what = f"container {name} ended unexpectedly and was restarted {times} before {moment(now)}"
        verdicts.hold(Finding("unexpected_exit", where, what, logs), 6 * HOUR)
    killed = kills is not None and kills > before["kills"] and one["id"] in known
    if killed or (one["oom"] and 0 <= now - one["finished"] < DAY):
        what = f"the kernel killed a process of container {name} because memory ran out"
        fix = f"{engine} stats --no-stream {name}  # then raise mem_limit, or lower its needs"
        verdicts.hold(Finding("oom_killed", where, what, fix, 0.0 if killed else one["finished"]), DAY)
    known[one["id"]] = {"count": count, "kills": kills if kills is not None else 0, "recent": recent, "at": now}
    for identity in [key for key, row in known.items() if not 0 <= now - row.get("at", 0) < 7 * DAY]:
        del known[identity]
