# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of a directory while restic waits for our list, and calls that take too long."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration, rehearse, restore, run
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import listing
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import restic_backup, restic_command
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from restic_boxes import Box


@pytest.fixture
def box(tmp_path):
    made = Box(tmp_path)
    made.serve()
    yield made
    made.stop()


@pytest.fixture
def meanwhile(monkeypatch):
    """Takes what shall happen after our list was made and before restic looks."""
    work = []
    real = restic_backup.WaitingBackup.go

    def go(self, excludes):
        for one in work:
            one()
        return real(self, excludes)

    monkeypatch.setattr(restic_backup.WaitingBackup, "go", go)
    return work


def with_database(box):
    with contextlib.closing(sqlite3.connect(box.files / "app.db")) as live:
        live.execute("CREATE TABLE t AS SELECT 1 AS n")
        live.commit()
    return box.context(
        offsite=None, sources=[{"name": "data", "kind": "directory", "path": str(box.files), "sqlite": ["*.db"]}]
    )


def test_a_file_that_is_missing_in_the_snapshot_and_no_change_explains_is_a_difference(box, meanwhile):
    context = with_database(box)
    status = os.stat(box.files)

    def lose():
        (box.files / "file 3").unlink()
        os.utime(box.files, ns=(status.st_atime_ns, status.st_mtime_ns))

    meanwhile.append(lose)
    assert run.backup(context)["error"] == ""
    found = rehearse.rehearse(context)
    assert found["exit_code"] == 8
    assert "'file 3' is missing" in found["error"]


def test_a_file_that_goes_during_the_run_is_only_a_warning(box, meanwhile):
    context = with_database(box)
    meanwhile.append((box.files / "file 3").unlink)
    assert run.backup(context)["error"] == ""
    found = rehearse.rehearse(context)
    assert found["error"] == ""
    assert found["warnings"] == ["data: 1 files changed during the backup: file 3"]


def test_what_a_database_leaves_beside_it_during_the_run_is_not_stored(box, meanwhile):
    context = with_database(box)
    meanwhile.append(lambda: (box.files / "app.db-wal").write_bytes(b"of another moment"))
    assert run.backup(context)["error"] == ""
    into = box.base / "into"
    assert restore.restore(context, restore.Request(into=str(into)), confirm="files-only")["error"] == ""
    assert not (into / "data" / "app.db-wal").exists()
    assert (into / "data" / "app.db").exists()


def test_a_source_whose_disk_goes_during_the_run_commits_nothing(box, meanwhile):
    assert run.backup(box.context(offsite=None))["error"] == ""

    def unmount():
        box.files.rename(box.base / "disk")
        box.files.mkdir()

    meanwhile.append(unmount)
    report = run.backup(box.context(offsite=None))
    assert report["exit_code"] == 5
    assert "restic found 41 files less" in report["error"]
    assert [found.seq for found in box.context(offsite=None).store.sets()] == [1]
    assert len(list((box.base / "repo" / "snapshots").iterdir())) == 1


def test_a_look_at_the_directories_that_takes_longer_than_a_restic_may_is_no_failure(box, monkeypatch):
    assert run.backup(box.context(offsite=None))["error"] == ""
    context = box.context(offsite=None, timeout=8)
    real = listing.hash_file
    rest = [9.0]

    def slow(path, *args, **more):
        # As long as the disk would take to read the first of many files.
        time.sleep(rest.pop() if rest else 0)
        return real(path, *args, **more)

    monkeypatch.setattr(listing, "hash_file", slow)
    (box.files / "file 1").write_bytes(b"changed")
    assert run.backup(context)["error"] == ""
    assert rest == []
    assert [found.seq for found in context.store.sets()] == [1, 2]
    assert len(list((box.base / "repo" / "snapshots").iterdir())) == 2


def test_a_restic_that_takes_too_long_says_which_setting_to_raise(box):
    (box.base / "slow").write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    (box.base / "slow").chmod(0o755)
    program = restic_command.Restic(
        configuration.RepositorySpec("restic", "/repo", program=str(box.base / "slow"), password_file="/key"),
        str(box.base),
        0.2,
        World.real(),
    )
    with pytest.raises(StoreError, match=r"restic check on /repo: .*within 0.2 s; raise timeout .* backups_timeout"):
        program.run(["check"])
