# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restart unhealthy services within the limits of the configuration, and record it in the stack's history."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import lock, process
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.restart import Due
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.verdicts import one_line
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import Notes, WatchError

_SECONDS = 60.0
_KEPT = 200


def restart(due: Due, engine: str, notes: Notes, world: World) -> str:
    """Restart one container. Returns why that failed, "" when it did not."""
    began = world.monotonic()
    where = os.path.join(due.stack.folder, "lock")
    failure = ""
    try:
        with lock.held(where, purpose="restart an unhealthy service", timeout=0.0, world=world):
            world.run([*_client(due, engine), "restart", due.container], timeout=_SECONDS)
    except lock.LockHeld:
        return ""  # a deploy works on the stack, and the next run decides again
    except (lock.LockError, process.CommandError) as error:
        failure = one_line(str(error))
    rows = notes.setdefault("restarts", [])
    rows.append(
        {
            "at": world.epoch(),
            "stack": due.stack.name,
            "service": due.service,
            "container": due.container,
            "ok": not failure,
            "message": failure,
        }
    )
    del rows[:-_KEPT]
    entry = {
        "at": world.now(),
        "user": "onebox-watch",
        "state": "restarted",
        "revision": "",
        "plan": {due.service: ["restart", "unhealthy"]},
        "ok": not failure,
        "rolled_back": False,
        "message": failure,
        "ms": round((world.monotonic() - began) * 1000),
    }
    try:
        _append(os.path.join(due.stack.folder, "history.jsonl"), entry)
    except OneboxError as error:
        failure = failure or str(error)
    return failure


def _client(due: Due, engine: str) -> list[str]:
    if not due.stack.socket:
        return [engine]
    return [engine, "-H" if engine == "docker" else "--url", f"unix://{due.stack.socket}"]


def _append(path: str, entry: t.Mapping[str, t.Any]) -> None:
    """Add a line to the history that deploys write; the line is whole or not there."""
    line = (json.dumps(entry, sort_keys=True, ensure_ascii=False) + "\n").encode("utf-8", "surrogateescape")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise WatchError(f"{path}: the history cannot be written ({error.strerror}). Make room.") from error
