# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of the watch: query, judge, and build the document."""

from __future__ import annotations

import contextlib
import json
import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.core import files, http
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.watch.config import Config, Endpoint, Stack
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge import (
    containers,
    host,
    promises,
    restart,
    settle,
)
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.commands import Commands
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.verdicts import Verdicts, moment, span
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import Facts, Finding, Notes
from ansible_collections.onebox.stack.plugins.module_utils.watch.probe import host as host_probe
from ansible_collections.onebox.stack.plugins.module_utils.watch.probe import records
from ansible_collections.onebox.stack.plugins.module_utils.watch.probe import stack as stack_probe
from ansible_collections.onebox.stack.plugins.module_utils.watch.probe.bounded import Bounded

VERSION = 1
# Seconds that one probe may take.
_ENGINE, _MOUNTS, _PLAN, _FILES, _SHORT = 15.0, 20.0, 25.0, 4.0, 12.0


@dataclass(frozen=True)
class Given:
    """Results of other modules, by stack, which replace the watch's own question.

    Attributes:
        plans: results of ``compose_stack_info``.
        sets: results of ``stack_backup_info``, for the calendar of the page.
    """

    plans: t.Mapping[str, t.Any] = field(default_factory=dict)
    sets: t.Mapping[str, t.Any] = field(default_factory=dict)


NOTHING = Given()
_UNCHECKED: t.Mapping[str, t.Any] = {"synchronised": None}


def ask(config: Config, world: World, given: Given = NOTHING) -> dict[str, t.Any]:
    """The facts of this moment. Takes no longer than ``config.budget`` seconds, whatever hangs."""
    bounded = Bounded(config.budget, world)

    def disk(path: str) -> dict[str, t.Any]:
        return {"path": path, **bounded.ask(f"disk {path}", lambda: host_probe.disk(path), _FILES)}

    def launch(path: str) -> dict[str, t.Any]:
        return {"path": path, **bounded.ask(f"launch {path}", lambda: records.launch(path), _FILES)}

    def endpoint(one: Endpoint) -> dict[str, t.Any]:
        url = http.shown(one.url)
        return {"url": url, **bounded.ask(f"endpoint {url}", lambda: host_probe.endpoint(one, world), _SHORT)}

    units = (lambda: host_probe.units(config.units, world)) if config.units else None
    return {
        "uptime": host_probe.uptime(),
        "disks": [disk(path) for path in config.paths],
        "clock": bounded.ask("clock", lambda: host_probe.clock(world), _FILES) if config.clock else _UNCHECKED,
        "units": bounded.ask("units", units, _SHORT) if units else {},
        "launches": [launch(path) for path in config.launches],
        "stacks": {stack.name: _stack(stack, bounded, world, given) for stack in config.stacks},
        "endpoints": [endpoint(one) for one in config.endpoints],
        "cut_short": bounded.cut_short,
    }


def _stack(stack: Stack, bounded: Bounded, world: World, given: Given) -> dict[str, t.Any]:
    name = stack.name
    found: dict[str, t.Any] = {
        "live": bounded.ask(f"engine {name}", lambda: stack_probe.facts(stack, world), _ENGINE),
        "promise": bounded.ask(f"promise {name}", lambda: stack_probe.promise(stack, world), _FILES),
        "history": bounded.ask(f"history {name}", lambda: {"rows": records.history(stack)}, _FILES).get("rows", []),
        "backup": bounded.ask(f"backup {name}", lambda: records.backup(stack), _FILES) if stack.backup else None,
        "mounts": None,
        "plan": None,
    }
    if name in given.plans:
        found["plan"] = records.plan_of(given.plans[name])
    # While a deploy works or the engine is silent, neither proof nor plan says anything.
    if not found["live"].get("error") and not found["live"]["deploying"]:
        found["mounts"] = bounded.ask(f"mounts {name}", lambda: stack_probe.mounts(stack, world), _MOUNTS)
        if stack.plan and found["plan"] is None:
            found["plan"] = bounded.ask(f"plan {name}", lambda: records.plan(stack, world), _PLAN)
    return found


def judge(config: Config, facts: Facts, verdicts: Verdicts) -> dict[str, t.Any]:
    """Judge the facts. Returns the rows of filesystems and logs, which the judges computed for the page."""
    uptime = facts["uptime"]
    every: list[Facts] = []
    for stack in config.stacks:
        found = facts["stacks"][stack.name]
        live = found["live"]
        containers.judge(stack, live, found["promise"], uptime, verdicts)
        restart.refused(stack, live.get("containers") or (), verdicts)
        every += live.get("containers") or ()
        if found["mounts"] is not None:
            promises.mounts(stack, live, found["mounts"], verdicts)
        else:
            verdicts.unknown(promises.MOUNTS, stack.name)
        if found["plan"] is not None:
            promises.plan(stack, found["plan"], verdicts)
        elif stack.plan:
            verdicts.unknown(promises.PLAN, stack.name)
        if found["backup"] is not None:
            promises.backup(stack, found["backup"], verdicts)
    fastest = host.logs(every, verdicts)
    host.log_growth(fastest, config, verdicts)
    disks = host.disks(facts["disks"], fastest, config, verdicts)
    host.endpoints(facts["endpoints"], verdicts)
    host.clock(facts["clock"], uptime, verdicts)
    host.units(facts["units"], verdicts)
    host.launches(facts["launches"], verdicts)
    host.watch(config, uptime, facts["cut_short"], verdicts)
    verdicts.release()
    return {"disks": disks, "logs": [log._asdict() for log in fastest[:20]]}


