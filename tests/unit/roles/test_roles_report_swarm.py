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


OWN = {"ok": True, "containers": [{"id": "c1"}]}
ON_SWARM = {"changed": True, "health": [{"service": "web", "node_id": "id", "container": "c1"}]}


@pytest.mark.parametrize(
    ("registered", "result", "nodes"),
    [
        ({}, {"changed": True, "mounts": OWN}, None),
        ({"__compose_stack_proofs": {"skipped": True}}, {"changed": True}, None),
        ({"__compose_stack_proofs": {"results": []}}, {**ON_SWARM, "mounts": OWN}, ["box"]),
        (
            {"__compose_stack_proofs": {"results": [SKIPPED, proof("first"), proof("second")]}},
            {**ON_SWARM, "mounts": {}},
            ["first", "second"],
        ),
        (
            {"__compose_stack_proofs": {"results": [proof("first")]}},
            {**ON_SWARM, "mounts": OWN},
            ["box", "first"],
        ),
    ],
    ids=["no swarm", "not verified", "this host", "other hosts", "all hosts"],
)
def test_proofs_of_nodes_are_passed_to_the_report(
    registered: dict[str, t.Any], result: dict[str, t.Any], nodes: list[str] | None
) -> None:
    variables = yaml.safe_load((ROLES / "report/vars/main.yml").read_text())
    tasks = [{"name": "passed", "ansible.builtin.debug": {"msg": "{{ __report_results.compose_stack }}"}}]
    given = {**variables, **registered, "compose_stack_result": result, "inventory_hostname": "box"}
    passed = run_tasks(tasks, variables=given)["passed"]["msg"]
    assert passed["changed"] is True
    assert (list(passed["nodes"]) if "nodes" in passed else None) == nodes


def test_containers_that_the_module_verified_are_not_verified_again() -> None:
    variables = yaml.safe_load((ROLES / "compose_stack/vars/main.yml").read_text())
    rows = [("c1", "running"), ("c2", "running"), ("c3", "complete")]
    health = [{"container": name, "state": state, "node_id": "id"} for name, state in rows]
    tasks = [
        {
            "name": "left",
            "ansible.builtin.debug": {"msg": "{{ __compose_stack_unverified | map(attribute='container') }}"},
        }
    ]
    given = {name: variables[name] for name in ("__compose_stack_unverified",)}
    for mounts, left in (({}, ["c1", "c2"]), (OWN, ["c2"])):
        result = {"health": health, "mounts": mounts}
        assert run_tasks(tasks, variables={**given, "compose_stack_result": result})["left"]["msg"] == left


def test_deploy_registers_what_the_report_reads() -> None:
    files = (ROLES / "compose_stack/tasks").glob("*.yml")
    tasks = [task for path in files for task in yaml.safe_load(path.read_text())]
    assert "__compose_stack_proofs" in [task.get("register") for task in tasks]
