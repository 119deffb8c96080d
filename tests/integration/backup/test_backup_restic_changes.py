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
from restic_sites import Site


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    made.serve()
    yield made
    made.stop()


@pytest.fixture
def meanwhile(monkeypatch):
    """Runs a change after our list was written and before restic reads."""
    work = []
    real = restic_backup.WaitingBackup.go

    def go(self, excludes):
        for one in work:
            one()
        return real(self, excludes)

    monkeypatch.setattr(restic_backup.WaitingBackup, "go", go)
    return work


def with_database(site):
    with contextlib.closing(sqlite3.connect(site.files / "app.db")) as live:
        live.execute("CREATE TABLE t AS SELECT 1 AS n")
        live.commit()
    return site.context(
        offsite=None, sources=[{"name": "data", "kind": "directory", "path": str(site.files), "sqlite": ["*.db"]}]
    )


def test_file_missing_in_the_snapshot_without_a_change_is_a_difference(site, meanwhile):
    context = with_database(site)
    status = os.stat(site.files)

    def lose():
        (site.files / "file 3").unlink()
        os.utime(site.files, ns=(status.st_atime_ns, status.st_mtime_ns))

    meanwhile.append(lose)
    assert run.backup(context)["error"] == ""
    found = rehearse.rehearse(context)
    assert found["exit_code"] == 8
    assert "'file 3' is missing" in found["error"]


def test_file_that_vanishes_during_the_run_is_only_a_warning(site, meanwhile):
    context = with_database(site)
    meanwhile.append((site.files / "file 3").unlink)
    assert run.backup(context)["error"] == ""
    found = rehearse.rehearse(context)
    assert found["error"] == ""
    assert found["warnings"] == ["data: 1 files changed during the backup: file 3"]


def test_companions_of_a_database_created_during_the_run_are_not_stored(site, meanwhile):
    context = with_database(site)
    meanwhile.append(lambda: (site.files / "app.db-wal").write_bytes(b"of another moment"))
    assert run.backup(context)["error"] == ""
    into = site.base / "into"
    assert restore.restore(context, restore.Request(into=str(into)), confirm="files-only")["error"] == ""
    assert not (into / "data" / "app.db-wal").exists()
    assert (into / "data" / "app.db").exists()


def test_source_whose_disk_vanishes_during_the_run_commits_nothing(site, meanwhile):
    assert run.backup(site.context(offsite=None))["error"] == ""

    def unmount():
        site.files.rename(site.base / "disk")
        site.files.mkdir()

    meanwhile.append(unmount)
    report = run.backup(site.context(offsite=None))
    assert report["exit_code"] == 5
    assert "restic found 41 files less" in report["error"]
    assert [found.seq for found in site.context(offsite=None).store.sets()] == [1]
    assert len(list((site.base / "repo" / "snapshots").iterdir())) == 1


def test_walk_longer_than_the_time_limit_of_restic_does_not_fail(site, monkeypatch):
    assert run.backup(site.context(offsite=None))["error"] == ""
    context = site.context(offsite=None, timeout=8)
    real = listing.hash_file
    rest = [9.0]

    def slow(path, *args, **more):
        # The time in which a slow disk would read the first of many files.
        time.sleep(rest.pop() if rest else 0)
        return real(path, *args, **more)

    monkeypatch.setattr(listing, "hash_file", slow)
    (site.files / "file 1").write_bytes(b"changed")
    assert run.backup(context)["error"] == ""
    assert rest == []
    assert [found.seq for found in context.store.sets()] == [1, 2]
    assert len(list((site.base / "repo" / "snapshots").iterdir())) == 2


def test_slow_restic_is_reported_with_the_setting_to_raise(site):
    (site.base / "slow").write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    (site.base / "slow").chmod(0o755)
    program = restic_command.Restic(
        configuration.RepositorySpec("restic", "/repo", program=str(site.base / "slow"), password_file="/key"),
        str(site.base),
        0.2,
        World.real(),
    )
    with pytest.raises(StoreError, match=r"restic check on /repo: .*within 0.2 s; raise timeout .* backups_timeout"):
        program.run(["check"])
