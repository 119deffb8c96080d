# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of directories: unchanged files are not read, and a long list takes no memory."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import tracemalloc

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import rehearse, restore
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError, StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import archive as directories
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import extract, listing, walk
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.restic_files import RepositoryFiles
from backup_sites import Site

NAMES = ("a", "a-b", "a.d/x", "a.d/y", "b\nc", '"quoted"', "ü", "%s", "-dash", " space ", "$HOME", "z/z/z")


@pytest.fixture
def root(tmp_path):
    place = tmp_path / "root"
    for name in NAMES:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(name * 10, encoding="utf-8")
    with open(os.fsencode(place) + b"/\xff", "wb") as file:
        file.write(b"x")
    os.symlink("a", place / "link")
    return place


def capture(root, staging, before=""):
    staging.mkdir()
    got = directories.capture(str(root), (), (), str(staging), "s", archive=False, before=str(before))
    return got, staging / "files/s.list"


def test_unchanged_file_is_not_read_and_has_the_same_line(root, tmp_path, monkeypatch):
    read = []
    real = listing.hash_file

    def counted(path, *args, **more):
        read.append(os.path.basename(path))
        return real(path, *args, **more)

    monkeypatch.setattr(listing, "hash_file", counted)
    _got, first = capture(root, tmp_path / "one")
    assert len(read) == len(NAMES) + 1
    read.clear()
    _got, second = capture(root, tmp_path / "two", first)
    assert read == []
    assert second.read_bytes() == first.read_bytes()
    (root / "a.d/x").write_text("other", encoding="utf-8")
    (root / "a").unlink()
    (root / "a.d/new").write_text("new", encoding="utf-8")
    got, third = capture(root, tmp_path / "three", second)
    assert sorted(read) == ["new", "x"]
    assert directories.check(got.facts, str(tmp_path / "three"), str(root), True) == ([], [])
    assert third.read_bytes() != second.read_bytes()


def test_file_with_another_inode_is_read(root, tmp_path):
    _got, first = capture(root, tmp_path / "one")
    status = os.stat(root / "a")
    (root / "a").rename(root / "gone")
    (root / "a").write_text("b" * status.st_size, encoding="utf-8")
    os.utime(root / "a", ns=(status.st_atime_ns, status.st_mtime_ns))
    (root / "gone").unlink()
    got, _second = capture(root, tmp_path / "two", first)
    assert directories.check(got.facts, str(tmp_path / "two"), str(root), True) == ([], [])


@pytest.mark.parametrize("damage", [b"", b"{}\n" * 3, b"no json\n\xff\n", b'{"path": 7}\n'])
def test_damaged_list_of_the_previous_set_only_costs_time(root, tmp_path, damage):
    before = tmp_path / "before"
    before.write_bytes(damage)
    got, _list = capture(root, tmp_path / "one", before)
    assert directories.check(got.facts, str(tmp_path / "one"), str(root), True) == ([], [])


def test_list_sorted_by_path_is_compared(root, tmp_path):
    got, path = capture(root, tmp_path / "one")
    lines = sorted(path.read_bytes().splitlines(keepends=True), key=lambda line: json.loads(line)["path"])
    path.write_bytes(b"".join(lines))
    facts = dataclasses.replace(got.facts, list_order="")
    assert directories.check(facts, str(tmp_path / "one"), str(root), True) == ([], [])


def test_each_difference_is_named_except_changes_during_the_backup(root, tmp_path):
    got, _path = capture(root, tmp_path / "one")
    (root / "a-b").chmod(0o600)
    (root / "z/z/z").unlink()
    (root / "a.d/new").write_text("x", encoding="utf-8")
    problems, moved = directories.check(got.facts, str(tmp_path / "one"), str(root), True)
    # The times of the directories show that the changes happened after the list was written.
    assert sorted(moved) == ["a.d/new", "z/z/z"]
    assert len(problems) == 1
    assert "'a-b': mode is" in problems[0]
    stored = dataclasses.replace(got.facts, archive="x")
    problems, moved = directories.check(stored, str(tmp_path / "one"), str(root), True)
    assert moved == []
    assert len(problems) == 3


