# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills and damage with dumps and restores of real servers. A few of each; many with OBX_FAULTS=full."""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration, rehearse, restore, run
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from backup_stack import PASSWORD, REDIS_PASSWORD, ROOT, docker

PACKAGE = "ansible_collections.onebox.stack.plugins.module_utils.backup"
RUNNER = f"import sys; from {PACKAGE}.runner import cli; sys.exit(cli.main())"


def context(stack):
    return contexts.make(configuration.read(stack.config()), World.real())


def runner(stack, *words):
    argv = [sys.executable, "-c", RUNNER, "--config", stack.config(), "--wait", "120", *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT / ".collections")}
    return subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)


def murder(process, after) -> bool:
    """SIGKILL to the runner after a while. False when it had ended before."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=after)
        return False
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    return True


def started(stack) -> None:
    """The steps of an operator after a killed restore: start the service, check that it answers."""
    docker("start", stack.cache)
    deadline = time.monotonic() + 60
    while stack.redis("PING", check=False) != "PONG":
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def timed(stack):
    """The duration of each command, and a set to restore."""
    seconds = {}
    for words in (["backup"], ["rehearse"], ["restore", "--yes", stack.name]):
        began = time.monotonic()
        process = runner(stack, *words)
        said = process.communicate()[0]
        assert process.returncode == 0, said
        seconds[words[0]] = time.monotonic() - began
    return seconds


@pytest.mark.parametrize("command", ["backup", "rehearse"])
def test_kills_with_servers_lose_no_set(stack, timed, tally, how_many, command):
    rng = random.Random(command)
    kills = bad = 0
    while kills < how_many(2, 25):
        before = {found.seq for found in context(stack).store.sets()}
        kills += murder(runner(stack, command), rng.uniform(0.1, timed[command]))
        listed = context(stack).store.sets()
        # At least three are kept. A completed run may have made the third of these surplus.
        lost = set(sorted(before)[-3:]) - {found.seq for found in listed}
        if len(lost) == 1 and max(found.seq for found in listed) > max(before):
            lost = set()
        bad += bool(lost) or any(found.problem for found in listed)
    store = context(stack).store
    for found in store.sets():
        store.verify(found)
    assert run.backup(context(stack), wait=120)["error"] == ""
    # The next rehearsal works, and removes leftovers of killed ones.
    assert rehearse.rehearse(context(stack), wait=120)["error"] == ""
    assert docker("ps", "-aq", "--filter", f"label=onebox.stack.throwaway={stack.name}") == ""
    tally(f"kill -9 of the runner, {command}, PostgreSQL and Redis: sets lost or partial ones listed", kills, bad)


def test_kills_during_a_restore_keep_previous_data_and_the_next_restore_works(stack, timed, tally, how_many):
    rng = random.Random(1)
    kills = bad = 0
    request = restore.Request(sources=("db", "cache"))
    rows = stack.sql("SELECT count(*) FROM trades;")
    while kills < how_many(2, 25):
        words = ["restore", "--source", "db", "--source", "cache", "--yes", stack.name]
        kills += murder(runner(stack, *words), rng.uniform(0.2, timed["restore"]))
        # Not queried in the database postgres, which is restored, too.
        names = stack.sql("SELECT datname FROM pg_database;", "template1").splitlines()
        whole = []
        for name in names:
            if name == "coin" or name.startswith("coin_before_"):
                found = docker(
                    "exec",
                    stack.db,
                    "psql",
                    "-XAtU",
                    "coin",
                    "-d",
                    name,
                    "-c",
                    "SELECT count(*) FROM trades",
                    check=False,
                )
                whole += [name] if found == rows else []
        bad += not whole
        started(stack)
        after = restore.restore(context(stack), request, confirm=stack.name, wait=120)
        assert after["error"] == "", after["error"]
        assert stack.sql("SELECT count(*) FROM trades;") == rows
        assert stack.redis("DBSIZE") == "5001"
        for name in stack.sql("SELECT datname FROM pg_database;", "postgres").splitlines():
            if "_before_" in name:
                stack.sql('DROP DATABASE "' + name.replace('"', '""') + '";', "postgres")
    assert docker("ps", "-aq", "--filter", f"label=onebox.stack.restoring={stack.name}") == ""
    tally("kill -9 of the runner, restore, PostgreSQL and Redis: times no whole copy of the rows was there", kills, bad)


def test_flips_and_cuts_of_real_dumps_are_found(stack, timed, tally, how_many):
    store = context(stack).store
    (newest, *_older) = reversed(store.sets())
    root = pathlib.Path(store.location) / "sets" / newest.id
    files = sorted(path for path in root.rglob("*") if path.is_file())
    rng = random.Random(2)

    def missed() -> bool:
        with contextlib.suppress(StoreError):
            (found,) = [found for found in store.sets() if found.id == newest.id]
            store.verify(found)
            return True
        return False

    flips = how_many(100, 1000)
    bad = 0
    for _number in range(flips):
        path = rng.choice(files)
        good = path.read_bytes()
        at = rng.randrange(len(good))
        with open(path, "r+b") as file:
            file.seek(at)
            file.write(bytes([good[at] ^ 1 << rng.randrange(8)]))
        bad += missed()
        path.write_bytes(good)
    tally("bit flips in dumps, RDB, SQLite, tar, lists and manifest: not found", flips, bad)
    cuts = bad = 0
    for path in files:
        good = path.read_bytes()
        for share in (0.0, 0.3, 0.9, 0.99):
            os.truncate(path, int(len(good) * share))
            cuts += 1
            bad += missed()
            path.write_bytes(good)
    tally("dumps, RDB, SQLite, tar, lists and manifest cut: not found", cuts, bad)
    store.verify(newest)


@pytest.mark.parametrize("how", ["kill", "stop", "restart"])
@pytest.mark.parametrize("which", ["db", "cache"])
def test_server_that_stops_during_a_run_loses_no_set(stack, timed, tally, how, which):
    name = {"db": stack.db, "cache": stack.cache}[which]
    pattern = {"db": ".partial-*/pg/db/*", "cache": ".partial-*/redis/*"}[which]
    before = [found.seq for found in context(stack).store.sets()]
    gone = threading.Event()
    over = threading.Event()

    def end() -> None:
        while not over.is_set():
            if any(stack.repo.glob(pattern)):
                gone.set()
                docker(how, *(["-t", "0"] if how != "kill" else []), name)
                return
            time.sleep(0.001)

    ender = threading.Thread(target=end)
    ender.start()
    report = run.backup(context(stack))
    over.set()
    ender.join()
    docker("start", name)
    if which == "cache":
        started(stack)
    deadline = time.monotonic() + 60
    ready = ["docker", "exec", stack.db, "pg_isready", "-q", "-h", "127.0.0.1"]
    while subprocess.run(ready, capture_output=True, check=False).returncode != 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert gone.is_set()
    listed = context(stack).store.sets()
    new = [found.seq for found in listed if found.seq not in before]
    # Either the data was read before the server stopped, and the set is complete, or there is none.
    bad = any(found.problem for found in listed) or (report["error"] == "") != bool(new)
    for found in listed:
        context(stack).store.verify(found)
    tally(f"{how} of the {which} container midway: half sets committed", 1, int(bad))


def test_no_secret_is_in_written_files_or_created_containers(stack, timed, tally):
    looked = found = 0
    said = runner(stack, "backup").communicate()[0]
    texts = [said, runner(stack, "--json", "status").communicate()[0]]
    for root in (stack.state, stack.base / "metrics"):
        texts += [path.read_bytes() for path in root.rglob("*") if path.is_file()]
    # Containers and images of before and after: a rehearsal leaves none, and none was committed.
    for kind in ("container", "image"):
        for identity in docker(kind, "ls", "-aq").split():
            if identity not in (docker("ps", "-aqf", f"name={stack.name}").split()):
                texts.append(docker(kind, "inspect", identity, check=False).encode())
    for text in texts:
        looked += 1
        found += PASSWORD.encode() in text or REDIS_PASSWORD.encode() in text
    tally("files, outputs, containers and images looked through: secrets found", looked, found)
