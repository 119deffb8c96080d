# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves of real directories: compared, killed at each change to the disk, refused where data could be lost."""

from __future__ import annotations

import dataclasses
import os
import shutil
import socket
import stat

import deaths
import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    ConfigError,
    MismatchError,
    RestoreRefused,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.moves import ends, move, tree
from ansible_collections.onebox.stack.plugins.module_utils.core import beneath
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import parse_inspect

CHANGES = ("pwrite", "ftruncate", "utime", "link", "setxattr", "mkfifo")


def fill(folder):
    """Entries that break copies."""
    folder.mkdir()
    (folder / "a").write_bytes(os.urandom(300_000))
    (folder / "-b c\n").write_text("x")
    (folder / os.fsdecode(b"bytes\xff")).write_text("y")
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "ro").write_text("r")
    os.chmod(folder / "deep" / "er" / "ro", 0o440)
    os.chown(folder / "deep" / "er" / "ro", 1234, 4321)
    os.link(folder / "a", folder / "deep" / "hard")
    os.symlink("/etc/hostname", folder / "link")
    os.mkfifo(folder / "pipe")
    (folder / "empty").mkdir(mode=0o700)
    for number in range(7):
        (folder / f"more{number}").write_text("more")
    with open(folder / "sparse", "wb") as file:
        file.truncate(8 << 20)
        file.seek(4 << 20)
        file.write(b"middle")
    os.chmod(folder / "deep", 0o2770)
    os.chown(folder, 1000, 1000)
    os.utime(folder / "deep", ns=(1, 1_000_000_001))


@pytest.fixture
def case(tmp_path, monkeypatch):
    def none(*_args, **_kwargs):
        raise EngineError("none")

    monkeypatch.setattr(ends.discover, "find", none)
    os.chmod(tmp_path, 0o755)
    fill(tmp_path / "old")
    return move.Request(
        "blog",
        ends.End(path=str(tmp_path / "old")),
        ends.End(path=str(tmp_path / "srv" / "new")),
        "",
        str(tmp_path / "state"),
    )


def compared(request):
    with beneath.open_directory(request.source.path) as source:
        return tree.compare(source, request.target.path)


def test_move_is_equal_in_all_parts_and_keeps_the_source(case):
    with beneath.open_directory(case.source.path) as source:
        before = tree.compare(source, case.source.path)
    found = move.move(case, World.real())
    assert (found.changed, found.files, found.stopped) == (True, 13, [])
    after = compared(case)
    assert after == before
    assert found.sha256 == before.sha256
    new = case.target.path
    assert stat.S_IMODE(os.stat(f"{new}/deep").st_mode) == 0o2770
    assert os.stat(f"{new}/deep").st_mtime_ns == 1_000_000_001
    assert os.stat(f"{new}/sparse").st_blocks * 512 < 2 << 20
    assert os.path.samefile(f"{new}/a", f"{new}/deep/hard")
    assert (os.stat(new).st_uid, os.stat(f"{new}/deep/er/ro").st_gid) == (1000, 4321)
    assert os.listdir(os.path.dirname(new)) == ["new"]
    # The application has changed the target since: it is not compared again.
    os.unlink(f"{new}/a")
    assert move.move(case, World.real()).changed is False


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("a", lambda new: os.utime(new / "a", ns=(0, 0))),
        ("a", lambda new: os.chmod(new / "a", 0o600)),
        ("empty", lambda new: os.chown(new / "empty", 7, 7)),
        ("-b c\n", lambda new: (new / "-b c\n").write_text("z")),
        ("link", lambda new: (os.unlink(new / "link"), os.symlink("x", new / "link"))),
        ("deep/hard", lambda new: (os.unlink(new / "deep/hard"), shutil.copy2(new / "a", new / "deep/hard"))),
        ("empty", lambda new: os.rmdir(new / "empty")),
        ("more", lambda new: (new / "more").write_text("")),
        ("pipe", lambda new: os.unlink(new / "pipe")),
        ("a", lambda new: os.setxattr(new / "a", "user.x", b"1")),
    ],
)
def test_comparison_finds_each_damage(case, tmp_path, name, damage):
    move.move(case, World.real())
    damage(tmp_path / "srv" / "new")
    assert name in compared(case).differing


def test_later_pass_follows_each_change_of_the_source(case, tmp_path):
    old, copied = tmp_path / "old", str(tmp_path / "copy")
    with beneath.open_directory(str(old)) as source:
        copy = tree.Copy(source, copied)
        copy.run()
        os.unlink(old / "link")
        (old / "link").mkdir()
        (old / "link" / "inner").write_text("1")
        os.unlink(old / "deep" / "er" / "ro")
        os.rmdir(old / "deep" / "er")
        (old / "deep" / "er").write_text("now a file")
        (old / "-b c\n").write_text("longer")
        os.unlink(old / "deep" / "hard")
        os.chmod(old / "empty", 0o711)
        copy.run()
        assert tree.compare(source, copied).differing == []
        # As a program that writes through a mapping and sets the old time.
        status = os.stat(old / "-b c\n")
        (old / "-b c\n").write_text("LONGER")
        os.utime(old / "-b c\n", ns=(status.st_atime_ns, status.st_mtime_ns))
        copy.run()
        differing = tree.compare(source, copied).differing
        assert differing == ["-b c\n"]
        copy.again(differing)
        assert tree.compare(source, copied).differing == []


