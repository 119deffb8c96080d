# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills, damage and full disks with the kinds mysql, sqlite and volume. A few of each; many with OBX_FAULTS=full."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import random
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration, rehearse, restore, run
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from backup_stack import ROOT, docker

PACKAGE = "ansible_collections.onebox.stack.plugins.module_utils.backup"
RUNNER = f"import sys; from {PACKAGE}.runner import cli; sys.exit(cli.main())"
PASSWORD = "my-" + secrets.token_hex(8)
ROWS = 3000


class Box:
    """A stack with one source, and backups of it by a runner that can be killed."""

    kind = ""

    def __init__(self, images, image, base):
        self.images, self.image, self.base = images, image, base
        self.name = f"obx-kinds-{secrets.token_hex(3)}"
        self.repo = base / "repo"
        self.moved: dict[str, str] = {}

    def labels(self, service):
        return [
            *("--label", f"com.docker.compose.project={self.name}"),
            *("--label", f"com.docker.compose.service={service}"),
        ]

    def config(self):
        declared = {
            "stack": self.name,
            "state_dir": str(self.base / "state"),
            "repository": {"engine": "files", "path": str(self.repo)},
            "container_engine": "docker",
            "reserve_mib": 0,
            "timeout": 300,
            "sources": [{"name": "data", "kind": self.kind, **self.source()}],
            **self.moved,
        }
        path = self.base / "config.json"
        path.write_text(json.dumps(declared), encoding="utf-8")
        return str(path)

    def context(self):
        return contexts.make(configuration.read(self.config()), World.real())

    def runner(self, *words):
        argv = [sys.executable, "-c", RUNNER, "--config", self.config(), "--wait", "120", *words]
        env = {**os.environ, "PYTHONPATH": str(ROOT / ".collections")}
        return subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)

    def murder(self, words, after):
        """SIGKILL to the runner after a while. False when it had ended before."""
        process = self.runner(*words)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=after)
            return False
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        return True


class MysqlBox(Box):
    """A MariaDB."""

    kind = "mysql"

    def start(self):
        env = [f"MYSQL_ROOT_PASSWORD={PASSWORD}", "MYSQL_DATABASE=coin"]
        words = [word for each in env for word in ("-e", each)]
        self.server = f"{self.name}-db"
        part = self.images.ensure("mariadb11")
        docker("run", "-d", "--network", "none", "--name", self.server, *self.labels("db"), *words, part)
        deadline = time.monotonic() + 240
        while docker("exec", self.server, "cat", "/proc/1/comm", check=False) != "mariadbd" or (
            self.sql("SELECT 1", check=False) != "1"
        ):
            assert time.monotonic() < deadline, docker("logs", self.server)
            time.sleep(0.2)
        self.sql(f"CREATE TABLE t (a INT PRIMARY KEY, b TEXT); INSERT INTO t SELECT seq, MD5(seq) FROM seq_1_to_{ROWS}")

    def sql(self, text, check=True):
        words = ["mariadb", "-uroot", "-N", "-B", "coin"]
        return docker("exec", "-i", "-e", f"MYSQL_PWD={PASSWORD}", self.server, *words, text=text, check=check)

    def source(self):
        return {"service": "db"}

    def content(self):
        return self.sql("SELECT COUNT(*), MD5(GROUP_CONCAT(a, b ORDER BY a)) FROM t", check=False)

    def grow(self, size):
        self.sql(f"CREATE TABLE big AS SELECT REPEAT(MD5(seq), {size} DIV 1000 DIV 32) b FROM seq_1_to_1000")

    def shrink(self):
        self.sql("DROP TABLE IF EXISTS big")

    def has_whole_copy(self, content):
        """Whether the rows are in the server, or in the dump of the previous database."""
        if self.content() == content:
            return True
        dumps = (self.base / "state").glob("kept/*")
        rows = [path.read_text(encoding="utf-8", errors="replace") for path in dumps if path.is_file()]
        last = hashlib.md5(str(ROWS).encode(), usedforsecurity=False).hexdigest()
        return any(f"({ROWS},'{last}')" in text and "Dump completed" in text[-200:] for text in rows)

    def stop(self):
        docker("rm", "-f", "-v", self.server, check=False)


