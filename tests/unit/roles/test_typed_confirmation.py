# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""down.yml and retire.yml require the name of the stack in a terminal, and change nothing after another answer."""

from __future__ import annotations

import json
import os
import pathlib
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "testbed"))

from onebox_testbed import terminal  # noqa: E402

NAME = "obx-prompt"
PROMPT = "type the name of the stack"


def typed(folder: pathlib.Path, playbook: pathlib.Path, answer: str) -> tuple[int, str]:
    """Run a playbook for this machine and type an answer. Returns its exit code and output."""
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "onebox_stack": NAME,
        "onebox_root": str(folder),
        "onebox_state_dir": str(folder),
    }
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": {"box": host}}}))
    environ = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",
        "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    argv = ["ansible-playbook", "-i", str(folder / "hosts.json"), str(playbook)]
    code, said = terminal.run(argv, ROOT, environ, PROMPT, answer)
    return code, " ".join(said.split())


@pytest.mark.parametrize(("name", "answer"), [("down", ""), ("down", "obx-promp"), ("retire", "obx-prompt x")])
def test_other_answer_ends_the_run_before_a_change(name: str, answer: str, tmp_path: pathlib.Path) -> None:
    code, said = typed(tmp_path, ROOT / f"playbooks/{name}.yml", answer)
    assert PROMPT in said
    assert code == 2, said
    assert f"-e confirm={NAME}" in said
    assert "Nothing was changed: to" in said
    assert "changed=0 " in said


@pytest.mark.parametrize("answer", [NAME, f"other, {NAME} "])
def test_name_of_the_stack_continues_the_run(answer: str, tmp_path: pathlib.Path) -> None:
    role = {"name": "onebox.stack.onebox"}
    tasks = [
        {"name": "Gather minimal facts", "ansible.builtin.import_role": role},
        {
            "name": "Require the name of the stack",
            "ansible.builtin.import_role": {**role, "tasks_from": "confirm"},
            "vars": {"__onebox_confirm_what": "remove the stack"},
        },
        {"name": "Continue", "ansible.builtin.debug": {"msg": "the run continues"}},
    ]
    playbook = tmp_path / "play.yml"
    playbook.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}], sort_keys=False))
    code, said = typed(tmp_path, playbook, answer)
    assert code == 0, said
    assert "the run continues" in said
