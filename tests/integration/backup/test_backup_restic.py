# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""restic 0.18 as the store and a real REST server as off-site: files only, because the store is tested."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import rehearse, restore, run
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import restic_snapshots
from backup_stack import ROOT, restic_programs
from restic_sites import Site


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    made.serve()
    yield made
    made.stop()


def test_local_and_off_site_sets_are_restored_equal(site):
    report = run.backup(site.context())
    assert report["error"] == ""
    assert report["offsite"]["lag"] == 0
    (site.files / "file 1").write_bytes(b"changed")
    os.symlink("file 1", site.files / "link")
    assert run.backup(site.context())["snapshot"]["seq"] == 2
    for where in ("local", "offsite"):
        found = rehearse.rehearse(site.context(), where=where)
        assert found["error"] == ""
        assert found["seq"] == 2
    # Off-site alone, on another host: no state, no local repository, only the key.
    shutil.rmtree(site.base / "repo")
    shutil.rmtree(site.base / "state")
    shutil.rmtree(site.files)
    back = restore.restore(site.context(), restore.Request(where="offsite", wanted="1"), confirm="files-only")
    assert back["error"] == ""
    assert (site.files / "file 1").stat().st_size == 20_000
    assert (site.files / "sub*" / "keep").read_text(encoding="utf-8") == "yes"
    assert not (site.files / "sub*" / "skip.tmp").exists()


def test_run_without_off_site_commits_locally_with_an_error(site, monkeypatch):
    monkeypatch.setattr(restic_snapshots, "OPEN_TIMEOUT", 5.0)
    site.stop()
    report = run.backup(site.context())
    assert report["exit_code"] == 7
    assert report["snapshot"]["seq"] == 1
    assert report["verified"] is True
    assert "not off-site" in report["error"]
    site.serve()
    again = run.backup(site.context())
    assert again["error"] == ""
    assert again["offsite"] == {**again["offsite"], "copied": 2, "lag": 0}


def test_wrong_key_is_reported_and_nothing_is_written(site):
    run.backup(site.context(offsite=None))
    (site.base / "key").write_text("another\n", encoding="utf-8")
    report = run.backup(site.context(offsite=None))
    assert report["exit_code"] == 5
    assert "does not open" in report["error"]


def test_old_restic_is_refused_with_advice_to_upgrade(site):
    spec = dict(site.configured()["repository"], program=str(restic_programs("bookworm") / "restic"))
    report = run.backup(site.context(repository=spec, offsite=None))
    assert report["exit_code"] == 5
    assert "0.14" in report["error"]
    assert "Debian 13" in report["error"]
    assert not (site.base / "repo" / "config").exists()


def test_missing_restic_is_an_error_with_its_name(site):
    spec = dict(site.configured()["repository"], program="/nowhere/restic")
    report = run.backup(site.context(repository=spec, offsite=None))
    assert "/nowhere/restic cannot be run" in report["error"]


def test_damaged_pack_fails_the_rehearsal(site):
    run.backup(site.context(offsite=None))
    packs = [p for p in (site.base / "repo/data").rglob("*") if p.is_file()]
    for pack in packs:
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 1
        pack.chmod(0o600)
        pack.write_bytes(bytes(data))
    report = rehearse.rehearse(site.context(offsite=None))
    assert report["ok"] is False
    assert report["exit_code"] != 0


def test_missing_directory_commits_nothing(site):
    shutil.rmtree(site.files)
    report = run.backup(site.context(offsite=None))
    assert report["exit_code"] == 4
    assert "cannot be read" in report["error"]
    assert site.context(offsite=None).store.sets() == []


# A runner that dies while its restic waits for the complete input.
DIES = """
import sys, time
from ansible_collections.onebox.stack.plugins.module_utils.backup import context, configuration
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
site = context.make(configuration.read(sys.argv[1]), World.real())
with site.locked("backup", 0):
    site.store.prepare()
    site.store.begin(9, site.store.stage(9), [sys.argv[2]])
    print("begun", flush=True)
    time.sleep(1000)
"""


