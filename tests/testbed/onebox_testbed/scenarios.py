# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run Molecule's scenarios, some at a time: each has its own hosts, and most of a scenario is waiting."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import types

from onebox_testbed import daemons
from onebox_testbed.base import BEAT_SECONDS, CACHE, ROOT, TestbedError, say

LOGS = CACHE / "molecule"
# The longest first, so that none of them is left to run alone at the end.
ORDER = ("site", "compose_stack", "verify", "container_engine", "backups")
WORKERS = 2
# They take longer than a change should wait: each is run by the make target that names it.
HEAVY = (
    *("backups_rebuild", "coinpilot", "host_baseline", "nightguard", "observer", "omnivibe"),
    *("quadlet", "state", "swarm", "swarm_systems", "watch"),
)


def names() -> list[str]:
    """All scenarios of this checkout but the heavy ones, in the order they are started."""
    found = sorted(place.parent.name for place in (ROOT / "molecule").glob("*/molecule.yml"))
    return sorted(
        (name for name in found if name not in HEAVY), key=lambda name: ORDER.index(name) if name in ORDER else -1
    )


def run_all(env: dict[str, str]) -> None:
    """Run ``molecule test`` for every scenario and say how each went; what a failed one printed is shown whole.

    Raises:
        TestbedError: a scenario failed; all others were run nevertheless.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    running: dict[str, subprocess.Popen[bytes]] = {}
    pool = concurrent.futures.ThreadPoolExecutor(WORKERS)

    def leave(number: int, _frame: types.FrameType | None) -> None:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in list(running.values()):
            # Its Ansible runs in a session of its own, and would continue alone.
            for pid in (process.pid, *daemons.descendants(process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    failed = []
    with pool:
        jobs = {pool.submit(_test, name, env, running): name for name in names()}
        pending = set(jobs)
        while pending:
            done, pending = concurrent.futures.wait(pending, timeout=BEAT_SECONDS)
            for job in done:
                code, seconds = job.result()
                say(f"scenario {jobs[job]}: {'ok' if code == 0 else f'FAILED ({code})'} in {seconds:.0f} s")
                if code != 0:
                    failed.append(jobs[job])
                    print(log_of(jobs[job]).read_text(errors="replace"), flush=True)
            if not done:
                say(" ".join(f"… {name}: {_stage(name)}" for name in sorted(running)))
    if failed:
        alone = f"python tests/testbed/testbed.py molecule test -s {failed[0]}"
        raise TestbedError(f"scenarios failed: {', '.join(failed)}; one alone: {alone}")
    say(f"all {len(jobs)} scenarios are green; what they printed is in {LOGS}")


def log_of(name: str) -> pathlib.Path:
    return LOGS / f"{name}.log"


def _test(name: str, env: dict[str, str], running: dict[str, subprocess.Popen[bytes]]) -> tuple[int, float]:
    began = time.monotonic()
    with open(log_of(name), "wb") as log:
        process = subprocess.Popen(
            ["molecule", "test", "-s", name],
            cwd=ROOT,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        running[name] = process
        code = process.wait()
    del running[name]
    return code, time.monotonic() - began


def _stage(name: str) -> str:
    """What a scenario is doing, by the last step its log names."""
    plain = re.sub(rb"\x1b\[[0-9;]*m", b"", log_of(name).read_bytes()).decode(errors="replace")
    steps = re.findall(r"^INFO +\S+ \S+ (\w+): Executing$", plain, re.M)
    return steps[-1] if steps else "starting"
