# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module and the playbook that propose a stack, run by Ansible."""

import os
import pathlib
import subprocess

import yaml
from examples_runner import run_examples

ROOT = pathlib.Path(__file__).resolve().parents[3]
COMPOSE = "services: {web: {image: acme/wiki, ports: ['443:443'], environment: {KEY: '${WIKI_SECRET}'}}}\n"


def _project(tmp_path):
    folder = tmp_path / "wiki"
    folder.mkdir()
    (folder / "compose.yaml").write_text(COMPOSE)
    return folder


def test_examples_of_the_module_run(tmp_path):
    _project(tmp_path)
    results = run_examples("stack_scaffold", replace={"/home/me": str(tmp_path)})
    first = results["Propose a stack from a folder with a compose file"]
    assert first["changed"]
    assert {os.path.relpath(each["path"], tmp_path) for each in first["files"]} == {
        "hosts/stacks/wiki/compose.yaml",
        "hosts/inventory/hosts.yml",
        "hosts/inventory/group_vars/wiki.yml",
        "hosts/inventory/host_vars/vm.yml",
    }
    assert all(each["action"] == "created" and each["reason"] for each in first["files"])
    assert (tmp_path / "hosts/inventory/host_vars/nas.yml").exists()


def test_playbook_writes_an_inventory_that_ansible_reads(tmp_path):
    folder = _project(tmp_path)
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    program = ["ansible-playbook", str(ROOT / "playbooks/new_stack.yml"), "-e", f"from={folder}", "-e", "host=vm"]
    run = subprocess.run(
        [*program, "-e", f"onebox_inventory={tmp_path}/hosts/inventory"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    shown = subprocess.run(
        ["ansible-inventory", "-i", f"{tmp_path}/hosts/inventory", "--host", "vm", "--yaml"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found = yaml.safe_load(shown.stdout)
    assert found["compose_stack_name"] == "wiki"
    assert found["compose_stack_public_ports"] == [443]
    assert len(found["vault_wiki_wiki_secret"]) == 32
    assert found["vault_wiki_wiki_secret"] not in run.stdout
    checked = subprocess.run(
        ["ansible-playbook", "-i", f"{tmp_path}/hosts/inventory", str(ROOT / "playbooks/check.yml"), "-l", "vm"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
