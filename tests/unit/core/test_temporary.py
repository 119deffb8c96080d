# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A temporary directory is removed however the process ends."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import temporary

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROGRAM = """
import os, sys, time
from ansible_collections.onebox.stack.plugins.module_utils.core import temporary
with temporary.directory(".onebox") as folder:
    os.mkdir(folder + "/inner")
    if sys.argv[1] == "with a child" and os.fork() == 0:
        time.sleep(600)  # with the parent's end of the pipe, as a child that hangs in a dead disk
    print(folder, flush=True)
    sys.stdin.read()
"""


def start(folder: pathlib.Path, word: str = "") -> tuple[subprocess.Popen[str], pathlib.Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, word],
        env={**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT / ".collections")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    made = pathlib.Path(process.stdout.readline().strip())
    assert made.parent == folder
    assert made.is_dir()
    return process, made


def gone(path: pathlib.Path) -> bool:
    deadline = time.monotonic() + 30
    while path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not path.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_directory_of_a_killed_process_is_removed(tmp_path: pathlib.Path, number: signal.Signals):
    process, made = start(tmp_path)
    # The whole group, as a terminal that is lost does.
    os.killpg(process.pid, number)
    process.communicate(timeout=30)
    assert gone(made)


@pytest.mark.parametrize("word", ["", "with a child"])
def test_process_ends_with_its_directory_removed_and_its_output_closed(tmp_path: pathlib.Path, word: str):
    process, made = start(tmp_path, word)
    assert process.stdin
    process.stdin.close()
    try:
        assert process.wait(timeout=30) == 0
        assert not made.exists()
        if not word:
            assert process.stdout
            assert process.stdout.read() == ""  # ends only when no process has the stream
    finally:
        os.killpg(process.pid, signal.SIGKILL) if word else None
        process.stdout.close() if process.stdout else None


def test_directory_is_removed_after_an_error(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(temporary.tempfile, "tempdir", str(tmp_path))
    with pytest.raises(ValueError, match="no"), temporary.directory(".onebox"):
        raise ValueError("no")
    assert list(tmp_path.iterdir()) == []
