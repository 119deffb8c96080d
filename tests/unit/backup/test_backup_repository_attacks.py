# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links planted at every name that a run writes to: refused or replaced, and never followed."""

from __future__ import annotations

import contextlib
import os
import shutil

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import rehearse, restore, run
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from backup_sites import SITES

# Below the site's directory. Attackers cannot write to private directories. The test plants links there anyway.
# A name that ends in .tmp resembles the scratch file of a dead writer: no process has such a large id.
NAMES = (
    "repo", "repo/sets", "repo/sets/000002", "repo/.partial-000002-x", "repo/.trash-000001",
    "state", "state/lock", "state/seq.json", "state/.seq.json.4999999-abcdefgh.tmp", "state/last-backup.json",
    "state/evidence", "state/committed.json", "state/evidence/.local-1.json.4999999-abcdefgh.tmp",
    "state/scratch", "state/pins.json", "metrics/unit.prom", "metrics/.unit.prom.4999999-abcdefgh.tmp",
    "{data}.restoring-20260102-020000", "{data}.before-20260102-020000",
)  # fmt: skip
# Of a database, also its companions.
SQLITE = ("{data}-wal", "{data}-shm", "{data}-journal", "{data}.before-20260102-020000-wal")


def snapshot(victim: str) -> list[tuple[str, bytes, int, float]]:
    found = []
    for base, _dirs, names in os.walk(victim):
        for name in sorted(names):
            path = os.path.join(base, name)
            with open(path, "rb") as file:
                found.append((path, file.read(), os.stat(path).st_mode, os.stat(path).st_mtime))
    return found


def plant(kind: str, place: str, victim: str) -> None:
    if os.path.isdir(place) and not os.path.islink(place):
        shutil.rmtree(place)
    elif os.path.lexists(place):
        os.unlink(place)
    os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
    if kind == "hard link":
        os.link(os.path.join(victim, "precious"), place)
    else:
        os.symlink(victim if kind == "link to a directory" else os.path.join(victim, "precious"), place)


@pytest.mark.parametrize("source", sorted(SITES))
@pytest.mark.parametrize("kind", ["link to a file", "link to a directory", "hard link"])
def test_planted_links_are_never_followed(tmp_path, tally, kind, source):
    tried = bad = 0
    for number, name in enumerate((*NAMES, *(SQLITE if source == "sqlite" else ()))):
        site = SITES[source](tmp_path / f"site{number}")
        assert site.day()["error"] == ""
        victim = str(tmp_path / f"victim{number}")
        os.mkdir(victim)
        with open(os.path.join(victim, "precious"), "w", encoding="utf-8") as file:
            file.write("{}")
        before = snapshot(victim)
        plant(kind, os.path.join(site.base, name.format(data=site.files)), victim)
        for work in (
            lambda site=site: run.backup(site.context()),
            lambda site=site: rehearse.rehearse(site.context()),
            lambda site=site: restore.restore(site.context(), restore.Request(), confirm="unit"),
            lambda site=site: site.context().state.pin(1, True),
        ):
            with contextlib.suppress(OneboxError):  # refused, with a message that main() prints
                work()
            tried += 1
            bad += snapshot(victim) != before
        assert site.is_whole(site.files)
    tally(f"{kind} planted where a run of kind {source} writes: targets changed", tried, bad)
