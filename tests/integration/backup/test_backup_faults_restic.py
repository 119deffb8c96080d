# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills, damage, full disks and concurrent runs, with real restic. A few of each; many with OBX_FAULTS=full."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration, rehearse, run
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from backup_stack import ROOT, restic_programs

PACKAGE = "ansible_collections.onebox.stack.plugins.module_utils.backup"
RUNNER = f"import sys; from {PACKAGE}.runner import cli; sys.exit(cli.main())"


class Site:
    """A directory and a restic repository; the runner is a separate process, to be killed."""

    def __init__(self, base: pathlib.Path, **more: t.Any) -> None:
        self.base = base
        self.files = base / "srv" / "data"
        self.files.mkdir(parents=True)
        for number in range(60):
            (self.files / f"f{number}").write_bytes(os.urandom(20_000))
        (base / "key").write_text("k\n", encoding="utf-8")
        self.config = base / "backup.json"
        self.declare(**more)

    def declare(self, **more: t.Any) -> None:
        data = {
            "stack": "faulty",
            "state_dir": str(self.base / "state"),
            "reserve_mib": 0,
            "timeout": 120,
            "retention": {"daily": 1, "weekly": 0, "min_keep": 2, "max_delete": 3},
            "repository": {
                "engine": "restic",
                "path": str(self.base / "repo"),
                "password_file": str(self.base / "key"),
                "program": str(restic_programs() / "restic"),
            },
            "sources": [{"name": "data", "kind": "directory", "path": str(self.files)}],
            **more,
        }
        self.config.write_text(json.dumps(data), encoding="utf-8")

    def context(self) -> contexts.Context:
        return contexts.make(configuration.read(str(self.config)), World.real())

    def start(self, *words: str, wait: int = 120) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-c", RUNNER, "--config", str(self.config), "--wait", str(wait), *words]
        env = {**os.environ, "PYTHONPATH": str(ROOT / ".collections")}
        return subprocess.Popen(
            argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def run(self) -> dict[str, t.Any]:
        return run.backup(self.context(), wait=120)

    def settled(self) -> list[int]:
        """The sets after the restic of a killed runner has ended. It holds the lock until then."""
        context = self.context()
        with context.locked("look", 120):
            return [found.seq for found in context.store.sets()]


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def kill(process: subprocess.Popen[bytes], after: float, whom: str) -> bool:
    """SIGKILL after a while: the runner, its restic, or both at once. False when it had ended before."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=after)
        return False
    restics = children(process.pid)
    victims = {"runner": [process.pid], "restic": restics, "both": [process.pid, *restics]}[whom] or [process.pid]
    for pid in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    return True


@pytest.mark.parametrize("words", [["backup"], ["rehearse"]], ids=["backup, forget and prune", "rehearsal"])
def test_kills_at_random_moments_lose_no_set(site, tally, how_many, words):
    began = time.monotonic()
    assert site.start("backup").wait() == 0
    assert site.run()["error"] == ""
    whole = (time.monotonic() - began) / 2
    rng = random.Random(7)
    kills = 0
    bad = []
    wanted = how_many(9, 90 if words == ["backup"] else 30)
    while kills < wanted:
        (site.files / "f0").write_bytes(os.urandom(20_000))
        before = site.settled()
        whom = ("runner", "restic", "both")[kills % 3]
        kills += kill(site.start(*words), rng.uniform(0.05, whole), whom)
        listed = site.context().store.sets()
        after = site.settled()
        # The policy keeps two: only sets older than the previous two newest may be deleted.
        lost = set(before[-2:]) - set(after)
        # A completed run may have made the second of these surplus.
        if len(lost) == 1 and max(after) > max(before):
            lost = set()
        if lost or any(found.problem for found in listed):
            bad.append((whom, before, after, listed))
    report = site.run()
    assert report["error"] == ""
    assert report["verified"] is True
    for found in site.context().store.sets():
        assert rehearse.rehearse(site.context(), wanted=str(found.seq))["error"] == ""
    assert bad == []
    tally(f"kill -9 of runner, restic or both, {words[0]}, restic: sets lost or partial ones listed", kills, len(bad))


def test_kills_during_a_restore_keep_the_data(site, tally, how_many):
    assert site.run()["error"] == ""
    began = time.monotonic()
    assert site.start("restore", "--yes", "faulty").wait() == 0
    whole = time.monotonic() - began
    rng = random.Random(9)
    kills = bad = 0
    while kills < how_many(5, 40):
        whom = ("runner", "restic", "both")[kills % 3]
        kills += kill(site.start("restore", "--yes", "faulty"), rng.uniform(0.05, whole), whom)
        places = [place for place in site.files.parent.iterdir() if "restoring" not in place.name]
        whole_ones = [place for place in places if len(list(place.glob("f*"))) == 60]
        bad += not whole_ones
        if not site.files.exists():
            whole_ones[0].rename(site.files)
        for place in site.files.parent.iterdir():
            if place != site.files:
                shutil.rmtree(place)
    assert site.run()["error"] == ""
    tally("kill -9 while a directory is restored, restic: times the data was neither there nor aside", kills, bad)


def test_flipped_bits_and_cuts_in_the_repository_are_found(site, tally, how_many):
    for _number in range(2):
        assert site.run()["error"] == ""
    context = site.context()
    newest = context.store.sets()[-1]
    repo = site.base / "repo"
    kinds = ("data", "index", "snapshots")
    files = sorted(path for kind in kinds for path in (repo / kind).rglob("*") if path.is_file())
    rng = random.Random(3)
    tried = how_many(200, 1000)
    missed = 0
    packs = context.store._files.packs()
    for _number in range(tried):
        path = rng.choice(files)
        good = path.read_bytes()
        path.chmod(0o600)
        with open(path, "r+b") as file:
            at = rng.randrange(len(good))
            file.seek(at)
            file.write(bytes([good[at] ^ 1 << rng.randrange(8)]))
        missed += not refused(lambda: context.store._files.verify(packs))
        path.write_bytes(good)
    tally("bit flips in a restic repository: not found", tried, missed)

    cuts = missed = 0
    for path in rng.sample(files, min(len(files), how_many(8, 60))):
        good = path.read_bytes()
        for share in (0.0, 0.3, 0.9):
            os.truncate(path, int(len(good) * share))
            cuts += 1
            missed += not refused(lambda: context.store._files.verify(packs))
            path.write_bytes(good)
    tally("files of a restic repository cut: not found", cuts, missed)

    # Only restic can check this: the repository opens with its key, and no pack is missing.
    tried = missed = 0
    for path in [repo / "config", *(repo / "keys").iterdir(), *(repo / "data").glob("*/*")]:
        good = path.read_bytes()
        path.chmod(0o600)
        if path.parent.name in ("repo", "keys"):
            path.write_bytes(good[:20] + bytes([good[20] ^ 1]) + good[21:])
        else:
            path.unlink()
        tried += 1
        missed += not refused(lambda: site.context().store.inspect(1))
        path.write_bytes(good)
    tally("damaged key or configuration, missing packs, the daily check: not found", tried, missed)
    context.store.inspect(1)
    assert context.store.verify(newest) > 0


def refused(work: t.Callable[[], t.Any]) -> bool:
    with contextlib.suppress(StoreError):
        work()
        return False
    return True


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", str(place)], check=False)
    if done.returncode != 0:
        pytest.skip("SKIPPED, not passed: no file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("where", ["repository", "staging", "scratch"])
def test_full_disk_loses_no_set(small_disk, tmp_path, tally, where):
    base = tmp_path / "box"
    base.mkdir()
    site = Site(base)
    repository = {**json.loads(site.config.read_text(encoding="utf-8"))["repository"]}
    if where == "repository":
        site.declare(repository={**repository, "path": str(small_disk / "repo")})
    else:
        site.declare(state_dir=str(small_disk / "state"))
    assert site.run()["error"] == ""
    if where == "repository":
        (site.files / "large").write_bytes(os.urandom(20 << 20))
        report = site.run()
        (site.files / "large").unlink()
    elif where == "staging":
        # The state directory has no space left for staged files.
        (small_disk / "filler").write_bytes(b"x" * (7 << 20))
        with contextlib.suppress(OSError), open(small_disk / "more", "wb", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass
        report = site.run()
        for name in ("filler", "more"):
            (small_disk / name).unlink()
    else:
        (site.files / "large").write_bytes(os.urandom(20 << 20))
        assert site.run()["error"] == ""
        report = rehearse.rehearse(site.context())
        assert not (small_disk / "state" / "scratch").exists()
        (site.files / "large").unlink()
    assert report["exit_code"] in (5, 6), report
    assert report["error"]
    listed = site.context().store.sets()
    assert [found.problem for found in listed] == [""] * len(listed)
    assert {found.seq for found in listed} >= {1}
    assert run.backup(site.context(), accept_drop=["data"])["error"] == ""
    tally(f"disk full at the {where}: sets lost or half ones committed", 1)


def test_twenty_concurrent_runs_are_serialised(site, tally):
    """Without a wait, one works and the others report it. With a wait, all work, one after the other."""
    assert site.run()["error"] == ""
    hasty = [site.start("backup", wait=0) for _number in range(20)]
    codes = sorted(process.wait() for process in hasty)
    assert set(codes) <= {0, 3}
    assert codes[0] == 0
    patient = [site.start("backup") for _number in range(8)]
    assert [process.wait() for process in patient] == [0] * 8
    listed = site.context().store.sets()
    assert [found.problem for found in listed] == [""] * len(listed)
    assert listed[-1].seq == 1 + codes.count(0) + 8
    tally("runs started at once, restic: damaged sets, numbers given twice", 28)
