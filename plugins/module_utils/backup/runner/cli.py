# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner by hand or from a timer, without Ansible: ``onebox-backup backup --config …``.

Exit codes: 0 good, 2 wrong declaration or options, 3 busy, 4 a source failed, 5 the repository, 6 no room, 7 committed
here but not off-site, 8 restored data differ, 9 a restore was refused, 10 not healthy (``status``), 12 an error that
no code expected. 4 and 6 also when a set was committed without a source that could not be backed up.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup import (
    declaration,
    guard,
    rehearse,
    restore,
    run,
    selftest,
    status,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import BackupError, Busy, file_errors
from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import credentials, schedule
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

UNHEALTHY = 10
# Commands of timers: their failures are told.
TOLD = ("backup", "check", "rehearse")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="onebox-backup", description="Backups of a stack that were restored.")
    top.add_argument("--config", required=True, help="the stack's backup declaration (JSON)")
    top.add_argument("--json", action="store_true", help="print the report as JSON and nothing else")
    top.add_argument("--wait", type=float, default=0.0, help="seconds to wait for another run of this stack")
    commands = top.add_subparsers(dest="command", required=True)
    command = commands.add_parser("backup", help="take a set")
    command.add_argument("--accept-drop", action="append", default=[], metavar="SOURCE")
    command.add_argument(
        "--force-prune", action="store_true", help="delete more than the policy's limit, after a look at plan"
    )
    commands.add_parser("plan", help="what retention would delete now")
    commands.add_parser("status", help="sets, ages, rehearsals; exit code 10 when something is wrong")
    commands.add_parser(
        "check",
        help="read a part of the repository in full, status, fresh metrics, and the webhook when something is wrong",
    )
    command = commands.add_parser("rehearse", help="restore into throwaway containers and compare")
    command.add_argument("--set", default="latest")
    command.add_argument("--offsite", action="store_true")
    command.add_argument("--self-test", action="store_true", help="damage copies and demand that each is found")
    _trust(command)
    command = commands.add_parser("restore", help="show what a restore would do, and do it with --yes")
    command.add_argument("--set", default="latest")
    command.add_argument("--offsite", action="store_true")
    command.add_argument("--source", action="append", default=[], help="only this source; default all")
    command.add_argument("--database", action="append", default=[], help="only this database of the sources")
    command.add_argument("--into", default="", help="put files below this directory instead of over the stack")
    command.add_argument("--yes", default="", metavar="STACK", help="do it; the name of the stack, typed out")
    _trust(command)
    command = commands.add_parser("due", help="run what is due; for launchd or cron, every quarter of an hour")
    for job in schedule.JOBS:
        command.add_argument(
            f"--{job}", type=_when, metavar="WHEN", help="such as '*-*-* 02:15:00' or 'Sun *-*-* 04:15:00'"
        )
    command = commands.add_parser("pin", help="keep a set whatever the policy says")
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
        help="accept this one set although nothing vouches for it",
    )


