# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs on directories: real files, with a simulated clock.

Tests with a database are in tests/integration/backup.
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


def test_sixty_days_leave_eleven_sets_that_can_be_restored(each_site):
    for _day in range(60):
        report = each_site.day()
        assert report["error"] == ""
        assert len(report["pruned"]) <= 1
    assert len(each_site.seqs()) == 11
    for seq in each_site.seqs():
        assert rehearse.rehearse(each_site.context(), wanted=str(seq))["error"] == ""


def test_failing_days_delete_nothing(each_site):
    for _day in range(20):
        each_site.day()
    before = each_site.seqs()
    shutil.move(each_site.files, each_site.files + ".gone")
    for _day in range(40):
        report = each_site.day()
        assert report["exit_code"] == 4
        assert report["pruned"] == []
    assert each_site.seqs() == before
    found = status.status(each_site.context())
    assert found["healthy"] is False
    assert any("hours old" in problem for problem in found["problems"])
    assert any("the last run failed" in problem for problem in found["problems"])


def test_clock_that_jumps_loses_no_set(site):
    for _day in range(15):
        site.day()
    before = site.seqs()
    site.now -= dt.timedelta(days=9000)
    for _day in range(3):
        report = site.day()
        assert report["pruned"] == []
        assert "was set back" in report["prune_plan"]["reason"]
    assert set(before) < set(site.seqs())
    site.now += dt.timedelta(days=9000)
    site.trusted = False
    assert site.day()["prune_plan"]["reason"] == "the clock is not synchronised"


def test_rehearsed_and_pinned_sets_are_kept(site):
    for _day in range(3):
        site.day()
    assert rehearse.rehearse(site.context(), wanted="2")["ok"] is True
    site.context().state.pin(1, True)
    for _day in range(50):
        site.day()
    assert {1, 2} <= set(site.seqs())


def test_sequence_number_is_not_assigned_twice(site):
    site.day()
    site.day()
    trees.remove_tree(os.path.join(site.base, "repo", "sets", "000002"))
    assert site.day()["snapshot"]["seq"] == 3
    trees.remove_tree(os.path.join(site.base, "state"))
    assert site.day()["snapshot"]["seq"] == 4


def test_unmounted_disk_does_not_get_a_new_repository(site):
    site.day()
    repo = os.path.join(site.base, "repo")
    os.rename(repo, repo + ".unmounted")
    os.mkdir(repo, 0o700)
    report = site.day()
    assert report["exit_code"] == 5
    assert "holds no set, and set 1 was committed there: is its disk mounted?" in report["error"]
    assert os.listdir(repo) == []
    elsewhere = site.context(repository={"engine": "files", "path": repo + "2"})
    assert run.backup(elsewhere)["error"] == ""
    os.rmdir(repo)
    os.rename(repo + ".unmounted", repo)
    assert site.day()["snapshot"]["seq"] == 3
    shutil.rmtree(repo)
    os.unlink(report["error"].rpartition("remove ")[2])
    assert site.day()["error"] == ""
    assert site.seqs() == [4]


def test_full_disk_is_refused_before_any_write(each_site):
    report = run.backup(each_site.context(reserve_mib=1 << 40))
    assert report["exit_code"] == 6
    assert "old sets are not deleted" in report["error"]
    assert os.listdir(os.path.join(each_site.base, "repo", "sets")) == []


def test_rehearsal_and_restore_check_free_space_before_a_fetch(each_site):
    each_site.day()
    full = each_site.context(reserve_mib=1 << 40)
    report = rehearse.rehearse(full)
    assert report["exit_code"] == 6
    assert "a rehearsal needs" in report["error"]
    report = restore.restore(full, restore.Request(), confirm="unit")
    assert report["exit_code"] == 6
    assert "a restore needs" in report["error"]
    assert each_site.saved() == [each_site.files]


def test_rehearsal_and_restore_check_free_space_for_the_restored_directory(site):
    site.day()
    full = site.context(reserve_mib=1 << 40)
    # The files of the set fit on the disk, and the restored directory does not.
    (found,) = full.store.sets()
    source = found.manifest.sources[0]
    huge = dataclasses.replace(source, facts={**source.facts, "bytes": 1 << 60})
    context = site.context()
    context.store.sets = lambda: [
        dataclasses.replace(found, manifest=dataclasses.replace(found.manifest, sources=(huge,)))
    ]
    assert rehearse.rehearse(context)["exit_code"] == 6
    assert restore.restore(context, restore.Request(), confirm="unit")["exit_code"] == 6
    assert not os.path.lexists(os.path.join(site.base, "state", "scratch"))


def test_busy_stack_names_the_running_process(site):
    site.day()
    busy = pytest.raises(Busy, match=rf"locked by process {os.getpid()} of user .* \(rehearsal, since 2026-01-0")
    with site.context().locked("rehearsal", 0), busy as raised:
        run.backup(site.context())
    assert raised.value.exit_code == 3
    assert site.day()["error"] == ""


