# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role swarm refuses wrong groups before it queries an engine."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (("swarm_managers", "swarm_workers"), "box is in the groups swarm_managers (swarm_managers) and swarm_workers"),
        (("swarm_workers",), "needs at least one host of the group swarm_managers"),
        (("others",), "Put box into one of them"),
    ],
    ids=["both", "no_manager", "neither"],
)
def test_groups_that_make_no_swarm_are_refused(tmp_path: pathlib.Path, groups: tuple[str, ...], message: str) -> None:
    variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory = {group: {"hosts": {"box": variables}} for group in groups}
    (tmp_path / "hosts.json").write_text(json.dumps(inventory))
    play = {"hosts": "all", "gather_facts": False, "roles": ["onebox.stack.swarm"]}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    done = subprocess.run(
        ["ansible-playbook", "-i", str(tmp_path / "hosts.json"), str(tmp_path / "play.yml")],
        cwd=ROOT,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp"),
            "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in " ".join(done.stdout.split()), done.stdout