def _when(text: str) -> schedule.When:
    try:
        return schedule.parse(text)
    except BackupError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def main(argv: t.Sequence[str] | None = None, out: t.TextIO | None = None) -> int:
    """Run a command. Returns the exit code; no error a user can cause ends in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        # A file's name need not be text; a warning that holds one is printed nevertheless.
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
            declared = credentials.handed_over(declaration.read(options.config), world.environ)
            context = contexts.make(declared, world, log)
            if getattr(options, "authentication_key", ""):
                context.keys.trust(options.authentication_key)
            report, code = _dispatch(context, options)
    except OneboxError as error:
        # What a timer runs must not fail in silence, also where it fails before there is a report, as on a wrong key.
        if context is not None and options.command in TOLD and not isinstance(error, Busy):
            status.failed(context, options.command, error)
        if options.json:
            out.write(json.dumps({"error": str(error), "exit_code": error.exit_code}) + "\n")
        else:
            sys.stderr.write(f"onebox-backup: {error}\n")
        return error.exit_code
    if options.json:
        out.write(json.dumps(report, indent=1, sort_keys=True) + "\n")
    else:
        for line in _words(options.command, report):
            out.write(line + "\n")
        if report.get("error"):
            sys.stderr.write(f"onebox-backup: {report['error']}\n")
    return code


def _dispatch(context: Context, options: argparse.Namespace) -> tuple[dict[str, t.Any], int]:
    if options.command == "backup":
        report = run.backup(
            context, wait=options.wait, accept_drop=options.accept_drop, force_prune=options.force_prune
        )
        return report, report["exit_code"]
    if options.command == "plan":
        return run.describe(run.plan_retention(context, context.store, "local", run_verified=True)), 0
    if options.command == "status":
        report = status.status(context)
        return report, 0 if report["healthy"] else UNHEALTHY
    if options.command == "check":
        report = status.check(context, wait=options.wait)
        return report, 0 if report["healthy"] else UNHEALTHY
    if options.command == "due":
        wanted = {job: getattr(options, job) for job in schedule.JOBS if getattr(options, job) is not None}
        report = schedule.run_due(context, wanted, wait=options.wait)
        return report, report["exit_code"]
    where = "offsite" if getattr(options, "offsite", False) else "local"
    if options.command == "rehearse":
        if options.self_test:
            report = selftest.self_test(context, wait=options.wait)
        else:
            report = rehearse.rehearse(
                context,
                wanted=options.set,
                where=where,
                wait=options.wait,
                accepted=options.accept_unauthenticated,
            )
        return report, report["exit_code"]
    if options.command == "restore":
        request = restore.Request(
            wanted=options.set,
            where=where,
            sources=tuple(options.source),
            databases=tuple(options.database),
            into=options.into,
            accepted=options.accept_unauthenticated,
        )
        report = restore.restore(context, request, confirm=options.yes, wait=options.wait)
        return report, report["exit_code"]
    known = {found.seq for found in context.store.sets()}
    if options.seq not in known:
        raise BackupError(f"there is no set {options.seq} to pin")
    return {"changed": context.state.pin(options.seq, not options.remove), "pinned": sorted(context.state.pinned())}, 0


def _good(report: t.Mapping[str, t.Any]) -> str:
    return "every damage was found" if report.get("controls") else "restored and equal"


def _words(command: str, report: t.Mapping[str, t.Any]) -> list[str]:
    lines = []
    for row in report.get("sources") or ():
        if isinstance(row, dict):
            lines.append(
                f"{'ok    ' if row['ok'] else 'FAILED'} {row['kind']:<10} {row['name']} {row['error']}".rstrip()
            )
    lines += [f"warning: {warning}" for warning in report.get("warnings") or ()]
    if command == "backup" and report["snapshot"]:
        lines.append(f"set {report['snapshot']['seq']}: {report['snapshot']['size']} bytes, {report['seconds']} s")
        if report["pruned"]:
            lines.append("deleted: " + ", ".join(map(str, report["pruned"])))
    elif command == "plan":
        lines += [f"keep   {seq}: {', '.join(why)}" for seq, why in report["keep"].items()]
        lines += [f"delete {seq}" for seq in report["delete"]]
        if report["reason"]:
            lines.append(f"because: {report['reason']}")
    elif command in ("status", "check"):
        for row in report["rows"]:
            marks = [word for word in ("rehearsed", "pinned") if row[word]]
            marks += [] if row["authentic"] or row["problem"] else ["not authenticated"]
            marks += [row["problem"]] if row["problem"] else []
            marks += [f"without {name}" for name in row["lacks"]]
            lines.append(f"{row['seq']:>6} {row['taken']} {row['size']:>12} {' '.join(marks)}".rstrip())
        lines += [f"note: {note}" for note in report["notes"]]
        lines += [f"problem: {problem}" for problem in report["problems"]]
        lines.append("healthy" if report["healthy"] else "NOT healthy")
    elif command == "rehearse":
        lines += [
            f"not compared in {row['name']}: {'; '.join(row['found']['not_compared'])}"
            for row in report.get("sources") or ()
            if row.get("found", {}).get("not_compared")
        ]
        lines += [f"{'caught' if row['caught'] else 'MISSED'} {row['damage']}" for row in report.get("controls") or ()]
        lines += [f"SKIPPED {what}: no source it applies to" for what in report.get("skipped") or ()]
        lines.append(f"set {report['seq']}: {_good(report) if report['ok'] else 'NOT good'}, {report['seconds']} s")
    elif command == "restore":
        undone = "not done" if report["error"] else "would"
        lines += [f"{'done' if step in report['finished'] else undone}: {step}" for step in report["steps"]]
        lines += [f"kept: {place}" for place in report["aside"]]
        if not report["done"] and not report["error"]:
            lines.append(f"nothing was changed; to do it add --yes {report['stack']}")
    elif command == "due":
        lines += [f"{'FAILED' if row['error'] else 'ok    '} {row['job']}" for row in report["jobs"]] or [
            "nothing is due"
        ]
    elif command == "pin":
        lines.append("pinned: " + (", ".join(map(str, report["pinned"])) or "none"))
    return lines
