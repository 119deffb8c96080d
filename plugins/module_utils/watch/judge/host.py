# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge filesystems, logs, endpoints, clock, units and launches of a host, and the watch itself."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.watch.config import Config
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge import forecast
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.verdicts import (
    DAY,
    HOUR,
    Verdicts,
    moment,
    one_line,
    size,
    span,
)
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import CRITICAL, Facts, Finding

DISK = ("disk_full", "disk_fills", "inodes_full", "inodes_fill")
_UNITS = ("unit_failed", "timer_stopped")
_MIB = 1 << 20
# A clock this far off what has passed since the last run was set.
_JUMP = 120.0
_LAUNCH_LATE = HOUR


class Log(t.NamedTuple):
    """The log of a container, and how fast it grows."""

    container: str
    path: str
    bytes: float
    a_day: float


def logs(containers: t.Sequence[Facts], verdicts: Verdicts) -> list[Log]:
    """Take a sample of each log. Returns the logs with their growth a day, the fastest first."""
    notes, now = verdicts.note("logs"), verdicts.now
    found = []
    for one in containers:
        log = one["log"]
        if log["size"] is None:
            continue
        samples = notes[log["path"]] = forecast.add(notes.get(log["path"], ()), now, log["size"])
        day = [sample for sample in samples if sample[0] >= now - DAY]
        lasted = now - day[0][0]
        a_day = forecast.growth(day) / lasted * DAY if lasted >= HOUR / 2 else 0.0
        found.append(Log(one["name"], log["path"], log["size"], a_day))
    for path in [path for path, samples in notes.items() if samples[-1][0] < now - DAY]:
        del notes[path]
    return sorted(found, key=lambda log: -log.a_day)


def log_growth(fastest: t.Sequence[Log], config: Config, verdicts: Verdicts) -> None:
    """Report logs that grow faster than the limit."""
    for log in fastest:
        if log.a_day > config.log_mib_a_day * _MIB:
            name = shown(log.container)
            what = f"the log of container {name} grows by {size(log.a_day)} a day and has {size(log.bytes)}"
            verdicts.add(Finding("log_grows", log.container, what, f"ls -l {shown(log.path)}"))


def disks(found: t.Sequence[Facts], fastest: t.Sequence[Log], config: Config, verdicts: Verdicts) -> list[Facts]:
    """Report filesystems that are full, that fill, or that do not answer. Returns one row a filesystem for the page."""
    notes, now = verdicts.note("disks"), verdicts.now
    rows: list[Facts] = []
    devices = set()
    for disk in found:
        path = disk["path"]
        if disk.get("error"):
            hangs = "hangs" if disk.get("hung") else "cannot be read"
            what = f"the filesystem at {shown(path)} {hangs}: {one_line(str(disk['error']))}"
            verdicts.add(Finding("disk_no_data", path, what, f"dmesg | tail -20; findmnt --target {shown(path)}"))
            verdicts.unknown(DISK, path)
            rows.append({"path": path, "error": one_line(str(disk["error"]))})
            continue
        if disk["device"] in devices:
            continue
        devices.add(disk["device"])
        samples = forecast.add(
            notes.get(path, ()), now, disk["total"] - disk["free"], disk["inodes"] - disk["inodes_free"]
        )
        notes[path] = samples
        left = forecast.seconds_left(samples, disk["free"])
        inodes_left = forecast.seconds_left(samples, disk["inodes_free"], 2) if disk["inodes"] else None
        _room(disk, left, fastest, config, verdicts)
        _inodes(disk, inodes_left, config, verdicts)
        rows.append(
            {
                **{key: disk[key] for key in ("path", "total", "free", "inodes", "inodes_free")},
                "seconds_left": left,
                "samples": [[round(sample[0]), sample[1]] for sample in samples],
            }
        )
    for path in [path for path, samples in notes.items() if samples[-1][0] < now - 8 * DAY]:
        del notes[path]
    return rows


def _room(disk: Facts, left: float | None, fastest: t.Sequence[Log], config: Config, verdicts: Verdicts) -> None:
    path = shown(disk["path"])
    biggest = f"du -xh --max-depth=2 {path} | sort -h | tail"
    log = ""
    if fastest and fastest[0].a_day > 0:
        log = f"; the fastest log is that of {shown(fastest[0].container)} ({size(fastest[0].a_day)} a day)"
    if disk["free"] < disk["total"] * config.free_percent / 100:
        what = f"{path} has {size(disk['free'])} of {size(disk['total'])} free{log}"
        verdicts.add(Finding("disk_full", disk["path"], what, biggest))
    elif left is not None and left < config.fills_days * DAY:
        what = f"{path} is full in about {span(left)}, {size(disk['free'])} are free{log}"
        severity = CRITICAL if left < DAY else ""
        verdicts.add(Finding("disk_fills", disk["path"], what, biggest, 0.0, severity))


def _inodes(disk: Facts, left: float | None, config: Config, verdicts: Verdicts) -> None:
    path = shown(disk["path"])
    fix = f"du --inodes -x --max-depth=2 {path} | sort -n | tail"
    # Filesystems such as btrfs count no inodes.
    if disk["inodes"] and disk["inodes_free"] < disk["inodes"] * config.free_percent / 100:
        what = f"{path} has {disk['inodes_free']} of {disk['inodes']} inodes free"
        verdicts.add(Finding("inodes_full", disk["path"], what, fix))
    elif left is not None and left < config.fills_days * DAY:
        what = f"{path} has no inode left in about {span(left)}"
        verdicts.add(Finding("inodes_fill", disk["path"], what, fix))


