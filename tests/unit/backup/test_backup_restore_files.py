# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compose files of a set are written where the configuration says, or below the directory the owner named."""

from __future__ import annotations

import os

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import RestoreRefused
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.compose import write
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.compose.model import ComposeFacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.core import files


class Place:
    """A staged file, and the directory it is restored in."""

    def __init__(self, base):
        self.base = base
        self.staged = base / "staged"
        self.staged.mkdir()
        (self.staged / "f").write_text("new", encoding="utf-8")
        self.declared = base / "stack" / "compose.yml"

    def put(self, path, into="", declared=None):
        row = {"artefact": "f", "mode": 0o640, "uid": os.getuid(), "gid": os.getgid(), "sha256": ""}
        facts = ComposeFacts({str(path): row})
        spec = SourceSpec("s", "compose", files=(str(declared or self.declared),))
        left_out = () if into else write.undeclared(spec, facts)
        paths = [each for each in facts.files if each not in left_out]
        return write.put_files(facts, paths, str(self.staged), str(into), "now", True)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_declared_file_is_written_with_its_mode_and_a_previous_copy_is_kept(place):
    assert place.put(place.declared) == []
    assert place.declared.stat().st_mode & 0o777 == 0o640
    assert place.put(place.declared) == []  # equal: nothing is moved
    place.declared.write_text("mine", encoding="utf-8")
    assert place.put(place.declared) == [f"{place.declared}.before-now"]
    assert place.declared.read_text(encoding="utf-8") == "new"
    assert files.read_text(f"{place.declared}.before-now") == "mine"


def test_file_that_is_not_declared_is_not_written(place):
    assert place.put(place.base / "evil") == []
    assert not (place.base / "evil").exists()


def test_file_goes_below_the_named_directory_wherever_it_came_from(place):
    place.put("/etc/evil", into=place.base / "into")
    assert (place.base / "into/etc/evil").read_text(encoding="utf-8") == "new"
    assert not os.path.exists("/etc/evil")


@pytest.mark.parametrize("path", ["/../evil", "/a/../../evil", "/a/./b", "/", "//..//evil", "/a//b"])
def test_name_that_leaves_the_named_directory_is_refused(place, path):
    with pytest.raises(RestoreRefused, match="; nothing of it was written"):
        place.put(path, into=place.base / "into")
    assert not (place.base / "evil").exists()


@pytest.mark.parametrize("into", [False, True])
def test_link_on_the_way_is_not_followed(place, into):
    victim = place.base / "victim"
    victim.mkdir()
    folder = place.base / "into" if into else place.base
    folder.mkdir(exist_ok=True)
    # As somebody else who may write there: the directory is theirs, so a link in it is.
    os.chmod(folder, 0o777)
    (folder / "a").symlink_to(victim)
    path = "/a/evil" if into else folder / "a/evil"
    with pytest.raises(RestoreRefused, match="symbolic link"):
        place.put(path, into=folder if into else "", declared=path)
    assert list(victim.iterdir()) == []


def test_link_in_the_place_of_a_file_is_moved_aside_and_not_written_through(place):
    victim = place.base / "victim"
    victim.write_text("keep", encoding="utf-8")
    place.declared.parent.mkdir()
    place.declared.symlink_to(victim)
    assert place.put(place.declared) == [f"{place.declared}.before-now"]
    assert victim.read_text(encoding="utf-8") == "keep"
    assert not place.declared.is_symlink()
