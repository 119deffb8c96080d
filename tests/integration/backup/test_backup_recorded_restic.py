# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets that earlier versions wrote with restic are listed, restored and followed by new ones."""

from __future__ import annotations

import dataclasses

import backup_stack
import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import restore, run

recorded = backup_stack.load("recorded")


@pytest.mark.parametrize("version", recorded.VERSIONS)
def test_recorded_restic_set_is_restored_and_a_new_one_follows_it(version, tmp_path):
    password = tmp_path / "password"
    password.write_text("recorded\n", encoding="utf-8")
    password.chmod(0o600)
    program = str(backup_stack.restic_programs() / "restic")
    options = {"engine": "restic", "password_file": str(password), "program": program}
    context = recorded.context(version, "restic", tmp_path, options)
    context.state.prepare()
    (found,) = context.store.sets()
    assert (found.seq, found.problem) == (1, "")
    assert (found.not_authentic == "") is (version in recorded.AUTHENTICATED)
    into = tmp_path / "into"
    accepted = 0 if version in recorded.AUTHENTICATED else 1
    report = restore.restore(context, restore.Request(into=str(into), accepted=accepted), confirm="recorded")
    assert report["error"] == ""
    assert [row["ok"] for row in report["sources"]] == [True, True]
    recorded.require_restored(into)
    data = dataclasses.replace(context.config.sources[2], path=str(into / "data"))
    context.config = dataclasses.replace(context.config, sources=(data,))
    assert run.backup(context)["error"] == ""
    assert [(each.seq, each.problem) for each in context.store.sets()] == [(1, ""), (2, "")]
