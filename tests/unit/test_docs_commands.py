# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each command of the documentation is run by a test that docs_commands.yml names, or has the reason why it is not."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("roles/*/README.md")])
ROWS = yaml.safe_load((ROOT / "tests/unit/docs_commands.yml").read_text())
SHELL = ("sh", "console", "shell", "bash")
# The programs whose lines are commands. Other lines of a block without a language are output, files or values.
PROGRAMS = re.compile(
    r"(?:venv/bin/)?(?:ansible-\w+|make|python3?|git|podman|docker|onebox-\w+|curl|mv|cp|sudo|ssh|systemctl|restic) "
)
PLAYBOOK = re.compile(r"playbooks/(\w+)\.yml|onebox\.stack\.(\w+)|\b(site)\.yml")


def commands(text: str) -> list[str]:
    """The commands of a page: lines of its blocks, without the comment at their end."""
    found, fence = [], None
    for line in text.splitlines():
        opened = re.match(r"```(\w*)", line)
        if opened:
            fence = None if fence is not None else opened[1]
            continue
        block = fence in SHELL if fence is not None else line.startswith("    ")
        command = re.sub(r"\s+#.*", "", line).strip().removeprefix("$ ")
        if block and PROGRAMS.match(f"{command} "):
            found.append(command)
    return found


def table() -> list[tuple[str, str]]:
    return [(page.relative_to(ROOT).as_posix(), each) for page in PAGES for each in commands(page.read_text())]


def row_of(command: str) -> dict[str, str] | None:
    return next((row for row in ROWS if re.match(row["command"], command)), None)


@pytest.mark.parametrize(("page", "command"), table())
def test_command_of_a_page_is_run_by_a_test_or_has_a_reason(page: str, command: str) -> None:
    row = row_of(command)
    assert row is not None, f"{page}: add a row for this command to tests/unit/docs_commands.yml: {command}"
    if "why" in row:
        return
    place = ROOT / row["test"]
    assert place.exists(), row["test"]
    files = [path for path in place.rglob("*") if path.is_file()] if place.is_dir() else [place]
    if place.name == "test_five_minutes.py":
        files.append(ROOT / "docs/how-to/five-minutes.md")  # the test runs the commands of this page
    text = "".join(path.read_text() for path in files if path.suffix in (".py", ".yml", ".md"))
    for name in filter(None, (part for found in PLAYBOOK.findall(command) for part in found)):
        assert re.search(rf"\b{name}\b", text), f"{row['test']} does not run {name}, but {page} has: {command}"


def test_playbook_of_a_page_exists() -> None:
    playbooks = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
    names = {name for _page, command in table() for found in PLAYBOOK.findall(command) for name in found if name}
    assert names - playbooks == set()


def test_every_row_is_about_a_command() -> None:
    used = {id(row_of(command)) for _page, command in table()}
    assert [row["command"] for row in ROWS if id(row) not in used] == []


def test_commands_are_found_in_blocks_only() -> None:
    text = (
        "    make a  # why\n\nmake b\n```yaml\nmake: c\n```\n```console\n$ curl -s x\nmake\nok\n```\n    key: value\n"
    )
    assert commands(text) == ["make a", "curl -s x", "make"]
