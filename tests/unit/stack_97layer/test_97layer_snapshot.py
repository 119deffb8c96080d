"""The snapshot service: what it keeps, what it leaves out, and what an interruption leaves."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import time

import pytest
from services_97layer import CODE

NOW = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.timezone.utc)


@pytest.fixture
def daemon(monkeypatch):
    monkeypatch.syspath_prepend(str(CODE))
    import snapshot_daemon

    return snapshot_daemon


def later(seconds: int) -> datetime.datetime:
    return NOW + datetime.timedelta(seconds=seconds)


def names(tmp_path) -> list[str]:
    return sorted(path.name for path in (tmp_path / ".snapshots").iterdir())


def test_archive_and_manifest_agree(daemon, tmp_path):
    (tmp_path / "knowledge").mkdir()
    (tmp_path / "knowledge" / "a b 한글\n.md").write_bytes(b"x" * 3_000_000)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.link(tmp_path / "empty", tmp_path / "other name")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / b"\xff".decode(errors="surrogateescape")).write_bytes(b"latin")
    daemon.Snapshots(tmp_path, 3).take(NOW)
    (path,) = (tmp_path / ".snapshots").glob("*.json")
    manifest = json.loads(path.read_bytes())
    with tarfile.open(path.with_suffix(".tar.gz")) as archive:
        members = {m.name.encode(errors="surrogateescape").decode(errors="backslashreplace"): m for m in archive}
        assert members.keys() == manifest["files"].keys()
        for name, row in manifest["files"].items():
            if "sha256" in row:
                data = archive.extractfile(members[name]).read()
                assert (hashlib.sha256(data).hexdigest(), len(data)) == (row["sha256"], row["bytes"])
    assert manifest["files"]["link"] == {"link": "/etc/passwd"}
    assert "pipe" not in manifest["files"]
    assert "\\xff" in manifest["files"]
    assert (path.stat().st_mode & 0o777, (tmp_path / ".snapshots").stat().st_mode & 0o777) == (0o600, 0o700)


def test_litter_and_itself_are_left_out(daemon, tmp_path):
    for litter in ("__pycache__/a.pyc", "x.pyc", ".DS_Store", "._x", ".git/HEAD", "sub/.venv/x"):
        (tmp_path / litter).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / litter).touch()
    (tmp_path / "kept").touch()
    daemon.Snapshots(tmp_path, 3).take(NOW)
    (path,) = (tmp_path / ".snapshots").glob("*.json")
    assert set(json.loads(path.read_bytes())["files"]) == {"kept", "sub"}


def test_newest_are_kept_and_the_unchanged_pushes_nothing_out(daemon, tmp_path):
    snapshots = daemon.Snapshots(tmp_path, 2)
    for n in range(4):
        (tmp_path / "file").write_text(str(n))
        snapshots.take(later(n))
    before = names(tmp_path)
    assert len(before) == 4  # two archives, two manifests
    os.utime(snapshots.manifests()[-1], (1, 1))
    assert "nothing changed" in snapshots.take(later(9))
    assert names(tmp_path) == before
    assert snapshots.age(time.time()) < 60


def test_leftovers_of_an_interrupted_run_go(daemon, tmp_path):
    snapshots = daemon.Snapshots(tmp_path, 2)
    snapshots.take(NOW)
    (tmp_path / ".snapshots" / "20200101T000000.000000Z.tar.gz").touch()
    (tmp_path / ".snapshots" / ".tmp-abc").touch()
    snapshots.take(later(1))
    assert len(names(tmp_path)) == 2


def test_full_disk_leaves_nothing_half_done(daemon, tmp_path, monkeypatch):
    """ENOSPC comes from a fake ``fsync``: filling a disk is for the integration tests."""
    (tmp_path / "file").touch()
    snapshots = daemon.Snapshots(tmp_path, 2)

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(daemon.os, "fsync", full)
        (tmp_path / ".snapshots").mkdir()
        with pytest.raises(OSError, match="No space"):
            snapshots.take(NOW)
    assert names(tmp_path) == []


def test_files_that_grow_or_vanish_meanwhile(daemon, tmp_path, monkeypatch):
    """The race is provoked in the listing: what it names is gone or a link when it is opened."""
    (tmp_path / "kept").write_text("x")
    listed = [tmp_path / "gone", tmp_path / "kept", tmp_path / "kept" / "was a directory"]
    real = daemon.os.open

    def swapped(path, flags, *rest):
        """``late`` becomes a link between check and open."""
        if str(path).endswith("late"):
            path.unlink()
            path.symlink_to("/etc/passwd")
        return real(path, flags, *rest)

    (tmp_path / "late").write_text("x")
    listed.append(tmp_path / "late")
    monkeypatch.setattr(daemon.os, "open", swapped)
    monkeypatch.setattr(daemon, "entries", lambda root, exclude: iter(listed))
    daemon.Snapshots(tmp_path, 2).take(NOW)
    (path,) = (tmp_path / ".snapshots").glob("*.json")
    assert set(json.loads(path.read_bytes())["files"]) == {"kept"}


def test_service_is_healthy_soon_and_ends_at_once(start, tmp_path):
    environment = {"WORKSPACE": str(tmp_path), "SNAPSHOT_INTERVAL": "100", "PYTHONDONTWRITEBYTECODE": "1"}
    healthy = [sys.executable, str(CODE / "snapshot_daemon.py"), "healthy"]
    assert subprocess.run(healthy, env=environment, check=False).returncode == 1
    service = start("snapshot_daemon.py", listens=False, SNAPSHOT_INTERVAL="100")
    service.wait_line(r"Z: \d+ entries")
    assert subprocess.run(healthy, env=environment, check=False).returncode == 0
    code, seconds = service.stop()
    assert code == 0
    assert seconds < 5, "an engine kills after 10 s"
    (manifest,) = (tmp_path / ".snapshots").glob("*.json")
    os.utime(manifest, (time.time() - 301,) * 2)
    assert subprocess.run(healthy, env=environment, check=False).returncode == 1


def test_sigterm_in_the_middle_of_a_large_file(start, tmp_path):
    with open(tmp_path / "large", "wb") as file:
        file.truncate(3_000_000_000)
    service = start("snapshot_daemon.py", listens=False)
    service.wait_line("a snapshot of")
    while not (tmp_path / ".snapshots").is_dir() or not names(tmp_path):
        assert service.process.poll() is None
    code, seconds = service.stop()
    assert code == 0
    assert seconds < 5, "an engine kills after 10 s"
    assert not [name for name in names(tmp_path) if not name.startswith(".tmp-")]


def test_kill_leaves_only_what_the_next_run_removes(start, tmp_path):
    with open(tmp_path / "large", "wb") as file:
        file.truncate(300_000_000)
    service = start("snapshot_daemon.py", listens=False)
    service.wait_line("a snapshot of")
    while not (tmp_path / ".snapshots").is_dir() or not names(tmp_path):
        assert service.process.poll() is None
    service.process.send_signal(signal.SIGKILL)
    service.process.wait()
    (tmp_path / "large").unlink()
    start("snapshot_daemon.py", listens=False).wait_line(r"Z: \d+ entries")
    assert [name for name in names(tmp_path) if name.startswith(".tmp-")] == []


@pytest.mark.parametrize("words", [["SNAPSHOT_INTERVAL", "0"], ["SNAPSHOT_KEEP", "-1"], ["SNAPSHOT_INTERVAL", "5s"]])
def test_wrong_settings_are_named(start, words):
    service = start("snapshot_daemon.py", listens=False, **{words[0]: words[1]})
    service.wait_line(f"{words[0]} must be a whole number")
    assert service.process.wait(timeout=5) == 1
