# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch as an installed program: ``onebox-watch --config FILE run`` for a timer, ``check`` for people.

Exit codes of ``check``: 0 all is as promised, 1 there are findings, 2 the watch could not run. ``run`` ends with 0
unless the watch could not run, because a failed unit is itself a finding.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import sys
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import files, lock
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.watch import config as configs
from ansible_collections.onebox.stack.plugins.module_utils.watch import run
from ansible_collections.onebox.stack.plugins.module_utils.watch.config import Config
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge import restart as restarts
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import Notes

OK, FINDINGS, FAILED = 0, 1, 2


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="onebox-watch", description="Check all that was promised.")
    made.add_argument("--config", required=True, help="the configuration that the role watch wrote")
    made.add_argument("--json", action="store_true", help="print the whole document")
    made.add_argument("command", choices=["run", "check"], help="run: for the timer. check: the state of now")
    return made


def main(argv: t.Sequence[str] | None = None, out: t.TextIO | None = None) -> int:
    """Check once and return the exit code."""
    stream = sys.stdout if out is None else out
    given = parser().parse_args(argv)
    world = World.real()
    try:
        config = configs.load(given.config)
        if given.command == "check":
            found = run.check_now(config, world)
            failure = ""
        else:
            found, failure = once(config, world)
    except OneboxError as error:
        sys.stderr.write(f"not checked: {error}\n")
        return FAILED
    waiting = [f"not confirmed yet: {row['what']}. Type: {row['fix']}" for row in found["pending"]]
    lines = [*found["lines"], *waiting] or ["all as promised"]
    stream.write((json.dumps(found) if given.json else "\n".join(lines)) + "\n")
    if failure:
        sys.stderr.write(f"{failure}\n")
        return FAILED
    return OK if found["ok"] or given.command == "run" else FINDINGS


def once(config: Config, world: World) -> tuple[dict[str, t.Any], str]:
    """One run of the timer: check, restart within limits, keep, report.

    Returns:
        The document, and why the run is not complete ("" when it is).

    Raises:
        LockHeld: another run has not ended.
    """
    with _alone(config, world):
        notes = run.load_notes(config, world)
        found, _outcome = run.check(config, world, notes)
        errors = _restart(config, found, notes, world)
        # Reports need more than the check, and load it only when there is something to report to.
        from ansible_collections.onebox.stack.plugins.module_utils.watch.tell import metrics, report

        local = datetime.datetime.fromtimestamp(found["at"]).astimezone()
        webhook_error = report.report(config.tell, found, notes, local)
        errors += [webhook_error] if webhook_error else []
        if config.tell.metrics_file:
            metrics_error = metrics.write(config.tell.metrics_file, found)
            errors += [metrics_error] if metrics_error else []
        unsaved = run.save(config, notes, found, world)
        # Without its notes the watch is not whole: then the silence of the ping reports it.
        ping_error = unsaved or report.ping(config.tell, found)
        errors += [ping_error] if ping_error else []
        notes["report_errors"] = {error.partition(":")[0]: error for error in errors}
        if errors:
            run.save(config, notes, found, world)
        return found, unsaved


def _restart(config: Config, found: t.Mapping[str, t.Any], notes: Notes, world: World) -> list[str]:
    live = {stack["name"]: stack["live"] for stack in found["stacks"]}
    due = restarts.due(config.stacks, live, found["findings"], notes, found["at"])
    errors = []
    for one in due:
        from ansible_collections.onebox.stack.plugins.module_utils.watch.tell.restart import restart

        failure = restart(one, live[one.stack.name]["engine"]["name"], notes, world)
        errors += [f"restart of {one.container}: {failure}"] if failure else []
    return errors


@contextlib.contextmanager
def _alone(config: Config, world: World) -> t.Iterator[None]:
    """Hold the lock of this watch. On a disk without lock files it continues without a lock."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(files.FileError, lock.LockError):
            files.make_directories(config.state_dir, 0o700)
            stack.enter_context(lock.held(f"{config.state_dir}/lock", purpose="watch", timeout=5.0, world=world))
        yield
