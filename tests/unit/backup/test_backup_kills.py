# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills at every change to the disk, and flipped bits: no set is lost, and all damage is found.

For each kind that needs no server. Servers are in tests/integration/backup/test_backup_faults_stack.py and _kinds.py.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import (
    rehearse,
    restore,
    run,
    status,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from backup_sites import Site
from deaths import lives


def count_points(site: Site, work: t.Callable[[], t.Any], check: t.Callable[[], None], stride: int = 1) -> int:
    """Kill ``work`` at each of its steps, or each ``stride``-th. ``check`` must hold after each kill."""
    kept = site.base + ".kept"
    shutil.copytree(site.base, kept, symlinks=True)
    points = 0
    while not lives(points * stride, work):
        check()
        shutil.rmtree(site.base)
        shutil.copytree(kept, site.base, symlinks=True)
        points += 1
    check()
    shutil.rmtree(site.base)
    os.rename(kept, site.base)
    return points


def all_verify(site: Site, at_least: set[int]) -> None:
    context = site.context()
    sets = context.store.sets()
    assert [found.problem for found in sets] == [""] * len(sets)
    assert at_least <= {found.seq for found in sets}
    for found in sets:
        context.store.verify(found)
    after = run.backup(site.context())
    assert after["error"] == "", after["error"]
    assert after["snapshot"]["seq"] > max(at_least)
    assert [name for name in os.listdir(context.store.location) if name.startswith(".")] == []


def test_kills_in_backup_prune_rehearsal_and_restore_lose_no_set(each_site, tally, how_many):
    site, kind = each_site, each_site.source()["kind"]
    stride = 1 if kind == "directory" else how_many(7, 1)
    policy = {"daily": 1, "weekly": 0, "min_keep": 2, "max_delete": 3}
    for _day in range(3):
        site.day()
    counts = {}
    counts["backup and prune"] = count_points(
        site, lambda: run.backup(site.context(retention=policy)), lambda: all_verify(site, {3}), stride
    )
    counts["rehearsal"] = count_points(
        site, lambda: rehearse.rehearse(site.context()), lambda: all_verify(site, {1, 2, 3}), stride
    )

    cut: list[int] = []

    def check_restore() -> None:
        # The data is complete: before or after the swap, or under the name of the previous copy.
        whole = [path for path in site.saved() if site.is_whole(path)]
        assert whole
        if not os.path.lexists(site.files):
            (shutil.copytree if os.path.isdir(whole[0]) else shutil.copy)(whole[0], site.files)
        if site.context().state.read("restore-under-way"):
            found = status.status(site.context())
            assert any("was interrupted" in problem for problem in found["problems"])
            assert "no backup was made" in run.backup(site.context())["error"]
            assert restore.restore(site.context(), restore.Request(wanted="1"), confirm="unit")["error"] == ""
            left = [name for _base, dirs, _files in os.walk(site.base) for name in dirs if name.startswith(".onebox")]
            assert left == []
            cut.append(1)
        all_verify(site, {1, 2, 3})

    counts["restore"] = count_points(
        site,
        lambda: restore.restore(site.context(), restore.Request(wanted="1"), confirm="unit"),
        check_restore,
        stride,
    )
    tally(f"kill -9 in a restore that had begun to change the stack, {kind}: not known to status and backup", len(cut))
    for what, points in counts.items():
        tally(f"kill -9 at each change to the disk, {what}, {kind}: sets lost or partial ones listed", points)
    assert sum(counts.values()) * stride >= 200


def test_flipped_bits_in_each_file_of_a_set_are_all_found(each_site, tally):
    site, kind = each_site, each_site.source()["kind"]
    with contextlib.closing(sqlite3.connect(os.path.join(os.path.dirname(site.files), "more.db"))) as base:
        base.execute("CREATE TABLE t (a)")
    if kind != "sqlite":
        os.rename(os.path.join(os.path.dirname(site.files), "more.db"), os.path.join(site.files, "more.db"))
    site.day()
    context = site.context()
    root = os.path.join(site.base, "repo", "sets")
    files = [os.path.join(base, name) for base, _dirs, names in os.walk(root) for name in names]
    assert len(files) == (2 if kind == "sqlite" else 4)
    rng = random.Random(5)
    for path in files:
        caught = 0
        for _try in range(1000 // len(files)):
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
        tried = 1000 // len(files)
        tally(f"bit flips in {os.path.basename(path)} of a set of kind {kind}: not found", tried, tried - caught)
    assert rehearse.rehearse(site.context())["error"] == ""


def _flip(path: str, bit: int) -> None:
    with open(path, "r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))
