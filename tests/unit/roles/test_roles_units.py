# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units and agents of the roles, byte for byte as version 0.1.0's templates wrote them.

So a host of an earlier release keeps its files, and its timers are not restarted. ``units/cases.yml`` has the variables
of each case, and the folder of the case has the files. They were recorded from the templates before scheduled_job
replaced them. Ansible's templating evaluates the arguments of the roles' tasks here.
"""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.onebox.stack.plugins.module_utils.core import scheduled

ROLES = pathlib.Path(__file__).resolve().parents[3] / "roles"
UNITS = pathlib.Path(__file__).parent / "units"
CASES = yaml.safe_load((UNITS / "cases.yml").read_text())
DEFAULTS = {
    "schedules": None,
    "on_calendar": None,
    "interval": None,
    "description": None,
    "state": "present",
    "environment": {},
    "unit": [],
    "service": [],
    "timer": [],
    "agent": {},
    "interval_from": "start",
    "boot_delay": "2min",
    "random_delay": None,
    "timer_description": None,
    "comment": None,
    "timer_comment": None,
    "working_directory": None,
    "quote": "needed",
}
ENTRY = {"state": "present", "arguments": [], "on_calendar": None, "interval": None, "description": None}


def tasks(role: str) -> list[dict[str, t.Any]]:
    """The tasks of a role that install jobs, with the names of their files."""
    found = []
    for file in sorted((ROLES / role / "tasks").iterdir()):
        found += DataLoader().load_from_file(str(file), trusted_as_template=True)
    jobs = [task["onebox.stack.scheduled_job"] for task in found if "onebox.stack.scheduled_job" in task]
    return [task for task in jobs if "command" in task]


def requests(case: dict[str, t.Any], **facts: t.Any) -> list[dict[str, t.Any]]:
    """The arguments with which a role calls scheduled_job, defaults included."""
    loader = DataLoader()
    variables: dict[str, t.Any] = {"inventory_hostname": "oci-vm", "playbook_dir": "/home/anna/onebox"}
    variables |= {"ansible_playbook_python": "/home/anna/onebox/.venv/bin/python"}
    variables |= {"ansible_inventory_sources": ["localhost,"]}
    # The roles depend on onebox.
    for file in ("onebox/defaults", f"{case['role']}/defaults", f"{case['role']}/vars"):
        variables |= loader.load_from_file(str(ROLES / file / "main.yml"), trusted_as_template=True)
    variables |= {"ansible_facts": {**case["facts"], **facts}, **case["vars"]}
    # The role runs on the controller, without facts. It reads these two from uname and from the environment.
    variables |= {"__oci_instance_is_mac": facts.get("system") == "Darwin", "__oci_instance_by_timer": False}
    templar = Templar(loader=loader, variables=variables)
    found = []
    for task in tasks(case["role"]):
        given = {**DEFAULTS, **templar.template(task)}
        if given["schedules"] is not None:
            given["schedules"] = [{**ENTRY, **one} for one in given["schedules"]]
        found.append(json.loads(json.dumps(given)))
    return found


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")


@pytest.mark.parametrize("name", CASES)
def test_units_keep_the_bytes_of_the_earlier_release(name):
    wanted = {file.name: file.read_text() for file in (UNITS / name).iterdir() if file.suffix != ".json"}
    given, *_others = requests(CASES[name])
    texts = {job.name: scheduled.units(job) for job in scheduled.request(given).wanted}
    assert {f"{job}.{suffix}": text for job, units in texts.items() for suffix, text in units.items()} == wanted


@pytest.mark.parametrize("name", CASES)
def test_agents_keep_the_keys_of_the_earlier_release(name):
    *_others, given = requests(CASES[name], system="Darwin", service_mgr="launchd")
    (job,) = scheduled.request({**given}).wanted
    assert scheduled.agent(job) == json.loads((UNITS / name / "agent.json").read_text())


def test_undeclared_offsite_rehearsal_is_removed_without_other_stacks_jobs():
    given = requests(CASES["backups_of_a_user"])[0]
    request = scheduled.request(given)
    assert request.unwanted == ["onebox-backup-blog-offsite"]
    assert request.names == [f"onebox-backup-blog-{job}" for job in ("backup", "rehearse", "check", "offsite")]