def test_restic_that_outlives_its_waiting_runner_stores_nothing(site):
    run.backup(site.context(offsite=None))
    config = site.write(offsite=None)
    env = {**os.environ, "PYTHONPATH": str(ROOT / ".collections")}
    argv = [sys.executable, "-c", DIES, config, str(site.files)]
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE) as runner:
        assert runner.stdout is not None
        assert runner.stdout.readline() == b"begun\n"
        locks = site.base / "repo" / "locks"
        # Its restic opened the repository and waits.
        deadline = time.monotonic() + 60
        while not list(locks.iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        runner.kill()
    # The lock of the stack ends with the restic, and it stored nothing.
    report = run.backup(site.context(offsite=None), wait=60)
    assert report["error"] == ""
    assert [found.seq for found in site.context(offsite=None).store.sets()] == [1, 2]
    assert list(locks.iterdir()) == []


def test_source_that_fails_while_restic_waits_leaves_no_leftovers(site):
    sources = [
        {"name": "data", "kind": "directory", "path": str(site.files)},
        {"name": "files", "kind": "compose", "files": ["/nowhere/compose.yml"]},
    ]
    run.backup(site.context(offsite=None))
    report = run.backup(site.context(offsite=None, sources=sources))
    assert report["exit_code"] == 4
    assert "/nowhere/compose.yml" in report["error"]
    assert [found.seq for found in site.context(offsite=None).store.sets()] == [1]
    assert list((site.base / "repo" / "locks").iterdir()) == []
    assert len(list((site.base / "repo" / "snapshots").iterdir())) == 1


def test_database_with_a_line_break_in_its_name_is_left_out(site):
    with contextlib.closing(sqlite3.connect(site.files / "two\nlines $HOME *.db")) as live:
        live.execute("CREATE TABLE t AS SELECT 1 AS n")
        live.commit()
    source = {"name": "data", "kind": "directory", "path": str(site.files), "sqlite": ["*.db"]}
    report = run.backup(site.context(offsite=None, sources=[source]))
    assert report["error"] == ""
    found = rehearse.rehearse(site.context(offsite=None, sources=[source]))
    assert found["error"] == ""
    argv = [str(restic_programs("trixie") / "restic"), "-r", str(site.base / "repo"), "-p", str(site.base / "key")]
    listed = subprocess.run([*argv, "ls", "latest"], check=True, capture_output=True, text=True).stdout
    assert str(site.files / "file 1") in listed
    assert f"{site.files}/two" not in listed


@pytest.mark.parametrize("name", ["!odd", "*[a]?\\b", " $HOME ", "a,b"])
def test_directory_of_any_name_is_restored(site, name):
    (site.files / name).mkdir(mode=0o755)
    (site.files / name / "f").write_text("x", encoding="utf-8")
    (site.files / "a").mkdir()
    (site.files / "a" / "f").write_text("another", encoding="utf-8")
    os.utime(site.files / name, (1, 1))
    sources = [{"name": "odd", "kind": "directory", "path": str(site.files / name)}]
    assert run.backup(site.context(offsite=None, sources=sources))["error"] == ""
    report = restore.restore(site.context(offsite=None, sources=sources), restore.Request(), confirm="files-only")
    assert report["error"] == ""
    assert os.listdir(site.files / name) == ["f"]
    assert os.stat(site.files / name).st_mtime == 1
    assert os.stat(site.files / name).st_mode & 0o777 == 0o755
    assert [entry for entry in os.listdir(site.files) if entry.endswith(".whole")] == []


def test_retention_deletes_by_id_and_keeps_other_stacks(site):
    policy = {"daily": 1, "weekly": 0, "min_keep": 1, "max_delete": 3}
    run.backup(site.context(offsite=None, stack="neighbour"))
    for _number in range(3):
        report = run.backup(site.context(offsite=None, retention=policy))
        assert report["error"] == ""
    assert report["pruned"]
    seqs = [found.seq for found in site.context(offsite=None).store.sets()]
    assert seqs == [report["snapshot"]["seq"]]
    assert len(site.context(offsite=None, stack="neighbour").store.sets()) == 1


def test_lock_of_a_restic_that_died_during_the_run_does_not_block(site):
    for _number in range(2):
        assert run.backup(site.context(offsite=None))["error"] == ""
    context = site.context(offsite=None)
    with context.locked("look", 60):
        context.store.prepare()
        repository = pathlib.Path(context.store.location)
        words = ["-r", str(repository), "-p", str(site.base / "key"), "backup", "--stdin"]
        holder = subprocess.Popen(
            [str(restic_programs() / "restic"), *words], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while not list((repository / "locks").iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        holder.kill()
        holder.wait()
        assert context.store.delete([1]) == [1]
        assert [found.seq for found in context.store.sets()] == [2]


def test_restore_needs_the_name_of_the_stack(site):
    run.backup(site.context(offsite=None))
    with pytest.raises(Exception, match="type the name of the stack"):
        restore.restore(site.context(offsite=None), restore.Request(), confirm="other")
    with pytest.raises(StoreError, match="no off-site"):
        restore.restore(site.context(offsite=None), restore.Request(where="offsite"))
