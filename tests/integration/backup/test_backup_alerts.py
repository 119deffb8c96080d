# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped alert rules and the metrics file, judged by the real promtool (Debian's package prometheus)."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration, rehearse, run, status
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from onebox_testbed import packages
from onebox_testbed.base import CACHE

ROOT = pathlib.Path(__file__).resolve().parents[3]
RULES = ROOT / "roles/backups/files/onebox-backup.rules.yml"
TESTS = pathlib.Path(__file__).with_name("alerts_test.yml")


@pytest.fixture(scope="session")
def promtool():
    place = CACHE / "prometheus-bookworm"  # the one suite whose package has promtool
    if not place.is_dir():
        packages.unpack("bookworm", ["prometheus"], place)
    return str(place / "usr/bin/promtool")


def judge(promtool, *words, given=None):
    done = subprocess.run([promtool, *words], input=given, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def trial(promtool, place, rules):
    shutil.copy(TESTS, place / TESTS.name)
    (place / RULES.name).write_text(rules, encoding="utf-8")
    return judge(promtool, "test", "rules", str(place / TESTS.name))


def test_alert_rules_fire_with_the_right_texts(promtool, tmp_path):
    code, said = judge(promtool, "check", "rules", "--lint-fatal", str(RULES))
    assert code == 0, said
    assert "12 rules found" in said
    code, said = trial(promtool, tmp_path, RULES.read_text(encoding="utf-8"))
    assert code == 0, said


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("> onebox_backup_max_age_seconds", "> 2 * onebox_backup_max_age_seconds"),
        ("onebox_backup_sets == 0", "onebox_backup_sets < 0"),
        ("onebox_backup_last_run_ok == 0", "onebox_backup_last_run_ok == 2"),
        ("onebox_backup_rehearsal_last_ok == 0", 'onebox_backup_rehearsal_last_ok{where="local"} == 0'),
        ("9 * 86400", "90 * 86400"),
        ("for: 9d", "for: 90d"),
        ("for: 16d", "for: 90d"),
        ("last_check_ok == 0", "last_check_ok == 2"),
        ("3 * 86400", "30 * 86400"),
        ("[14d]", "[1d]"),
        ("onebox_backup_max_age_seconds{}", "onebox_backup_sets"),
        ("lag_sets > 0", "lag_sets > 9"),
        ("absent(onebox_backup_max_age_seconds)", "absent(vector(1))"),
        ("onebox_backup_sets > 0\n          unless", "onebox_backup_sets > 0\n          and"),
        ("lag_sets >= 0\n          unless", "lag_sets >= 0\n          and"),
    ],
)
def test_each_alert_rule_is_covered_by_the_tests(promtool, tmp_path, old, new):
    """A negative control for each rule: the tests must fail with a damaged rule."""
    rules = RULES.read_text(encoding="utf-8")
    assert rules.count(old) == 1
    code, said = trial(promtool, tmp_path, rules.replace(old, new))
    assert code == 1, said
    assert "FAILED" in said


def test_promtool_reads_the_metrics_of_a_run(promtool, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "f").write_text("x", encoding="utf-8")
    config = {
        "stack": "coin",
        "state_dir": str(tmp_path / "state"),
        "repository": {"engine": "files", "path": str(tmp_path / "repo")},
        "reserve_mib": 1,
        "metrics_file": str(tmp_path / "coin.prom"),
        "sources": [{"name": "d", "kind": "directory", "path": str(tmp_path / "data")}],
    }
    assert run.backup(contexts.make(configuration.parse(config), World.real()))["error"] == ""
    assert rehearse.rehearse(contexts.make(configuration.parse(config), World.real()))["error"] == ""
    assert status.check(contexts.make(configuration.parse(config), World.real()))["healthy"] is True
    text = (tmp_path / "coin.prom").read_text(encoding="utf-8")
    assert judge(promtool, "check", "metrics", given=text) == (0, "")
    assert judge(promtool, "check", "metrics", given=text.replace("} ", "} x"))[0] != 0
    # Every series in a rule is written: an alert with a mistyped name would never fire.
    named = set(re.findall(r"onebox_backup_\w+", RULES.read_text(encoding="utf-8")))
    written = {line.split("{")[0] for line in text.splitlines() if not line.startswith("#")}
    assert named - written <= {"onebox_backup_offsite_lag_sets"}  # this stack has no off-site repository
    assert len(named) >= 6
