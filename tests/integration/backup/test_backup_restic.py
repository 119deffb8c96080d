# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""restic 0.18 as the store and a real REST server as off-site: files only, so that the store is what is tested."""

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
from restic_boxes import Box


@pytest.fixture
def box(tmp_path):
    made = Box(tmp_path)
    made.serve()
    yield made
    made.stop()


def test_local_and_off_site_both_come_back_equal(box):
    report = run.backup(box.context())
    assert report["error"] == ""
    assert report["offsite"]["lag"] == 0
    (box.files / "file 1").write_bytes(b"changed")
    os.symlink("file 1", box.files / "link")
    assert run.backup(box.context())["snapshot"]["seq"] == 2
    for where in ("local", "offsite"):
        found = rehearse.rehearse(box.context(), where=where)
        assert found["error"] == ""
        assert found["seq"] == 2
    # Off-site alone, on another box: no state, no local repository, only the key.
    shutil.rmtree(box.base / "repo")
    shutil.rmtree(box.base / "state")
    shutil.rmtree(box.files)
    back = restore.restore(box.context(), restore.Request(where="offsite", wanted="1"), confirm="files-only")
    assert back["error"] == ""
    assert (box.files / "file 1").stat().st_size == 20_000
    assert (box.files / "sub*" / "keep").read_text(encoding="utf-8") == "yes"
    assert not (box.files / "sub*" / "skip.tmp").exists()


def test_off_site_down_still_commits_here_and_says_so(box, monkeypatch):
    monkeypatch.setattr(restic_snapshots, "OPEN_TIMEOUT", 5.0)
    box.stop()
    report = run.backup(box.context())
    assert report["exit_code"] == 7
    assert report["snapshot"]["seq"] == 1
    assert report["verified"] is True
    assert "not off-site" in report["error"]
    box.serve()
    again = run.backup(box.context())
    assert again["error"] == ""
    assert again["offsite"] == {**again["offsite"], "copied": 2, "lag": 0}


def test_a_wrong_key_says_so_and_writes_nothing(box):
    run.backup(box.context(offsite=None))
    (box.base / "key").write_text("another\n", encoding="utf-8")
    report = run.backup(box.context(offsite=None))
    assert report["exit_code"] == 5
    assert "does not open" in report["error"]


def test_an_old_restic_is_refused_with_the_way_to_a_new_one(box):
    spec = dict(box.configured()["repository"], program=str(restic_programs("bookworm") / "restic"))
    report = run.backup(box.context(repository=spec, offsite=None))
    assert report["exit_code"] == 5
    assert "0.14" in report["error"]
    assert "Debian 13" in report["error"]
    assert not (box.base / "repo" / "config").exists()


def test_a_missing_restic_is_an_error_with_a_name(box):
    spec = dict(box.configured()["repository"], program="/nowhere/restic")
    report = run.backup(box.context(repository=spec, offsite=None))
    assert "/nowhere/restic is not there" in report["error"]


def test_a_damaged_pack_fails_the_rehearsal(box):
    run.backup(box.context(offsite=None))
    packs = [p for p in (box.base / "repo/data").rglob("*") if p.is_file()]
    for pack in packs:
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 1
        pack.chmod(0o600)
        pack.write_bytes(bytes(data))
    report = rehearse.rehearse(box.context(offsite=None))
    assert report["ok"] is False
    assert report["exit_code"] != 0


def test_a_directory_that_is_gone_commits_nothing(box):
    shutil.rmtree(box.files)
    report = run.backup(box.context(offsite=None))
    assert report["exit_code"] == 4
    assert "cannot be read" in report["error"]
    assert box.context(offsite=None).store.sets() == []


# A runner that dies while its restic waits to be told that everything is there.
DIES = """
import sys, time
from ansible_collections.onebox.stack.plugins.module_utils.backup import context, configuration
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
box = context.make(configuration.read(sys.argv[1]), World.real())
with box.locked("backup", 0):
    box.store.prepare()
    box.store.begin(9, box.store.stage(9), [sys.argv[2]])
    print("begun", flush=True)
    time.sleep(1000)
"""


