# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs on directories: real files, a clock that is handed in, and death at every change to the disk.

What needs a database is in tests/integration/backup.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import os
import random
import shutil
import sqlite3
import tempfile
import typing as t

import pytest
import worlds
from ansible_collections.onebox.stack.plugins.module_utils.backup import (
    background,
    declaration,
    options,
    rehearse,
    restore,
    run,
    selftest,
    status,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import Busy, RestoreRefused, StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import manifest
from ansible_collections.onebox.stack.plugins.module_utils.core import trees
from deaths import lives

START = dt.datetime(2026, 1, 1, 2, 0).astimezone()


class Box:
    """A directory to back up and a clock to turn."""

    def __init__(self, base: t.Any) -> None:
        self.base = str(base)
        self.files = os.path.join(self.base, "data")
        self.now = START
        self.trusted = True
        os.makedirs(os.path.join(self.files, "sub dir"))
        for name in ("a", "-b", "c\nd", "sub dir/é"):
            with open(os.path.join(self.files, name), "w", encoding="utf-8") as file:
                file.write(name * 50)
        os.symlink("a", os.path.join(self.files, "link"))

    def context(self, **more: t.Any) -> contexts.Context:
        declared = {
            "stack": "unit",
            "state_dir": os.path.join(self.base, "state"),
            "repository": {"engine": "files", "path": os.path.join(self.base, "repo")},
            "reserve_mib": 0,
            "metrics_file": os.path.join(self.base, "metrics", "unit.prom"),
            "sources": [{"name": "data", "kind": "directory", "path": self.files, "sqlite": ["*.db"]}],
            **more,
        }
        return contexts.make(declaration.parse(declared), worlds.at(lambda: self.now, lambda: self.trusted))

    def day(self, days: int = 1) -> dict[str, t.Any]:
        report = run.backup(self.context())
        self.now += dt.timedelta(days=days)
        return report

    def seqs(self) -> list[int]:
        return [found.seq for found in self.context().store.sets()]


@pytest.fixture
def box(tmp_path):
    """On a memory file system where there is one: thousands of fsyncs are waited for otherwise."""
    if not os.access("/dev/shm", os.W_OK):
        yield Box(tmp_path)
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="obx-backup-") as place:
        yield Box(os.path.join(place, "box"))


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


def count_points(box: Box, work: t.Callable[[], t.Any], check: t.Callable[[], None]) -> int:
    """Kill ``work`` at each of its steps; after each death ``check`` must hold on what is left."""
    kept = box.base + ".kept"
    shutil.copytree(box.base, kept, symlinks=True)
    points = 0
    while not lives(points, work):
        check()
        shutil.rmtree(box.base)
        shutil.copytree(kept, box.base, symlinks=True)
        points += 1
    check()
    shutil.rmtree(box.base)
    os.rename(kept, box.base)
    return points


def all_verify(box: Box, at_least: set[int]) -> None:
    context = box.context()
    sets = context.store.sets()
    assert [found.problem for found in sets] == [""] * len(sets)
    assert at_least <= {found.seq for found in sets}
    for found in sets:
        context.store.verify(found)
    after = run.backup(box.context())
    assert after["error"] == "", after["error"]
    assert after["snapshot"]["seq"] > max(at_least)
    assert [name for name in os.listdir(context.store.place) if name.startswith(".")] == []


def test_killed_in_backup_prune_rehearsal_and_restore_no_set_is_lost(box, tally):
    policy = {"daily": 1, "weekly": 0, "min_keep": 2, "max_delete": 3}
    for _day in range(3):
        box.day()
    counts = {}
    counts["backup and prune"] = count_points(
        box, lambda: run.backup(box.context(retention=policy)), lambda: all_verify(box, {3})
    )
    counts["rehearsal"] = count_points(
        box, lambda: rehearse.rehearse(box.context()), lambda: all_verify(box, {1, 2, 3})
    )

    cut: list[int] = []

    def check_restore() -> None:
        # The data is there whole, before or after the swap, or at the name it was moved aside to.
        places = [name for name in os.listdir(box.base) if name == "data" or name.startswith("data.before-")]
        whole = [name for name in places if os.path.isfile(os.path.join(box.base, name, "a"))]
        assert whole
        if not os.path.isdir(box.files):
            shutil.copytree(os.path.join(box.base, whole[0]), box.files, symlinks=True)
        if box.context().state.read("restore-under-way"):
            found = status.status(box.context())
            assert any("was cut short" in problem for problem in found["problems"])
            assert "no set is taken" in run.backup(box.context())["error"]
            assert restore.restore(box.context(), restore.Request(wanted="1"), confirm="unit")["error"] == ""
            assert [name for name in os.listdir(box.base) if name.startswith(".onebox")] == []
            cut.append(1)
        all_verify(box, {1, 2, 3})

    counts["restore"] = count_points(
        box, lambda: restore.restore(box.context(), restore.Request(wanted="1"), confirm="unit"), check_restore
    )
    tally("kill -9 in a restore that had begun to change the stack: not known to status and backup", len(cut))
    for what, points in counts.items():
        tally(f"kill -9 at each change to the disk, {what}, plain files: sets lost or partial ones listed", points)
    assert sum(counts.values()) >= 200


def test_a_thousand_flipped_bits_are_a_thousand_findings(box, tally):
    box.day()
    context = box.context()
    root = os.path.join(box.base, "repo", "sets")
    files = [os.path.join(base, name) for base, _dirs, names in os.walk(root) for name in names]
    rng = random.Random(5)
    caught = 0
    for _try in range(1000):
        path = rng.choice(files)
        bit = rng.randrange(os.path.getsize(path) * 8)
        _flip(path, bit)
        (found,) = context.store.sets()
        if found.manifest is None:
            caught += 1
        else:
            with contextlib.suppress(StoreError):
                context.store.verify(found)
                caught -= 1
            caught += 1
        _flip(path, bit)
    tally("bit flips in plain-file sets: not found", 1000, 1000 - caught)
    assert rehearse.rehearse(box.context())["error"] == ""


def _flip(path: str, bit: int) -> None:
    with open(path, "r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def test_the_self_test_finds_its_damage_and_says_what_it_could_not_try(box):
    box.day()
    report = selftest.self_test(box.context())
    assert [row["caught"] for row in report["controls"]] == [True] * 3
    assert report["skipped"] == ["cut dump", "altered row", "empty RDB"]
    assert report["ok"] is True


def test_the_self_test_fails_when_the_verifier_is_broken(box, monkeypatch):
    box.day()
    monkeypatch.setattr(rehearse.directories, "check", lambda *args: ([], []))
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
            with pytest.raises(RestoreRefused, match="into no directory"):
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
