"""data_dirs as a module and as a role, run by Ansible."""

from __future__ import annotations

import os

from examples_runner import run_examples, run_tasks


def test_examples_of_the_module_run_twice(lab):
    disk = lab.mount("-o", "loop", lab.disk("archive"), at=lab.place / "archive")
    replace = {
        "/srv/observer": f"{lab.place}/srv",
        "/opt/onebox/observer": f"{lab.place}/deploy",
        "/mnt/archive": str(disk),
        "    directories:": f"    state_dir: {lab.place}/state\n    directories:",
    }
    checked = run_examples("data_dirs", replace=replace, check=True, diff=True)
    assert not (lab.place / "srv").exists()
    done = run_examples("data_dirs", replace=replace, diff=True)
    for name, row in done.items():
        assert row["changed"]
        assert checked[name]["diff"] == row["diff"]
    assert not any(row["changed"] for row in run_examples("data_dirs", replace=replace).values())
    assert (lab.place / "srv" / "secrets").stat().st_uid == 999
    lab.unmount(disk)
    task = {"path": str(disk), "mountpoint": True}
    row = run_one(lab, [task])
    assert "1 problem, nothing was changed: " in row["msg"]
    assert "the disk is not mounted" in row["msg"]


def run_one(lab, directories: list, **options: object) -> dict:
    words = {"state_dir": f"{lab.place}/state", "directories": directories, **options}
    return run_tasks([{"name": "it", "onebox.stack.data_dirs": words, "ignore_errors": True}])["it"]


def test_all_problems_are_in_one_message(lab):
    row = run_one(lab, [{"path": "a"}, {"path": "/x", "mode": 750}, {"path": "/y", "owner": "nobody-here"}])
    assert row["msg"].startswith("3 problems, nothing was changed: ")
    for word in ("base is not set", "in quotes", "'nobody-here' does not exist"):
        assert word in row["msg"]
    assert len(row["problems"]) == 3


def test_unknown_values_are_refused_with_the_option(lab):
    for wrong, says in (({"colour": "red"}, "colour"), ({"class": "cache"}, "data, log, config, secret")):
        assert says in run_one(lab, [{"path": "/x", **wrong}])["msg"]


def test_role_registers_its_result(lab):
    variables = {
        "data_dirs_base": f"{lab.place}/srv",
        "data_dirs_state_dir": f"{lab.place}/state",
        "data_dirs_directories": [{"path": "a", "class": "log"}],
    }
    tasks = [
        {"name": "role", "ansible.builtin.import_role": {"name": "onebox.stack.data_dirs"}},
        {"name": "show", "ansible.builtin.debug": {"var": "data_dirs_result.directories"}},
    ]
    shown = run_tasks(tasks, variables=variables)["show"]["data_dirs_result.directories"]
    assert [(row["path"], row["mode"]) for row in shown] == [(f"{lab.place}/srv/a", "0750")]


def test_role_without_variables_changes_nothing(lab):
    run_tasks([{"name": "role", "ansible.builtin.import_role": {"name": "onebox.stack.data_dirs"}}])
    assert os.listdir(lab.place) == []
