# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module invocations of a role, as ``ansible-playbook -vvv`` reports them. No module changes a host."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import typing as t

ROOT = pathlib.Path(__file__).resolve().parents[3]
RECORDED = pathlib.Path(__file__).resolve().parent / "recorded"


class Case(t.NamedTuple):
    """One run of a role.

    Args:
        name: names the recorded file.
        role: the role without its collection.
        variables: role variables. ``FOLDER`` in them stands for the directory.
        tasks_from: the role's task file.
    """

    name: str
    role: str
    variables: t.Mapping[str, t.Any]
    tasks_from: str = "main"


def invocations(cases: t.Sequence[Case], folder: pathlib.Path) -> dict[str, list[dict[str, t.Any]]]:
    """Run each case, and collect the invocations of the collection's modules.

    Args:
        cases: the runs.
        folder: an empty directory; ``FOLDER`` stands for it in the result.

    Returns:
        Name of the case -> ``action`` and ``module_args`` of each module call, in the order of the run.
    """
    plays = [
        {
            "name": case.name,
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}", **case.variables},
            "tasks": [
                {
                    "name": "Run the role",
                    "block": [
                        {
                            "name": "Run the role",
                            "ansible.builtin.include_role": {
                                "name": f"onebox.stack.{case.role}",
                                "tasks_from": case.tasks_from,
                            },
                        }
                    ],
                    "rescue": [{"name": "Continue", "ansible.builtin.meta": "clear_host_errors"}],
                }
            ],
        }
        for case in cases
    ]
    (folder / "play.json").write_text(json.dumps(plays).replace("FOLDER", str(folder)))
    done = subprocess.run(
        ["ansible-playbook", "-i", "localhost,", "-vvv", str(folder / "play.json")],
        cwd=ROOT,
        env=_environ(folder),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    # The JSON is between lines of other plugins.
    begin = done.stdout.find("\n{\n")
    assert begin >= 0, done.stdout[-3000:] + done.stderr[-3000:]
    played = json.JSONDecoder().raw_decode(done.stdout[begin + 1 :])[0]["plays"]
    return {play["play"]["name"]: list(_calls(play, str(folder))) for play in played}


def _environ(folder: pathlib.Path) -> dict[str, str]:
    return {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_INJECT_FACT_VARS": "false",
        "ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.default",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        "ANSIBLE_REMOTE_TMP": str(folder / "remote"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "local"),
        "TMPDIR": str(folder),
        "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}",
    }


def _calls(play: t.Mapping[str, t.Any], folder: str) -> t.Iterator[dict[str, t.Any]]:
    for task in play["tasks"]:
        result = task["hosts"].get("localhost", {})
        action = str(result.get("action", ""))
        if action.startswith("onebox.stack.") and "invocation" in result:
            arguments = json.loads(json.dumps(result["invocation"]["module_args"]).replace(folder, "FOLDER"))
            yield {"action": action, "module_args": arguments}
