# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No module returns a key that Ansible gives a meaning of its own."""

from __future__ import annotations

import ast
import pathlib

import pytest
import yaml

MODULES = sorted((pathlib.Path(__file__).resolve().parents[2] / "plugins" / "modules").glob("*.py"))
# What Ansible reads in a task's result: docs "Return Values", the task executor, async_status, callbacks.
RESERVED = {
    *("add_group", "add_host", "ansible_facts", "ansible_job_id", "attempts", "changed", "deprecations", "exception"),
    *("failed", "failed_when_result", "false_condition", "finished", "include", "include_args", "invocation", "item"),
    *("results", "results_file", "retries", "skip_reason", "skipped", "skipped_reason", "started", "unreachable"),
    *("warnings", "stdout_lines", "stderr_lines", "ansible_loop_var", "ansible_async_watchdog_pid"),
}
# A result is a dictionary: in a template, result.keys is its method.
METHODS = {name for name in dir(dict) if not name.startswith("_")}
# Keys that mean to Ansible what they mean to the module, and others that stay.
ALLOWED = {
    ("compose_stack", "warnings"): "Ansible prints them as warnings, as it should",
    ("compose_stack_info", "warnings"): "Ansible prints them as warnings, as it should",
    ("oci_capacity_launch", "attempts"): "Ansible sets it for a task with until alone; the launcher repeats by itself",
}


def returned(path: pathlib.Path) -> set[str]:
    """The keys in the RETURN documentation of a module."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "RETURN":
            return set(yaml.safe_load(ast.literal_eval(node.value)) or {})
    raise AssertionError(f"{path.name} has no RETURN")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_module_returns_no_reserved_key(path: pathlib.Path) -> None:
    keys = returned(path) & (RESERVED | METHODS) - {"changed"}
    assert {key for key in keys if (path.stem, key) not in ALLOWED} == set()


def test_exceptions_are_still_needed() -> None:
    keys = {path.stem: returned(path) for path in MODULES}
    assert [each for each in ALLOWED if each[1] not in keys[each[0]]] == []