def check(
    config: Config, world: World, notes: Notes, given: Given = NOTHING, *, by_person: bool = False
) -> tuple[dict[str, t.Any], settle.Outcome]:
    """Query, judge and settle. Updates ``notes``.

    Args:
        given: results of other modules.
        by_person: report every finding at once, and report that the timer's runs have ended.

    Returns:
        The document and the outcome.
    """
    began, now = world.monotonic(), world.epoch()
    facts = ask(config, world, given)
    verdicts = Verdicts(now, config.name, notes, Commands(host_probe.scheduler(world)))
    computed = judge(config, facts, verdicts)
    if by_person:
        _silent(config, verdicts)
    outcome = settle.settle(verdicts, config.acknowledge, at_once=by_person)
    notes.update(at=now, uptime=facts["uptime"])
    notes.setdefault("started", now)
    seconds = round(world.monotonic() - began, 3)
    return document(config, facts, computed, outcome, notes, given, seconds), outcome


def _silent(config: Config, verdicts: Verdicts) -> None:
    last = float(verdicts.notes.get("at") or 0.0)
    age = verdicts.now - last
    if last and age <= 3 * config.interval + 60:
        return
    since = f"last ran {span(age)} ago, at {moment(last)}" if last else "has never run"
    fix = verdicts.commands.timer_status(config.name)
    verdicts.add(Finding("watch_silent", config.name, f"the timer of the watch {since}", fix))


def document(
    config: Config,
    facts: Facts,
    computed: Facts,
    outcome: settle.Outcome,
    notes: Notes,
    given: Given,
    seconds: float,
) -> dict[str, t.Any]:
    """The document: findings for programs and people, and the facts that the page draws."""
    stacks = []
    for stack in config.stacks:
        found = facts["stacks"][stack.name]
        stacks.append(
            {
                "name": stack.name,
                **{key: found[key] for key in ("live", "promise", "mounts", "plan", "backup", "history")},
                "runs": notes.get("backups", {}).get(stack.name, []),
                "sets": (given.sets.get(stack.name) or {}).get("sets", []),
            }
        )
    return {
        "version": VERSION,
        "host": config.name,
        "at": notes["at"],
        "seconds": seconds,
        "interval": config.interval,
        "ok": outcome.ok,
        "findings": outcome.active,
        "pending": outcome.pending,
        "cleared": outcome.cleared,
        "lines": [line(row, notes["at"]) for row in outcome.active],
        "stacks": stacks,
        "disks": computed["disks"],
        "logs": computed["logs"],
        "endpoints": facts["endpoints"],
        "clock": facts["clock"],
        "units": facts["units"],
        "uptime": facts["uptime"],
        "launches": [{**one, "log": notes.get("launches", {}).get(one["path"], [])} for one in facts["launches"]],
        "restarts": notes.get("restarts", [])[-50:],
    }


def line(row: t.Mapping[str, t.Any], now: float) -> str:
    """One line: severity, what, since when, what to type."""
    known = f" (acknowledged until {row['acknowledged']})" if row["acknowledged"] else ""
    return f"{row['severity']}: {row['what']}, for {span(now - row['since'])}{known}. Type: {row['fix']}"


def load_notes(config: Config, world: World) -> Notes:
    """The notes of the newest run; empty when there are none or they are damaged: the next run begins again."""
    found: list[Notes] = []
    for path in (config.notes, *_spare(config, world)):
        with contextlib.suppress(ValueError, RecursionError, files.FileError):
            data = json.loads(files.read_text(path) or "{}")
            # In memory, another watch of the same name may have notes.
            own = path == config.notes or (isinstance(data, dict) and data.get("state_dir") == config.state_dir)
            if own and isinstance(data, dict) and data.get("version") == VERSION:
                found.append(data)
    return max(found, key=lambda notes: float(notes.get("at") or 0), default={})


def save(config: Config, notes: Notes, found: Facts, world: World) -> str:
    """Write the notes and the document, private: they hold paths and messages of applications.

    On a full disk the notes go into memory, so that the watch still knows what it has reported.

    Returns:
        Why the state directory cannot be written, "" when it can.
    """
    notes.update(version=VERSION, state_dir=config.state_dir)
    data = json.dumps(notes).encode()
    try:
        files.make_directories(config.state_dir, 0o700)
        files.replace(config.notes, data, 0o600, durable=False)
        files.replace(config.document, (json.dumps(found, indent=1) + "\n").encode(), 0o600, durable=False)
    except files.FileError as error:
        for path in _spare(config, world):
            with contextlib.suppress(files.FileError):
                files.make_directories(os.path.dirname(path), 0o700)
                files.replace(path, data, 0o600, durable=False)
        return str(error)
    for path in _spare(config, world):
        with contextlib.suppress(files.FileError):
            files.remove(path)
    return ""


def _spare(config: Config, world: World) -> list[str]:
    return [os.path.join(world.runtime_dir, f"watch-{config.name}.json")] if world.runtime_dir else []


def check_now(config: Config, world: World, given: Given = NOTHING) -> dict[str, t.Any]:
    """The state of now for a person: reads the timer's notes and changes nothing."""
    notes = load_notes(config, world)
    found, _outcome = check(config, world, notes, given, by_person=True)
    return found
