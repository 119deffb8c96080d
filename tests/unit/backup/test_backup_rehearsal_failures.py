# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be tried, or fails midway: it proves nothing, takes no proof away, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import rehearse, restore, selftest
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import RestoreRefused, SourceError, SpaceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import extract
from boxes import Box


@pytest.fixture
def box(tmp_path):
    return Box(tmp_path / "box")


def cannot(*_words, **_more):
    raise SourceError("the engine does not answer")


def test_the_self_test_calls_nothing_caught_where_nothing_can_be_restored(box, monkeypatch):
    box.day()
    monkeypatch.setattr(rehearse, "check_source", cannot)
    report = selftest.self_test(box.context())
    assert report["error"] == "the self-test could not be run: the engine does not answer"
    assert report["exit_code"] == 4
    assert [row["damage"] for row in report["controls"] if "altered" in row["damage"]] == []


def test_a_rehearsal_that_could_not_be_tried_leaves_the_evidence_of_a_good_one(box, monkeypatch):
    box.day()
    assert rehearse.rehearse(box.context())["ok"] is True
    for reason in (SourceError("the engine does not answer"), SpaceError("no room"), OSError(28, "No space left")):

        def fail(*_words, reason=reason, **_more):
            raise reason

        with monkeypatch.context() as patch:
            patch.setattr(rehearse, "check_source", fail)
            report = rehearse.rehearse(box.context())
        assert report["ok"] is False
        assert set(box.context().state.proven()) == {1}
        assert box.context().state.read("last-rehearsal-local")["ok"] is False
    with open(os.path.join(box.base, "repo", "sets", "000001", "files", "data.tar"), "r+b") as file:
        file.write(b"x")
    assert rehearse.rehearse(box.context())["exit_code"] == 5
    assert box.context().state.proven() == {}


def test_a_restore_that_fails_leaves_no_half_copy(box, monkeypatch):
    box.day()

    def full(*_words):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(extract, "dress_root", full)
    report = restore.restore(box.context(), restore.Request(), confirm="unit")
    assert "No space left" in report["error"]
    assert sorted(os.listdir(box.base)) == ["data", "metrics", "repo", "state"]


def test_a_mount_point_is_refused_before_anything_is_copied(box):
    box.day()
    done = subprocess.run(["mount", "--bind", box.files, box.files], check=False)
    if done.returncode != 0:
        pytest.skip("SKIPPED, not passed: no file system can be mounted here")
    try:
        for confirm in ("", "unit"):
            with pytest.raises(RestoreRefused, match="is a mount point, which cannot be moved aside: restore with"):
                restore.restore(box.context(), restore.Request(), confirm=confirm)
        into = restore.Request(into=os.path.join(box.base, "into"))
        assert restore.restore(box.context(), into, confirm="unit")["error"] == ""
    finally:
        subprocess.run(["umount", box.files], check=True)