class SqliteBox(Box):
    """A SQLite file in a directory that a container mounts."""

    kind = "sqlite"

    def start(self):
        self.server = f"{self.name}-app"
        self.folder = self.base / "srv"
        self.folder.mkdir()
        self.path = self.folder / "app.db"
        with contextlib.closing(sqlite3.connect(self.path)) as made:
            made.execute("PRAGMA journal_mode = WAL")
            made.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
            made.executemany("INSERT INTO t (b) VALUES (?)", [(f"row {number}",) for number in range(ROWS)])
            made.commit()
        mount = ["-v", f"{self.folder}:/srv", "--network", "none", "--stop-timeout", "1"]
        docker("run", "-d", "--name", self.server, *self.labels("app"), *mount, self.image, "sleep", "100000")

    def source(self):
        return {"path": str(self.path)}

    def content(self, path=None):
        with contextlib.closing(sqlite3.connect(path or self.path)) as found:
            return str(found.execute("SELECT count(*), group_concat(a || b) FROM t").fetchall())

    def grow(self, size):
        with contextlib.closing(sqlite3.connect(self.path)) as made:
            made.execute(f"CREATE TABLE big AS SELECT randomblob({size}) b")
            made.commit()

    def shrink(self):
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as made:
            made.execute("DROP TABLE IF EXISTS big")
            made.execute("VACUUM")

    def has_whole_copy(self, content):
        found = [self.path, *(path for path in self.folder.glob("app.db.before-*") if not path.name.endswith("-shm"))]
        return any(path.exists() and not path.name.endswith("-wal") and self.content(path) == content for path in found)

    def stop(self):
        docker("rm", "-f", "-v", self.server, check=False)


