# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of the backups that a deploy reports."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration, options, run
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import install
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import StoredSet
from ansible_collections.onebox.stack.plugins.module_utils.core.files import FileError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


def config(place):
    (place / "data").mkdir(exist_ok=True)
    (place / "data/f").write_text("x", encoding="utf-8")
    return {
        "stack": "coin",
        "state_dir": str(place / "state"),
        "repository": {"engine": "files", "path": str(place / "repo")},
        "reserve_mib": 0,
        "sources": [{"name": "d", "kind": "directory", "path": str(place / "data")}],
    }


def make(place):
    return contexts.make(configuration.parse(config(place)), World.real())


class Away:
    """An off-site repository that holds these sets, or fails."""

    place = "s3:elsewhere"

    def __init__(self, seqs=(), error=""):
        self.seqs, self.error = seqs, error

    def sets(self):
        if self.error:
            raise StoreError(self.error)
        return [StoredSet(seq, str(seq), None) for seq in self.seqs]


def test_first_backup_is_wanted_once(tmp_path):
    found = options.outlook(make(tmp_path))
    assert (found["wants_first"], found["problems"]) == (True, ["there is no backup yet"])
    run.backup(make(tmp_path))
    found = options.outlook(make(tmp_path))
    assert (found["wants_first"], found["healthy"], found["last_good"]) == (False, True, 1)


def test_rebuilt_host_is_advised_to_restore(tmp_path):
    made = make(tmp_path)
    made.offsite = Away([41, 42])
    found = options.outlook(made)
    assert found["wants_first"] is False
    assert "2 sets off-site (the newest is 42)" in found["problems"][0]
    made.offsite = Away()
    assert options.outlook(made)["wants_first"] is True
    made.offsite = Away(error="no route")
    found = options.outlook(made)
    assert found["wants_first"] is False
    assert found["problems"][-1] == "off-site cannot be read: no route"


def test_unreadable_repository_is_a_problem_without_a_failure(tmp_path):
    (tmp_path / "repo").write_text("a file", encoding="utf-8")
    found = options.outlook(make(tmp_path))
    assert found["wants_first"] is False
    assert "cannot read the repository" in found["problems"][0]


def test_directories_are_created_private_and_once(tmp_path):
    given = config(tmp_path)
    both = [str(tmp_path / "state"), str(tmp_path / "repo")]
    assert install.create_directories(given, check=True) == both
    assert not (tmp_path / "repo").exists()
    assert install.create_directories(given, check=False) == both
    assert install.create_directories(given, check=False) == []
    assert (tmp_path / "repo").stat().st_mode & 0o777 == 0o700
    (tmp_path / "repo").chmod(0o755)
    with pytest.raises(FileError, match="others can enter"):
        install.create_directories(given, check=False)
