# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a stack's backups, for reports and the metrics file."""

from __future__ import annotations

import contextlib
import hashlib
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import capture, guard, interrupted
from ansible_collections.onebox.stack.plugins.module_utils.backup import state as states
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import BackupError, file_errors
from ansible_collections.onebox.stack.plugins.module_utils.backup.reports import Dict, Report, SetEntry, StatusReport
from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import metrics
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import StoredSet
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.files import FileError

# Less than a day, so that the daily check is repeated although its timer is not exact.
QUIET_SECONDS = 20 * 3600.0


def status(context: Context) -> Dict:
    """As :func:`inspect`, as a mapping."""
    return inspect(context).as_dict()


@file_errors()
def inspect(context: Context) -> StatusReport:
    """Sets, ages, last runs and rehearsals. Reads only the local repository.

    Raises:
        StoreError: the repository cannot be read.
    """
    found = context.store.sets()
    usable = [item for item in found if item.manifest is not None]
    # A set that lacks a source does not count for the age.
    whole = [item for item in usable if item.manifest and not item.manifest.left_out]
    newest = whole[-1].manifest if whole else None
    last = context.state.read("last-backup")
    now = context.now().timestamp()
    good_at = states.seconds(newest.taken) if newest else None
    age = None if good_at is None else now - good_at
    proven, pinned = context.state.proven(), context.state.pinned()
    problems = [f"set {item.seq}: {item.problem}" for item in found if item.problem]
    notes = capture.in_no_set(context.config, usable[-1].manifest if usable else None)
    if usable and usable[-1].not_authentic:
        notes.append(f"set {usable[-1].seq}: {usable[-1].not_authentic}; the next backup is")
    limit = context.config.max_age_hours
    if age is None:
        problems.append("there is no backup yet")
    elif age > limit * 3600:
        problems.append(f"the newest set is {age / 3600:.0f} hours old, {limit} are allowed")
    if interrupted.problem(context):
        problems.append(interrupted.problem(context))
    if last.get("error"):
        problems.append(f"the last run failed: {last['error']}")
    checked = context.state.read("last-check")
    if checked.get("error"):
        problems.append(f"the last check found damage: {checked['error']}")
    if context.offsite is not None and offsite_damage(context):
        problems.append(f"the last check off-site failed: {offsite_damage(context)}")
    # Off-site failures are ignored after off-site is removed from the configuration.
    places = ("local", "offsite") if context.offsite is not None else ("local",)
    rehearsals = {where: _rehearsal(context, where) for where in places}
    for where, note in rehearsals.items():
        if note.get("ok") is False:
            problems.append(f"the last rehearsal ({where}) failed: {note.get('error')}")
    return StatusReport(
        stack=context.config.stack,
        repository=context.store.location,
        sets=len(usable),
        rows=[_row(item, proven, pinned) for item in found],
        last_good=whole[-1].seq if whole else None,
        last_good_at=good_at,
        age_seconds=age,
        last_size=newest.size if newest else None,
        last_run_at=last.get("ended"),
        last_run_ok=None if not last else not last.get("error"),
        last_seconds=last.get("seconds"),
        offsite_lag=offsite_lag(context),
        rehearsals=rehearsals,
        sources={source.name: source.count for source in newest.sources} if newest else {},
        checks=_checks(context),
        notes=notes,
        problems=problems,
        healthy=not problems,
    )


def _row(item: StoredSet, proven: t.Container[int], pinned: t.Container[int]) -> SetEntry:
    return SetEntry(
        seq=item.seq,
        id=item.id,
        taken=item.manifest.taken if item.manifest else "",
        size=item.manifest.size if item.manifest else 0,
        problem=item.problem,
        authentic=item.manifest is not None and not item.not_authentic,
        lacks=sorted(item.manifest.left_out) if item.manifest else [],
        rehearsed=item.seq in proven,
        pinned=item.seq in pinned,
    )


def offsite_lag(context: Context) -> int | None:
    """Number of sets that were missing off-site after the last run, None when unknown."""
    lag = (context.state.read("last-backup").get("offsite") or {}).get("lag")
    return lag if isinstance(lag, int) else None


def offsite_damage(context: Context) -> str:
    """The off-site problem that the last check found, "" for none."""
    return str(context.state.read("last-check-offsite").get("error") or "")


