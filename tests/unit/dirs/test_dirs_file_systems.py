# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""data_dirs on limited file systems: no owners, no space, read-only. This kernel has no exFAT, see FakeMounts."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.dirs import filesystem
from dirs_stack import FakeMounts


def test_items_have_file_system_and_space(stack):
    (row,) = stack.run({"path": "a"})["directories"]
    assert row["fstype"] not in ("", "unknown")
    assert row["free_bytes"] > 0
    assert row["free_inodes"] is None or row["free_inodes"] > 0
    assert (row["class"], row["changed"], row["mountpoint"]) == ("data", True, False)


@pytest.mark.parametrize("kind", ["data", "secret"])
@pytest.mark.parametrize("fstype", ["exfat", "vfat", "msdos", "fuseblk"])
def test_file_system_without_owners_is_refused_for_data_and_secrets(stack, kind, fstype):
    (message,) = stack.problems({"path": "a", "class": kind}, mounts=FakeMounts(fstype=fstype))
    assert f"is on {fstype}, which stores no owners and modes" in message


def test_logs_are_accepted_without_owners_and_changed_once(stack):
    mounts = FakeMounts(fstype="exfat")
    first = stack.run({"path": "logs", "class": "log", "mode": "0700"}, mounts=mounts)
    assert first["changed"]
    assert "where owner, group and mode cannot be set" in first["warnings"][0]
    (stack.base / "logs").chmod(0o777)  # exFAT shows this mode for everything
    again = stack.run({"path": "logs", "class": "log", "mode": "0700"}, mounts=mounts)
    assert not again["changed"]
    assert again["directories"][0]["mode"] == "0777"


def test_data_on_tmpfs_is_one_warning(stack):
    result = stack.run({"path": "a"}, {"path": "b"}, mounts=FakeMounts(fstype="tmpfs"))
    assert ["content is lost at a reboot" in warning for warning in result["warnings"]] == [True]


def test_too_few_inodes_for_all_directories_are_refused(stack):
    messages = stack.problems({"path": "a"}, {"path": "b/c"}, mounts=FakeMounts(free_inodes=2))
    assert ["b/c cannot be created: its file system has 2 free inodes" in message for message in messages] == [True]
    assert stack.run({"path": "a"}, {"path": "b/c"}, mounts=FakeMounts(free_inodes=4))["changed"]


def test_read_only_file_system_is_refused(stack):
    for kind in ("data", "log"):
        (message,) = stack.problems({"path": "a", "class": kind}, mounts=FakeMounts(read_only=True))
        assert "mounted read-only" in message
    (message,) = stack.problems({"path": "a", "class": "config"}, mounts=FakeMounts(read_only=True))
    assert "cannot be created" in message


def test_file_systems_without_proc_are_read(stack):
    """macOS: ``mount`` is called once. Its lines have the form of its manual; the paths are those of this host."""
    odd = stack.place / "DATA (old) on x"
    odd.mkdir()
    calls = []

    def run(argv, **more):
        calls.append(argv)
        lines = [
            "/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)",
            "map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)",
            f"/dev/disk4s1 on {odd} (exfat, local, nodev, nosuid, noowners)",
        ]
        return process.Result(tuple(argv), 0, "\n".join(lines), "", 0.0)

    mounts = filesystem.Mounts(dataclasses.replace(World.real(), run=run), proc="/nonexistent")
    entries = [{"path": str(odd / name), "class": "log"} for name in "ab"]
    result = stack.run(*entries, mounts=mounts)
    assert [row["fstype"] for row in result["directories"]] == ["exfat", "exfat"]
    assert calls == [["mount"]]
    (message,) = stack.problems({"path": str(odd / "c"), "mountpoint": True, "class": "log"}, mounts=mounts)
    assert "does not exist: the disk is not mounted" in message
