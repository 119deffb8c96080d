# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alert rules and dashboards of the role monitoring, judged by the real promtool (Debian's package prometheus)."""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import typing as t

import pytest
import yaml
from onebox_testbed import packages
from onebox_testbed.base import CACHE

ROOT = pathlib.Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles/monitoring"
RULES = sorted((ROLE / "files/rules").glob("*.yml"))
TESTS = pathlib.Path(__file__).with_name("alerts_test.yml")


@pytest.fixture(scope="session")
def promtool() -> str:
    place = CACHE / "prometheus-bookworm"  # the one suite whose package has promtool
    if not place.is_dir():
        packages.unpack("bookworm", ["prometheus"], place)
    return str(place / "usr/bin/promtool")


def judge(promtool: str, *words: str) -> tuple[int, str]:
    done = subprocess.run([promtool, *words], capture_output=True, text=True, timeout=600, check=False)
    return done.returncode, done.stdout + done.stderr


def trial(promtool: str, folder: pathlib.Path, spoilt: t.Mapping[str, str] | None = None) -> tuple[int, str]:
    """Test the rules, after replacing texts in them."""
    shutil.copy(TESTS, folder / TESTS.name)
    for path in RULES:
        text = path.read_text(encoding="utf-8")
        for old, new in (spoilt or {}).items():
            text = text.replace(old, new)
        (folder / path.name).write_text(text, encoding="utf-8")
    return judge(promtool, "test", "rules", str(folder / TESTS.name))


def test_rules_fire_on_their_fault_and_never_on_a_healthy_host(promtool: str, tmp_path: pathlib.Path) -> None:
    code, said = judge(promtool, "check", "rules", "--lint-fatal", *map(str, RULES))
    assert code == 0, said
    code, said = trial(promtool, tmp_path)
    assert code == 0, said


def test_each_alert_is_expected_by_a_test() -> None:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    expected = TESTS.read_text(encoding="utf-8")
    assert {alert for alert in alerts if f'alertname="{alert}"' not in expected} == {"WatchReportsGone"}
    assert "- alertname: WatchReportsGone" in expected
    assert len(alerts) >= 24


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('severity="critical", acknowledged="0"', 'severity="critical"'),
        ("3 * onebox_watch_interval_seconds", "2 * onebox_watch_interval_seconds"),
        ("7 * 86400", "6 * 86400"),
        ("1024 * 1024 * 1024", "1024 * 1024 * 1023"),
        ("onebox_watch_last_run_timestamp_seconds{}", "onebox_watch_ok"),
        ("for: 6h", "for: 60h"),
        ("alert: DiskFull", "alert: DiskEmpty"),
        (
            "rate(alertmanager_notifications_failed_total[15m]) > 0",
            "rate(alertmanager_notifications_failed_total[15m]) > 9",
        ),
        ('fstype!~"tmpfs|', 'fstype!~"nothing|'),
        ("absent(onebox_watch_containers)", "absent(vector(1))"),
        ("absent(node_timex_sync_status)", "absent(vector(1))"),
        ("absent(onebox_mounts_ok)", "absent(vector(1))"),
    ],
)
def test_limit_of_a_rule_is_held_by_the_tests(promtool: str, tmp_path: pathlib.Path, old: str, new: str) -> None:
    assert sum(path.read_text().count(old) for path in RULES) == 1
    code, said = trial(promtool, tmp_path, {old: new})
    assert code == 1, said


def test_expressions_of_the_dashboards_can_be_evaluated(promtool: str, tmp_path: pathlib.Path) -> None:
    found = [
        target["expr"]
        for path in (ROLE / "files/dashboards").glob("*.json")
        for panel in json.loads(path.read_text())["panels"]
        for target in panel.get("targets", ())
    ]
    assert len(found) > 30
    rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(found)]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    code, said = judge(promtool, "check", "rules", str(path))
    assert code == 0, said
    path.write_text(path.read_text().replace("min(onebox_watch_ok)", "min(onebox_watch_ok"))
    assert judge(promtool, "check", "rules", str(path))[0] != 0
