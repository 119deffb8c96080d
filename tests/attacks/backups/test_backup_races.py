# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user of the host swaps names for links during root's backup and restore: nothing outside is written or read.

The user is a process of uid 1000 that only swaps. The number of runs is 100, and 1,000 with OBX_FAULTS=full.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tarfile
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration, rehearse, restore, run
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import restic_backup
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="SKIPPED, not passed: swaps names as another user beside root"
)

SECRET = b"root-only: "


def _swap(place: str, name: str, target: str) -> None:
    """Swap a directory for a link and back in a loop, and replace the files of a restore by links."""
    os.chdir(place)
    while True:
        try:
            os.rename(name, ".away")
            os.symlink(target, name)
            os.unlink(name)
            os.rename(".away", name)
        except OSError:
            with contextlib.suppress(OSError):
                if os.path.islink(name):
                    os.unlink(name)
                if not os.path.lexists(name) and os.path.isdir(".away"):
                    os.rename(".away", name)
        for found in os.listdir("."):
            if found.startswith((name + ".", ".onebox")) and not os.path.islink(found):
                with contextlib.suppress(OSError):
                    os.rename(found, ".gone")
                    os.symlink(target, found)


@contextlib.contextmanager
def swapping(place: pathlib.Path, name: str, target: pathlib.Path) -> t.Iterator[None]:
    """A concurrent process of uid 1000. Forked, because that user cannot read the directory of this Python."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(1000, 1000, 1000)
            os.setresuid(1000, 1000, 1000)
            _swap(str(place), name, str(target))
        finally:
            os._exit(1)
    try:
        yield
        assert os.waitpid(child, os.WNOHANG) == (0, 0)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


class Place:
    """A directory of uid 1000 to back up, next to a directory that only root can read."""

    repository: dict[str, str] = {"engine": "files"}  # noqa: RUF012

    source = ""
    others: t.Sequence[dict[str, str]] = ()

    def __init__(self, base: pathlib.Path) -> None:
        self.base = base
        self.app = base / "srv" / "app"
        self.data = self.app / "uploads"
        self.victim = base / "victim"
        (self.data / "inner").mkdir(parents=True)
        self.victim.mkdir()
        for folder, text in ((self.data / "inner", b"mine "), (self.victim, SECRET), (self.data, b"mine ")):
            for name in ("shadow", "other"):
                (folder / name).write_bytes(text + name.encode())
        for number in range(40):
            (self.data / "inner" / f"file {number}").write_bytes(b"x" * 5000)
        for path in (self.app, *self.app.rglob("*")):
            os.chown(path, 1000, 1000)
        for path in self.victim.iterdir():
            path.chmod(0o600)
        for path in (base, base / "srv"):
            path.chmod(0o755)

    def context(self) -> contexts.Context:
        declared = {
            "stack": "race",
            "state_dir": str(self.base / "state"),
            "repository": {**self.repository, "path": str(self.base / "repo")},
            "reserve_mib": 0,
            "retention": {"daily": 1, "weekly": 0, "min_keep": 1},
            "sources": [{"name": "up", "kind": "directory", "path": self.source or str(self.data)}, *self.others],
        }
        return contexts.make(configuration.parse(declared), World.real())

    def outside(self) -> list[tuple[str, bytes, int, int]]:
        """Everything of the host directory: names, contents, modes, owners; and its own mode and owner."""
        rows = []
        for path in sorted([self.victim, *self.victim.rglob("*")]):
            status = path.lstat()
            data = path.read_bytes() if path.is_file() else b""
            rows.append((str(path), data, status.st_mode, status.st_uid))
        return rows

    def leaked(self) -> bool:
        """Whether the newest set contains data that only root may read."""
        sets = self.context().store.sets()
        if not sets or sets[-1].manifest is None:
            return False
        archive = self.base / "repo" / "sets" / sets[-1].id / "files" / "up.tar"
        return SECRET in archive.read_bytes()


@pytest.fixture
def place(tmp_path_factory):
    base = pathlib.Path("/var/tmp") / f"onebox-race-{os.getpid()}"
    base.mkdir()
    try:
        yield Place(base)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def test_backup_during_swaps_of_a_directory_reads_nothing_outside(place, tally, how_many):
    tries, bad, committed = how_many(100, 1000), 0, 0
    before = place.outside()
    with swapping(place.data, "inner", place.victim):
        for _try in range(tries):
            report = run.backup(place.context(), accept_drop=["up"])
            committed += bool(report["snapshot"])
            bad += place.leaked() or place.outside() != before
            assert "Traceback" not in report["error"]
    assert committed > tries // 2
    tally("backups beside a user who swaps a directory for a link: a root-only file in the set", tries, bad)


@pytest.fixture
def restic(place):
    """The same directory in a restic repository."""
    import backup_stack

    (place.base / "key").write_text("the key", encoding="utf-8")
    program = str(backup_stack.restic_programs("trixie") / "restic")
    place.repository = {"engine": "restic", "password_file": str(place.base / "key"), "program": program}
    return place


def test_restic_during_swaps_of_a_directory_reads_nothing_outside(restic, tally, how_many):
    tries, bad, committed = how_many(15, 1000), 0, 0
    before = restic.outside()
    with swapping(restic.data, "inner", restic.victim):
        for _try in range(tries):
            report = run.backup(restic.context(), accept_drop=["up"])
            assert not any("follows links" in warning for warning in report["warnings"])
            committed += bool(report["snapshot"])
            bad += restic.outside() != before
    for found in restic.context().store.sets():
        out = restic.base / f"out {found.seq}"
        restic.context().store.fetch_tree(found, str(restic.data), str(out))
        bad += any(SECRET in path.read_bytes() for path in out.rglob("*") if path.is_file() and not path.is_symlink())
    assert committed
    tally("backups by restic beside a user who swaps a directory for a link: a root-only file in the set", tries, bad)


def test_restic_does_not_follow_a_link_above_the_directory(restic, tally, monkeypatch):
    """The link is created between our walk and restic's: this race does not depend on timing."""
    inner = restic.data / "inner"
    led = restic.victim / "inner"
    led.mkdir()
    # As many as were found: a set of fewer files is refused anyway.
    for number in range(60):
        (led / str(number)).write_bytes(SECRET)
        (led / str(number)).chmod(0o600)
    restic.source = str(inner)
    real = restic_backup.WaitingBackup.go

    def go(self, excludes):
        if not restic.data.is_symlink():
            restic.data.rename(restic.app / "away")
            restic.data.symlink_to(restic.victim)
        return real(self, excludes)

    monkeypatch.setattr(restic_backup.WaitingBackup, "go", go)
    report = run.backup(restic.context())
    assert report["error"]
    tally("backups by restic through a link above the directory: a set of what is there", 1, bool(report["snapshot"]))
    assert restic.context().store.sets() == []
    # Of two sources the other one is committed.
    restic.data.unlink()
    (restic.app / "away").rename(restic.data)
    (restic.base / "good").mkdir()
    (restic.base / "good" / "f").write_text("mine", encoding="utf-8")
    restic.others = [{"name": "good", "kind": "directory", "path": str(restic.base / "good")}]
    report = run.backup(restic.context())
    assert report["exit_code"] == 4, report["error"]
    (found,) = restic.context().store.sets()
    assert [source.name for source in found.manifest.sources] == ["good"]
    assert "restic could not read it" in found.manifest.left_out["up"]
    assert rehearse.rehearse(restic.context())["error"] == ""


