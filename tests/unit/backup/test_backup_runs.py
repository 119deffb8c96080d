# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs on directories: real files, a clock that is handed in, and death at every change to the disk.

What needs a database is in tests/integration/backup.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import shutil
import sqlite3

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import (
    background,
    options,
    rehearse,
    restore,
    run,
    selftest,
    status,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import Busy, RestoreRefused
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import archive as directories
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import manifest
from ansible_collections.onebox.stack.plugins.module_utils.core import trees


def test_sixty_days_leave_eleven_sets_and_every_one_comes_back(box):
    for _day in range(60):
        report = box.day()
        assert report["error"] == ""
        assert len(report["pruned"]) <= 1
    assert len(box.seqs()) == 11
    for seq in box.seqs():
        assert rehearse.rehearse(box.context(), wanted=str(seq))["error"] == ""


def test_failing_days_delete_nothing(box):
    for _day in range(20):
        box.day()
    before = box.seqs()
    shutil.move(box.files, box.files + ".gone")
    for _day in range(40):
        report = box.day()
        assert report["exit_code"] == 4
        assert report["pruned"] == []
    assert box.seqs() == before
    found = status.status(box.context())
    assert found["healthy"] is False
    assert any("hours old" in problem for problem in found["problems"])
    assert any("the last run failed" in problem for problem in found["problems"])


def test_a_clock_that_jumps_loses_nothing(box):
    for _day in range(15):
        box.day()
    before = box.seqs()
    box.now -= dt.timedelta(days=9000)
    for _day in range(3):
        report = box.day()
        assert report["pruned"] == []
        assert "went back" in report["prune_plan"]["reason"]
    assert set(before) < set(box.seqs())
    box.now += dt.timedelta(days=9000)
    box.trusted = False
    assert box.day()["prune_plan"]["reason"] == "the clock is not synchronised"


def test_the_rehearsed_and_the_pinned_set_stay(box):
    for _day in range(3):
        box.day()
    assert rehearse.rehearse(box.context(), wanted="2")["ok"] is True
    box.context().state.pin(1, True)
    for _day in range(50):
        box.day()
    assert {1, 2} <= set(box.seqs())


def test_a_sequence_number_is_never_given_twice(box):
    box.day()
    box.day()
    trees.remove_tree(os.path.join(box.base, "repo", "sets", "000002"))
    assert box.day()["snapshot"]["seq"] == 3
    trees.remove_tree(os.path.join(box.base, "state"))
    assert box.day()["snapshot"]["seq"] == 4


def test_a_disk_that_is_not_mounted_is_no_new_repository(box):
    box.day()
    repo = os.path.join(box.base, "repo")
    os.rename(repo, repo + ".unmounted")
    os.mkdir(repo, 0o700)
    report = box.day()
    assert report["exit_code"] == 5
    assert "holds no set, and set 1 was committed there: is its disk mounted?" in report["error"]
    assert os.listdir(repo) == []
    elsewhere = box.context(repository={"engine": "files", "path": repo + "2"})
    assert run.backup(elsewhere)["error"] == ""
    os.rmdir(repo)
    os.rename(repo + ".unmounted", repo)
    assert box.day()["snapshot"]["seq"] == 3
    shutil.rmtree(repo)
    os.unlink(report["error"].rpartition("remove ")[2])
    assert box.day()["error"] == ""
    assert box.seqs() == [4]


def test_no_room_is_refused_before_anything_is_written(box):
    report = run.backup(box.context(reserve_mib=1 << 40))
    assert report["exit_code"] == 6
    assert "old sets are not deleted" in report["error"]
    assert os.listdir(os.path.join(box.base, "repo", "sets")) == []


def test_a_rehearsal_and_a_restore_ask_for_room_before_they_fetch_anything(box):
    box.day()
    full = box.context(reserve_mib=1 << 40)
    report = rehearse.rehearse(full)
    assert report["exit_code"] == 6
    assert "a rehearsal needs" in report["error"]
    report = restore.restore(full, restore.Request(), confirm="unit")
    assert report["exit_code"] == 6
    assert "a restore needs" in report["error"]
    assert [name for name in os.listdir(box.base) if name.startswith("data")] == ["data"]
    # By the room there is: the files of the set fit, and the directory that is made of them does not.
    (found,) = full.store.sets()
    source = found.manifest.sources[0]
    huge = dataclasses.replace(source, facts={**source.facts, "bytes": 1 << 60})
    context = box.context()
    context.store.sets = lambda: [
        dataclasses.replace(found, manifest=dataclasses.replace(found.manifest, sources=(huge,)))
    ]
    assert rehearse.rehearse(context)["exit_code"] == 6
    assert restore.restore(context, restore.Request(), confirm="unit")["exit_code"] == 6
    assert not os.path.lexists(os.path.join(box.base, "state", "scratch"))


def test_a_busy_stack_says_who_is_at_work(box):
    box.day()
    busy = pytest.raises(Busy, match=rf"locked by process {os.getpid()} of user .* \(rehearsal, since 2026-01-0")
    with box.context().locked("rehearsal", 0), busy as raised:
        run.backup(box.context())
    assert raised.value.exit_code == 3
    assert box.day()["error"] == ""


def test_the_self_test_finds_its_damage_and_says_what_it_could_not_try(box):
    box.day()
    report = selftest.self_test(box.context())
    assert [row["caught"] for row in report["controls"]] == [True] * 3
    assert report["skipped"] == ["cut dump", "altered row", "empty RDB"]
    assert report["ok"] is True


def test_the_self_test_fails_when_the_verifier_is_broken(box, monkeypatch):
    box.day()
    monkeypatch.setattr(directories, "check", lambda *args: ([], []))
    report = selftest.self_test(box.context())
    assert "damage was not found: one altered file" in report["error"]
    assert report["exit_code"] == 8


def test_rows_that_are_only_in_the_wal_file_are_backed_up(box):
    live = sqlite3.connect(os.path.join(box.files, "app.db"))
    live.execute("PRAGMA journal_mode = WAL")
    live.execute("CREATE TABLE t (a)")
    live.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(500)])
    live.commit()
    assert box.day()["error"] == ""
    into = os.path.join(box.base, "out")
    request = restore.Request(into=into)
    assert restore.restore(box.context(), request, confirm="unit")["error"] == ""
    copy = sqlite3.connect(os.path.join(into, "data", "app.db"))
    assert copy.execute("SELECT count(*) FROM t").fetchone() == (500,)
    assert copy.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    copy.close()  # its log comes when it is opened, and goes
    assert sorted(os.listdir(os.path.join(into, "data"))) == ["-b", "a", "app.db", "c\nd", "link", "sub dir"]
    live.close()


