# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work below a directory of another user, while a real process swaps directories for links."""

import contextlib
import os
import pathlib
import stat
import subprocess
import sys

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import beneath, linux
from ansible_collections.onebox.stack.plugins.module_utils.core.beneath import Directory, TooLarge, UnsafePath

# Swaps the directory "uploads" for a link to the victim and back, as fast as it can.
SWAPPER = """
import itertools, os, sys
os.chdir(sys.argv[1])
victim = sys.argv[2]
made = itertools.count()
print("swapping", flush=True)
while True:
    try:
        os.rename("uploads", "aside")
        os.symlink(victim, "uploads")
        os.unlink("uploads")
    except OSError:
        pass
    # The tree's user may have made a directory of that name in between, and may do so again.
    while os.path.lexists("aside"):
        try:
            os.rename("aside", "uploads")
        except OSError:
            os.rename("uploads", f"../made-{next(made)}")
"""


@pytest.fixture(params=["openat2", "by component"])
def way(request, monkeypatch):
    """Both implementations: the kernel's, and the one for macOS and old kernels."""
    if request.param == "by component":

        def missing(_root, path, *_words):
            raise OSError(38, "Function not implemented", path)

        monkeypatch.setattr(linux, "openat2", missing)
    elif not sys.platform.startswith("linux"):
        pytest.skip("openat2 is a system call of Linux")
    return request.param


@pytest.fixture
def tree(tmp_path: pathlib.Path, way: str):
    """The open directory ``foreign`` with ``uploads/a`` in it, next to a victim that must not change."""
    (tmp_path / "foreign/uploads").mkdir(parents=True)
    (tmp_path / "foreign/uploads/a").write_text("content")
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim/precious").write_text("precious")
    with beneath.open_directory(str(tmp_path / "foreign")) as directory:
        yield directory


@pytest.fixture
def deep(tree: Directory):
    """2,000 directories nested in the tree: deeper than a path can be long, and than Python recurses."""
    current = os.dup(tree.descriptor)
    for _depth in range(2000):
        os.mkdir("nested", dir_fd=current)
        following = os.open("nested", os.O_RDONLY, dir_fd=current)
        os.close(current)
        current = following
    os.close(current)
    yield
    # pytest's own removal of temporary directories would recurse.
    subprocess.run(["rm", "-rf", os.path.join(tree.path, "nested")], check=True)


def _state(folder: pathlib.Path) -> list[tuple[str, int, int, bytes]]:
    """Names, modes, owners and contents below a folder, itself included."""
    found = []
    for path in [folder, *sorted(folder.rglob("*"))]:
        status = path.lstat()
        found.append((str(path), status.st_mode, status.st_uid, path.read_bytes() if path.is_file() else b""))
    return found


@pytest.mark.parametrize("name", ["", "/etc/passwd", "..", "a/../../b", "./a", "a//b", "a/", "a\0b"])
def test_name_that_leads_out_is_refused(tree: Directory, name: str):
    for call in (tree.stat, tree.read, tree.unlink, tree.directory):
        with pytest.raises(UnsafePath):
            call(name)


@pytest.mark.parametrize("target", ["../victim", "/", "uploads"])
def test_link_in_the_middle_and_at_the_end_is_refused(tree: Directory, tmp_path: pathlib.Path, target: str):
    (tmp_path / "foreign/link").symlink_to(target)
    before = _state(tmp_path / "victim")
    for call in (
        lambda: tree.read("link/precious"),
        lambda: tree.directory("link"),
        lambda: tree.replace("link/new", b"", 0o600, durable=False),
        lambda: tree.make_directories("link/new", 0o755),
        lambda: tree.dress("link", 0o777),
        lambda: tree.unlink("link/precious"),
    ):
        with pytest.raises(UnsafePath, match="symbolic link"):
            call()
    assert _state(tmp_path / "victim") == before
    assert stat.S_ISLNK(tree.stat("link").st_mode)


def test_replace_at_a_link_replaces_the_link(tree: Directory, tmp_path: pathlib.Path):
    (tmp_path / "foreign/uploads/conf").symlink_to("../../victim/precious")
    tree.replace("uploads/conf", b"new", 0o640, durable=True)
    assert (tmp_path / "victim/precious").read_text() == "precious"
    assert tree.read("uploads/conf") == b"new"
    assert stat.S_IMODE(tree.stat("uploads/conf").st_mode) == 0o640
    assert (
        os.listdir(tmp_path / "foreign/uploads") == ["a", "conf"] or len(os.listdir(tmp_path / "foreign/uploads")) == 2
    )


def test_directories_are_created_with_their_mode_and_named(tree: Directory):
    assert tree.make_directories("uploads/b/c", 0o750) == ["uploads/b", "uploads/b/c"]
    assert stat.S_IMODE(tree.stat("uploads/b/c").st_mode) == 0o750
    assert tree.make_directories("uploads/b/c", 0o700) == []
    assert stat.S_IMODE(tree.stat("uploads/b/c").st_mode) == 0o750