def test_killed_move_is_never_half_done_and_continues(case, tmp_path, monkeypatch):
    monkeypatch.setattr(deaths, "MUTATING", (*deaths.MUTATING, *CHANGES))
    with beneath.open_directory(case.source.path) as source:
        wanted = tree.compare(source, case.source.path)
    step, ended, finished = 0, False, 0
    while not ended:
        folder = tmp_path / f"run{step}"
        folder.mkdir(mode=0o755)
        request = dataclasses.replace(case, target=ends.End(path=str(folder / "new")), state_dir=str(folder / "state"))
        ended = deaths.lives(step, lambda request=request: move.move(request, World.real()))
        there = os.path.isdir(request.target.path)
        if there:
            finished += 1
            assert compared(request) == wanted, f"half moved before change {step}"
        if there or step % 7 == 0:
            again = move.move(request, World.real())
            assert again.changed is not there
            assert compared(request) == wanted
            assert os.listdir(folder / "state" / "moves") != []
        step += 1
    assert step >= 200
    assert finished < 10
    with beneath.open_directory(case.source.path) as source:
        assert tree.compare(source, case.source.path) == wanted


def test_source_that_changes_during_the_comparison_fails_the_move(case, monkeypatch):
    real = tree.compare

    def later(source, target):
        with open(f"{case.source.path}/a", "ab") as file:
            file.write(b"more")
        return real(source, target)

    monkeypatch.setattr(tree, "compare", later)
    with pytest.raises(MismatchError, match="another process writes to"):
        move.move(case, World.real())
    assert not os.path.exists(case.target.path)


def test_sockets_are_named_and_left_out(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path / "old")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("s.sock")
    assert move.move(case, World.real()).warnings == ["sockets and devices are left out: s.sock"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda folder: ((folder / "srv" / "new").mkdir(parents=True), (folder / "srv" / "new" / "x").mkdir()),
            "not empty",
        ),
        (lambda folder: ((folder / "srv").mkdir(), (folder / "srv" / "new").write_text("x")), "not empty"),
        (lambda folder: ((folder / "srv").mkdir(), os.chmod(folder / "srv", 0o777)), "chown root"),
    ],
)
def test_target_that_is_not_free_is_refused(case, tmp_path, spoil, words):
    spoil(tmp_path)
    with pytest.raises(RestoreRefused, match=words):
        move.move(case, World.real())


@pytest.mark.parametrize("target", ["old", "old/inner", ""])
def test_source_and_target_that_contain_each_other_are_refused(case, tmp_path, target):
    request = dataclasses.replace(case, target=ends.End(path=str(tmp_path / target)))
    with pytest.raises(RestoreRefused, match="contain each other"):
        move.move(request, World.real())


def test_check_changes_nothing(case):
    assert move.move(dataclasses.replace(case, check=True), World.real()).changed is True
    assert not os.path.exists(os.path.dirname(case.target.path))


@pytest.mark.parametrize("given", [{}, {"path": "/a", "volume": "b"}, {"path": "a"}, {"path": "/a/../b"}])
def test_end_that_is_not_one_place_is_refused(given):
    with pytest.raises(ConfigError, match="^source: "):
        ends.End.of(given, "source")


@pytest.mark.parametrize(("dump", "words"), [("", "Take a dump and"), ("/nowhere", "does not exist or is empty")])
def test_running_database_without_a_dump_is_refused(case, tmp_path, monkeypatch, dump, words):
    (tmp_path / "old" / "PG_VERSION").write_text("17")
    (tmp_path / "old" / "global").mkdir()
    (tmp_path / "old" / "global" / "pg_control").write_text("x")
    row = {"Type": "bind", "Source": str(tmp_path / "old"), "Destination": "/d", "RW": True}
    state = {"Status": "running", "Pid": 1}
    running = parse_inspect({"Id": "1", "Name": "/db", "State": state, "Config": {}, "Mounts": [row]})

    class Paper:
        name = "docker"
        socket = "/nowhere"

        def containers(self):
            return [running]

    monkeypatch.setattr(ends.discover, "find", lambda *_args, **_kwargs: Paper())
    with pytest.raises(RestoreRefused, match=words):
        move.move(
            dataclasses.replace(case, dump=dump, target=ends.End(path=str(tmp_path / "srv" / "new"))), World.real()
        )
    assert not os.path.exists(tmp_path / "srv")
