# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single files replaced in one step, on a real file system, with real processes that die in the middle."""

import os
import pathlib
import signal
import stat
import subprocess
import sys
import textwrap
import threading

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import files

ROOT = pathlib.Path(__file__).resolve().parents[3]


def _mode(path: pathlib.Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755])
def test_replace_writes_content_and_mode_whatever_the_umask(tmp_path, durable, mode):
    target = tmp_path / "state ä.json"
    before = os.umask(0o077)
    try:
        files.replace(str(target), b"one", mode, durable=durable)
        files.replace(str(target), b"two", mode, durable=durable)
    finally:
        os.umask(before)
    assert target.read_bytes() == b"two"
    assert _mode(target) == mode
    assert os.listdir(tmp_path) == [target.name]


def test_replace_of_a_link_leaves_its_target_alone(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    link = tmp_path / "link"
    link.symlink_to(victim)
    files.replace(str(link), b"new", durable=True)
    assert victim.read_text() == "precious"
    assert not link.is_symlink()


@pytest.mark.parametrize("durable", [True, False])
def test_replace_in_a_directory_named_by_a_link_writes_the_file(tmp_path, durable):
    (tmp_path / "real").mkdir()
    (tmp_path / "units").symlink_to("real")
    files.replace(str(tmp_path / "units" / "a.service"), b"new", durable=durable)
    assert (tmp_path / "real" / "a.service").read_bytes() == b"new"


def test_replace_on_a_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "state"
    files.replace(str(target), b"old", durable=True)

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(files.DiskFull, match=f"cannot write {target}: No space left on device"):
        files.replace(str(target), b"new", durable=True)
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["state"]


def test_replace_in_a_missing_directory_names_the_file(tmp_path):
    with pytest.raises(files.FileError, match="cannot write .*/none/state: No such file or directory"):
        files.replace(str(tmp_path / "none" / "state"), b"", durable=False)


def test_readers_during_writes_never_find_a_part(tmp_path):
    target = tmp_path / "state"
    contents = [bytes([number]) * 100_000 for number in range(4)]
    files.replace(str(target), contents[0], durable=False)
    stop = threading.Event()
    torn = []

    def read() -> None:
        while not stop.is_set():
            if target.read_bytes() not in contents:
                torn.append(1)

    def write(content: bytes) -> None:
        for _unused in range(50):
            files.replace(str(target), content, durable=False)

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert not torn
    assert os.listdir(tmp_path) == ["state"]


def test_leftover_of_a_killed_writer_goes_with_the_next_replacement(tmp_path):
    target = tmp_path / "state"
    script = textwrap.dedent(
        f"""
        import os, signal, sys
        sys.path.insert(0, {str(ROOT / "tests")!r})
        import conftest
        from ansible_collections.onebox.stack.plugins.module_utils.core import files
        os.replace = lambda *_words: os.kill(os.getpid(), signal.SIGKILL)
        files.replace({str(target)!r}, b"half", durable=False)
        """
    )
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 1
    mine = tmp_path / f".state.{os.getpid()}-abcdefgh.tmp"
    mine.write_text("of a writer that lives")
    other = tmp_path / ".state.backup.tmp"
    other.write_text("of somebody else")
    files.replace(str(target), b"whole", durable=False)
    assert sorted(os.listdir(tmp_path)) == sorted([mine.name, other.name, "state"])


def test_write_if_changed_reports_content_and_mode_and_obeys_check(tmp_path):
    target = tmp_path / "unit"
    assert files.write_if_changed(str(target), b"a", 0o644, durable=False, check=True)
    assert not target.exists()
    assert files.write_if_changed(str(target), b"a", 0o644, durable=False)
    assert not files.write_if_changed(str(target), b"a", 0o644, durable=False)
    target.chmod(0o600)
    assert files.write_if_changed(str(target), b"a", 0o644, durable=False)
    assert _mode(target) == 0o644
    assert files.write_if_changed(str(target), b"b", 0o644, durable=False)


def test_open_regular_refuses_links_and_devices_without_hanging(tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("x")
    link, fifo = tmp_path / "link", tmp_path / "fifo"
    link.symlink_to(plain)
    os.mkfifo(fifo)
    for path in (link, fifo, tmp_path, pathlib.Path("/dev/null")):
        with pytest.raises(OSError):  # noqa: PT011 (the kind of system error differs by platform)
            files.open_regular(str(path))
    assert files.digest(str(plain)) == ("2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", 1)


def test_read_text_names_the_invalid_byte(tmp_path):
    target = tmp_path / "env"
    assert files.read_text(str(target)) == ""
    target.write_bytes(b"ok\xff")
    with pytest.raises(files.FileError, match=r"is not UTF-8 \(byte 2\)"):
        files.read_text(str(target))


def test_hashed_file_refuses_an_existing_name(tmp_path):
    path = tmp_path / "dump"
    with files.HashedFile(str(path)) as stream:
        stream.write(b"abc")
    assert stream.size == 3
    assert stream.sha256().startswith("ba7816bf")
    with pytest.raises(files.FileError, match="cannot create"):
        files.HashedFile(str(path))


def test_write_new_refuses_existing_files_and_syncs_only_if_durable(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "link").symlink_to(victim)
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with pytest.raises(files.FileError, match="cannot create .*/link: File exists"):
        files.write_new(str(tmp_path / "link"), b"x", durable=True)
    assert victim.read_text() == "precious"
    assert files.write_new(str(tmp_path / "new"), b"abc", durable=False).startswith("ba7816bf")
    assert synced == []
    files.write_new(str(tmp_path / "kept"), b"abc", durable=True)
    assert len(synced) == 1
    assert _mode(tmp_path / "kept") == 0o600


def test_write_new_on_a_full_disk_has_its_own_error(tmp_path, monkeypatch):
    def full(*_words):
        raise OSError(28, "No space left on device")

    for call in ("write", "fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, full)
            with pytest.raises(files.DiskFull, match=f"cannot write {tmp_path}/{call}: No space left on device"):
                files.write_new(str(tmp_path / call), b"x", durable=True)
