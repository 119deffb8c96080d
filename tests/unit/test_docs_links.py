# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links between pages lead to existing files and headings, and pages name existing tests."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = sorted(
    [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "roles").glob("*/README.md")],
    key=lambda path: path.as_posix(),
)
# Folders whose files name pages in comments, options and messages.
NAMING = ("plugins", "roles", "playbooks", "inventories", "stacks", "molecule", ".config", "tests/unit/plugin_rules.py")
TEST_NAME = re.compile(r"`(test_\w+)(…?)`")


def anchors(page: pathlib.Path) -> set[str]:
    """The anchors of the headings of a page, as GitHub derives them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ +(.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: pathlib.Path) -> t.Iterator[str]:
    text = re.sub(r"\s+", " ", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL))
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([\w-]+))?\)", text):
        found = page.parent / target if target else page
        if not found.exists():
            yield f"{target} does not exist"
        elif anchor and anchor not in anchors(found):
            yield f"{target} has no heading #{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_of_page_lead_to_files_and_headings(page: pathlib.Path) -> None:
    assert list(broken_links(page)) == []


def test_broken_link_and_anchor_are_reported(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.md").write_text("# A `b`: c\n\n[x](b.md) [y](a.md#a-b-c) [z](#none) [u](https://example.org/#d)\n")
    assert list(broken_links(tmp_path / "a.md")) == ["b.md does not exist", " has no heading #none"]


def test_pages_named_in_files_exist() -> None:
    missing = []
    for name in NAMING:
        top = ROOT / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and path.suffix in (".py", ".yml", ".md", ".j2", ".example"):
                for page in re.findall(r"\bdocs/[\w/-]+\.md\b", path.read_text()):
                    if not (ROOT / page).exists():
                        missing.append(f"{path.relative_to(ROOT)}: {page}")
    assert missing == []


def test_index_lists_every_page() -> None:
    index = (ROOT / "docs/README.md").read_text()
    pages = (page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md"))
    assert [page for page in pages if page != "README.md" and f"({page})" not in index] == []


def test_tests_named_in_pages_exist() -> None:
    sources = [path for folder in ("tests", "molecule") for path in (ROOT / folder).rglob("*.py")]
    defined = {path.stem for path in sources}
    for path in sources:
        defined.update(re.findall(r"^\s*def (test_\w+)", path.read_text(), re.MULTILINE))
    missing = []
    for page in PAGES:
        for name, shortened in TEST_NAME.findall(page.read_text()):
            if name not in defined and not (shortened and any(one.startswith(name) for one in defined)):
                missing.append(f"{page.relative_to(ROOT)}: {name}")
    assert missing == []
