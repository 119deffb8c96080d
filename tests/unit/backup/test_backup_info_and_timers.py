# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deploy hears of the backups, and timers as systemd 252 and 257 answer about them."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup import declaration, options, run
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import BackupError, StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import install, timers
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import StoredSet
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.files import FileError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

NAMES = ["onebox-backup-coin-backup.timer", "onebox-backup-coin-check.timer"]


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
    return contexts.make(declaration.parse(config(place)), World.real())


class Away:
    """An off-site repository that holds these sets, or fails."""

    place = "s3:elsewhere"

    def __init__(self, seqs=(), error=""):
        self.seqs, self.error = seqs, error

    def sets(self):
        if self.error:
            raise StoreError(self.error)
        return [StoredSet(seq, str(seq), None) for seq in self.seqs]


def test_a_first_backup_is_wanted_once(tmp_path):
    found = options.outlook(make(tmp_path))
    assert (found["wants_first"], found["problems"]) == (True, ["there is no backup yet"])
    run.backup(make(tmp_path))
    found = options.outlook(make(tmp_path))
    assert (found["wants_first"], found["healthy"], found["last_good"]) == (False, True, 1)


def test_a_rebuilt_box_is_told_to_restore_instead(tmp_path):
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


def test_a_repository_that_cannot_be_read_is_a_problem_and_no_failure(tmp_path):
    (tmp_path / "repo").write_text("a file", encoding="utf-8")
    found = options.outlook(make(tmp_path))
    assert found["wants_first"] is False
    assert "cannot read the repository" in found["problems"][0]


def test_the_places_are_made_private_and_once(tmp_path):
    given = config(tmp_path)
    both = [str(tmp_path / "state"), str(tmp_path / "repo")]
    assert install.make_places(given, check=True) == both
    assert not (tmp_path / "repo").exists()
    assert install.make_places(given, check=False) == both
    assert install.make_places(given, check=False) == []
    assert (tmp_path / "repo").stat().st_mode & 0o777 == 0o700
    (tmp_path / "repo").chmod(0o755)
    with pytest.raises(FileError, match="others can enter"):
        install.make_places(given, check=False)


class Systemd:
    """Answers of systemctl: one line for each name, and a code that is not 0 when one is not as asked."""

    def __init__(self, enabled: str, active: str) -> None:
        self.answers = {"is-enabled": enabled, "is-active": active}
        self.calls: list[list[str]] = []

    def __call__(self, argv, **options):
        words = [word for word in argv[1:] if word != "--user"]
        self.calls.append(list(argv))
        if words[0] in self.answers:
            said = self.answers[words[0]]
            return process.Result(tuple(argv), 0 if "in" not in said and "dis" not in said else 1, said, "", 0.0)
        assert words[0] in ("daemon-reload", "enable", "restart"), argv
        return process.Result(tuple(argv), 0, "", "", 0.0)

    def verbs(self):
        return [argv[-2] if argv[-1] in NAMES else argv[-1] for argv in self.calls]


def ensure(systemd, **more):
    given = {"user": False, "rewritten": False, "check": False, **more}
    return timers.ensure(NAMES, world=dataclasses.replace(World.real(), run=systemd), **given)


def test_timers_that_wait_cost_two_looks_and_change_nothing():
    systemd = Systemd("enabled\nenabled\n", "active\nactive\n")
    assert ensure(systemd) == []
    assert len(systemd.calls) == 2


def test_only_the_one_that_does_not_wait_is_started():
    systemd = Systemd("enabled\nenabled\n", "active\ninactive\n")
    assert ensure(systemd) == [NAMES[1]]
    assert systemd.calls[2:] == [["systemctl", "enable", NAMES[1]], ["systemctl", "restart", NAMES[1]]]
    assert ensure(Systemd("disabled\nenabled\n", "active\nactive\n")) == [NAMES[0]]
    assert ensure(Systemd("", "inactive\ninactive\n")) == NAMES  # is-enabled says nothing of units it cannot find


def test_new_files_are_read_before_anything_starts_and_check_mode_only_looks():
    systemd = Systemd("enabled\nenabled\n", "active\nactive\n")
    assert ensure(systemd, rewritten=True, user=True) == NAMES
    assert [argv[:3] for argv in systemd.calls[2:]] == [
        ["systemctl", "--user", "daemon-reload"],
        ["systemctl", "--user", "enable"],
        ["systemctl", "--user", "restart"],
    ]
    systemd = Systemd("disabled\ndisabled\n", "inactive\ninactive\n")
    assert ensure(systemd, check=True) == NAMES
    assert len(systemd.calls) == 2


def test_what_systemd_says_reaches_the_user():
    def refuse(argv, **options):
        if argv[1] == "enable":
            raise process.CommandError("exit code 1: Unit is masked.", process.Result(tuple(argv), 1, "", "", 0.0))
        return process.Result(tuple(argv), 1, "masked\nmasked\n", "", 0.0)

    with pytest.raises(BackupError, match=r"timers cannot be started.*masked"):
        ensure(refuse)
