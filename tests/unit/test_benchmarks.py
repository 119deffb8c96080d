# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmarks import from each other only names that exist. They need engines, so no unit test runs them."""

from __future__ import annotations

import ast
import pathlib

import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "benchmarks"
FILES = sorted(FOLDER.glob("*.py"))


def names_of(path: pathlib.Path) -> set[str]:
    """Names that the top level of a file defines or imports."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update(alias.asname or alias.name for alias in node.names)
    return names


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_import_from_another_benchmark_names_what_it_defines(path: pathlib.Path) -> None:
    siblings = {sibling.stem: sibling for sibling in FILES}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module in siblings:
            missing = {alias.name for alias in node.names} - names_of(siblings[node.module])
            assert not missing, f"{path.name} imports {missing} from {node.module}.py"
