# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real paths while a real process replaces a directory by a link and back."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import paths

SWAP = """
import os, sys
os.chdir(sys.argv[1])
while True:
    os.rename("data", "aside"); os.symlink("aside", "data"); os.unlink("data"); os.rename("aside", "data")
"""
DEADLINE_SECONDS = 60


@pytest.fixture
def swapped(tmp_path: pathlib.Path) -> t.Iterator[pathlib.Path]:
    """A directory that is a link half of the time."""
    (tmp_path / "data").mkdir()
    with subprocess.Popen([sys.executable, "-c", SWAP, str(tmp_path)]) as swapper:
        yield tmp_path / "data"
        swapper.kill()


def test_path_whose_names_change_has_an_answer(swapped: pathlib.Path):
    answers, raised = set(), 0
    deadline = time.monotonic() + DEADLINE_SECONDS
    # Until the standard library fails: only then the race was there.
    while not raised or len(answers) < 2:
        assert time.monotonic() < deadline, f"no race: {raised} errors of the standard library, answers {answers}"
        for _round in range(100):
            answers.add(paths.realpath(str(swapped)))
            try:
                os.path.realpath(swapped)
            except OSError:
                raised += 1
    assert answers == {str(swapped), str(swapped.parent / "aside")}


def test_links_are_followed_as_by_the_standard_library(tmp_path: pathlib.Path):
    (tmp_path / "one").mkdir()
    (tmp_path / "current").symlink_to("one")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("current", "current/missing", "missing", "loop", "one/../current", ""):
        path = str(tmp_path / name)
        assert paths.realpath(path) == os.path.realpath(path)
