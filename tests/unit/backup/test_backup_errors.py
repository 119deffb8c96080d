# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of files and of the system are reported as one line with the documented exit code."""

from __future__ import annotations

import errno
import json
import os

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import (
    errors,
    rehearse,
    restore,
    run,
    selftest,
    status,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import cli
from ansible_collections.onebox.stack.plugins.module_utils.core import files
from backup_sites import Site

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path / "site")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (files.DiskFull("cannot write /x: full", "/x", errno.ENOSPC), 6),
        (files.FileError("/x is a link", "/x"), 5),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/x"), 6),
        (OSError(errno.EIO, "Input/output error", "/x"), 5),
    ],
)
def test_file_error_inside_a_block_has_the_exit_code_of_its_kind(error, code):
    with pytest.raises(errors.BackupError) as raised, errors.file_errors():
        raise error
    assert raised.value.exit_code == code
    assert str(raised.value) == str(error)


def test_own_errors_pass_a_block_of_file_errors_unchanged():
    with pytest.raises(errors.MismatchError, match="^differs$"), errors.file_errors():
        raise errors.MismatchError("differs")


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), files.FileError("cannot read /x", "/x")])
def test_error_of_a_file_in_a_locked_run_is_of_this_domain_and_frees_the_lock(site, error):
    with pytest.raises(errors.StoreError, match="Input/output error|cannot read /x"), site.context().locked("x", 0):
        raise error
    assert site.day()["error"] == ""


def test_full_disk_under_the_state_directory_ends_a_run_with_exit_code_6(site, monkeypatch):
    site.day()

    def full(*_words):
        raise FULL

    monkeypatch.setattr(os, "replace", full)
    report = run.backup(site.context())
    assert report["exit_code"] == 6
    assert "the run stopped: cannot write" in report["error"]
    assert "seq.json: No space left on device; committed sets are not lost" in report["error"]
    assert any("the outcome could not be saved" in warning for warning in report["warnings"])
    assert any("the metrics file" in warning for warning in report["warnings"])


def test_full_disk_under_a_source_is_that_source_s_error(site, monkeypatch):
    real = os.write

    def write(descriptor, data):
        if "/files/" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise FULL
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    report = run.backup(site.context())
    assert report["exit_code"] == 6
    assert "1 of 1 sources failed, nothing was committed: cannot write" in report["error"]
    assert [row["ok"] for row in report["sources"]] == [False]


@pytest.mark.parametrize("where", ["fetch", "source"])
def test_full_disk_in_a_rehearsal_or_restore_has_exit_code_6_and_proves_nothing(site, monkeypatch, where):
    site.day()
    assert rehearse.rehearse(site.context())["ok"] is True
    part = {"fetch": "/scratch/set/", "source": "/scratch/tree-"}[where]
    real = os.write

    def write(descriptor, data):
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if part in path or ".onebox-restore-" in path:
            raise FULL
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    report = rehearse.rehearse(site.context())
    assert report["exit_code"] == 6
    assert "No space left on device" in report["error"]
    assert ["No space left" in row["error"] for row in report["sources"]] == [True] * (where == "source")
    assert set(site.context().state.proven()) == {1}
    report = restore.restore(site.context(), restore.Request(), confirm="unit")
    assert report["exit_code"] == 6
    assert "No space left on device" in report["error"]
    rows = report["sources"]
    assert ["previous copies are untouched" in row["error"] for row in rows] == [True] * (where == "source")
    assert sorted(os.listdir(site.base)) == ["data", "metrics", "repo", "state"]


def test_full_disk_in_the_self_test_does_not_count_as_found_damage(site, monkeypatch):
    site.day()
    real = os.write
    made = []

    def write(descriptor, data):
        if "/scratch/tree-" in os.readlink(f"/proc/self/fd/{descriptor}"):
            made.append(1)
            if len(made) > 4:  # the restore without damage is good
                raise FULL
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    report = selftest.self_test(site.context())
    assert report["exit_code"] == 6
    assert report["error"].startswith("the self-test could not be run: cannot write")


def test_repository_that_is_a_file_is_one_error_for_every_reader(site):
    with open(os.path.join(site.base, "repo"), "w", encoding="utf-8"):
        pass
    context = site.context()
    for work in (
        lambda: status.status(context),
        lambda: run.preview(context),
        lambda: restore.preview(context, restore.Request(), ""),
    ):
        with pytest.raises(errors.StoreError, match=r"cannot read the repository .*/repo/sets: Not a directory"):
            work()


def test_denied_directory_is_reported_with_advice(tmp_path, monkeypatch, capsys):
    (tmp_path / "data").mkdir()
    config = tmp_path / "c.json"
    config.write_text(
        json.dumps(
            {
                "stack": "denied",
                "state_dir": str(tmp_path / "state"),
                "repository": {"engine": "files", "path": str(tmp_path / "repo")},
                "sources": [{"name": "d", "kind": "directory", "path": str(tmp_path / "data")}],
            }
        ),
        encoding="utf-8",
    )

    def denied(path, *_words):
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "mkdir", denied)
    assert cli.main(["--config", str(config), "backup"]) == 5
    said = capsys.readouterr().err
    assert f"cannot create the directory {tmp_path}/state: Permission denied" in said
    assert "run it as the user of the backup configuration" in said
    assert cli.main(["--config", str(config), "--json", "backup"]) == 5
    assert json.loads(capsys.readouterr().out)["exit_code"] == 5