def endpoints(found: t.Sequence[Facts], verdicts: Verdicts) -> None:
    """Report endpoints that fail, and certificates that are invalid or end soon."""
    for one in found:
        url = one["url"]
        show = f"curl -vI {shown(url)}"
        if one.get("error"):
            verdicts.add(Finding("endpoint_fails", url, f"{url} was not checked: {one_line(one['error'])}", show))
            verdicts.unknown(("certificate_expires", "certificate_invalid"), url)
            continue
        if one["certificate_error"]:
            what = f"the certificate of {url} is not valid: {one_line(one['certificate_error'])}"
            verdicts.add(Finding("certificate_invalid", url, what, show))
            continue
        if not one["status"] or one["status"] >= 500:
            why = f"HTTP {one['status']}" if one["status"] else one_line(one["why"])
            verdicts.add(Finding("endpoint_fails", url, f"{url} does not answer: {why}", show))
        if one["expires"] and one["expires"] - verdicts.now < one["days"] * DAY:
            left = one["expires"] - verdicts.now
            what = f"the certificate of {url} ends in {span(left)}" if left > 0 else f"the certificate of {url} ended"
            verdicts.add(Finding("certificate_expires", url, what, show, 0.0, CRITICAL if left < 3 * DAY else ""))
        elif url.startswith("https:") and not one["expires"]:
            verdicts.unknown(("certificate_expires", "certificate_invalid"), url)


def clock(found: Facts, uptime: float | None, verdicts: Verdicts) -> None:
    """Report a clock that is not synchronised, and one that was set since the last run."""
    fix = "timedatectl status"
    if found.get("error"):
        what = f"nothing is known of the clock: {one_line(str(found['error']))}"
        verdicts.add(Finding("clock_no_data", "clock", what, fix))
        verdicts.unknown(("clock_unsynchronised",))
    elif found["synchronised"] is False:
        verdicts.add(Finding("clock_unsynchronised", "clock", "the clock is not synchronised", fix))
    last = float(verdicts.notes.get("at") or 0.0)
    last_uptime = verdicts.notes.get("uptime")
    passed = verdicts.now - last
    jump = 0.0
    if last and isinstance(last_uptime, (int, float)) and uptime is not None and uptime >= last_uptime:
        jump = passed - (uptime - last_uptime)
    elif last and passed < 0:
        jump = passed
    if abs(jump) > _JUMP:
        way = "forward" if jump > 0 else "back"
        what = f"the clock was set {way} by {span(abs(jump))}, noticed at {moment(verdicts.now)}"
        verdicts.hold(Finding("clock_jumped", "clock", what, fix), DAY)


def units(found: Facts, verdicts: Verdicts) -> None:
    """Report failed units and stopped timers of this collection."""
    if found.get("error"):
        what = f"the units could not be checked: {one_line(str(found['error']))}"
        verdicts.add(Finding("units_no_data", "systemd", what, verdicts.commands.failed()))
        verdicts.unknown(_UNITS)
        return
    for unit in found.get("failed", ()):
        fix = f"{verdicts.commands.unit_log(shown(unit))} -n 50"
        verdicts.add(Finding("unit_failed", unit, f"unit {unit} failed", fix))
    for timer in found.get("stopped", ()):
        what = f"timer {timer} is enabled and does not run"
        verdicts.add(Finding("timer_stopped", timer, what, verdicts.commands.start(shown(timer))))


def launches(found: t.Sequence[Facts], verdicts: Verdicts) -> None:
    """Report a launch loop that ended without an instance or that stopped trying."""
    attempts = verdicts.note("launches")
    for one in found:
        path, again = one["path"], f"ansible-playbook playbooks/launch.yml -l {verdicts.host}"
        if one.get("error"):
            what = f"nothing is known of the launch: {one_line(str(one['error']))}"
            verdicts.add(Finding("launch_no_data", path, what, again))
            verdicts.unknown(("launch_ended", "launch_stalled"), path)
            continue
        rows = attempts.setdefault(path, [])
        if not rows or rows[-1][1] != one["attempts"]:
            rows.append([verdicts.now, one["attempts"]])
            del rows[:-500]
        if one["ended"]:
            what = f"the launch of {one['name']} ended: {one_line(one['ended'])}"
            verdicts.add(Finding("launch_ended", path, what, again, one["updated"]))
        elif not one["captured"]:
            late = verdicts.now - max(one["updated"], one["not_before"])
            if late > _LAUNCH_LATE:
                what = f"the launch of {one['name']} has not tried for {span(late)} after {one['attempts']} attempts"
                verdicts.add(Finding("launch_stalled", path, what, again))


def watch(config: Config, uptime: float | None, cut_short: t.Sequence[str], verdicts: Verdicts) -> None:
    """Report a gap between the runs of the watch, and probes that were cut short."""
    last = float(verdicts.notes.get("at") or 0.0)
    gap = verdicts.now - last
    awake = uptime is None or uptime > gap
    if last and gap > 3 * config.interval + 60 and awake:
        what = f"the watch did not run between {moment(last)} and {moment(verdicts.now)}"
        fix = verdicts.commands.timer_status(config.name)
        verdicts.hold(Finding("watch_gap", config.name, what, fix), 12 * HOUR)
    if cut_short:
        what = f"{len(cut_short)} checks were cut short: {', '.join(cut_short[:5])}"
        verdicts.add(Finding("watch_cut_short", config.name, what, "uptime; dmesg | tail -20"))
    for way, error in sorted(verdicts.note("report_errors").items()):
        fix = verdicts.commands.watch_log(config.name)
        verdicts.add(Finding("report_failed", way, f"the watch could not report: {one_line(error)}", fix))
