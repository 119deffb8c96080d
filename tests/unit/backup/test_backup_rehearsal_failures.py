# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rehearsals and restores that cannot run or fail midway: evidence is kept, and no leftovers remain."""

from __future__ import annotations

import os
import subprocess

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import rehearse, restore, selftest
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import RestoreRefused, SourceError, SpaceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import extract
from backup_sites import Site


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path / "site")


def cannot(*_words, **_more):
    raise SourceError("the engine does not answer")


def test_self_test_fails_where_no_restore_works(site, monkeypatch):
    site.day()
    monkeypatch.setattr(rehearse, "check_source", cannot)
    report = selftest.self_test(site.context())
    assert report["error"] == "the self-test could not be run: the engine does not answer"
    assert report["exit_code"] == 4
    assert [row["damage"] for row in report["controls"] if "altered" in row["damage"]] == []


def test_rehearsal_that_could_not_run_keeps_the_evidence_of_a_good_one(site, monkeypatch):
    site.day()
    assert rehearse.rehearse(site.context())["ok"] is True
    for reason in (SourceError("the engine does not answer"), SpaceError("no room"), OSError(28, "No space left")):

        def fail(*_words, reason=reason, **_more):
            raise reason

        with monkeypatch.context() as patch:
            patch.setattr(rehearse, "check_source", fail)
            report = rehearse.rehearse(site.context())
        assert report["ok"] is False
        assert set(site.context().state.proven()) == {1}
        assert site.context().state.read("last-rehearsal-local")["ok"] is False
    with open(os.path.join(site.base, "repo", "sets", "000001", "files", "data.tar"), "r+b") as file:
        file.write(b"x")
    assert rehearse.rehearse(site.context())["exit_code"] == 5
    assert site.context().state.proven() == {}


def test_failed_restore_leaves_no_partial_copy(site, monkeypatch):
    site.day()

    def full(*_words):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(extract, "dress_root", full)
    report = restore.restore(site.context(), restore.Request(), confirm="unit")
    assert "No space left" in report["error"]
    assert sorted(os.listdir(site.base)) == ["data", "metrics", "repo", "state"]


def test_mount_point_is_refused_before_any_copy(site):
    site.day()
    done = subprocess.run(["mount", "--bind", site.files, site.files], check=False)
    if done.returncode != 0:
        pytest.skip("SKIPPED, not passed: no file system can be mounted here")
    try:
        for confirm in ("", "unit"):
            with pytest.raises(RestoreRefused, match="is a mount point, which cannot be renamed. Restore with"):
                restore.restore(site.context(), restore.Request(), confirm=confirm)
        into = restore.Request(into=os.path.join(site.base, "into"))
        assert restore.restore(site.context(), into, confirm="unit")["error"] == ""
    finally:
        subprocess.run(["umount", site.files], check=True)
