# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that backups, deploys and the launcher leave on the host, and the plan program's answer."""

from __future__ import annotations

import json
import os
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import files, process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.watch.config import Stack
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import Facts, WatchError

_EVIDENCE = re.compile(r"(local|offsite)-(\d+)\.json")
_HISTORY = 40
_PLAN_SECONDS = 20.0


def backup(stack: Stack) -> Facts:
    """The last runs, checks and rehearsals, as the backup runner noted them.

    Raises:
        WatchError: the declaration or a note is damaged.
        FileError: the declaration cannot be read.
    """
    declared = _json(stack.backup)
    if not declared:
        return {"error": f"there is no backup declaration at {stack.backup}"}
    folder = str(declared.get("state_dir") or "")
    last = _json(os.path.join(folder, "last-backup.json"))
    check = _json(os.path.join(folder, "last-check.json"))
    offsite_check = _json(os.path.join(folder, "last-check-offsite.json"))
    hours = declared.get("max_age_hours")
    return {
        "max_age_hours": hours if isinstance(hours, int) else 26,
        "last_run": {"at": _number(last.get("ended")), "error": _text(last.get("error"))} if last else {},
        "seq": _json(os.path.join(folder, "committed.json")).get("seq"),
        "committed": _modified(os.path.join(folder, "committed.json")),
        "check_error": _text(check.get("error")),
        "offsite_check_error": _text(offsite_check.get("error")),
        "offsite": _offsite(last) if declared.get("offsite") else None,
        "rehearsals": {
            where: _rehearsal(folder, where) for where in ("local", *(("offsite",) if declared.get("offsite") else ()))
        },
    }


def history(stack: Stack) -> list[dict[str, t.Any]]:
    """The last entries of the stack's history, oldest first. A damaged line is left out."""
    try:
        with open(os.path.join(stack.folder, "history.jsonl"), encoding="utf-8", errors="replace") as stream:
            lines = stream.readlines()[-_HISTORY:]
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found


def plan(stack: Stack, world: World) -> Facts:
    """What a deploy would change, by the command of the configuration."""
    try:
        done = world.run(list(stack.plan), timeout=_PLAN_SECONDS, check=False)
        data = json.loads(done.stdout)
    except process.CommandError as error:
        return {"error": str(error)}
    except (ValueError, RecursionError):
        return {"error": process.last_words(done.stderr) or f"{stack.plan[0]} did not print JSON"}
    return plan_of(data)


def plan_of(data: t.Any) -> dict[str, t.Any]:
    """The rows that are not ``keep``, from a result of ``compose_stack_info``."""
    if not isinstance(data, dict) or data.get("failed"):
        return {"error": str(data.get("msg") or "the plan failed") if isinstance(data, dict) else "not a plan"}
    rows = [
        {key: row.get(key) for key in ("service", "action", "reasons", "diff")}
        for row in data.get("plan") or ()
        if row.get("action") != "keep"
    ]
    problems = [{key: str(row.get(key) or "") for key in ("code", "where", "message")} for row in data["problems"]]
    return {"rows": rows, "problems": problems, "last_good": data.get("last_good") or {}}


def launch(path: str) -> Facts:
    """The launcher's state file."""
    data = _json(path)
    if not data:
        return {"path": path, "error": f"there is no state file at {path}"}
    instance, last = data.get("instance") or {}, data.get("last_error") or {}
    return {
        "path": path,
        "name": _text(data.get("name")),
        "attempts": data.get("attempts"),
        "created": _number(data.get("created_at")),
        "updated": _number(data.get("updated_at")),
        "not_before": _number(data.get("not_before")),
        "why": _text(data.get("why")),
        "ended": _text(data.get("ended")),
        "instance": _text(instance.get("id")),
        "running": bool(instance.get("running")),
        "captured": bool(instance.get("captured")),
        "last_error": {key: last.get(key) for key in ("status", "code", "message")} if last else {},
    }


def _offsite(last: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    note = last.get("offsite")
    note = note if isinstance(note, dict) else {}
    return {"lag": note.get("lag"), "error": _text(note.get("error")), "at": _number(last.get("ended"))}


def _rehearsal(folder: str, where: str) -> dict[str, t.Any]:
    last = _json(os.path.join(folder, f"last-rehearsal-{where}.json"))
    runs = []
    try:
        names = sorted(os.listdir(os.path.join(folder, "evidence")))
    except OSError:
        names = []
    for name in names:
        match = _EVIDENCE.fullmatch(name)
        if match and match[1] == where:
            note = _json(os.path.join(folder, "evidence", name))
            runs.append({"at": _number(note.get("at")), "ok": note.get("ok") is True, "seq": int(match[2])})
    runs.sort(key=lambda run: run["at"])
    last_words = {"at": _number(last.get("at")), "ok": last.get("ok"), "error": _text(last.get("error"))}
    return {"last": last_words if last else {}, "runs": runs[-60:]}


def _json(path: str) -> dict[str, t.Any]:
    """A file's mapping, {} where there is no file.

    Raises:
        WatchError: it is damaged.
        FileError: it cannot be read.
    """
    text = files.read_text(path)
    if not text:
        return {}
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WatchError(f"{path}: is not JSON ({error})") from error
    if not isinstance(data, dict):
        raise WatchError(f"{path}: is not a mapping")
    return data


def _modified(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _number(value: t.Any) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _text(value: t.Any) -> str:
    return value if isinstance(value, str) else ""
