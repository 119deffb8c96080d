# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""restic 0.18 as the store and a real REST server as off-site: files only, so that the store is what is tested."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import secrets
import shutil
import socket
import sqlite3
import subprocess
import sys
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup import declaration, rehearse, restore, run
from ansible_collections.onebox.stack.plugins.module_utils.backup.directory import listing
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import restic as restic_store
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import restic_backup, restic_command
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from backup_stack import ROOT, restic_programs


class Box:
    """A directory to back up, a local repository, and one behind a REST server."""

    def __init__(self, base: pathlib.Path) -> None:
        self.base = base
        self.files = base / "da ta [x]"
        self.files.mkdir()
        for number in range(40):
            (self.files / f"file {number}").write_bytes(secrets.token_bytes(20_000))
        (self.files / "sub*").mkdir()
        (self.files / "sub*" / "skip.tmp").write_text("no", encoding="utf-8")
        (self.files / "sub*" / "keep").write_text("yes", encoding="utf-8")
        (base / "key").write_text("the key\n", encoding="utf-8")
        self.port = 0
        self.server: subprocess.Popen[bytes] | None = None

    def serve(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", self.port))
            self.port = probe.getsockname()[1]
        program = restic_programs("trixie") / "restic-rest-server"
        self.server = subprocess.Popen(
            [program, "--no-auth", "--listen", f"127.0.0.1:{self.port}", "--path", self.base / "away"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def stop(self) -> None:
        if self.server is not None:
            self.server.terminate()
            self.server.wait()
            self.server = None

    def declaration(self, **more: object) -> dict[str, object]:
        program = str(restic_programs("trixie") / "restic")
        common = {"engine": "restic", "password_file": str(self.base / "key"), "program": program}
        return {
            "stack": "files-only",
            "state_dir": str(self.base / "state"),
            "authentication_file": str(self.base / "authentication"),
            "reserve_mib": 1,
            "timeout": 120,
            "repository": {**common, "path": str(self.base / "repo")},
            "offsite": {**common, "path": f"rest:http://127.0.0.1:{self.port}/files-only"},
            "sources": [{"name": "data", "kind": "directory", "path": str(self.files), "exclude": ["*.tmp"]}],
            **more,
        }

    def context(self, **more: object) -> contexts.Context:
        return contexts.make(declaration.parse(self.declaration(**more)), World.real())

    def write(self, **more: object) -> str:
        path = self.base / "backup.json"
        path.write_text(json.dumps(self.declaration(**more)), encoding="utf-8")
        return str(path)


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
    monkeypatch.setattr(restic_store, "OPEN_TIMEOUT", 5.0)
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
    spec = dict(box.declaration()["repository"], program=str(restic_programs("bookworm") / "restic"))
    report = run.backup(box.context(repository=spec, offsite=None))
    assert report["exit_code"] == 5
    assert "0.14" in report["error"]
    assert "Debian 13" in report["error"]
    assert not (box.base / "repo" / "config").exists()


def test_a_missing_restic_is_an_error_with_a_name(box):
    spec = dict(box.declaration()["repository"], program="/nowhere/restic")
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
from ansible_collections.onebox.stack.plugins.module_utils.backup import context, declaration
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
box = context.make(declaration.read(sys.argv[1]), World.real())
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
        declaration.RepositorySpec("restic", "/repo", program=str(box.base / "slow"), password_file="/key"),
        str(box.base),
        0.2,
        World.real(),
    )
    with pytest.raises(StoreError, match=r"restic check on /repo: .*within 0.2 s; raise timeout .* backups_timeout"):
        program.run(["check"])


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
