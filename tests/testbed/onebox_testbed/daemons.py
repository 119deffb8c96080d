# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Daemons the testbed starts: each is written down, found again after a kill, and stopped by exactly who started it."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import typing as t

from onebox_testbed.base import ROOT, RUN, TestbedError, say, wait_until

RECORD = RUN / "started.json"


def _born(pid: int) -> str | None:
    """When a process began, in clock ticks since boot: with it a recycled process id is not mistaken for ours."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]  # field 22 of proc(5), counted after the command


def recorded() -> dict[str, dict[str, t.Any]]:
    """What a testbed started on this machine and what still runs of it, by name."""
    try:
        known = json.loads(RECORD.read_text())
    except (OSError, ValueError):
        return {}
    return {name: entry for name, entry in known.items() if _born(entry["pid"]) == entry["born"]}


def _write(entries: dict[str, dict[str, t.Any]]) -> None:
    RUN.mkdir(parents=True, exist_ok=True)
    part = RECORD.with_suffix(".part")
    part.write_text(json.dumps(entries))
    part.replace(RECORD)


def ours(entry: dict[str, t.Any]) -> bool:
    """Whether this checkout started it, or one that is gone."""
    return entry["checkout"] == str(ROOT) or not os.path.isdir(entry["checkout"])


def start(name: str, argv: t.Sequence[str], *, env: t.Mapping[str, str] | None = None) -> pathlib.Path:
    """Start a daemon and write it down; returns its log."""
    RUN.mkdir(parents=True, exist_ok=True)
    log = RUN / f"{name}.log"
    with open(log, "wb") as out:
        process = subprocess.Popen(  # noqa: S603
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env={**os.environ, **(env or {})},
        )
    entry = {"pid": process.pid, "born": _born(process.pid), "checkout": str(ROOT), "argv": list(argv)}
    _write({**recorded(), name: entry})
    return log


def await_ready(name: str, ready: t.Callable[[], bool], log: pathlib.Path, seconds: float) -> None:
    """Wait until a daemon answers; stops it and says what it last said when it does not."""
    if wait_until(lambda: ready() or name not in recorded(), seconds) and name in recorded():
        return
    stop(name)
    last = "\n".join(log.read_text(errors="replace").strip().splitlines()[-12:])
    raise TestbedError(f"{name} does not answer. Its last words, from {log}:\n{last}")


def stop(name: str) -> None:
    """Stop a daemon, its stragglers (containerd and its shims outlive a killed dockerd), and forget it."""
    known = recorded()
    entry = known.pop(name, None)
    if entry is not None:
        say(f"stopping {name}")
        with contextlib.suppress(ProcessLookupError):
            os.kill(entry["pid"], signal.SIGTERM)
        if not wait_until(lambda: _gone(entry), 30):
            with contextlib.suppress(ProcessLookupError):
                os.kill(entry["pid"], signal.SIGKILL)
            wait_until(lambda: _gone(entry), 5)
    for pid in stragglers(RUN / name):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not stragglers(RUN / name), 5)
    _write(known)


def _gone(entry: dict[str, t.Any]) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(entry["pid"], os.WNOHANG)
    return _born(entry["pid"]) != entry["born"]


def stragglers(folder: pathlib.Path) -> list[int]:
    """Processes that name our own run folder on their command line: no other process does."""
    found = []
    for place in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            argv = (place / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        mark = os.fsencode(folder) + b"/"
        # At the start of a word only: an editor or a grep that mentions the folder is not a straggler of ours.
        program = os.path.basename(argv[0])
        if program.startswith((b"dockerd", b"containerd", b"docker-proxy", b"podman", b"conmon")) and any(
            word.startswith((mark, b"unix://" + mark)) for word in argv[1:]
        ):
            found.append(int(place.name))
    return found


def descendants(ancestor: int) -> list[int]:
    """All processes below one, whatever session they moved to."""
    children: dict[int, list[int]] = {}
    for place in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(place.name))
    found: list[int] = []
    left = [ancestor]
    while left:
        below = children.get(left.pop(), [])
        found += below
        left += below
    return found
