# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys that modules return, which playbooks rely on."""

from __future__ import annotations

from ansible_collections.onebox.stack.plugins.module_utils.compose.result import Result

ALWAYS = {
    *("changed", "project", "backend", "plan", "orphans", "health", "images", "mounts", "endpoints", "targets"),
    *("sources", "files_read", "files", "foreign_files", "warnings", "last_good", "rolled_back", "data_written"),
    "timings_ms",
}
SOMETIMES = {
    *("actions", "boot", "rollback_reason", "history_file", "problems", "history", "text", "would_change"),
    *("failed", "msg"),
}


def test_empty_result_returns_the_keys_of_every_run():
    result = Result("shop").as_dict()
    assert set(result) >= ALWAYS
    assert not SOMETIMES & set(result)


def test_optional_key_is_returned_once_it_has_a_value():
    result = Result("shop", failed=True, msg="", would_change=False)
    assert SOMETIMES & set(result.as_dict()) == {"failed", "msg", "would_change"}


def test_other_result_overwrites_all_but_optional_keys_without_a_value():
    result = Result("shop", changed=True, warnings=["old"], rollback_reason="it failed")
    result.take_over(Result("shop", warnings=["new"]))
    assert (result.changed, result.warnings, result.rollback_reason) == (False, ["new"], "it failed")


def test_findings_of_another_result_keep_plan_and_warnings():
    result = Result("shop", plan=[{"service": "web"}], warnings=["old"])
    result.take_findings(Result("shop", health=[{"ok": True}], targets=[{"job": "a"}], warnings=["new"]))
    assert (result.health, result.targets) == ([{"ok": True}], [{"job": "a"}])
    assert (result.plan, result.warnings) == ([{"service": "web"}], ["old"])
