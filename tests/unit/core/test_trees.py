# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories and trees on a real file system, with planted links and other users."""

import contextlib
import os
import resource
import stat
import subprocess
import tempfile

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import trees
from ansible_collections.onebox.stack.plugins.module_utils.core.files import FileError


def test_private_dir_is_private_whatever_the_umask(tmp_path):
    path = tmp_path / "parent" / "repo"
    before = os.umask(0)
    try:
        trees.private_dir(str(path))
        trees.private_dir(str(path))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755


def test_private_dir_refuses_links_files_other_users_and_open_modes(tmp_path, monkeypatch):
    (tmp_path / "target").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "file").write_text("")
    for name in ("link", "file"):
        with pytest.raises(FileError, match=f"{name} is a link or not a directory"):
            trees.private_dir(str(tmp_path / name))
    with pytest.raises(FileError, match="cannot create the directory .*/file: File exists"):
        trees.private_dir(str(tmp_path / "file" / "below"))
    (tmp_path / "target").chmod(0o750)
    with pytest.raises(FileError, match="has mode 0750: others can enter"):
        trees.private_dir(str(tmp_path / "target"))
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(FileError, match="belongs to uid .*, not 54321"):
        trees.private_dir(str(tmp_path / "target"))


def test_private_parents_creates_private_directories_below_its_root(tmp_path):
    before = os.umask(0)
    try:
        path = trees.private_parents(str(tmp_path), "a/b/file")
    finally:
        os.umask(before)
    assert path == str(tmp_path / "a/b/file")
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b")] == [0o700, 0o700]
    assert not os.path.exists(path)


@pytest.mark.parametrize("relative", ["", "/etc/x", "../x", "a/../../x", "a//b", "a/./b", "a/\0"])
def test_private_parents_refuses_a_path_that_leaves_its_root(tmp_path, relative):
    assert not trees.safe_relative(relative)
    with pytest.raises(FileError, match="leaves"):
        trees.private_parents(str(tmp_path), relative)
    assert os.listdir(tmp_path) == []


def test_private_parents_refuses_a_planted_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileError, match="root/a is a link"):
        trees.private_parents(str(tmp_path / "root"), "a/b/file")
    assert os.listdir(tmp_path / "elsewhere") == []


@pytest.fixture
def deep(tmp_path):
    """A tree of 5000 nested directories with a file and a link in the last one; pytest cannot remove it."""
    tree = tmp_path / "tree"
    tree.mkdir()
    here = os.open(tree, os.O_RDONLY)
    for _level in range(5000):
        os.mkdir("directory", dir_fd=here)
        below = os.open("directory", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.symlink("/", "link", dir_fd=here)
    os.close(here)
    yield tree
    subprocess.run(["rm", "-rf", tree], check=True)


def test_remove_tree_of_five_thousand_levels_needs_neither_stack_nor_descriptors(deep):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(64, len(os.listdir("/proc/self/fd")) + 8), hard))
    try:
        trees.remove_tree(str(deep))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not deep.exists()


def test_remove_tree_removes_links_and_files_and_leaves_their_targets(tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("keep")
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "sub" / "link").symlink_to(victim)
    (tmp_path / "tree" / "a file").write_text("x")
    (tmp_path / "link").symlink_to(victim)
    for name in ("tree", "link", "missing", "missing/below"):
        trees.remove_tree(str(tmp_path / name))
    assert os.listdir(tmp_path) == ["victim"]
    assert (victim / "precious").read_text() == "keep"


def test_remove_tree_of_a_tree_that_is_moved_meanwhile_touches_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "tree" / "a" / "b").mkdir(parents=True)
    (tmp_path / "tree" / "a" / "b" / "file").write_text("x")
    (tmp_path / "elsewhere" / "b").mkdir(parents=True)
    real = os.unlink

    def unlink(name, **options):
        real(name, **options)
        os.rmdir(tmp_path / "elsewhere" / "b")
        os.rename(tmp_path / "tree" / "a" / "b", tmp_path / "elsewhere" / "b")

    monkeypatch.setattr(os, "unlink", unlink)
    with pytest.raises(FileError, match=r"cannot remove .*/tree/a/b: it was moved while it was removed"):
        trees.remove_tree(str(tmp_path / "tree"))
    assert os.listdir(tmp_path / "elsewhere") == ["b"]


def test_remove_tree_names_the_part_it_cannot_remove(tmp_path, monkeypatch):
    (tmp_path / "tree" / "a").mkdir(parents=True)
    (tmp_path / "tree" / "a" / "file").write_text("x")

    def refuse(name, **_options):
        raise PermissionError(1, "Operation not permitted", name)

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(FileError, match=rf"cannot remove {tmp_path}/tree/a/file: Operation not permitted"):
        trees.remove_tree(str(tmp_path / "tree"))


def test_remove_tree_of_directories_that_deny_their_owner():
    place = tempfile.mkdtemp(prefix="obx-trees-")
    child = os.fork()
    if child == 0:
        # As a user who is bound by modes; root is not.
        with contextlib.suppress(BaseException):
            if os.geteuid() == 0:
                os.chown(place, 65534, 65534)
                os.setgid(65534)
                os.setuid(65534)
            for name, mode in (("read only", 0o555), ("closed", 0o000)):
                os.makedirs(os.path.join(place, "tree", name, "inner"))
                os.chmod(os.path.join(place, "tree", name, "inner"), mode)
                os.chmod(os.path.join(place, "tree", name), mode)
            os.symlink(place, os.path.join(place, "tree", "link"))
            trees.remove_tree(os.path.join(place, "tree"))
            os._exit(0 if os.listdir(place) == [] else 1)
        os._exit(2)
    try:
        assert os.waitpid(child, 0)[1] == 0
    finally:
        subprocess.run(["rm", "-rf", place], check=True)


def test_sync_tree_writes_contents_before_names_and_follows_no_link(tmp_path, monkeypatch):
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    (tree / "sub" / "inner").mkdir(parents=True)
    (tree / "sub" / "inner" / "file").write_text("x")
    outside.mkdir()
    (tree / "link").symlink_to(outside)
    os.mkfifo(tree / "pipe")
    seen = []
    real = os.fsync

    def fsync(descriptor):
        seen.append(os.path.relpath(os.readlink(f"/proc/self/fd/{descriptor}"), tmp_path))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    trees.sync_tree(str(tree))
    assert seen == ["tree/sub/inner/file", "tree/sub/inner", "tree/sub", "tree"]


def test_sync_tree_names_what_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")

    def broken(_descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(FileError, match=rf"cannot write {tmp_path}/file: Input/output error"):
        trees.sync_tree(str(tmp_path))


def test_free_bytes_of_a_missing_path_are_those_of_its_parent(tmp_path):
    assert trees.free_bytes(str(tmp_path / "not" / "there")) == pytest.approx(trees.free_bytes(str(tmp_path)), rel=0.05)


def test_mount_point_is_found_also_as_a_bind_mount_with_a_blank_in_its_name(tmp_path):
    place = tmp_path / "a place"
    place.mkdir()
    assert trees.is_mount_point("/")
    assert not trees.is_mount_point(str(place))
    if subprocess.run(["mount", "--bind", place, place], check=False, capture_output=True).returncode != 0:
        pytest.skip("SKIPPED, not passed: no file system can be mounted here")
    try:
        assert trees.is_mount_point(str(place))
    finally:
        subprocess.run(["umount", place], check=True)
