# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""data_dirs works recursively, next to other processes and with few descriptors."""

from __future__ import annotations

import os
import threading

import pytest
from dirs_stack import mode


def test_recursive_change_is_made_once_for_each_directory(stack):
    entry = {"path": "s", "class": "secret", "recursive": True}
    place = stack.base / "s"
    place.mkdir(parents=True)
    (place / "file").touch(0o644)
    assert stack.run(entry, check=True)["directories"][0]["given"] == 1
    assert stack.run(entry)["directories"][0]["given"] == 1
    (place / "file").chmod(0o644)
    assert not stack.run(entry)["changed"]
    assert mode(place / "file") == 0o644
    place.rename(stack.base / "old")
    place.mkdir(0o700)
    (place / "file").touch(0o644)
    assert stack.run(entry)["directories"][0]["given"] == 1


@pytest.mark.parametrize("unreadable", [False, True])
def test_record_that_cannot_be_written_is_a_problem_with_its_file(stack, unreadable):
    entry = {"path": "a", "owner": str(os.geteuid()), "recursive": True}
    if unreadable:
        stack.run(entry)
        (kept,) = (stack.place / "state" / "owned").iterdir()
        kept.write_bytes(b"\xff\xfe")
    else:
        (stack.place / "state").write_text("a file")
    (row,) = stack.run(entry)["problems"]
    assert row["path"] == f"{stack.base}/a"
    assert f"{stack.place}/state/owned" in row["message"]


def test_recursive_change_skips_links_and_hard_links(stack):
    place = stack.base / "s"
    place.mkdir(parents=True)
    outside = stack.place / "outside"
    outside.touch(0o644)
    (place / "soft").symlink_to(outside)
    os.link(outside, place / "hard")
    stack.run({"path": "s", "class": "secret", "recursive": True})
    assert mode(outside) == 0o644


def test_link_inserted_between_check_and_change_is_refused(stack, monkeypatch):
    """The race is provoked at the moment of creation: the new directory is immediately replaced by a link."""
    (stack.place / "target").mkdir(0o777)
    (stack.place / "target").chmod(0o777)
    real = os.mkdir

    def swapped(name, *rest, dir_fd=None, **more):
        real(name, *rest, dir_fd=dir_fd, **more)
        if name == "a":
            os.rmdir(name, dir_fd=dir_fd)
            os.symlink(stack.place / "target", name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", swapped)
    result = stack.run({"path": "a", "mode": "0700"}, {"path": "b"})
    assert "a is a symbolic link" in result["problems"][0]["message"]
    assert mode(stack.place / "target") == 0o777
    assert [row["changed"] for row in result["directories"]] == [False, True]
    assert (stack.base / "b").is_dir()


def test_directory_created_by_another_process_is_accepted(stack, monkeypatch):
    real = os.mkdir

    def late(name, *rest, **more):
        real(name, 0o777, **more)
        raise FileExistsError(17, "File exists")

    monkeypatch.setattr(os, "mkdir", late)
    assert stack.run({"path": "a"})["problems"] == []
    assert mode(stack.base / "a") == 0o750


def test_several_runs_at_once_have_the_same_result(stack):
    entries = [{"path": f"{letter}/{number}"} for letter in "abcdef" for number in range(20)]
    results: list[dict] = []
    threads = [threading.Thread(target=lambda: results.append(stack.run(*entries))) for unused in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result["problems"] for result in results] == [[]] * 6
    assert not stack.run(*entries)["changed"]


def test_no_descriptor_is_left_open(stack):
    before = len(os.listdir("/proc/self/fd"))
    stack.run(*[{"path": f"{n}/{n}/{n}", "class": "secret"} for n in range(50)])
    stack.run({"path": "1" * 400}, {"path": "2/2/2/2"})
    assert len(os.listdir("/proc/self/fd")) == before


def test_more_directories_than_descriptors_are_created(stack):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Earlier tests of the same process may have left descriptors open.
    limit = max(int(name) for name in os.listdir("/dev/fd")) + 60
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        result = stack.run(*[{"path": f"{n}/data"} for n in range(300)])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert result["problems"] == []
    assert len(list(stack.base.iterdir())) == 300


def test_link_inserted_during_a_recursive_change_is_refused(stack, monkeypatch):
    """The race is provoked at the moment of opening: the inspected directory has been replaced by a link."""
    place, outside = stack.base / "s", stack.place / "outside"
    (place / "sub").mkdir(parents=True)
    outside.mkdir()
    (outside / "file").touch(0o644)
    real = os.open

    def swapped(name, *rest, **more):
        if name == "sub" and not (place / "sub").is_symlink():
            (place / "sub").rename(place / "away")
            (place / "sub").symlink_to(outside)
        return real(name, *rest, **more)

    monkeypatch.setattr(os, "open", swapped)
    result = stack.run({"path": "s", "class": "secret", "recursive": True})
    assert "Not a directory" in result["problems"][0]["message"]
    assert mode(outside / "file") == 0o644
