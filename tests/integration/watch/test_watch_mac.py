# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role watch on a Mac, run by the real Ansible as an ordinary user, and its LaunchAgent's command.

There is no macOS here: the facts say Darwin, and launchctl is tests/testbed/mac/fake_launchctl.py with recorded
answers. Program, configuration and property list are real.
"""

from __future__ import annotations

import json
import os
import pathlib
import plistlib
import re
import subprocess
import typing as t

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
FAKE = ROOT / "tests/testbed/mac/fake_launchctl.py"
AS_USER = ["unshare", "-U", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []
LABEL = "stack.onebox.watch.mac"


class Mac:
    """A home without agents, and launchd."""

    def __init__(self, home: pathlib.Path) -> None:
        self.home = home
        self.folder = home / "Library/LaunchAgents"
        self.folder.mkdir(parents=True)
        (home / "Library/Logs").mkdir()
        self.uid = 1000 if AS_USER else os.geteuid()
        self.state = home / "launchd.json"
        domains = [f"gui/{self.uid}", f"user/{self.uid}"]
        self.state.write_text(json.dumps({"macos": 15, "slow": 1, "domains": domains, "jobs": {}, "disabled": {}}))

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "HOME": str(self.home), "FAKE_LAUNCHD": str(self.state), **more}
        return subprocess.run(
            [*AS_USER, *words], env=env, text=True, capture_output=True, timeout=180, check=False, cwd=ROOT
        )

    def play(self, *words: str, system: str = "Darwin", **variables: t.Any) -> tuple[int, int, str]:
        """Exit code, number of changed tasks, output."""
        facts = {
            "ansible_system": system,
            "ansible_user_uid": self.uid,
            "ansible_user_dir": str(self.home),
            # Without it, the roles would gather the facts of this machine over these.
            "ansible_service_mgr": "launchd" if system == "Darwin" else "",
            "cacheable": True,
        }
        given = {
            "onebox_stack": "",
            "watch_name": "mac",
            "watch_paths": [str(self.home)],
            "watch_ping_url": "http://127.0.0.1:9/ping",
            "watch_agents_directory": str(self.folder),
            "watch_launchctl": str(FAKE),
            "ansible_python_interpreter": str(ROOT / ".venv/bin/python"),
            **variables,
        }
        tasks = [{"ansible.builtin.set_fact": facts}, {"ansible.builtin.include_role": {"name": "onebox.stack.watch"}}]
        book = self.home / "play.yml"
        book.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "vars": given, "tasks": tasks}]))
        place = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_HOME": str(self.home / ".ansible")}
        place["ANSIBLE_LOCAL_TEMP"] = place["ANSIBLE_REMOTE_TEMP"] = str(self.home / ".tmp")
        done = self.run(
            str(ROOT / ".venv/bin/ansible-playbook"), "-i", "mac,", "-c", "local", str(book), *words, **place
        )
        changed = re.search(r"changed=(\d+)", done.stdout)
        return done.returncode, int(changed.group(1)) if changed else -1, done.stdout + done.stderr

    def jobs(self) -> list[str]:
        return list(json.loads(self.state.read_text())["jobs"])

    def agent(self) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", plistlib.loads((self.folder / f"{LABEL}.plist").read_bytes()))


@pytest.fixture
def mac(tmp_path: pathlib.Path) -> Mac:
    return Mac(tmp_path)


def test_agent_is_installed_once_changed_and_removed(mac: Mac) -> None:
    config = mac.home / ".config/onebox/watch/mac.json"
    code, _changed, said = mac.play("--check")
    assert (code, mac.jobs(), config.exists()) == (0, [], False), said
    code, changed, said = mac.play()
    assert (code, changed) == (0, 2), said
    assert mac.jobs() == [f"gui/{mac.uid}/{LABEL}"]
    assert mac.agent()["StartInterval"] == 300
    assert (config.parent / "mac.ping").read_text() == "http://127.0.0.1:9/ping\n"
    assert mac.play()[:2] == (0, 0)
    code, changed, said = mac.play(watch_minutes=10)
    assert (code, changed, mac.agent()["StartInterval"]) == (0, 2, 600), said
    code, changed, said = mac.play(watch_state="absent")
    assert (code, changed, mac.jobs()) == (0, 2, []), said
    assert list(config.parent.iterdir()) == []
    assert mac.play(watch_state="absent")[:2] == (0, 0)


def test_command_of_the_agent_writes_the_document(mac: Mac) -> None:
    code, _changed, said = mac.play(watch_ping_url="", watch_clock=False)
    assert code == 0, said
    agent = mac.agent()
    done = mac.run(*agent["ProgramArguments"], **agent["EnvironmentVariables"])
    assert (done.returncode, done.stdout) == (0, "all as promised\n"), done.stderr
    document = json.loads((mac.home / ".local/state/onebox-watch/mac/watch.json").read_text())
    assert (document["host"], document["ok"]) == ("mac", True)
    assert agent["StandardOutPath"] == str(mac.home / "Library/Logs/onebox-watch.log")


@pytest.mark.skipif(pathlib.Path("/run/systemd/system").is_dir(), reason="this host has systemd")
def test_host_without_a_scheduler_gets_the_line_for_a_crontab(mac: Mac) -> None:
    code, _changed, said = mac.play(system="Linux")
    assert (code, mac.jobs()) == (0, []), said
    program = mac.home / ".local/bin/onebox-watch"
    config = mac.home / ".config/onebox/watch/mac.json"
    assert f"(crontab -e): */5 * * * * {program} --config {config} run" in " ".join(said.split())
