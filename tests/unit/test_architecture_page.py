# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/architecture.md names files, functions and domains; all of them exist."""

from __future__ import annotations

import ast
import pathlib
import re

import pytest
from plugin_rules import FLOORS, JOINS, TOP

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
# Where the page's paths may begin; it says so itself for module_utils and for the files of a role.
BASES = (ROOT, ROOT / "plugins" / "module_utils", ROOT / "roles" / "compose_stack", ROOT / "molecule" / "site")
REFERENCES = sorted(set(re.findall(r"`([\w.-]*/?[\w./-]*(?:\.py|\.yml|\.md|/))(?:: (\w+))?`", PAGE)))


@pytest.mark.parametrize(("path", "name"), REFERENCES)
def test_file_and_function_of_the_page_exist(path: str, name: str) -> None:
    found = [base / path for base in BASES if (base / path).exists()]
    assert found, f"docs/architecture.md names {path}, which does not exist"
    if name:
        tree = ast.parse(found[0].read_text())
        names = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        assert name in names, f"docs/architecture.md names {name} in {path}, which does not define it"


def test_page_names_every_domain_and_every_module_that_joins_two() -> None:
    wanted = {*FLOORS, *TOP, *(pathlib.PurePath(path).stem for path in JOINS)}
    assert sorted(word for word in wanted if f"`{word}`" not in PAGE) == []
