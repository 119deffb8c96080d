# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source of the documentation site: its pages, the files they link to, and its first page."""

from __future__ import annotations

import os
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))

import docs_site  # noqa: E402


def test_pages_are_copied_with_the_files_that_they_link_to(tmp_path: pathlib.Path) -> None:
    root, source = tmp_path / "root", tmp_path / "source"
    files = {
        "README.md": "[a](docs/a.md) [site](https://example.org)",
        "docs/a.md": "[schema](b.json) [rules](../roles/one/files/rules.yml) [gone](gone.md)",
        "docs/b.json": "{}",
        "docs/c.json": "{}",
        "roles/one/README.md": "",
        "roles/one/files/rules.yml": "",
        "roles/one/files/other.yml": "",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    docs_site.copy_pages(root, source)
    copied = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    assert copied == set(files) - {"docs/c.json", "roles/one/files/other.yml"}


def test_every_page_is_in_the_index_and_the_five_minutes_are_first() -> None:
    text = docs_site.index("collections/index")
    entries = [line for line in text.splitlines() if re.match(r"[\w.]+/[\w*/-]+$|README$", line)]
    assert entries[0] == "docs/how-to/five-minutes"
    assert (ROOT / f"{entries[0]}.md").is_file()
    pages = [
        path.relative_to(ROOT).with_suffix("") for path in (*ROOT.glob("docs/**/*.md"), *ROOT.glob("roles/*/*.md"))
    ]
    missing = [str(page) for page in pages if not any(page.match(entry) for entry in entries)]
    assert missing == []


def test_program_that_fails_is_an_error_with_its_output() -> None:
    words = [sys.executable, "-c", "import sys; print('WARNING: undefined label'); sys.exit(1)"]
    with pytest.raises(docs_site.SiteError, match="undefined label"):
        docs_site.run(words, dict(os.environ))


def test_label_of_ansible_has_a_heading_and_its_link() -> None:
    text = docs_site.ansible_pages()
    for label, link in docs_site.LABELS.items():
        assert re.search(rf"\.\. _{label}:\n\n\w.*\n-+\n\n{re.escape(link)}\n", text), label


def test_requirements_are_pinned() -> None:
    lines = [line for line in docs_site.REQUIREMENTS.read_text().splitlines() if line and line[0] not in "#-"]
    assert lines
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", line) for line in lines)
