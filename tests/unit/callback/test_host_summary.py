# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs over several hosts: a failing host stops no other, one line a host comes last, and the exit code says so."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.plugin_utils.host_summary import Summary

ROOT = pathlib.Path(__file__).resolve().parents[3]
# Nothing listens on port 1, so ssh ends at once.
AWAY = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}


def run(
    folder: pathlib.Path, playbook: pathlib.Path, hosts: t.Mapping[str, t.Any], *words: str
) -> tuple[int, list[str]]:
    """Exit code and the lines of the output."""
    inventory = folder / "hosts.yml"
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}))
    env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_HOME": str(folder / ".ansible")}
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", str(inventory), str(playbook), *words],
        env={**env, "PWD": str(folder)},
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=900,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).splitlines()


def last(lines: list[str]) -> list[str]:
    """The summary: the lines from the count of the hosts on."""
    begin = next(number for number, line in enumerate(lines) if " hosts: " in line)
    return [line for line in lines[begin:] if line]


def test_worst_host_is_first_and_hosts_of_one_state_are_by_name() -> None:
    summary = Summary()
    summary.of("zebra").unreachable = "ssh: timed out"
    summary.of("b").failed = "Deploy the stack\nweb did not become healthy"
    summary.of("a").failed = "Deploy the stack\nno room"
    summary.result("demo", {"document": {"findings": [], "ok": True, "lines": []}})
    summary.result("mac", {"document": {"findings": [{}], "ok": False, "lines": ["critical: x", "warning: y"]}})
    summary.of("demo").changed = 3
    assert summary.lines() == [
        "5 hosts: 1 unreachable, 2 failed, 1 not ok, 1 ok",
        "  zebra  unreachable  ssh: timed out",
        "  a      failed       Deploy the stack no room",
        "  b      failed       Deploy the stack web did not become healthy",
        "  mac    not ok       critical: x (and 1 more)",
        "  demo   ok           3 changed",
    ]


def test_single_host_needs_no_summary() -> None:
    summary = Summary()
    summary.of("demo").failed = "x"
    assert summary.lines() == []


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ({"services": []}, "no service runs"),
        ({"services": [{"name": "web", "ok": False}]}, "services that are not healthy: web"),
        ({"mounts": [{"verdict": "missing"}, {"verdict": "ok"}]}, "1 of 2 mounts are not proven"),
        ({"endpoints": [{"ok": False}]}, "an endpoint does not answer"),
        ({}, "the backups have problems"),
    ],
)
def test_report_that_is_not_good_names_its_part(part: dict[str, t.Any], text: str) -> None:
    summary = Summary()
    summary.result("demo", {"report": {"services": [{"name": "web", "ok": True}], "ok": False, **part}})
    assert (summary.of("demo").state, summary.of("demo").text) == ("not ok", text)


def test_report_that_is_good_does_not_hide_findings_of_the_watch() -> None:
    summary = Summary()
    summary.result("demo", {"document": {"findings": [{}], "ok": False, "lines": ["critical: x"]}})
    summary.result("demo", {"report": {"ok": True}})
    assert summary.of("demo").state == "not ok"


def test_failing_host_stops_no_other(tmp_path: pathlib.Path) -> None:
    tasks = [
        {"name": "Break one host", "ansible.builtin.fail": {"msg": "no room"}, "when": "inventory_hostname == 'b'"},
        {"name": "Continue", "ansible.builtin.command": {"argv": ["true"]}},
    ]
    book = tmp_path / "play.yml"
    plays = [{"hosts": "all", "gather_facts": False, "tasks": tasks[number:]} for number in (0, 1)]
    book.write_text(json.dumps(plays))
    code, lines = run(tmp_path, book, {"a": LOCAL, "b": LOCAL, "away": AWAY})
    # 2 is a failed host, 4 an unreachable one.
    assert code & 6, lines
    found = last(lines)
    assert found[0] == "3 hosts: 1 unreachable, 1 failed, 1 ok"
    assert [line.split()[:2] for line in found[1:]] == [["away", "unreachable"], ["b", "failed"], ["a", "ok"]]
    assert found[3].endswith("2 changed")
    assert "Connection refused" in found[1]


def test_page_covers_all_hosts_and_strict_ends_with_an_exit_code(tmp_path: pathlib.Path) -> None:
    watched = {"onebox_stack": "", "watch_paths": [str(tmp_path / "none")], "watch_units": [], "watch_clock": False}
    hosts = {"bad": {**LOCAL, **watched}, "away": AWAY}
    page = tmp_path / "all.html"
    words = ["-e", f"report_page={page}"]
    code, lines = run(tmp_path, ROOT / "playbooks/page.yml", hosts, *words)
    assert code == 0, lines
    assert last(lines)[0] == "2 hosts: 1 unreachable, 1 not ok"
    text = page.read_text()
    assert "Connection refused" in text
    assert "cannot be read" in text
    code, lines = run(tmp_path, ROOT / "playbooks/page.yml", hosts, *words, "-e", "report_strict=true")
    assert code == 2, lines
    assert any("bad is not as promised" in line for line in lines)
