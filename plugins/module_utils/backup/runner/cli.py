# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the runner, for an operator or a timer: ``onebox-backup backup --config …``.

Exit codes: 0 success, 2 wrong configuration or options, 3 busy, 4 a source failed, 5 the repository, 6 no room,
7 committed here but not off-site, 8 restored data differ, 9 a restore was refused, 10 not healthy (``status``),
12 an unexpected error. 4 and 6 also when a set was committed without a source that could not be backed up.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import (
    configuration,
    guard,
    pruning,
    rehearse,
    restore,
    run,
    selftest,
    status,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import BackupError, Busy, file_errors
from ansible_collections.onebox.stack.plugins.module_utils.backup.reports import Dict
from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import credentials, schedule, text
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

UNHEALTHY = 10
# Commands of timers: the webhook is notified of their failures.
NOTIFIED = ("backup", "check", "rehearse")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="onebox-backup", description="Backups of a stack, rehearsed by restoring them.")
    top.add_argument("--config", required=True, help="the backup configuration of the stack (JSON)")
    top.add_argument("--json", action="store_true", help="print the report as JSON and nothing else")
    top.add_argument("--wait", type=float, default=0.0, help="seconds to wait for another run of this stack")
    commands = top.add_subparsers(dest="command", required=True)
    command = commands.add_parser("backup", help="back up the stack")
    command.add_argument("--accept-drop", action="append", default=[], metavar="SOURCE")
    command.add_argument(
        "--force-prune", action="store_true", help="delete more than the policy's limit, see plan first"
    )
    commands.add_parser("plan", help="show the sets that retention would delete now")
    commands.add_parser("status", help="show sets, ages and rehearsals; exit code 10 if there are problems")
    commands.add_parser(
        "check",
        help="verify a part of the repository, show the status, write metrics and notify the webhook of problems",
    )
    command = commands.add_parser("rehearse", help="restore a set into throwaway containers and compare it")
    command.add_argument("--set", default="latest")
    command.add_argument("--offsite", action="store_true")
    command.add_argument("--self-test", action="store_true", help="damage copies; each damage must be found")
    _trust(command)
    command = commands.add_parser("restore", help="show the steps of a restore; run it with --yes")
    command.add_argument("--set", default="latest")
    command.add_argument("--offsite", action="store_true")
    command.add_argument("--source", action="append", default=[], help="only this source; default all")
    command.add_argument("--database", action="append", default=[], help="only this database of the sources")
    command.add_argument("--into", default="", help="restore files into this directory instead of into the stack")
    command.add_argument("--yes", default="", metavar="STACK", help="confirm with the name of the stack")
    _trust(command)
    command = commands.add_parser("due", help="run the jobs that are due, from launchd or cron every 15 minutes")
    for job in schedule.JOBS:
        command.add_argument(
            f"--{job}", type=_when, metavar="WHEN", help="such as '*-*-* 02:15:00' or 'Sun *-*-* 04:15:00'"
        )
    command = commands.add_parser("pin", help="keep a set regardless of the policy")
    command.add_argument("seq", type=int)
    command.add_argument("--remove", action="store_true")
    return top


def _trust(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--authentication-key",
        default="",
        metavar="FILE",
        help="also accept sets that the key in this file authenticated",
    )
    command.add_argument(
        "--accept-unauthenticated",
        type=int,
        default=0,
        metavar="SET",
        help="accept this set without authentication",
    )


def _when(text: str) -> schedule.When:
    try:
        return schedule.parse(text)
    except BackupError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def main(argv: t.Sequence[str] | None = None, out: t.TextIO | None = None) -> int:
    """Run a command. Returns the exit code; expected errors do not end in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        # A warning is printed even with a file name that is not text.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    out = out or sys.stdout
    options = parser().parse_args(argv)

    def log(line: str) -> None:
        if not options.json:
            out.write(line + "\n")
            out.flush()

    world = World.real()
    context = None
    try:
        with file_errors(), guard.everything():
            declared = credentials.handed_over(configuration.read(options.config), world.environ)
            context = contexts.make(declared, world, log)
            if getattr(options, "authentication_key", ""):
                context.keys.trust(options.authentication_key)
            report, code = _dispatch(context, options)
    except OneboxError as error:
        # A scheduled job must not fail silently, even if it fails before there is a report, as on a wrong key.
        if context is not None and options.command in NOTIFIED and not isinstance(error, Busy):
            status.failed(context, options.command, error)
        if options.json:
            out.write(json.dumps({"error": str(error), "exit_code": error.exit_code}) + "\n")
        else:
            sys.stderr.write(f"onebox-backup: {error}\n")
        return error.exit_code
    if options.json:
        out.write(json.dumps(report, indent=1, sort_keys=True) + "\n")
    else:
        for line in text.lines(options.command, report):
            out.write(line + "\n")
        if report.get("error"):
            sys.stderr.write(f"onebox-backup: {report['error']}\n")
    return code


def _dispatch(context: Context, options: argparse.Namespace) -> tuple[Dict, int]:
    if options.command == "plan":
        return pruning.describe(pruning.plan_retention(context, context.store, "local", run_verified=True)), 0
    if options.command in ("status", "check"):
        found = status.status(context) if options.command == "status" else status.check(context, wait=options.wait)
        return found, 0 if found["healthy"] else UNHEALTHY
    if options.command == "pin":
        return _pin(context, options.seq, not options.remove), 0
    report = _run(context, options)
    return report, int(report["exit_code"])


def _run(context: Context, options: argparse.Namespace) -> Dict:
    if options.command == "backup":
        return run.backup(context, wait=options.wait, accept_drop=options.accept_drop, force_prune=options.force_prune)
    if options.command == "due":
        wanted = {job: getattr(options, job) for job in schedule.JOBS if getattr(options, job) is not None}
        return schedule.run_due(context, wanted, wait=options.wait)
    where = "offsite" if options.offsite else "local"
    if options.command == "restore":
        request = restore.Request(
            wanted=options.set,
            where=where,
            sources=tuple(options.source),
            databases=tuple(options.database),
            into=options.into,
            accepted=options.accept_unauthenticated,
        )
        return restore.restore(context, request, confirm=options.yes, wait=options.wait)
    if options.self_test:
        return selftest.self_test(context, wait=options.wait)
    return rehearse.rehearse(
        context, wanted=options.set, where=where, wait=options.wait, accepted=options.accept_unauthenticated
    )


def _pin(context: Context, seq: int, keep: bool) -> Dict:
    if seq not in {found.seq for found in context.store.sets()}:
        raise BackupError(f"there is no set {seq} to pin")
    return {"changed": context.state.pin(seq, keep), "pinned": sorted(context.state.pinned())}
