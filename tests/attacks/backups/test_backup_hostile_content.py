# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Content of an application's user that could stop or silence a backup: it only fails its own source."""

from __future__ import annotations

import contextlib
import ctypes
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import (
    configuration,
    foreign,
    rehearse,
    restore,
    run,
    status,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import cli
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import archive as directories
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory.model import DirectoryFacts
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


class Site:
    """A stack with an honest source and a hostile one, a webhook that listens, and a metrics file."""

    def __init__(self, base: pathlib.Path) -> None:
        self.base = base
        self.told: list[str] = []
        self.honest, self.hostile = base / "honest", base / "hostile"
        for path in (self.honest, self.hostile):
            path.mkdir()
            (path / "f").write_text("mine", encoding="utf-8")
        site = self

        class Hook(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                site.told.append(self.rfile.read(int(self.headers["content-length"])).decode())
                self.send_response(200)
                self.end_headers()

            def log_message(self, *unused: t.Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        (base / "url").write_text(f"http://127.0.0.1:{self.server.server_port}/x", encoding="utf-8")
        (base / "url").chmod(0o600)
        self.more: dict[str, t.Any] = {}
        self.options: dict[str, t.Any] = {}

    def declare(self) -> dict[str, t.Any]:
        return {
            "stack": "hostile",
            "state_dir": str(self.base / "state"),
            "repository": {"engine": "files", "path": str(self.base / "repo")},
            "reserve_mib": 1,
            "metrics_file": str(self.base / "metrics" / "m.prom"),
            "webhook": {"url_file": str(self.base / "url"), "style": "ntfy"},
            "sources": [
                {"name": "bad", "kind": "directory", "path": str(self.hostile), **self.options},
                {"name": "good", "kind": "directory", "path": str(self.honest)},
            ],
            **self.more,
        }

    def context(self) -> contexts.Context:
        return contexts.make(configuration.read(str(self.config())), World.real())

    def config(self) -> pathlib.Path:
        path = self.base / "c.json"
        path.write_text(json.dumps(self.declare()), encoding="utf-8")
        return path

    def runner(self, *words: str) -> int:
        return cli.main(["--config", str(self.config()), *words])

    def metric(self, name: str) -> str:
        lines = (self.base / "metrics" / "m.prom").read_text(encoding="utf-8").splitlines()
        return next(line.rpartition(" ")[2] for line in lines if line.startswith(f"onebox_backup_{name}{{"))

    def bad_alone(self, code: int, words: str) -> bool:
        """Run a backup. Returns whether the honest source is in a set, and the failure of the other is reported."""
        self.told.clear()
        found = self.runner("backup")
        newest = self.context().store.sets()[-1].manifest
        said = status.status(self.context())
        facts = {
            "code": found == code,
            "set": newest is not None and [source.name for source in newest.sources] == ["good"],
            "marked": newest is not None and words in newest.left_out.get("bad", ""),
            "webhook": len(self.told) == 1 and words in self.told[0],
            "metric": self.metric("last_run_ok") == "0",
            "status": not said["healthy"] and said["rows"][-1]["lacks"] == ["bad"],
        }
        print(facts, newest and newest.left_out, self.told)
        return all(facts.values())


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    yield made
    made.server.shutdown()
    made.server.server_close()
    subprocess.run(["rm", "-rf", str(made.hostile), str(made.honest)], check=False)


def nest(path: pathlib.Path, levels: int) -> None:
    here = os.open(path, os.O_RDONLY)
    for _level in range(levels):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


@pytest.mark.parametrize("levels", [1950, 5000, 20000])
def test_deep_tree_fails_alone(site, tally, levels):
    nest(site.hostile, levels)
    tally(
        f"{levels} nested directories: silent, or other sources lost",
        1,
        not site.bad_alone(4, "nested directories"),
    )


def test_deep_tree_within_the_limit_is_restored(site, tally):
    nest(site.hostile, 1000)
    assert site.runner("backup") == 0
    assert rehearse.rehearse(site.context())["error"] == ""
    tally("1000 nested directories: not restored equal", 1)


def test_sparse_terabyte_fails_alone_at_once(site, tally):
    with open(site.hostile / "bomb", "wb") as file:
        file.truncate(1 << 40)
    began = time.monotonic()
    alone = site.bad_alone(4, "sparse")
    tally(
        "one sparse file of 1 TiB: slow, silent, or other sources lost", 1, not alone or time.monotonic() - began > 20
    )


def test_allowed_sparse_file_takes_neither_space_nor_time(site, tally):
    with open(site.hostile / "disk.img", "wb") as file:
        for place in (0, 7 << 30, (20 << 30) - 1):
            file.seek(place)
            file.write(b"data")
        file.truncate(50 << 30)
    began = time.monotonic()
    assert site.runner("backup") == 0
    assert rehearse.rehearse(site.context())["error"] == ""
    into = restore.Request(into=str(site.base / "into"))
    assert restore.restore(site.context(), into, confirm="hostile")["error"] == ""
    seconds = time.monotonic() - began
    copy = site.base / "into" / "bad" / "disk.img"
    assert copy.stat().st_size == 50 << 30
    with open(copy, "rb") as file:
        file.seek(7 << 30)
        assert file.read(4) == b"data"
    stored = (site.base / "repo" / "sets" / "000001" / "files" / "bad.tar").stat().st_size
    bad = stored > 8 << 20 or copy.stat().st_blocks * 512 > 8 << 20 or seconds > 30
    with open(copy, "r+b") as file:
        file.seek(30 << 30)
        file.write(b"x")
    context = site.context()
    source = context.store.sets()[0].manifest.source("bad")
    staged = str(site.base / "repo" / "sets" / "000001")
    problems, _moved = directories.check(
        DirectoryFacts.from_dict(source.facts), staged, str(copy.parent), os.geteuid() == 0
    )
    assert len(problems) == 1
    tally("sparse 50 GiB: room or time taken, holes lost, or a change in a hole unseen", 1, bad)


def test_stock_tar_restores_holes_hard_links_and_attributes(site, tally):
    with open(site.hostile / "disk.img", "wb") as file:
        file.truncate(64 << 20)
        file.seek(32 << 20)
        file.write(b"data")
    os.link(site.hostile / "f", site.hostile / "f2")
    assert site.runner("backup") == 0
    out = site.base / "out"
    out.mkdir()
    archive = site.base / "repo" / "sets" / "000001" / "files" / "bad.tar"
    subprocess.run(["tar", "-xpSf", archive, "-C", out], check=True)
    assert (out / "disk.img").read_bytes() == (site.hostile / "disk.img").read_bytes()
    assert (out / "f").stat().st_ino == (out / "f2").stat().st_ino
    tally("archives that GNU tar cannot restore", 1)


def test_file_that_grows_as_fast_as_it_is_read_ends(site, tally):
    script = "import sys\nf=open(sys.argv[1],'ab')\nwhile f.tell() < 3 << 30: f.write(bytes(1 << 20)); f.flush()"
    grower = subprocess.Popen([sys.executable, "-c", script, str(site.hostile / "log")])
    try:
        began = time.monotonic()
        assert site.runner("backup") in (0, 4)
        tally("a file that grows while it is read: does not end", 1, time.monotonic() - began > 60)
    finally:
        grower.kill()
        grower.wait()


def test_disk_that_a_source_fills_is_freed_for_the_others(site, tally):
    small = site.base / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m,mode=700", "none", str(small)], check=False).returncode:
        pytest.skip("SKIPPED, not passed: no file system can be mounted here")
    try:
        (site.hostile / "bomb").write_bytes(os.urandom(1 << 20) * 200)
        site.more = {"repository": {"engine": "files", "path": str(small / "repo")}, "reserve_mib": 30}
        alone = site.bad_alone(6, "MiB")
        room = os.statvfs(small)
        assert room.f_bavail * room.f_frsize > 90 << 20
        tally("a source larger than the disk: other sources lost, or room kept", 1, not alone)
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_more_entries_than_allowed_fail_alone(site, tally):
    site.options = {"max_entries": 5000}
    for number in range(6000):
        (site.hostile / str(number)).touch()
    tally("more entries than allowed: silent, or other sources lost", 1, not site.bad_alone(4, "max_entries"))


def test_million_files_are_handled_in_time(site, tally, how_many):
    count = how_many(20_000, 1_000_000)
    for number in range(count):
        if number % 10_000 == 0:
            folder = site.hostile / str(number)
            folder.mkdir()
        os.close(os.open(folder / str(number), os.O_CREAT | os.O_WRONLY, 0o600))
    assert site.runner("backup") == 0
    assert site.context().store.sets()[0].manifest.source("bad").count == count + count // 10_000 + 1
    tally(f"{count} files: not backed up", 1)


def test_damaged_sqlite_file_fails_alone(site, tally):
    site.options = {"sqlite": ["*.db"]}
    (site.hostile / "app.db").write_bytes(b"SQLite format 3\0" + os.urandom(5000))
    tally("a damaged SQLite file: silent, or other sources lost", 1, not site.bad_alone(4, "app.db"))


def test_sqlite_file_behind_a_link_is_not_another_one(site, tally):
    site.options = {"sqlite": ["*.db"]}
    (site.hostile / "app.db").symlink_to("/etc/passwd")
    assert site.runner("backup") == 0
    assert b"root:" not in (site.base / "repo" / "sets" / "000001" / "files" / "bad.tar").read_bytes()
    tally("SQLite files followed through links", 1)


@pytest.mark.parametrize("error", [RecursionError("too deep"), MemoryError(), ValueError("odd"), KeyError("k")])
def test_unexpected_error_in_a_source_fails_alone(site, tally, monkeypatch, error):
    real = directories.capture

    def capture(root, *args, **more):
        if root == str(site.hostile):
            raise error
        return real(root, *args, **more)

    monkeypatch.setattr(directories, "capture", capture)
    tally(
        f"{type(error).__name__} under a source: silent", 1, not site.bad_alone(4, f"unexpected {type(error).__name__}")
    )


@pytest.mark.parametrize("error", [RecursionError("too deep"), MemoryError(), ValueError("odd")])
@pytest.mark.parametrize("command", ["backup", "check", "rehearse"])
def test_unexpected_error_anywhere_is_reported_with_its_exit_code(site, tally, monkeypatch, error, command, capsys):
    assert site.runner("backup") == 0

    def broken(*_words, **_more):
        raise error

    monkeypatch.setattr(contexts.FilesStore, "verify", broken)
    monkeypatch.setattr(contexts.FilesStore, "fetch", broken)
    site.told.clear()
    code = site.runner(command)
    said = capsys.readouterr()
    assert "Traceback" not in said.err + said.out
    told = any(type(error).__name__ in text for text in site.told)
    known = status.status(site.context())["healthy"] is False
    bad = code not in (10, 12) or not told or not known
    tally(f"{type(error).__name__} in {command}: silent, or without exit code", 1, bad)


@contextlib.contextmanager
def dead_share(point: pathlib.Path) -> t.Iterator[None]:
    """A FUSE mount whose server never answers."""
    try:
        server = os.open("/dev/fuse", os.O_RDWR)
    except OSError:
        pytest.skip("SKIPPED, not passed: no FUSE here")
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={server},rootmode=40000,user_id=0,group_id=0".encode()
    if libc.mount(b"onebox", os.fsencode(point), b"fuse", 0, options) != 0:
        os.close(server)
        pytest.skip("SKIPPED, not passed: no file system can be mounted here")
    try:
        yield
    finally:
        os.close(server)  # ends the connection and with it every waiting check
        libc.umount2(os.fsencode(point), 2)


@pytest.mark.parametrize("where", ["", "below"])
def test_hanging_share_fails_alone_and_is_checked_once(site, tally, monkeypatch, where):
    monkeypatch.setattr(foreign, "ANSWER_SECONDS", 1.0)
    # Like a process that waits for the answer of a share: it cannot be killed.
    monkeypatch.setattr(foreign, "_kill", lambda child: None)
    point = site.hostile / where if where else site.hostile
    point.mkdir(exist_ok=True)
    with dead_share(point):
        bad = 0
        for attempt in range(4):
            began = time.monotonic()
            alone = site.bad_alone(4, "does not answer") if attempt == 0 else site.runner("backup") == 4
            bad += not alone or time.monotonic() - began > 15
        children = list(pathlib.Path("/proc/self/task").glob("*/children"))
        pids = {pid for path in children for pid in path.read_text(encoding="ascii").split()}
        assert sum(foreign._started(int(pid)) != "" for pid in pids) == 1
        assert site.context().state.read("hanging")
    assert site.runner("backup") == 0
    tally("a share that hangs: a run that hangs, other sources lost, or a process for each run", 4, bad)


def test_share_that_hangs_during_the_capture_fails_alone(site, tally, monkeypatch):
    monkeypatch.setattr(foreign, "CAPTURE_SECONDS", 1.0)
    monkeypatch.setattr(foreign, "on_share", lambda path: path == str(site.hostile))
    real = directories.capture

    def capture(root, *args, **more):
        if root == str(site.hostile):
            time.sleep(60)
        return real(root, *args, **more)

    monkeypatch.setattr(directories, "capture", capture)
    tally(
        "a share that stops to answer: the run hangs, or other sources lost",
        1,
        not site.bad_alone(4, "does not answer"),
    )


def test_source_on_a_share_that_answers_is_captured_by_a_child(site, monkeypatch):
    monkeypatch.setattr(foreign, "on_share", lambda path: True)
    assert site.runner("backup") == 0
    assert rehearse.rehearse(site.context())["error"] == ""


def test_sets_that_lack_a_source_do_not_displace_complete_sets(site, tally):
    site.more = {"retention": {"daily": 2, "weekly": 0, "min_keep": 2, "max_delete": 3}}
    for number in range(20):
        (site.hostile / f"file {number}").touch()
    for _run in range(3):
        assert site.runner("backup") == 0
    whole = [found.seq for found in site.context().store.sets()][-2:]
    with open(site.hostile / "bomb", "wb") as file:
        file.truncate(1 << 40)
    for _run in range(12):
        assert site.runner("backup") == 4
    seqs = [found.seq for found in site.context().store.sets()]
    assert set(whole) <= set(seqs)
    assert len(seqs) <= 3 + 3
    shown = restore.restore(site.context(), restore.Request())
    assert any("lacks bad, which stays as it is" in text and "--source bad" in text for text in shown["warnings"])
    for path in list(site.hostile.iterdir())[1:]:
        path.unlink()
    # The drop is judged by the last set that has the source.
    report = run.backup(site.context())
    assert "source bad" in report["error"]
    tally("sets that lack a source: whole sets deleted for them", 12)