def test_rename_exchange_and_removal_stay_below(tree: Directory, tmp_path: pathlib.Path):
    tree.replace("new", b"new", 0o600, durable=False)
    if sys.platform.startswith("linux"):
        tree.exchange("new", tree, "uploads/a")
        assert (tree.read("new"), tree.read("uploads/a")) == (b"content", b"new")
    tree.rename("new", tree, "uploads/moved")
    assert not tree.exists("new")
    assert not tree.remove_empty("uploads")
    tree.unlink("uploads/a")
    tree.unlink("uploads/moved")
    assert tree.remove_empty("uploads")
    assert tree.names() == []


def test_walk_lists_everything_once_and_follows_no_link(tree: Directory, tmp_path: pathlib.Path):
    (tmp_path / "foreign/uploads/link").symlink_to("../../victim")
    tree.make_directories("uploads/deep/er", 0o700)
    found = [name for name, _status in tree.walk()]
    assert sorted(found) == ["uploads", "uploads/a", "uploads/deep", "uploads/deep/er", "uploads/link"]
    assert found.index("uploads") < found.index("uploads/deep") < found.index("uploads/deep/er")


def test_walk_of_thousands_of_nested_directories_ends_with_a_message(tree: Directory, deep: None):
    with contextlib.suppress(TooLarge):  # the kernel opens no path of 14,000 characters, component by component it can
        assert len(list(tree.walk())) == 2002
    with pytest.raises(TooLarge, match="deeper than 10 directories"):
        list(tree.walk(most_depth=10))
    with pytest.raises(TooLarge, match="more than 3 entries"):
        list(tree.walk(most_entries=3))


def test_no_byte_leaves_the_directory_while_a_process_swaps_it(
    tree: Directory, tmp_path: pathlib.Path, way: str, tally
):
    before = _state(tmp_path / "victim")
    swapper = subprocess.Popen(
        [sys.executable, "-c", SWAPPER, str(tmp_path / "foreign"), str(tmp_path / "victim")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert swapper.stdout is not None
    assert swapper.stdout.readline() == b"swapping\n"
    tried = outside = 0
    try:
        for number in range(400):
            for call in (
                lambda number=number: tree.replace(f"uploads/f{number % 7}", b"x", 0o666, durable=False),
                lambda number=number: tree.make_directories(f"uploads/d{number % 7}/e", 0o777),
                lambda: tree.dress("uploads", 0o777),
                lambda: tree.read("uploads/precious"),
                lambda: tree.unlink("uploads/precious"),
                lambda: [tree.read(name) for name, status in tree.walk() if stat.S_ISREG(status.st_mode)],
            ):
                tried += 1
                with contextlib.suppress(OSError, UnsafePath):
                    got = call()
                    outside += got == b"precious" or (isinstance(got, list) and b"precious" in got)
        assert swapper.poll() is None
    finally:
        swapper.kill()
        swapper.wait()
    outside += _state(tmp_path / "victim") != before
    tally(
        f"calls below a directory that a process swaps for a link, {way}: led out",
        tried,
        outside,
    )


def test_link_that_root_made_is_followed_and_one_of_others_is_not(tmp_path: pathlib.Path):
    (tmp_path / "disk/data").mkdir(parents=True)
    tmp_path.chmod(0o755)
    (tmp_path / "srv").symlink_to("disk")
    with beneath.open_directory(str(tmp_path / "srv/data")) as directory:
        assert os.path.samestat(os.fstat(directory.descriptor), os.stat(tmp_path / "disk/data"))
    assert beneath.foreign_link(str(tmp_path / "srv/data")) == ""
    # The same link where another user creates names: a bind source, or a directory others can write to.
    assert beneath.foreign_link(str(tmp_path / "srv/data"), [str(tmp_path)]) == str(tmp_path / "srv")
    tmp_path.chmod(0o777)
    assert beneath.foreign_link(str(tmp_path / "srv/data")) == str(tmp_path / "srv")
    with pytest.raises(UnsafePath, match="srv is a symbolic link that root did not create"):
        beneath.open_directory(str(tmp_path / "srv/data"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link to another user")
def test_link_of_another_user_is_refused_wherever_it_leads(tmp_path: pathlib.Path):
    (tmp_path / "data").mkdir()
    link = tmp_path / "uploads"
    link.symlink_to(tmp_path / "data")
    os.lchown(link, 1000, 1000)
    assert beneath.foreign_link(str(link)) == str(link)


def test_link_loop_missing_directory_and_plain_file_are_named(tmp_path: pathlib.Path):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("")
    with pytest.raises(UnsafePath, match="loop"):
        beneath.open_directory(str(tmp_path / "loop"))
    with pytest.raises(UnsafePath, match="file is not a directory"):
        beneath.open_directory(str(tmp_path / "file"))
    with pytest.raises(beneath.files.FileError, match="cannot open the directory .*none"):
        beneath.open_directory(str(tmp_path / "none"))
    with pytest.raises(UnsafePath, match="not an absolute path"):
        beneath.open_directory("relative")
    assert beneath.foreign_link(str(tmp_path / "none/deeper")) == ""
