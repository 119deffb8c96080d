# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The built collection, installed away from the clone, runs a stranger's compose project with every playbook.

The tests are steps of one story and run in this order.
"""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest

if t.TYPE_CHECKING:
    from conftest import Stranger

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
# The answer to the question of these playbooks.
ASKS = ["-e", "confirm=obx-outside"]


def changed(output: str) -> int:
    """The count of changed tasks in the last line of a run."""
    found = re.search(r"^box\s+:.*changed=(\d+)", output, re.MULTILINE)
    assert found, output
    return int(found.group(1))


def test_site_deploys_proves_and_reports(stranger: Stranger) -> None:
    output = stranger.play("site")
    assert "ansible-playbook -i inventory.yml onebox.stack.verify -l box" in output
    assert "ansible-playbook playbooks/" not in output
    report = json.loads((stranger.base / "data/state/obx-outside/report.json").read_text())
    assert report["ok"] is True
    assert {each["service"] for each in report["services"]} == {"writer", "reader"}
    assert (stranger.base / "data/deployed/obx-outside/compose.yml").is_file()


def test_site_again_and_reading_playbooks_change_nothing(stranger: Stranger) -> None:
    output = stranger.play("site", "verify", "plan", "report", "launch")
    assert changed(output) == 0
    assert "failed=0" in output


def test_suggested_commands_can_be_typed(stranger: Stranger) -> None:
    """Each command that the report suggests names a playbook and an inventory that exist for this user."""
    report = json.loads((stranger.base / "data/state/obx-outside/report.json").read_text())
    commands = [line.split("    ")[0].split() for line in report["next"]]
    expected = ["ansible-playbook", "-i", "inventory.yml", "-l", "box"]
    assert [words[:3] + words[4:] for words in commands] == [expected] * 3
    for words in commands:
        stranger.run(*words, "--syntax-check")


def test_stack_is_backed_up_rehearsed_and_restored(stranger: Stranger) -> None:
    assert "failed=0" in stranger.play("backup", "rehearse", "restore", "migrate", "retire", "unretire", words=ASKS)


@pytest.mark.parametrize(("name", "message"), [("rollback", "release|last"), ("tunnel", "is this machine")])
def test_playbook_refuses_with_its_reason(stranger: Stranger, name: str, message: str) -> None:
    output = stranger.play(name, code=2)
    assert re.search(message, output), output


def test_other_name_typed_at_the_prompt_changes_nothing(stranger: Stranger) -> None:
    for name, answer in (("down", ""), ("down", "obx-outsid"), ("retire", "obx-outside x")):
        output = " ".join(stranger.typed(name, answer, code=2).split())
        assert "Nothing was changed: to" in output
        assert "-e confirm=obx-outside" in output
        assert not re.search(r"changed=[1-9]", output), output
    assert "failed=0" in stranger.play("verify")


def test_name_of_the_stack_typed_at_the_prompt_continues(stranger: Stranger) -> None:
    assert "failed=0" in stranger.typed("retire", "obx-outside")


def test_every_playbook_is_found(stranger: Stranger) -> None:
    stranger.play(*PLAYBOOKS, words=["--syntax-check"])


def test_down_of_the_stack_removes_all_but_the_data(stranger: Stranger) -> None:
    output = stranger.typed("down", "obx-outside")
    assert "ansible-playbook -i inventory.yml onebox.stack.site -l box" in output
    label = "label=com.docker.compose.project=obx-outside"
    assert stranger.run("podman", "ps", "--all", "--quiet", "--filter", label) == ""
    assert (stranger.base / "data/notes/log").read_text()
    assert not (stranger.base / "data/state/obx-outside").exists()
