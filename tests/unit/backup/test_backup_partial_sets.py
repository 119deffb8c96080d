# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets without a source, in the status, in restores and in the check of drops."""

from __future__ import annotations

import os

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import restore, run, status
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import RestoreRefused
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.compose import write
from backup_sites import Site


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path / "site")
    os.makedirs(certs_of(made))
    fill(made, 20)
    return made


def certs_of(site):
    return os.path.join(site.base, "certs")


def fill(site, count):
    """Leave ``count`` files in the directory certs."""
    for name in os.listdir(certs_of(site)):
        os.remove(os.path.join(certs_of(site), name))
    for number in range(count):
        with open(os.path.join(certs_of(site), f"k{number}"), "w", encoding="utf-8") as file:
            file.write("key")


def both(site, **certs):
    """A context with the directories data and certs, the latter with these options."""
    return site.context(
        sources=[
            {"name": "data", "kind": "directory", "path": site.files},
            {"name": "certs", "kind": "directory", "path": certs_of(site), **certs},
        ]
    )


def data_alone(site):
    return site.context(sources=[{"name": "data", "kind": "directory", "path": site.files}])


def test_set_without_a_source_is_authentic_and_reports_the_source_once(site):
    assert run.backup(both(site))["error"] == ""
    assert "is committed without certs" in run.backup(both(site, max_entries=5))["error"]
    found = status.status(both(site))
    assert [row["lacks"] for row in found["rows"]] == [[], ["certs"]]
    assert [row["authentic"] for row in found["rows"]] == [True, True]
    assert found["notes"] == []  # it is not waiting for its first backup
    (warning,) = restore.restore(both(site), restore.Request())["warnings"]
    assert "set 2 lacks certs, which stays as it is" in warning
    assert "restore it with --set 1 --source certs" in warning


def test_drop_is_compared_with_the_last_set_that_has_the_source(site):
    assert run.backup(both(site))["error"] == ""
    assert "is committed without certs" in run.backup(both(site, max_entries=5))["error"]
    fill(site, 2)
    assert "source certs went from 20 to 2" in run.backup(both(site))["error"]


def test_drop_of_a_source_configured_again_is_not_compared_with_an_old_set(site):
    assert run.backup(both(site))["error"] == ""
    assert run.backup(data_alone(site))["error"] == ""
    fill(site, 2)
    assert run.backup(both(site))["error"] == ""


def test_file_that_became_sparse_is_not_a_drop_of_bytes(site):
    path = os.path.join(site.files, "disk.img")
    with open(path, "wb") as file:
        file.write(bytes(4 << 20))
    assert site.day()["error"] == ""
    os.truncate(path, 0)
    os.truncate(path, 4 << 20)
    assert site.day()["error"] == ""
    facts = [found.manifest.source("data").facts for found in site.context().store.sets()]
    assert facts[0]["bytes"] == facts[1]["bytes"] + (4 << 20)


@pytest.mark.parametrize(("error", "cut_short"), [(KeyError("mode"), True), (RestoreRefused("a link"), False)])
def test_restore_ended_by_an_unexpected_error_is_recorded_as_interrupted(site, monkeypatch, error, cut_short):
    path = os.path.join(site.base, "compose.yml")
    with open(path, "w", encoding="utf-8") as file:
        file.write("services: {}")
    context = site.context(sources=[{"name": "stack", "kind": "compose", "files": [path]}])
    assert run.backup(context)["error"] == ""

    def broken(*_words):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(write, "put_files", broken)
        report = restore.restore(context, restore.Request(), confirm="unit")
    assert report["exit_code"] != 0
    assert report["sources"][0]["error"] != ""
    assert any("was interrupted" in problem for problem in status.status(context)["problems"]) is cut_short
    # The error gives the fix, and the fix clears the note.
    assert ("Restore again. Or check the data, and remove" in report["error"]) is cut_short
    assert ("no backup was made" in run.backup(context)["error"]) is cut_short
    assert restore.restore(context, restore.Request(), confirm="unit")["error"] == ""
    assert run.backup(context)["error"] == ""


@pytest.mark.parametrize("note", [{"sources": ["stack"]}, {"sources": 5, "seq": []}, {"sources": ["gone"], "at": None}])
def test_damaged_or_outdated_note_of_a_restore_does_not_block_restores(site, note):
    path = os.path.join(site.base, "compose.yml")
    with open(path, "w", encoding="utf-8") as file:
        file.write("services: {}")
    context = site.context(sources=[{"name": "stack", "kind": "compose", "files": [path]}])
    assert run.backup(context)["error"] == ""
    context.state.write("restore-under-way", note)
    blocks = note["sources"] == ["stack"]
    assert ("no backup was made" in run.backup(context)["error"]) is blocks
    assert restore.restore(context, restore.Request(), confirm="unit")["error"] == ""
    assert run.backup(context)["error"] == ""


def test_damaged_note_of_a_redis_restore_is_an_error_that_names_its_file(site):
    site.day()
    context = site.context()
    context.state.write("redis-under-way", {"loaded": False})
    with pytest.raises(RestoreRefused, match=r"redis-under-way.json"):
        restore.restore(context, restore.Request(), confirm="unit")