class VolumeBox(Box):
    """A named volume that a container mounts."""

    kind = "volume"

    def start(self):
        self.server = f"{self.name}-app"
        self.volume = f"{self.name}_data"
        docker("volume", "create", *self.labels("app")[:2], "--label", "com.docker.compose.volume=data", self.volume)
        mount = ["-v", f"{self.volume}:/data", "--network", "none", "--stop-timeout", "1"]
        docker("run", "-d", "--name", self.server, *self.labels("app"), *mount, self.image, "sleep", "100000")
        self.place = pathlib.Path(docker("volume", "inspect", "-f", "{{.Mountpoint}}", self.volume))
        for number in range(60):
            (self.place / f"f{number}").write_bytes(os.urandom(20_000))
        with contextlib.closing(sqlite3.connect(self.place / "app.db")) as made:
            made.execute("CREATE TABLE t (a)")

    def source(self):
        return {"volume": "data", "sqlite": ["app.db"]}

    def content(self, place=None):
        files = sorted(path for path in (place or self.place).iterdir() if path.name != "big")
        return str([(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files])

    def grow(self, size):
        (self.place / "big").write_bytes(os.urandom(size))

    def shrink(self):
        (self.place / "big").unlink(missing_ok=True)

    def has_whole_copy(self, content):
        found = [self.place, *self.place.parent.glob("_data.before-*")]
        return any(place.is_dir() and self.content(place) == content for place in found)

    def stop(self):
        docker("rm", "-f", "-v", self.server, check=False)
        docker("volume", "rm", "-f", self.volume, check=False)


@pytest.fixture(scope="module", params=[MysqlBox, SqliteBox, VolumeBox], ids=lambda box: box.kind)
def box(request, images, tiny_image, tmp_path_factory):
    made = request.param(images, tiny_image, tmp_path_factory.mktemp("kinds"))
    try:
        made.start()
        yield made
    finally:
        made.stop()
        left = docker("ps", "-aq", "--filter", f"label=onebox.stack.throwaway={made.name}")
        for container in left.split():
            docker("rm", "-f", "-v", container)
        assert left == "", "a throwaway container was left behind"


@pytest.fixture(scope="module")
def timed(box):
    """The duration of each command, and a set to restore."""
    seconds = {}
    for words in (["backup"], ["rehearse"], ["restore", "--yes", box.name]):
        began = time.monotonic()
        process = box.runner(*words)
        said = process.communicate()[0]
        assert process.returncode == 0, said
        seconds[words[0]] = time.monotonic() - began
    return seconds


@pytest.mark.parametrize("command", ["backup", "rehearse"])
def test_kills_at_random_moments_lose_no_set(box, timed, tally, how_many, command):
    rng = random.Random(command)
    kills = bad = 0
    while kills < how_many(2, 25):
        before = {found.seq for found in box.context().store.sets()}
        kills += box.murder([command], rng.uniform(0.1, timed[command]))
        listed = box.context().store.sets()
        # At least three are kept. A completed run may have made the third of these surplus.
        lost = set(sorted(before)[-3:]) - {found.seq for found in listed}
        if len(lost) == 1 and max(found.seq for found in listed) > max(before):
            lost = set()
        bad += bool(lost) or any(found.problem for found in listed)
    store = box.context().store
    for found in store.sets():
        store.verify(found)
    assert run.backup(box.context(), wait=120)["error"] == ""
    assert rehearse.rehearse(box.context(), wait=120)["error"] == ""
    assert docker("ps", "-aq", "--filter", f"label=onebox.stack.throwaway={box.name}") == ""
    tally(f"kill -9 of the runner, {command}, {box.kind}: sets lost or partial ones listed", kills, bad)


def test_kills_during_a_restore_keep_the_data_and_the_next_restore_works(box, timed, tally, how_many):
    rng = random.Random(1)
    kills = bad = 0
    content = box.content()
    while kills < how_many(2, 25):
        kills += box.murder(["restore", "--yes", box.name], rng.uniform(0.1, timed["restore"]))
        bad += not box.has_whole_copy(content)
        after = restore.restore(box.context(), restore.Request(), confirm=box.name, wait=120)
        assert after["error"] == "", after["error"]
        assert box.content() == content
        assert docker("inspect", "-f", "{{.State.Running}}", box.server) == "true"
    assert docker("ps", "-aq", "--filter", f"label=onebox.stack.restoring={box.name}") == ""
    tally(f"kill -9 of the runner, restore, {box.kind}: times no whole copy of the data was there", kills, bad)


def test_flips_and_cuts_in_each_file_of_a_set_are_found(box, timed, tally, how_many):
    store = box.context().store
    newest = store.sets()[-1]
    files = sorted(path for path in (box.repo / "sets" / newest.id).rglob("*") if path.is_file())
    rng = random.Random(2)

    def missed():
        with contextlib.suppress(StoreError):
            (found,) = [found for found in store.sets() if found.id == newest.id]
            store.verify(found)
            return True
        return False

    for path in files:
        good = path.read_bytes()
        flips = how_many(40, 300)
        cuts = bad = 0
        for _number in range(flips):
            at = rng.randrange(len(good))
            path.write_bytes(good[:at] + bytes([good[at] ^ 1 << rng.randrange(8)]) + good[at + 1 :])
            bad += missed()
        for share in (0.0, 0.3, 0.9, 0.99):
            path.write_bytes(good[: int(len(good) * share)])
            cuts += 1
            bad += missed()
        path.write_bytes(good)
        tally(f"bit flips and cuts in {path.name} of a set of kind {box.kind}: not found", flips + cuts, bad)
    assert len(files) >= 2
    store.verify(newest)


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=0700", "tmpfs", str(place)], check=False)
    if done.returncode != 0:
        pytest.skip("SKIPPED, not passed: no file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("where", ["repository", "state"])
def test_full_disk_loses_no_set(box, timed, small_disk, tally, where):
    content = box.content()
    if where == "repository":
        box.moved = {"repository": {"engine": "files", "path": str(small_disk / "repo")}}
    else:
        # A repository of its own: the key of the other one is in the other state directory.
        other = {"engine": "files", "path": str(box.base / "repo-state")}
        box.moved = {"state_dir": str(small_disk / "state"), "repository": other}
    try:
        assert run.backup(box.context())["error"] == ""
        sets = [found.seq for found in box.context().store.sets()]
        box.grow(20 << 20)
        if where == "repository":
            report = run.backup(box.context(), accept_drop=["data"])
        else:
            assert run.backup(box.context())["error"] == ""
            report = rehearse.rehearse(box.context())
        assert report["exit_code"] in (4, 5, 6), report
        assert report["error"]
        listed = box.context().store.sets()
        bad = not set(sets[-3:]) <= {found.seq for found in listed} or any(found.problem for found in listed)
        for found in listed:
            box.context().store.verify(found)
        box.shrink()
        assert run.backup(box.context(), accept_drop=["data"])["error"] == ""
        assert rehearse.rehearse(box.context())["error"] == ""
        assert box.content() == content
        tally(f"disk full at the {where}, {box.kind}: sets lost or half ones committed", 1, int(bad))
    finally:
        box.moved = {}
        box.shrink()
        shutil.rmtree(small_disk / "repo", ignore_errors=True)
