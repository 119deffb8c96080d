# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""This machine as an inventory host, on which the role is run by ansible-playbook."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess

from compose_lab import Lab

ROOT = pathlib.Path(__file__).resolve().parents[3]
PLAYBOOK = [{"name": "Run the role", "hosts": "all", "gather_facts": False, "roles": ["onebox.stack.compose_stack"]}]


class Box:
    """An inventory host that is this machine, with one stack whose source is the folder of ``lab``."""

    def __init__(self, lab: Lab, home: pathlib.Path) -> None:
        self.lab = lab
        self.deployed = home / "deployed"
        self.temporary = home / "tmp"
        self.temporary.mkdir()
        self.environ = {
            **lab.backend.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_INJECT_FACT_VARS": "false",
            "PATH": f"{ROOT}/.venv/bin:{lab.backend.environ['PATH']}",
            "ANSIBLE_REMOTE_TMP": str(self.temporary),
            "TMPDIR": str(self.temporary),
        }
        self.variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "compose_stack_name": lab.project,
            "compose_stack_source": str(lab.folder),
            "compose_stack_project_dir": str(self.deployed),
            "compose_stack_state_dir": str(home / "state"),
            "compose_stack_engine": lab.backend.engine,
            "compose_stack_boot": False,
        }
        # Variables of other hosts of the inventory, for runs that are limited to this one.
        self.others: dict[str, dict[str, object]] = {}
        self._home = home
        (home / "play.json").write_text(json.dumps(PLAYBOOK))

    def use_group_vars(self, path: pathlib.Path) -> None:
        (self._home / "group_vars").mkdir()
        (self._home / "group_vars/all.yml").symlink_to(path)

    def run(self, *words: str, playbook: str = "", expect: int = 0) -> str:
        inventory = self._home / "hosts.json"
        variables = {**self.variables, "compose_stack_env": self.lab.variables}
        inventory.write_text(json.dumps({"all": {"hosts": {"box": variables, **self.others}}}))
        done = subprocess.run(
            ["ansible-playbook", "-i", str(inventory), playbook or str(self._home / "play.json"), *words],
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr

    def changed(self, *words: str) -> int:
        return int(re.search(r"changed=(\d+)", self.run(*words)).group(1))

    def files(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in self.deployed.rglob("*") if path.is_file()}