def test_file_that_changes_while_it_is_hashed_is_reported_and_hashed_again(root, tmp_path, monkeypatch):
    real = listing.hash_file

    def changing(path, *args, **more):
        sha256, size, _before = real(path, *args, **more)
        if path == "a":
            (root / "a").write_text("written meanwhile", encoding="utf-8")
        return sha256, size, os.stat(root / path)

    monkeypatch.setattr(listing, "hash_file", changing)
    got, first = capture(root, tmp_path / "one")
    monkeypatch.setattr(listing, "hash_file", real)
    assert got.warnings == ["1 files changed while they were read: a"]
    assert directories.check(got.facts, str(tmp_path / "one"), str(root), True) == ([], ["a"])
    got, _second = capture(root, tmp_path / "two", first)
    assert directories.check(got.facts, str(tmp_path / "two"), str(root), True) == ([], [])


def test_directory_that_vanishes_during_the_walk_is_left_out(root, tmp_path):
    found = []
    for path, _status in walk.Listing(str(root)):
        found.append(path)
        if path == "z":
            shutil.rmtree(root / "z")
    assert "z/z" not in found
    shutil.rmtree(root)
    with pytest.raises(SourceError, match="cannot be read"):
        capture(root, tmp_path / "one")


def test_companions_of_a_database_are_excluded_before_they_exist(root, tmp_path):
    with contextlib.closing(sqlite3.connect(root / "app.db")) as live:
        live.execute("CREATE TABLE t (a)")
    (tmp_path / "one").mkdir()
    got = directories.capture(str(root), (), ("*.db",), str(tmp_path / "one"), "s", archive=False)
    assert sorted(got.excludes) == [f"{root}/app.db{tail}" for tail in ("", "-journal", "-shm", "-wal")]


def test_restored_database_does_not_change_the_times_of_its_directory(root, tmp_path):
    with contextlib.closing(sqlite3.connect(root / "a.d" / "app.db")) as live:
        live.execute("CREATE TABLE t (a)")
    (tmp_path / "one").mkdir()
    got = directories.capture(str(root), (), ("*.db",), str(tmp_path / "one"), "s", archive=False)
    (root / "a.d/x").unlink()
    os.utime(root / "a.d", (1, 1))
    extract.overlay_databases(got.facts, str(tmp_path / "one"), str(root), False)
    assert os.stat(root / "a.d").st_mtime == 1


def test_comparison_of_a_long_list_takes_no_memory():
    def rows(count):
        for number in range(count):
            yield {"path": f"d{number // 100:06}/f{number:07}", "type": "file", "mtime": 1, "size": number}

    def peak(count):
        comparison = listing.Comparison("x", drifting=True)
        tracemalloc.start()
        comparison.run(rows(count), rows(count))
        _now, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert comparison.problems == []
        return most

    assert peak(20_000) < peak(200) + 100_000


def test_files_of_a_repository_are_compared_with_their_names(tmp_path):
    def put(kind, data):
        name = hashlib.sha256(data).hexdigest()
        place = tmp_path / kind / (name[:2] if kind == "data" else "")
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
        return name, place / name

    index, _path = put("index", b"index")
    snapshot, _path = put("snapshots", b"snapshot")
    pack, place = put("data", b"pack" * 100)
    (tmp_path / "data" / "00").mkdir(exist_ok=True)
    (tmp_path / "data" / "00" / "tmp-leftover").write_bytes(b"half")
    files = RepositoryFiles(str(tmp_path))
    assert files.snapshots() == [snapshot]
    assert files.packs() == {pack}
    assert files.verify([pack]) == len(b"index") + len(b"snapshot") + 400
    parts = [files.verify_part([pack], part, 14) for part in range(14)]
    assert sorted(parts) == [0] * 13 + [400]
    place.write_bytes(b"pack" * 99 + b"hack")
    with pytest.raises(StoreError, match=pack):
        files.verify([pack])
    place.unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        files.verify([pack])


@pytest.fixture
def deep(tmp_path):
    """A directory to back up with 1500 nested ones; pytest cannot remove them."""
    site = Site(tmp_path / "site")
    here = os.open(site.files, os.O_RDONLY)
    for _level in range(1500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("deepest", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)
    yield site
    subprocess.run(["rm", "-rf", site.base], check=True)


def test_tree_of_1500_levels_is_backed_up_rehearsed_and_restored(deep):
    assert deep.day()["error"] == ""
    assert rehearse.rehearse(deep.context())["error"] == ""
    assert restore.restore(deep.context(), restore.Request(), confirm="unit")["error"] == ""
    assert os.path.exists(os.path.join(deep.files, *(["d"] * 1500), "deepest"))