def test_restore_during_swaps_of_names_writes_nothing_outside(place, tally, how_many):
    assert run.backup(place.context())["error"] == ""
    tries, bad, done = how_many(100, 1000), 0, 0
    before = place.outside()
    with swapping(place.app, "uploads", place.victim):
        for _try in range(tries):
            try:
                report = restore.restore(place.context(), restore.Request(wanted="1"), confirm="race")
            except restore.RestoreRefused:
                report = {"done": False}
            done += report["done"]
            bad += place.outside() != before
            for name in os.listdir(place.app):
                if ".before-" in name:
                    path = place.app / name
                    path.unlink() if path.is_symlink() else shutil.rmtree(path, ignore_errors=True)
    assert done > tries // 2
    assert list(place.base.rglob(".onebox*")) == []
    tally("restores beside a user who swaps names for links: bytes, modes or owners outside changed", tries, bad)


def test_restore_below_directories_of_others_alone_is_refused(tmp_path, tally):
    """No parent on the same mount belongs to root, so there is no safe directory for the copy."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0777,uid=1000", "none", str(disk)], check=False).returncode:
        pytest.skip("SKIPPED, not passed: no file system can be mounted here")
    try:
        (disk / "uploads").mkdir()
        (disk / "uploads" / "f").write_text("former", encoding="utf-8")
        place = Place.__new__(Place)
        place.base, place.data = tmp_path, disk / "uploads"
        assert run.backup(place.context())["error"] == ""
        report = restore.restore(place.context(), restore.Request(), confirm="race")
        assert report["exit_code"] == 9
        assert "chown root" in report["error"]
        assert "nothing was changed" in report["error"]
        assert os.listdir(disk) == ["uploads"]
        os.chown(disk, 0, 0)
        disk.chmod(0o755)
        assert restore.restore(place.context(), restore.Request(), confirm="race")["error"] == ""
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    tally("restores where no directory above is root's: not refused", 1, 0)


def test_archive_holds_no_member_outside(place):
    assert run.backup(place.context())["error"] == ""
    with tarfile.open(place.base / "repo" / "sets" / "000001" / "files" / "up.tar") as tar:
        assert {info.name.partition("/")[0] for info in tar} == {".", "inner", "other", "shadow"}
