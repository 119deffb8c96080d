# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time, with real locks and real processes."""

import dataclasses
import fcntl
import os
import pathlib
import signal
import subprocess
import sys

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import lock, process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

HOLDER = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(fd, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def world() -> World:
    """The real world, with a clock that only moves during a sleep."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    return dataclasses.replace(World.real(), monotonic=lambda: now[0], sleep=sleep, user="ann")


@pytest.fixture
def other(tmp_path: pathlib.Path):
    """Another process that holds the lock."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    yield holder
    holder.kill()
    holder.communicate()


def test_lock_taken_by_another_process_is_refused_after_the_timeout(tmp_path, world, other):
    path = str(tmp_path / "lock")
    with (
        pytest.raises(lock.LockHeld, match=r"is locked by another run; waited 3 s"),
        lock.held(path, purpose="deploy", timeout=3, world=world),
    ):
        pytest.fail("two runs hold one lock")
    assert world.monotonic() == pytest.approx(3)


def test_lock_is_free_after_its_holder_was_killed(tmp_path, world, other):
    other.kill()
    other.wait()
    with lock.held(str(tmp_path / "lock"), purpose="deploy", timeout=0, world=world) as held:
        assert held.waited == 0


def test_holder_is_named_with_user_and_purpose(tmp_path, world):
    path = str(tmp_path / "lock")
    assert lock.holder(path) == {}
    with lock.held(path, purpose="state present", timeout=0, world=world):
        note = lock.holder(path)
        assert (note["pid"], note["user"], note["purpose"]) == (os.getpid(), "ann", "state present")
        with (
            pytest.raises(lock.LockHeld, match=r"process \d+ of user ann \(state present, since "),
            lock.held(path, purpose="again", timeout=0, world=world),
        ):
            pytest.fail("two runs hold one lock")
    assert lock.holder(path) == {}


def test_command_of_a_killed_run_is_named_as_such(tmp_path, world):
    path = tmp_path / "lock"
    ended = subprocess.Popen(["true"])
    ended.wait()
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        stream.write(f'{{"pid": {ended.pid}, "user": "bob", "since": "x", "purpose": "deploy"}}')
        stream.flush()
        with (
            pytest.raises(lock.LockHeld, match="a command that a killed run left behind: process"),
            lock.held(str(path), purpose="deploy", timeout=0, world=world),
        ):
            pytest.fail("two runs hold one lock")


@pytest.mark.parametrize("way", ["holding", "pass_fds"])
def test_command_of_a_killed_run_keeps_the_lock_until_it_ends(tmp_path, way):
    path, started, go = str(tmp_path / "lock"), tmp_path / "started", tmp_path / "go"
    real = World.real()
    run = os.fork()
    if run == 0:
        with lock.held(path, purpose="deploy", timeout=0, world=real) as held:
            program = f": >'{started}'; while [ ! -e '{go}' ]; do sleep 0.05; done"
            handed = {"holding": held.descriptor} if way == "holding" else {"pass_fds": (held.descriptor,)}
            process.run(["sh", "-c", program], timeout=60, **handed)
        os._exit(0)
    assert real.wait_until(started.exists, 10)
    os.kill(run, signal.SIGKILL)
    os.waitpid(run, 0)
    with (
        pytest.raises(lock.LockHeld, match=f"a command that a killed run left behind: process {run} of user"),
        lock.held(path, purpose="deploy", timeout=0.3, world=real),
    ):
        pytest.fail("two runs hold one lock")
    go.touch()
    with lock.held(path, purpose="deploy", timeout=10, world=real):
        pass


def test_lock_is_held_on_a_full_disk_without_a_note(tmp_path, world, monkeypatch):
    def full(*_words):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    path = str(tmp_path / "lock")
    with (
        lock.held(path, purpose="backup", timeout=0, world=world),
        pytest.raises(lock.LockHeld, match="is locked by another run"),
        lock.held(path, purpose="again", timeout=0, world=world),
    ):
        pytest.fail("two runs hold one lock")


@pytest.mark.parametrize("plant", ["link", "hard link"])
def test_planted_name_at_the_lock_file_is_refused_unwritten(tmp_path, world, plant):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path = tmp_path / "lock"
    if plant == "link":
        path.symlink_to(victim)
    else:
        os.link(victim, path)
    with (
        pytest.raises(lock.LockError, match=r"is a link|hard link"),
        lock.held(str(path), purpose="x", timeout=0, world=world),
    ):
        pytest.fail("the lock was taken through a planted name")
    assert victim.read_text() == "precious"


def test_missing_directory_is_named(tmp_path, world):
    with (
        pytest.raises(lock.LockError, match="none/lock: the lock file cannot be opened"),
        lock.held(str(tmp_path / "none" / "lock"), purpose="x", timeout=0, world=world),
    ):
        pytest.fail("there is no directory")


def test_directory_lock_leaves_nothing_in_the_directory(tmp_path, world):
    with lock.directory_held(str(tmp_path), timeout=0, world=world):
        with pytest.raises(lock.LockHeld), lock.directory_held(str(tmp_path), timeout=1, world=world):
            pytest.fail("two runs hold one directory")
        assert os.listdir(tmp_path) == []
    with lock.directory_held(str(tmp_path), timeout=0, world=world):
        pass
