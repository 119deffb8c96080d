# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge the mount proofs, the plan and the backups of a stack."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.watch.config import Stack
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.verdicts import (
    HOUR,
    Verdicts,
    one_line,
    span,
)
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import CRITICAL, Facts, Finding

MOUNTS = ("mount_broken", "mount_unverifiable", "mounts_no_data", "data_at_risk")
PLAN = ("drift", "plan_refused", "plan_no_data")
BACKUP = ("backup_failed", "backup_old", "backup_damaged", "backup_no_data")
OFFSITE = ("offsite_old", "offsite_no_data")
REHEARSAL = ("rehearsal_failed", "rehearsal_old", "rehearsal_no_data")
# The containers' own findings name these.
_OF_CONTAINERS = ("not_running", "paused")
_REASONS_OF_OTHERS = {"not_running", "missing", "stale_mount"}
# Problems whose message quotes the command that ends them, and no text of others but names of containers.
_QUOTE_COMMANDS = ("name_taken", "container_unknown")
_COMMAND = re.compile("`((?:docker|podman) [^`\n]+)`")
# A time this far ahead is not believed.
_AHEAD = HOUR


def mounts(stack: Stack, live: Facts, found: Facts, verdicts: Verdicts) -> None:
    """Report the mounts that are not proven.

    Args:
        live: the answer of :func:`probe.stack.facts`.
        found: the answer of :func:`probe.stack.mounts`.
    """
    engine = (live.get("engine") or {}).get("name") or "docker"
    services = {one["name"]: one.get("swarm_service", "") for one in live.get("containers") or ()}
    verify = f"ansible-playbook playbooks/verify.yml -l {verdicts.host}"
    if found.get("error"):
        what = f"the mounts of {stack.name} could not be verified: {one_line(str(found['error']))}"
        verdicts.add(Finding("mounts_no_data", stack.name, what, "dmesg | tail -20; " + verify))
        verdicts.unknown(MOUNTS, stack.name)
        return
    for row in found["rows"]:
        if row["verdict"] == "ok" or row["verdict"] in _OF_CONTAINERS:
            continue
        code = "mount_unverifiable" if row["verdict"] == "unverifiable" else "mount_broken"
        where = f"{stack.name}/{row['service']}:{row['destination']}"
        what = f"mount {shown(row['destination'])} of {row['service']} is {row['verdict']}: {one_line(row['message'])}"
        fix = _mount_fix(engine, row, services.get(row["container"], ""), verdicts.host)
        verdicts.add(Finding(code, where, what, fix or verify))
    _places(stack, engine, found.get("places") or (), verdicts)


def _places(stack: Stack, engine: str, places: t.Sequence[Facts], verdicts: Verdicts) -> None:
    """Report data that the next ``down`` or recreate would lose. The loss of a database's data is critical."""
    for row in places:
        if not row["at_risk"]:
            continue
        service, path = row["service"] or row["container"], row["destination"] or row["path"]
        what = f"data of {service} would be lost: {one_line(row['message'], 600)}"
        severity = CRITICAL if row["fails"] else ""
        fix = _save(engine, row, path)
        verdicts.add(Finding("data_at_risk", f"{stack.name}/{service}:{path}", what, fix, 0.0, severity))


def _save(engine: str, row: Facts, path: str) -> str:
    """The commands that save the data of a row, or what to add where there is none yet."""
    if not path or row["files"] == 0:
        return f"add a directory or a named volume at {shown(path or '/data')} to the compose file"
    name, target = shown(row["container"]), shown(path)
    # Podman does not create the directory.
    copy = f"mkdir -p DIRECTORY/ && {engine} stop {name} && {engine} cp -a {name}:{target}/. DIRECTORY/"
    return f"{copy}  # then mount DIRECTORY at {target} in the compose file"


def _mount_fix(engine: str, row: Facts, swarm_service: str, host: str) -> str:
    container, source = shown(str(row["container"])), shown(str(row["source"]))
    restart = f"{engine} restart {container}"
    if swarm_service:
        restart = f"docker service update --force {shown(swarm_service)}"
    return {
        "restart": restart,
        "recreate": f"ansible-playbook site.yml -l {host}",
        "chown": f"ls -ldn {source}",
        "mount_disk": f"mount -a && {restart}",
        "edit_compose": f"ansible-playbook playbooks/plan.yml -l {host}",
    }.get(str(row["fix"]), "")