def _checks(context: Context) -> dict[str, Dict]:
    """Time and result of the last check, for local and offsite."""
    names = {"local": "last-check", **({"offsite": "last-check-offsite"} if context.offsite is not None else {})}
    notes = {where: context.state.read(name) for where, name in names.items()}
    return {where: {"at": note.get("at"), "ok": not note.get("error")} for where, note in notes.items() if note}


def _rehearsal(context: Context, where: str) -> Dict:
    last = context.state.read(f"last-rehearsal-{where}")
    good = context.state.proven(where)
    if not last and not good:
        return {}
    newest = max(good.values(), key=lambda note: float(note.get("at") or 0), default={})
    return {
        "ok": last.get("ok", True),
        "error": last.get("error", ""),
        "seq": last.get("seq"),
        "good_at": newest.get("at"),
        "seconds": last.get("restore_seconds"),
    }


def finish(context: Context, what: str, report: Report) -> None:
    """Record the result of a run, refresh the metrics, and notify the webhook of a failure."""
    if report.error:
        notify(context, f"{what} failed", report.error, report.warnings)
    _finish(context, what, report.as_dict(), report.warnings)


def _finish(context: Context, what: str, note: Dict, warnings: list[str]) -> None:
    try:
        context.state.write(f"last-{what}", {**note, "ended": context.world.epoch()})
    except FileError as error:
        warnings.append(f"the outcome could not be saved in {context.state.path}: {error}")
    refresh(context, warnings)


def failed(context: Context, command: str, error: OneboxError) -> None:
    """Record and notify that a scheduled command ended before it had a report."""
    warnings: list[str] = []
    notify(context, f"{command} failed", str(error), warnings)
    if command == "backup":
        note = {"error": str(error), "exit_code": error.exit_code, "warnings": warnings}
        # The same sets as before are missing off-site.
        _finish(context, command, {**note, "offsite": {"lag": offsite_lag(context)}}, warnings)
    elif command == "check":
        with contextlib.suppress(FileError):
            context.state.write("last-check", {"at": context.now().timestamp(), "error": str(error)})
        refresh(context, warnings)


def check(context: Context, *, wait: float = 0.0) -> Dict:
    """Check the repository for damage, write metrics, and notify the webhook of problems. Returns the status.

    Args:
        wait: seconds to wait for another run of this stack.

    Raises:
        Busy: another run holds the lock and did not end in time.
    """
    with context.locked("check", wait):
        error = ""
        try:
            with guard.everything():
                _inspect(context)
        except (BackupError, OSError) as problem:
            error = str(problem)
        context.state.write("last-check", {"at": context.now().timestamp(), "error": error})
        _check_offsite(context)
    found = inspect(context)
    found.warnings = []
    refresh(context, found.warnings)
    if found.problems:
        notify(context, "backups need attention", "\n".join(found.problems), found.warnings)
    return found.as_dict()


def _inspect(context: Context) -> None:
    if context.store.sets():
        context.store.inspect(context.now().toordinal())


def _check_offsite(context: Context) -> None:
    """Check that the off-site repository has all objects of its sets: others may have deleted some."""
    if context.offsite is None or offsite_lag(context) is None:
        return
    error = ""
    try:
        with file_errors(), guard.everything():
            context.offsite.require_whole()
    except BackupError as problem:
        error = str(problem)
    context.state.write("last-check-offsite", {"at": context.now().timestamp(), "error": error})


def notify(context: Context, what: str, text: str, warnings: list[str]) -> None:
    """Notify the webhook, at most once a day with the same text: a failing run may be retried each hour."""
    webhook = context.config.webhook
    if webhook is None:
        return
    told = context.state.read("told")
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    last = told.get(what) or {}
    now = context.now().timestamp()
    if last.get("sha256") == digest and 0 <= now - float(last.get("at") or 0) < QUIET_SECONDS:
        return
    # Imported here: needed for failures only, and half of the modules of a run.
    from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import notify as webhooks

    failure = webhooks.send(webhook, f"{context.config.stack}: {what}", text, context.world.sleep)
    if failure:
        warnings.append(failure)
        return
    try:
        context.state.write("told", {**told, what: {"sha256": digest, "at": now}})
    except FileError as error:
        warnings.append(f"the time of the notification could not be saved: {error}")


def refresh(context: Context, warnings: list[str]) -> None:
    """Write the metrics file."""
    path = context.config.metrics_file
    if not path:
        return
    try:
        with guard.everything():
            metrics.write(path, metrics.text(context.config, inspect(context)))
    except (OneboxError, OSError) as error:
        warnings.append(f"the metrics file {path} could not be written: {error}")
