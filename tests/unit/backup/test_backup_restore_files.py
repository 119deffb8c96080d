# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compose files of a set are written to configured paths, or below the directory that the owner named."""

from __future__ import annotations

import os

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import RestoreRefused
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.compose import write
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.compose.model import ComposeFacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.core import files


class Site:
    """A staged file, and the directory it is restored to."""

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
def site(tmp_path):
    return Site(tmp_path)


def test_declared_file_is_written_with_its_mode_and_a_previous_copy_is_kept(site):
    assert site.put(site.declared) == []
    assert site.declared.stat().st_mode & 0o777 == 0o640
    assert site.put(site.declared) == []  # equal: nothing is moved
    site.declared.write_text("mine", encoding="utf-8")
    assert site.put(site.declared) == [f"{site.declared}.before-now"]
    assert site.declared.read_text(encoding="utf-8") == "new"
    assert files.read_text(f"{site.declared}.before-now") == "mine"


def test_file_that_is_not_declared_is_not_written(site):
    assert site.put(site.base / "evil") == []
    assert not (site.base / "evil").exists()


def test_file_is_restored_below_the_named_directory(site):
    site.put("/etc/evil", into=site.base / "into")
    assert (site.base / "into/etc/evil").read_text(encoding="utf-8") == "new"
    assert not os.path.exists("/etc/evil")


@pytest.mark.parametrize("path", ["/../evil", "/a/../../evil", "/a/./b", "/", "//..//evil", "/a//b"])
def test_name_that_leaves_the_named_directory_is_refused(site, path):
    with pytest.raises(RestoreRefused, match="Nothing was written"):
        site.put(path, into=site.base / "into")
    assert not (site.base / "evil").exists()


@pytest.mark.parametrize("into", [False, True])
def test_link_on_the_path_is_not_followed(site, into):
    victim = site.base / "victim"
    victim.mkdir()
    folder = site.base / "into" if into else site.base
    folder.mkdir(exist_ok=True)
    # As another user: the directory belongs to that user, and so does a link in it.
    os.chmod(folder, 0o777)
    (folder / "a").symlink_to(victim)
    path = "/a/evil" if into else folder / "a/evil"
    with pytest.raises(RestoreRefused, match="symbolic link"):
        site.put(path, into=folder if into else "", declared=path)
    assert list(victim.iterdir()) == []


def test_link_with_the_name_of_a_file_is_renamed_and_not_followed(site):
    victim = site.base / "victim"
    victim.write_text("keep", encoding="utf-8")
    site.declared.parent.mkdir()
    site.declared.symlink_to(victim)
    assert site.put(site.declared) == [f"{site.declared}.before-now"]
    assert victim.read_text(encoding="utf-8") == "keep"
    assert not site.declared.is_symlink()
