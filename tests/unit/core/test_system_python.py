# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Python runs an installed program: the system's, and none that a playbook or another user brings."""

import dataclasses
import os
import pathlib
import subprocess
import sys
import tempfile

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import system_python
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

ME = os.geteuid()
SYSTEM = "/usr/bin/python3"


@pytest.fixture
def world():
    return World.real()


@pytest.fixture
def place():
    """A directory of ours whose parents no other user can write to, below neither /tmp nor a home."""
    base = pathlib.Path("/opt") if ME == 0 else pathlib.Path.home()
    with tempfile.TemporaryDirectory(prefix="obx-python-", dir=base) as folder:
        pathlib.Path(folder).chmod(0o755)
        yield pathlib.Path(folder)


def copy_of_python(path: pathlib.Path, mode: int = 0o755) -> str:
    """A program that is a Python, in a directory of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\nexec {SYSTEM} "$@"\n')
    path.chmod(mode)
    return str(path)


def test_python_of_the_system_is_the_default(world):
    assert system_python.choose("", "interpreter", world) == SYSTEM


def test_python_in_a_private_directory_of_the_system_may_be_named(world, place):
    path = copy_of_python(place / "bin" / "python3")
    assert system_python.choose(path, "interpreter", world) == path


def test_virtual_environment_is_refused_also_through_links(world, place):
    subprocess.run([SYSTEM, "-m", "venv", "--without-pip", str(place / "venv")], check=True)
    inside = place / "venv" / "bin" / "python3"
    (place / "link").symlink_to(inside)
    (place / "folder").symlink_to(place / "venv")
    for path in (inside, place / "link", place / "folder" / "bin" / "python3"):
        with pytest.raises(system_python.UnfitPython, match=r"^interpreter: .* virtual environment.*Leave it out"):
            system_python.choose(str(path), "interpreter", world)


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="these tests do not run in a virtual environment")
def test_python_of_the_playbook_is_refused(world):
    with pytest.raises(system_python.UnfitPython):
        system_python.choose(sys.executable, "backups_python", world)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.chmod(0o757),
        lambda path: path.parent.chmod(0o757),
        lambda path: path.parent.parent.chmod(0o757),
        lambda path: os.chown(path, 12345, 12345),
        lambda path: os.chown(path.parent, 12345, 12345),
        lambda path: path.chmod(0o775),
        lambda path: path.parent.chmod(0o1777),
    ],
)
@pytest.mark.skipif(ME != 0, reason="only root gives files away")
def test_python_that_others_can_change_is_refused(world, place, spoil):
    path = place / "a" / "bin" / "python3"
    copy_of_python(path)
    assert system_python.unfit(str(path), world) == ""
    spoil(path)
    assert "can be changed by" in system_python.unfit(str(path), world)


@pytest.mark.skipif(ME != 0, reason="only root gives files away")
def test_link_that_another_user_owns_is_refused(world, place):
    link = place / "python3"
    link.symlink_to(SYSTEM)
    assert system_python.unfit(str(link), world) == ""
    os.lchown(link, 12345, 12345)
    assert "can be changed by the owner of" in system_python.unfit(str(link), world)


@pytest.mark.skipif(ME != 0, reason="only root may write there")
def test_python_below_a_home_is_refused_for_root(world):
    with tempfile.TemporaryDirectory(prefix="obx-python-", dir="/root") as folder:
        path = copy_of_python(pathlib.Path(folder) / "python3")
        assert "home directory" in system_python.unfit(path, world)


@pytest.mark.parametrize("path", ["python3", "/usr/bin/none", "/usr/bin", "/usr/bin/my python", ""])
def test_file_that_is_not_a_program_is_refused(world, path):
    assert system_python.unfit(path, world) != ""


def test_old_python_is_refused(world, place):
    path = place / "python3"
    path.write_text("#!/bin/sh\necho 3.8\n")
    path.chmod(0o755)
    assert "is Python 3.8" in system_python.unfit(str(path), world)


def test_host_without_a_suitable_python_names_the_option(world, monkeypatch):
    monkeypatch.setattr(system_python, "CANDIDATES", ("/usr/bin/none",))
    with pytest.raises(system_python.UnfitPython, match=r"backups_python: this host has no .*Install .* set backups_"):
        system_python.choose("", "backups_python", world)


def test_link_without_an_end_is_refused(world, place):
    (place / "a").symlink_to(place / "b")
    (place / "b").symlink_to(place / "a")
    assert system_python.unfit(str(place / "a"), world) == "is a link in a loop"


def test_user_may_use_what_the_user_owns(world, place):
    path = copy_of_python(place / "python3")
    user = dataclasses.replace(world, uid=12345)
    assert system_python.unfit(path, user) == ("" if ME == 0 else f"can be changed by the owner of {place}")
