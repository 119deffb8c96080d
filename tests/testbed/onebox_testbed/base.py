# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the testbed keeps its things, and how it talks and runs commands."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pathlib
import subprocess
import sys
import threading
import time
import typing as t

ROOT = pathlib.Path(__file__).resolve().parents[3]
# What may be thrown away: downloads, tarballs, a virtual environment.
CACHE = ROOT / ".cache" / "testbed"
# Names of containers are global to a machine; this keeps two checkouts apart. A letter first: YAML takes eight digits
# for a number, and Molecule refuses one as a label.
CHECKOUT = "c" + hashlib.sha256(str(ROOT).encode()).hexdigest()[:7]
# Sockets, pid files and the record of what was started. One a machine: two daemons of our own would fight over bridges.
RUN = pathlib.Path("/run/onebox-testbed")
LABEL = "onebox.testbed"
BEAT_SECONDS = 4.0


class TestbedError(Exception):
    """What is wrong with the testbed, in words for the person who runs the tests."""


def say(text: str) -> None:
    print(f"testbed: {text}", file=sys.stderr, flush=True)


def run(
    argv: t.Sequence[str],
    *,
    env: t.Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: float = 600,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a command with the environment plus ``env``.

    Raises:
        TestbedError: it is not there, ran longer than ``timeout`` seconds, or failed and ``check`` is set.
    """
    try:
        result = subprocess.run(
            list(argv),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
            check=False,
        )
    except FileNotFoundError as error:
        raise TestbedError(f"{argv[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise TestbedError(f"{' '.join(argv[:4])} … did not finish in {timeout:.0f} s") from error
    if check and result.returncode != 0:
        said = "\n".join((result.stdout + result.stderr).strip().splitlines()[-15:])
        raise TestbedError(f"{' '.join(argv[:6])} … failed with exit code {result.returncode}:\n{said}")
    return result


@contextlib.contextmanager
def step(what: str) -> t.Iterator[None]:
    """Say what is being done, and every few seconds that it still is."""
    say(what)
    began = time.monotonic()
    done = threading.Event()

    def beat() -> None:
        while not done.wait(BEAT_SECONDS):
            say(f"… {what} ({time.monotonic() - began:.0f} s)")

    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        done.set()


def wait_until(condition: t.Callable[[], bool], seconds: float) -> bool:
    """Check ``condition`` until it holds; False when it does not within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@contextlib.contextmanager
def alone() -> t.Iterator[None]:
    """Hold the checkout's lock: of two testbeds at once the second waits and finds the work done."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def cgroup_v2() -> bool:
    """Whether the unified hierarchy alone is mounted, which is what crun and Podman 5 expect."""
    return os.path.exists("/sys/fs/cgroup/cgroup.controllers")


def systemd_is_init() -> bool:
    return os.path.isdir("/run/systemd/system")
