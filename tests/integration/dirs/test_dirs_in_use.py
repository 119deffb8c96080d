# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""data_dirs refuses an owner with which a process loses the directory that it has mounted."""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import time
import typing as t

import pytest
from dirs_lab import APP

ENTRY = {"path": "data", "mode": "0700", "owner": str(APP), "group": str(APP)}


@contextlib.contextmanager
def mounted(directory: pathlib.Path, uid: int) -> t.Iterator[None]:
    """A process of ``uid`` in a mount namespace of its own, with the directory mounted at /mnt."""
    script = 'mount --bind "$1" /mnt && echo ready && exec setpriv --reuid "$2" --regid "$2" --clear-groups sleep 600'
    argv = ["unshare", "--mount", "sh", "-c", script, "sh", str(directory), str(uid)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        status = pathlib.Path(f"/proc/{process.pid}/status")
        deadline = time.monotonic() + 30
        while f"Uid:\t{uid}\t" not in status.read_text():
            assert time.monotonic() < deadline
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def directory(lab: t.Any) -> pathlib.Path:
    lab.run(ENTRY)
    return lab.place / "srv" / "data"


def test_owner_that_locks_out_a_mounted_process_is_refused(lab: t.Any, directory: pathlib.Path) -> None:
    with mounted(directory, APP):
        message = lab.refused({**ENTRY, "owner": "1000", "group": "1000"})
    assert f"uid {APP}" in message
    assert "data_dirs_directories" in message
    assert directory.stat().st_uid == APP


def test_mode_that_locks_out_a_mounted_process_is_refused(lab: t.Any, directory: pathlib.Path) -> None:
    with mounted(directory, APP):
        assert "mode 0500" in lab.refused({**ENTRY, "mode": "0500"})


def test_owner_that_corrects_a_locked_out_process_is_set(lab: t.Any, directory: pathlib.Path) -> None:
    with mounted(directory, 1000):
        assert lab.run({**ENTRY, "owner": "1000", "group": "1000"})["changed"]
    assert directory.stat().st_uid == 1000


def test_owner_of_a_process_of_root_is_set(lab: t.Any, directory: pathlib.Path) -> None:
    with mounted(directory, 0):
        assert lab.run({**ENTRY, "owner": "1000"})["changed"]


def test_owner_without_a_mounted_process_is_set(lab: t.Any, directory: pathlib.Path) -> None:
    assert lab.run({**ENTRY, "owner": "1000", "group": "1000"})["changed"]
