# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets that were committed without a source: what status, restore and the check of drops make of them."""

from __future__ import annotations

import os

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import restore, run, status
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import RestoreRefused
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.compose import write
from boxes import Box


@pytest.fixture
def box(tmp_path):
    made = Box(tmp_path / "box")
    os.makedirs(certs_of(made))
    fill(made, 20)
    return made


def certs_of(box):
    return os.path.join(box.base, "certs")


def fill(box, count):
    """Leave ``count`` files in the directory certs."""
    for name in os.listdir(certs_of(box)):
        os.remove(os.path.join(certs_of(box), name))
    for number in range(count):
        with open(os.path.join(certs_of(box), f"k{number}"), "w", encoding="utf-8") as file:
            file.write("key")


def both(box, **certs):
    """A context with the directories data and certs, the latter with these options."""
    return box.context(
        sources=[
            {"name": "data", "kind": "directory", "path": box.files},
            {"name": "certs", "kind": "directory", "path": certs_of(box), **certs},
        ]
    )


def data_alone(box):
    return box.context(sources=[{"name": "data", "kind": "directory", "path": box.files}])


def test_set_without_a_source_is_authentic_and_says_once_what_it_lacks(box):
    assert run.backup(both(box))["error"] == ""
    assert "is committed without certs" in run.backup(both(box, max_entries=5))["error"]
    found = status.status(both(box))
    assert [row["lacks"] for row in found["rows"]] == [[], ["certs"]]
    assert [row["authentic"] for row in found["rows"]] == [True, True]
    assert found["notes"] == []  # it is not waiting for its first backup
    (warning,) = restore.restore(both(box), restore.Request())["warnings"]
    assert "set 2 lacks certs, which stays as it is" in warning
    assert "restore it with --set 1 --source certs" in warning


def test_drop_is_judged_by_the_last_set_before_the_source_was_left_out(box):
    assert run.backup(both(box))["error"] == ""
    assert "is committed without certs" in run.backup(both(box, max_entries=5))["error"]
    fill(box, 2)
    assert "source certs went from 20 to 2" in run.backup(both(box))["error"]


def test_drop_of_a_source_that_is_declared_again_is_not_judged_by_an_old_set(box):
    assert run.backup(both(box))["error"] == ""
    assert run.backup(data_alone(box))["error"] == ""
    fill(box, 2)
    assert run.backup(both(box))["error"] == ""


def test_file_that_became_sparse_is_no_drop_of_bytes(box):
    path = os.path.join(box.files, "disk.img")
    with open(path, "wb") as file:
        file.write(bytes(4 << 20))
    assert box.day()["error"] == ""
    os.truncate(path, 0)
    os.truncate(path, 4 << 20)
    assert box.day()["error"] == ""
    facts = [found.manifest.source("data").facts for found in box.context().store.sets()]
    assert facts[0]["bytes"] == facts[1]["bytes"] + (4 << 20)


@pytest.mark.parametrize(("error", "cut_short"), [(KeyError("mode"), True), (RestoreRefused("a link"), False)])
def test_restore_that_an_unexpected_error_ends_is_remembered_as_cut_short(box, monkeypatch, error, cut_short):
    path = os.path.join(box.base, "compose.yml")
    with open(path, "w", encoding="utf-8") as file:
        file.write("services: {}")
    context = box.context(sources=[{"name": "stack", "kind": "compose", "files": [path]}])
    assert run.backup(context)["error"] == ""

    def broken(*_words):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(write, "put_files", broken)
        report = restore.restore(context, restore.Request(), confirm="unit")
    assert report["exit_code"] != 0
    assert report["sources"][0]["error"] != ""
    assert any("was cut short" in problem for problem in status.status(context)["problems"]) is cut_short
    # The error itself says what to do, and doing it clears the note.
    assert ("Restore again; or check the data, and remove" in report["error"]) is cut_short
    assert ("no set is taken" in run.backup(context)["error"]) is cut_short
    assert restore.restore(context, restore.Request(), confirm="unit")["error"] == ""
    assert run.backup(context)["error"] == ""


@pytest.mark.parametrize("note", [{"sources": ["stack"]}, {"sources": 5, "seq": []}, {"sources": ["gone"], "at": None}])
def test_note_of_a_restore_that_is_damaged_or_of_a_removed_source_blocks_no_restore(box, note):
    path = os.path.join(box.base, "compose.yml")
    with open(path, "w", encoding="utf-8") as file:
        file.write("services: {}")
    context = box.context(sources=[{"name": "stack", "kind": "compose", "files": [path]}])
    assert run.backup(context)["error"] == ""
    context.state.write("restore-under-way", note)
    blocks = note["sources"] == ["stack"]
    assert ("no set is taken" in run.backup(context)["error"]) is blocks
    assert restore.restore(context, restore.Request(), confirm="unit")["error"] == ""
    assert run.backup(context)["error"] == ""


def test_damaged_note_of_a_redis_restore_is_an_error_that_names_its_file(box):
    box.day()
    context = box.context()
    context.state.write("redis-under-way", {"loaded": False})
    with pytest.raises(RestoreRefused, match=r"redis-under-way.json"):
        restore.restore(context, restore.Request(), confirm="unit")
