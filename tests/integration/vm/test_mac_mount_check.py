# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schedule of the role mount_check on a Mac, and on a host without a scheduler.

macOS is simulated: the facts are those of Darwin, and launchctl is tests/testbed/mac/fake_launchctl.py with recorded
answers. Program, property list and Ansible are real. The check itself needs an engine: see the scenario verify.
"""

from __future__ import annotations

import json
import os
import pathlib
import plistlib
import subprocess
import typing as t

import pytest
from test_mac_playbooks import AS_USER, FAKE, Host

LABEL = "stack.onebox.verify.shop"


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    return Host(tmp_path)


def schedule(host: Host, state: str, *words: str, system: str = "Darwin", **more: t.Any) -> tuple[int, int, str]:
    """Run only the role's schedule, for the project shop."""
    facts = {
        "ansible_system": system,
        "ansible_user_uid": 1000 if AS_USER else os.geteuid(),
        "ansible_user_dir": str(host.home),
        "cacheable": True,
    }
    variables = {
        "mount_check_project": "shop",
        "mount_check_schedule": state,
        "mount_check_agents_directory": str(host.folder),
        "mount_check_launchctl": str(FAKE),
        **more,
    }
    role = {"name": "onebox.stack.mount_check", "tasks_from": "schedule.yml"}
    tasks = [{"ansible.builtin.set_fact": facts}, {"ansible.builtin.include_role": role}]
    book = host.home / "play.yml"
    book.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "vars": variables, "tasks": tasks}]))
    return host.play(book, *words)


def loaded(host: Host) -> list[str]:
    return [name for name in json.loads(host.state.read_text())["jobs"] if name.endswith(LABEL)]


def test_agent_is_installed_once_and_removed_with_its_metrics(host: Host) -> None:
    metrics = host.home / "mounts.prom"
    code, changed, said = schedule(host, "present", "--check", mount_check_textfile=str(metrics))
    assert (code, changed, loaded(host)) == (0, 2, []), said
    code, changed, said = schedule(host, "present", mount_check_textfile=str(metrics))
    assert (code, changed) == (0, 2), said
    assert len(loaded(host)) == 1
    program = host.home / ".local/bin/onebox-verify-shop"
    agent = plistlib.loads((host.folder / f"{LABEL}.plist").read_bytes())
    assert agent["ProgramArguments"][0] == str(program)
    assert subprocess.run([str(program), "--help"], capture_output=True, check=False).returncode == 0
    assert schedule(host, "present", mount_check_textfile=str(metrics))[:2] == (0, 0)
    metrics.write_text("onebox_mounts_ok 1\n")
    # The textfile is known from the agent.
    code, changed, said = schedule(host, "absent")
    assert (code, changed) == (0, 3), said
    assert not program.exists()
    assert not metrics.exists()
    assert not (host.folder / f"{LABEL}.plist").exists()
    assert loaded(host) == []
    assert schedule(host, "absent")[:2] == (0, 0)


@pytest.mark.skipif(pathlib.Path("/run/systemd/system").is_dir(), reason="this machine has systemd")
def test_host_without_a_scheduler_gets_the_program_and_the_line_for_a_crontab(host: Host) -> None:
    code, changed, said = schedule(host, "present", system="Linux")
    assert (code, changed) == (0, 1), said
    program = host.home / ".local/bin/onebox-verify-shop"
    assert program.exists()
    flat = " ".join(said.split())
    assert f"(crontab -e): */15 * * * * {program} --engine auto --project shop" in flat