def plan(stack: Stack, found: Facts, verdicts: Verdicts) -> None:
    """Report what a deploy would change, or why it would be refused."""
    fix = f"ansible-playbook playbooks/plan.yml -l {verdicts.host}"
    if found.get("error"):
        what = f"the plan of {stack.name} could not be made: {one_line(str(found['error']))}"
        verdicts.add(Finding("plan_no_data", stack.name, what, fix))
        verdicts.unknown(PLAN, stack.name)
        return
    for row in found["rows"]:
        reasons = [str(each) for each in row["reasons"] or ()]
        if reasons and set(reasons) <= _REASONS_OF_OTHERS:
            continue
        keys = ", ".join(sorted(map(str, row["diff"] or {})))
        why = ", ".join(reasons) + (f" ({one_line(keys, 120)})" if keys else "")
        what = f"{row['service']} differs from its declaration: a deploy would {row['action']} it: {why}"
        verdicts.add(Finding("drift", f"{stack.name}/{row['service']}", what, fix))
    for problem in found["problems"]:
        where, message = str(problem["where"]), str(problem["message"])
        what = f"a deploy would be refused: {one_line(f'{where}: {message}', 400)}"
        typed = _COMMAND.search(message) if problem["code"] in _QUOTE_COMMANDS else None
        key = f"{stack.name}/{problem['code']} {where}"
        verdicts.add(Finding("plan_refused", key, what, typed[1] if typed else fix))


def backup(stack: Stack, found: Facts, verdicts: Verdicts) -> None:
    """Report failed, old and missing backups, off-site copies and rehearsals."""
    name, now = stack.name, verdicts.now
    run = f"onebox-backup --config {shown(stack.backup)}"
    if found.get("error"):
        what = f"nothing is known of the backups of {name}: {one_line(str(found['error']))}"
        verdicts.add(Finding("backup_no_data", name, what, f"{run} status"))
        verdicts.unknown((*BACKUP, *OFFSITE, *REHEARSAL), name)
        return
    last, committed = found["last_run"], found["committed"]
    if last.get("error"):
        what = f"the last backup of {name} failed: {one_line(last['error'])}"
        verdicts.add(Finding("backup_failed", name, what, f"{run} backup", last["at"]))
    age = now - committed
    if not committed or age < -_AHEAD:
        what = f"{name} has no backup" if not committed else f"the newest backup of {name} is from the future"
        verdicts.add(Finding("backup_no_data", name, what, f"{run} backup"))
    elif age > found["max_age_hours"] * HOUR:
        what = f"the newest backup of {name} is {span(age)} old, {found['max_age_hours']} h are allowed"
        verdicts.add(Finding("backup_old", name, what, f"{run} backup", committed + found["max_age_hours"] * HOUR))
    for place, error in (("local", found["check_error"]), ("off-site", found["offsite_check_error"])):
        if error and (place == "local" or found["offsite"] is not None):
            what = f"the last check of the {place} repository of {name} found damage: {one_line(error)}"
            verdicts.add(Finding("backup_damaged", f"{name}/{place}", what, f"{run} check"))
    if found["offsite"] is not None:
        _offsite(stack, found["offsite"], run, verdicts)
    for where, rehearsal in found["rehearsals"].items():
        _rehearsal(stack, where, rehearsal, run, verdicts)
    runs = verdicts.note("backups").setdefault(name, [])
    if last.get("at") and last["at"] <= now and (not runs or runs[-1][0] < last["at"]):
        runs.append([last["at"], not last.get("error"), found.get("seq")])
    del runs[:-120]


def _offsite(stack: Stack, found: Facts, run: str, verdicts: Verdicts) -> None:
    good = verdicts.note("offsite")
    if found["lag"] == 0 and not found["error"] and found["at"] <= verdicts.now + _AHEAD:
        good[stack.name] = found["at"]
    at = good.get(stack.name)
    detail = f": {one_line(found['error'])}" if found["error"] else ""
    if at is None:
        lacks = f", {found['lag']} sets are missing there" if found["lag"] else ""
        what = f"no complete off-site copy of {stack.name} is known{lacks}{detail}"
        verdicts.add(Finding("offsite_no_data", stack.name, what, f"{run} backup"))
    elif verdicts.now - at > stack.offsite_hours * HOUR:
        age = span(verdicts.now - at)
        what = f"the last complete off-site copy of {stack.name} is {age} old, {stack.offsite_hours} h are allowed"
        verdicts.add(
            Finding("offsite_old", stack.name, what + detail, f"{run} backup", at + stack.offsite_hours * HOUR)
        )


def _rehearsal(stack: Stack, where: str, found: Facts, run: str, verdicts: Verdicts) -> None:
    last = found["last"]
    place = f"{stack.name}/{where}"
    fix = f"{run} rehearse" + (" --offsite" if where == "offsite" else "")
    if last and last.get("ok") is not True:
        what = f"the last rehearsal ({where}) of {stack.name} failed: {one_line(last['error'] or 'no reason given')}"
        verdicts.add(Finding("rehearsal_failed", place, what, fix, last["at"]))
    good = [each["at"] for each in found["runs"] if each["ok"] and each["at"] <= verdicts.now + _AHEAD]
    if not good:
        what = f"no backup ({where}) of {stack.name} was ever restored and compared"
        verdicts.add(Finding("rehearsal_no_data", place, what, fix))
    elif verdicts.now - max(good) > stack.rehearsal_hours * HOUR:
        age = span(verdicts.now - max(good))
        what = f"the last good rehearsal ({where}) of {stack.name} is {age} old"
        verdicts.add(Finding("rehearsal_old", place, what, fix, max(good) + stack.rehearsal_hours * HOUR))