def test_a_restic_that_outlives_its_runner_while_it_waits_stores_nothing(box):
    run.backup(box.context(offsite=None))
    config = box.write(offsite=None)
    env = {**os.environ, "PYTHONPATH": str(ROOT / ".collections")}
    argv = [sys.executable, "-c", DIES, config, str(box.files)]
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE) as runner:
        assert runner.stdout is not None
        assert runner.stdout.readline() == b"begun\n"
        locks = box.base / "repo" / "locks"
        # Its restic opened the repository and waits.
        deadline = time.monotonic() + 60
        while not list(locks.iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        runner.kill()
    # The lock of the stack goes with the restic; nothing is there of what it was started for.
    report = run.backup(box.context(offsite=None), wait=60)
    assert report["error"] == ""
    assert [found.seq for found in box.context(offsite=None).store.sets()] == [1, 2]
    assert list(locks.iterdir()) == []


def test_a_source_that_fails_while_restic_waits_leaves_nothing_behind(box):
    sources = [
        {"name": "data", "kind": "directory", "path": str(box.files)},
        {"name": "files", "kind": "compose", "files": ["/nowhere/compose.yml"]},
    ]
    run.backup(box.context(offsite=None))
    report = run.backup(box.context(offsite=None, sources=sources))
    assert report["exit_code"] == 4
    assert "/nowhere/compose.yml" in report["error"]
    assert [found.seq for found in box.context(offsite=None).store.sets()] == [1]
    assert list((box.base / "repo" / "locks").iterdir()) == []
    assert len(list((box.base / "repo" / "snapshots").iterdir())) == 1


def test_a_database_whose_name_fits_no_line_is_left_out_all_the_same(box):
    with contextlib.closing(sqlite3.connect(box.files / "two\nlines $HOME *.db")) as live:
        live.execute("CREATE TABLE t AS SELECT 1 AS n")
        live.commit()
    source = {"name": "data", "kind": "directory", "path": str(box.files), "sqlite": ["*.db"]}
    report = run.backup(box.context(offsite=None, sources=[source]))
    assert report["error"] == ""
    found = rehearse.rehearse(box.context(offsite=None, sources=[source]))
    assert found["error"] == ""
    argv = [str(restic_programs("trixie") / "restic"), "-r", str(box.base / "repo"), "-p", str(box.base / "key")]
    listed = subprocess.run([*argv, "ls", "latest"], check=True, capture_output=True, text=True).stdout
    assert str(box.files / "file 1") in listed
    assert f"{box.files}/two" not in listed


@pytest.mark.parametrize("name", ["!odd", "*[a]?\\b", " $HOME ", "a,b"])
def test_a_directory_of_any_name_comes_back(box, name):
    (box.files / name).mkdir(mode=0o755)
    (box.files / name / "f").write_text("x", encoding="utf-8")
    (box.files / "a").mkdir()
    (box.files / "a" / "f").write_text("another", encoding="utf-8")
    os.utime(box.files / name, (1, 1))
    sources = [{"name": "odd", "kind": "directory", "path": str(box.files / name)}]
    assert run.backup(box.context(offsite=None, sources=sources))["error"] == ""
    report = restore.restore(box.context(offsite=None, sources=sources), restore.Request(), confirm="files-only")
    assert report["error"] == ""
    assert os.listdir(box.files / name) == ["f"]
    assert os.stat(box.files / name).st_mtime == 1
    assert os.stat(box.files / name).st_mode & 0o777 == 0o755
    assert [entry for entry in os.listdir(box.files) if entry.endswith(".whole")] == []


def test_retention_forgets_by_id_and_other_stacks_are_left_alone(box):
    policy = {"daily": 1, "weekly": 0, "min_keep": 1, "max_delete": 3}
    run.backup(box.context(offsite=None, stack="neighbour"))
    for _number in range(3):
        report = run.backup(box.context(offsite=None, retention=policy))
        assert report["error"] == ""
    assert report["pruned"]
    seqs = [found.seq for found in box.context(offsite=None).store.sets()]
    assert seqs == [report["snapshot"]["seq"]]
    assert len(box.context(offsite=None, stack="neighbour").store.sets()) == 1


def test_a_lock_of_a_restic_that_died_after_the_run_began_is_no_hindrance(box):
    for _number in range(2):
        assert run.backup(box.context(offsite=None))["error"] == ""
    context = box.context(offsite=None)
    with context.locked("look", 60):
        context.store.prepare()
        repository = pathlib.Path(context.store.place)
        words = ["-r", str(repository), "-p", str(box.base / "key"), "backup", "--stdin"]
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


def test_a_restore_needs_the_name_of_the_stack(box):
    run.backup(box.context(offsite=None))
    with pytest.raises(Exception, match="type the name of the stack"):
        restore.restore(box.context(offsite=None), restore.Request(), confirm="other")
    with pytest.raises(StoreError, match="no off-site"):
        restore.restore(box.context(offsite=None), restore.Request(where="offsite"))
