# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role on a Mac, and its LaunchAgent, run by the real Ansible as an ordinary user.

There is no macOS here: the facts say Darwin, ``launchctl`` is tests/testbed/mac/fake_launchctl.py with its recorded
answers, and ``caffeinate`` is left out when the agent's command is run. Backups, runner and property list are real.
"""

from __future__ import annotations

import json
import os
import pathlib
import plistlib
import re
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
FAKE = ROOT / "tests/testbed/mac/fake_launchctl.py"
AS_USER = ["unshare", "-U", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []
LABEL = "stack.onebox.backup.coin"


class Mac:
    """A home with data, no agents, and launchd."""

    def __init__(self, home: pathlib.Path) -> None:
        self.home = home
        self.folder = home / "Library/LaunchAgents"
        self.folder.mkdir(parents=True)
        (home / "data").mkdir()
        (home / "data/f").write_text("x", encoding="utf-8")
        self.state = home / "launchd.json"
        self.uid = 1000 if AS_USER else os.geteuid()
        domains = [f"gui/{self.uid}", f"user/{self.uid}"]
        self.state.write_text(json.dumps({"macos": 15, "slow": 1, "domains": domains, "jobs": {}, "disabled": {}}))
        self.vars = {
            "backups_stack": "coin",
            "backups_sources": [{"name": "d", "kind": "directory", "path": str(home / "data")}],
            "backups_reserve_mib": 0,
            "backups_agents_directory": str(self.folder),
            "backups_launchctl": str(FAKE),
        }

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "HOME": str(self.home), "FAKE_LAUNCHD": str(self.state), **more}
        return subprocess.run(
            [*AS_USER, *words], env=env, text=True, capture_output=True, timeout=300, check=False, cwd=ROOT
        )

    def play(self, *words: str, system: str = "Darwin", **more: object) -> tuple[int, int, str]:
        """Exit code, number of changed tasks, output."""
        facts = {
            "ansible_system": system,
            "ansible_service_mgr": "launchd" if system == "Darwin" else "sysvinit",
            "ansible_user_uid": self.uid,
            "ansible_user_dir": str(self.home),
            "cacheable": True,
        }
        role = {"ansible.builtin.include_role": {"name": "onebox.stack.backups"}}
        play = {"hosts": "all", "gather_facts": False, "vars": {**self.vars, **more}}
        play["tasks"] = [{"ansible.builtin.set_fact": facts}, role]
        book = self.home / "play.yml"
        book.write_text(yaml.safe_dump([play]))
        place = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_HOME": str(self.home / ".ansible")}
        place["ANSIBLE_LOCAL_TEMP"] = place["ANSIBLE_REMOTE_TEMP"] = str(self.home / ".tmp")
        python = f"ansible_python_interpreter={ROOT}/.venv/bin/python"
        program = str(ROOT / ".venv/bin/ansible-playbook")
        done = self.run(program, "-i", "mac,", "-c", "local", "-e", python, str(book), *words, **place)
        changed = re.search(r"changed=(\d+)", done.stdout)
        return done.returncode, int(changed.group(1)) if changed else -1, done.stdout + done.stderr

    def jobs(self) -> dict[str, object]:
        return json.loads(self.state.read_text())["jobs"]

    def definition(self) -> dict[str, object]:
        return plistlib.loads((self.folder / f"{LABEL}.plist").read_bytes())


@pytest.fixture
def mac(tmp_path):
    return Mac(tmp_path)


def test_schedule_is_installed_once_and_removed(mac):
    code, _changed, said = mac.play("--check")
    assert code == 0, said
    assert mac.jobs() == {}
    assert not (mac.home / ".local/share/onebox-backups").exists()
    code, _changed, said = mac.play()
    assert code == 0, said
    assert list(mac.jobs()) == [f"gui/{mac.uid}/{LABEL}"]
    sets = mac.home / ".local/share/onebox-backups/coin/sets"
    assert os.listdir(sets) == ["000001"]
    code, changed, said = mac.play()
    assert (code, changed) == (0, 0), said
    assert os.listdir(sets) == ["000001"]
    code, changed, said = mac.play(backups_schedule="*-*-* 03:30:00")
    assert (code, changed) == (0, 1), said
    assert "*-*-* 03:30:00" in mac.definition()["ProgramArguments"]
    code, _changed, said = mac.play(backups_state="absent")
    assert code == 0, said
    assert mac.jobs() == {}
    assert os.listdir(sets) == ["000001"]


def test_agent_starts_often_and_the_runner_repeats_missed_jobs(mac):
    code, _changed, said = mac.play()
    assert code == 0, said
    agent = mac.definition()
    assert (agent["RunAtLoad"], agent["StartInterval"], agent["Umask"]) == (True, 900, 0o77)
    assert agent["ProgramArguments"][:2] == ["/usr/bin/caffeinate", "-i"]
    words = agent["ProgramArguments"][2:]
    environment = agent["EnvironmentVariables"]
    first = mac.run(*words, **environment)
    assert first.returncode == 0, first.stderr
    assert "ok     check" in first.stdout  # backup and rehearsal were made by the role a moment ago
    assert "ok     backup" not in first.stdout
    assert mac.run(*words, **environment).stdout == "nothing is due\n"
    # Off for two days: the recorded times are that much older.
    for place in (mac.home / ".local/state/onebox-backup/coin").glob("*.json"):
        text = place.read_text(encoding="utf-8")
        place.write_text(re.sub(r'("ended"|"at"): (\d+)', lambda m: f"{m[1]}: {int(m[2]) - 2 * 86400}", text))
    again = mac.run(*words, **environment)
    assert "ok     backup" in again.stdout, again.stderr
    assert "ok     check" in again.stdout
    assert sorted(os.listdir(mac.home / ".local/share/onebox-backups/coin/sets")) == ["000001", "000002"]


def test_schedule_that_launchd_does_not_support_is_refused_with_an_example(mac):
    code, _changed, said = mac.play(backups_schedule="daily")
    assert code != 0
    assert "*-*-* 02:15:00" in said
    assert mac.jobs() == {}
    assert not (mac.home / ".local/bin/onebox-backup").exists()


def test_without_systemd_and_launchd_the_line_for_a_crontab_is_shown(mac):
    code, _changed, said = mac.play(system="Linux")
    assert code == 0, said
    assert mac.jobs() == {}
    flat = " ".join(said.split())
    assert "Add this line to the crontab (crontab -e): */15 * * * * " in flat
    assert "due --backup" in flat
