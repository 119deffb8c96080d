# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings name the command of the scheduler that runs the watch: systemd of the host or of the user, launchd, cron."""

from __future__ import annotations

import dataclasses
import pathlib
import sys

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge import host
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.commands import Commands
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.verdicts import Verdicts
from ansible_collections.onebox.stack.plugins.module_utils.watch.probe import host as probe


@pytest.mark.parametrize(
    ("scheduler", "status", "log"),
    [
        ("system", "systemctl status onebox-watch-demo.timer", "journalctl -u onebox-watch-demo -n 20"),
        ("user", "systemctl --user status onebox-watch-demo.timer", "journalctl --user -u onebox-watch-demo -n 20"),
        (
            "launchd",
            "launchctl print gui/$(id -u)/stack.onebox.watch.demo",
            "tail -n 20 ~/Library/Logs/onebox-watch.log",
        ),
        ("cron", "crontab -l", "tail -n 20 /var/mail/$USER"),
    ],
)
def test_command_about_the_watch_is_that_of_its_scheduler(scheduler: str, status: str, log: str) -> None:
    commands = Commands(scheduler)
    assert (commands.timer_status("demo"), commands.watch_log("demo")) == (status, log)


def test_findings_of_units_of_a_user_name_the_systemd_of_the_user() -> None:
    verdicts = Verdicts(1.0, "demo", {}, Commands("user"))
    host.units({"failed": ["onebox-x.service"], "stopped": ["onebox-x.timer"]}, verdicts)
    host.units({"error": "no bus"}, verdicts)
    assert [finding.fix for finding in verdicts.findings] == [
        "journalctl --user -u onebox-x.service -n 50",
        "systemctl --user start onebox-x.timer",
        "systemctl --user --failed",
    ]


def test_scheduler_is_found_by_system_and_user(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_SYSTEMD", str(tmp_path))
    world = World.real()
    root, user = dataclasses.replace(world, uid=0), dataclasses.replace(world, uid=1000)
    assert (probe.scheduler(root), probe.scheduler(user)) == ("system", "user")
    monkeypatch.setattr(probe, "_SYSTEMD", str(tmp_path / "none"))
    assert probe.scheduler(root) == "cron"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert probe.scheduler(root) == "launchd"


def test_agent_of_the_role_is_the_one_that_the_command_names() -> None:
    role = pathlib.Path(__file__).resolve().parents[3] / "roles" / "watch"
    schedule = (role / "tasks" / "schedule.yml").read_text()
    assert 'label: "stack.onebox.watch.{{ watch_name }}"' in schedule
    assert "{{ __watch_home }}/Library/Logs/onebox-watch.log" in (role / "vars" / "main.yml").read_text()
