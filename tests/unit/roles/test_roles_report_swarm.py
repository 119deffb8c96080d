# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role report passes the proofs that a deploy to a Swarm made on each node."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml
from examples_runner import run_tasks

ROLES = pathlib.Path(__file__).resolve().parents[3] / "roles"
SKIPPED = {"skipped": True, "item": {"item": "third"}}


def proof(host: str) -> dict[str, t.Any]:
    return {"ok": True, "item": {"item": host, "stdout": "id"}, "containers": []}


@pytest.mark.parametrize(
    ("registered", "nodes"),
    [
        ({}, None),
        ({"__compose_stack_proofs": {"skipped": True}}, None),
        ({"__compose_stack_proofs": {"results": [SKIPPED, proof("first"), proof("second")]}}, ["first", "second"]),
    ],
    ids=["no swarm", "not verified", "two nodes"],
)
def test_proofs_of_nodes_are_passed_to_the_report(registered: dict[str, t.Any], nodes: list[str] | None) -> None:
    variables = yaml.safe_load((ROLES / "report/vars/main.yml").read_text())
    tasks = [{"name": "passed", "ansible.builtin.debug": {"msg": "{{ __report_results.compose_stack }}"}}]
    given = {**variables, **registered, "compose_stack_result": {"changed": True}}
    passed = run_tasks(tasks, variables=given)["passed"]["msg"]
    assert passed["changed"] is True
    assert (list(passed["nodes"]) if "nodes" in passed else None) == nodes


def test_deploy_registers_what_the_report_reads() -> None:
    files = (ROLES / "compose_stack/tasks").glob("*.yml")
    tasks = [task for path in files for task in yaml.safe_load(path.read_text())]
    assert "__compose_stack_proofs" in [task.get("register") for task in tasks]
