# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stacks that share a restic repository: each waits for the other's lock, and neither lists the other's sets."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration, rehearse, run
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import install
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from backup_stack import restic_programs

STACKS = ("one", "two", "three")


@pytest.fixture
def configs(tmp_path):
    (tmp_path / "key").write_text("the key\n", encoding="utf-8")
    made = {}
    for name in STACKS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_bytes(name.encode() * 10_000)
        config = {
            "stack": name,
            "state_dir": str(tmp_path / f"state-{name}"),
            "reserve_mib": 1,
            "timeout": 300,
            # Each run deletes, for which restic needs exclusive access.
            "retention": {"daily": 1, "weekly": 0, "min_keep": 1},
            "repository": {
                "engine": "restic",
                "path": str(tmp_path / "repo"),
                "password_file": str(tmp_path / "key"),
                "program": str(restic_programs() / "restic"),
            },
            "sources": [{"name": "d", "kind": "directory", "path": str(tmp_path / name)}],
        }
        made[name] = tmp_path / f"{name}.json"
        made[name].write_text(json.dumps(config), encoding="utf-8")
    return made


def test_concurrent_stacks_in_one_repository_wait_for_each_other(configs, tmp_path, tally, how_many):
    runner = tmp_path / "onebox-backup"
    install.install(str(runner), sys.executable, False)
    failed = count = 0
    for _round in range(how_many(4, 16)):
        started = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        argvs = [[str(runner), "--config", str(config), "backup"] for config in configs.values()]
        runs = [subprocess.Popen(argv, **started) for argv in argvs]
        for each in runs:
            said, _nothing = each.communicate(timeout=600)
            count += 1
            failed += each.returncode != 0
            print(said if each.returncode else "")
    tally("backups of three stacks at once into one restic repository: failed", count, failed)
    for name, config in configs.items():
        context = contexts.make(configuration.read(str(config)), World.real())
        assert {found.manifest.stack for found in context.store.sets()} == {name}
        assert rehearse.rehearse(context)["error"] == ""


def test_lock_of_a_dead_process_is_removed_without_a_wait(configs):
    context = contexts.make(configuration.read(str(configs["one"])), World.real())
    assert run.backup(context)["error"] == ""
    words = [context.store._program._argv("backup", None)]
    dead = subprocess.Popen([*words[0], "backup", "--stdin"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    locks = (configs["one"].parent / "repo/locks").iterdir
    assert World.real().wait_until(lambda: any(locks()), 30, 0.05)
    dead.kill()
    dead.wait()
    assert any(locks())
    began = World.real().monotonic()
    assert run.backup(context)["error"] == ""
    assert World.real().monotonic() - began < 60
