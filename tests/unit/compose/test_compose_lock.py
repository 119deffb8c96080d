# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time, with real locks and real processes."""

import contextlib
import multiprocessing
import os
import pathlib
import signal
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose import lock
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError, LockHeld
from ansible_collections.onebox.stack.plugins.module_utils.core import process


def hold(path, timeout=0.0):
    return lock.held(
        str(path),
        timeout=timeout,
        user="anna",
        purpose="state present",
        monotonic=time.monotonic,
        sleep=time.sleep,
        now="2026-11-21T09:00:00Z",
    )


def _holder(path, ready):
    with hold(path):
        ready.set()
        time.sleep(60)


@pytest.fixture
def other(tmp_path):
    """A process that holds the lock."""
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=_holder, args=(tmp_path / "s" / "lock", ready))
    process.start()
    assert ready.wait(10)
    yield process
    process.kill()
    process.join()


def test_the_second_run_says_who_has_it(tmp_path, other):
    with pytest.raises(LockHeld) as caught, hold(tmp_path / "s" / "lock", timeout=0.3):
        pass
    text = str(caught.value)
    assert f"pid {other.pid} of user anna" in text
    assert "since 2026-11-21T09:00:00Z" in text
    assert "lock_timeout" in text


def test_the_second_run_waits_and_then_goes_on(tmp_path, other):
    os.kill(other.pid, signal.SIGKILL)  # also proves that a killed holder leaves nothing to break by hand
    with hold(tmp_path / "s" / "lock", timeout=10) as (waited, _descriptor):
        assert waited < 10


def test_what_a_killed_run_left_running_is_waited_for(tmp_path):
    path, go = tmp_path / "lock", tmp_path / "go"
    program = f"while [ ! -e '{go}' ]; do sleep 0.05; done"
    left, right = os.pipe()
    run = os.fork()
    if run == 0:
        with hold(path) as (_waited, descriptor):
            os.write(right, b"!")
            process.run(["sh", "-c", program], timeout=60, holding=descriptor)
        os._exit(0)
    assert os.read(left, 1) == b"!"
    wait_until(lambda: any(str(go).encode() in words for words in command_lines()))
    os.kill(run, signal.SIGKILL)
    os.waitpid(run, 0)
    with pytest.raises(LockHeld, match=f"left running when its run was killed: pid {run}"), hold(path, timeout=0.3):
        pass
    go.touch()
    with hold(path, timeout=10):
        pass


def command_lines():
    for place in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield place.read_bytes()


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_nobody_holds_it_afterwards(tmp_path):
    with hold(tmp_path / "lock"):
        assert lock.holder(str(tmp_path / "lock"))["pid"] == os.getpid()
    assert lock.holder(str(tmp_path / "lock")) == {}
    assert lock.holder(str(tmp_path / "none")) == {}


def test_a_place_where_no_lock_can_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ComposeError, match="state_dir"), hold(tmp_path / "file" / "lock"):
        pass