def test_a_restore_is_shown_first_and_needs_the_name(box):
    box.day()
    before = os.stat(box.files).st_ino
    shown = restore.restore(box.context(), restore.Request())
    assert shown["done"] is False
    assert "renamed to" in shown["steps"][0]
    with pytest.raises(RestoreRefused, match="type the name of the stack: unit"):
        restore.restore(box.context(), restore.Request(), confirm="yes")
    with pytest.raises(RestoreRefused, match="it holds data"):
        restore.restore(box.context(), restore.Request(sources=("other",)))
    assert os.stat(box.files).st_ino == before


def test_a_file_that_is_gone_from_a_set_is_named(box):
    box.day()
    os.unlink(os.path.join(box.base, "repo", "sets", "000001", "files", "data.tar"))
    report = rehearse.rehearse(box.context())
    assert report["exit_code"] == 5
    assert "set 1: " in report["error"]
    assert "data.tar cannot be read: No such file or directory; use another" in report["error"]


def test_a_database_whose_name_is_no_text_is_backed_up(box):
    name = os.fsdecode(b"b\xff.db")
    with sqlite3.connect(os.fsencode(os.path.join(box.files, name))) as live:
        live.execute("CREATE TABLE t (a)")
    live.close()
    assert box.day()["error"] == ""


def test_what_fails_in_the_background_is_raised_where_it_is_joined():
    def fail():
        raise OSError("no such pack")

    with pytest.raises(OSError, match="no such pack"):
        background.Background(fail).join()


def test_an_off_site_rehearsal_that_failed_counts_no_more_when_there_is_no_off_site(box):
    box.day()
    box.context().state.write("last-rehearsal-offsite", {"ok": False, "error": "gone"})
    assert status.status(box.context())["healthy"] is True


def test_what_a_run_returns_is_returned_also_when_the_repository_cannot_be_read(box):
    report = box.day()
    shutil.rmtree(os.path.join(box.base, "repo"))
    with open(os.path.join(box.base, "repo"), "w", encoding="utf-8"):
        pass
    assert options.returned(report, box.context())["last_good"] is None


def test_databases_go_into_no_directory(box):
    box.day()
    for asked in ({"sources": ("db",)}, {"databases": ("coin",)}, {}):
        context = box.context(
            sources=[
                {"name": "data", "kind": "directory", "path": box.files},
                {"name": "db", "kind": "postgresql", "service": "db"},
            ]
        )
        (found,) = context.store.sets()
        facts = {"databases": {"coin": {}}}
        both = (*found.manifest.sources, manifest.Source("db", "postgresql", (), 1, facts))
        context.store.sets = lambda found=found, both=both: [
            dataclasses.replace(found, manifest=dataclasses.replace(found.manifest, sources=both))
        ]
        request = restore.Request(into=os.path.join(box.base, "out"), **asked)
        if asked:
            with pytest.raises(RestoreRefused, match="into a directory"):
                restore.restore(context, request)
        else:
            (step,) = restore.restore(context, request)["steps"]
            assert step.startswith("directory ")


def test_metrics_and_evidence_say_when_a_set_last_came_back(box):
    box.day()
    rehearse.rehearse(box.context())
    with open(os.path.join(box.base, "metrics", "unit.prom"), encoding="utf-8") as file:
        text = file.read()
    when = int(box.now.timestamp())
    assert f'onebox_backup_rehearsal_last_success_timestamp_seconds{{stack="unit",where="local"}} {when}' in text
    names = [line.split("{")[0] for line in text.splitlines() if not line.startswith("#")]
    groups = [name for number, name in enumerate(names) if number == 0 or names[number - 1] != name]
    assert len(groups) == len(set(groups)), "each metric must stand in one group"