def test_self_test_finds_its_damage_and_lists_skipped_ones(site):
    site.day()
    report = selftest.self_test(site.context())
    assert [row["caught"] for row in report["controls"]] == [True] * 3
    assert report["skipped"] == [
        "cut dump",
        "altered row",
        "cut dump of MySQL",
        "altered row of MySQL",
        "empty RDB",
        "cut file of SQLite",
        "altered row of SQLite",
        "altered setting of SQLite",
        "altered file of a volume",
    ]
    assert report["ok"] is True


def test_self_test_fails_with_a_broken_verifier(site, monkeypatch):
    site.day()
    monkeypatch.setattr(directories, "check", lambda *args: ([], []))
    report = selftest.self_test(site.context())
    assert "damage was not found: one altered file" in report["error"]
    assert report["exit_code"] == 8


def test_rows_that_are_only_in_the_wal_file_are_backed_up(site):
    live = sqlite3.connect(os.path.join(site.files, "app.db"))
    live.execute("PRAGMA journal_mode = WAL")
    live.execute("CREATE TABLE t (a)")
    live.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(500)])
    live.commit()
    assert site.day()["error"] == ""
    into = os.path.join(site.base, "out")
    request = restore.Request(into=into)
    assert restore.restore(site.context(), request, confirm="unit")["error"] == ""
    copy = sqlite3.connect(os.path.join(into, "data", "app.db"))
    assert copy.execute("SELECT count(*) FROM t").fetchone() == (500,)
    assert copy.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    copy.close()  # its log only exists while it is open
    assert sorted(os.listdir(os.path.join(into, "data"))) == ["-b", "a", "app.db", "c\nd", "link", "sub dir"]
    live.close()


def test_restore_is_planned_first_and_needs_the_name(site):
    site.day()
    before = os.stat(site.files).st_ino
    shown = restore.restore(site.context(), restore.Request())
    assert shown["done"] is False
    assert "renamed to" in shown["steps"][0]
    with pytest.raises(RestoreRefused, match="type the name of the stack: unit"):
        restore.restore(site.context(), restore.Request(), confirm="yes")
    with pytest.raises(RestoreRefused, match="it holds data"):
        restore.restore(site.context(), restore.Request(sources=("other",)))
    assert os.stat(site.files).st_ino == before


def test_missing_file_of_a_set_is_named(site):
    site.day()
    os.unlink(os.path.join(site.base, "repo", "sets", "000001", "files", "data.tar"))
    report = rehearse.rehearse(site.context())
    assert report["exit_code"] == 5
    assert "set 1: " in report["error"]
    assert "data.tar cannot be read: No such file or directory; use another" in report["error"]


def test_database_with_a_name_that_is_not_text_is_backed_up(site):
    name = os.fsdecode(b"b\xff.db")
    with sqlite3.connect(os.fsencode(os.path.join(site.files, name))) as live:
        live.execute("CREATE TABLE t (a)")
    live.close()
    assert site.day()["error"] == ""


def test_error_in_the_background_is_raised_by_join():
    def fail():
        raise OSError("no such pack")

    with pytest.raises(OSError, match="no such pack"):
        background.Background(fail).join()


def test_failed_off_site_rehearsal_is_ignored_without_off_site(site):
    site.day()
    site.context().state.write("last-rehearsal-offsite", {"ok": False, "error": "gone"})
    assert status.status(site.context())["healthy"] is True


def test_report_of_a_run_is_returned_with_an_unreadable_repository(site):
    report = site.day()
    shutil.rmtree(os.path.join(site.base, "repo"))
    with open(os.path.join(site.base, "repo"), "w", encoding="utf-8"):
        pass
    assert options.returned(report, site.context())["last_good"] is None


def test_databases_cannot_be_restored_into_a_directory(site):
    site.day()
    for asked in ({"sources": ("db",)}, {"databases": ("coin",)}, {}):
        context = site.context(
            sources=[
                {"name": "data", "kind": "directory", "path": site.files},
                {"name": "db", "kind": "postgresql", "service": "db"},
            ]
        )
        (found,) = context.store.sets()
        facts = {"databases": {"coin": {}}}
        both = (*found.manifest.sources, manifest.Source("db", "postgresql", (), 1, facts))
        context.store.sets = lambda found=found, both=both: [
            dataclasses.replace(found, manifest=dataclasses.replace(found.manifest, sources=both))
        ]
        request = restore.Request(into=os.path.join(site.base, "out"), **asked)
        if asked:
            with pytest.raises(RestoreRefused, match="into a directory"):
                restore.restore(context, request)
        else:
            (step,) = restore.restore(context, request)["steps"]
            assert step.startswith("directory ")


def test_metrics_and_evidence_have_the_time_of_the_last_restore(site):
    site.day()
    rehearse.rehearse(site.context())
    with open(os.path.join(site.base, "metrics", "unit.prom"), encoding="utf-8") as file:
        text = file.read()
    when = int(site.now.timestamp())
    assert f'onebox_backup_rehearsal_last_success_timestamp_seconds{{stack="unit",where="local"}} {when}' in text
    names = [line.split("{")[0] for line in text.splitlines() if not line.startswith("#")]
    groups = [name for number, name in enumerate(names) if number == 0 or names[number - 1] != name]
    assert len(groups) == len(set(groups)), "each metric must stand in one group"
