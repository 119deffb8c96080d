# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python files of ``plugins/``, read without importing them: what each imports, uses and defines."""

from __future__ import annotations

import ast
import pathlib
import typing as t
from dataclasses import dataclass, field

PACKAGE = "ansible_collections.onebox.stack.plugins."


@dataclass(frozen=True)
class Import:
    """One imported name: its full name, the line, and whether it is imported when the program runs."""

    name: str
    line: int
    at_run_time: bool


@dataclass(frozen=True)
class Use:
    """One use of something imported, by its full name: ``time.sleep`` also after ``from time import sleep``."""

    name: str
    line: int


@dataclass(frozen=True)
class Class:
    """One class with the full names of its bases; a base of the same file or of Python has no dot."""

    name: str
    line: int
    bases: tuple[str, ...]


@dataclass
class Source:
    """One file. ``path`` is relative to ``plugins/``, ``relative`` are the lines of relative imports."""

    path: str
    imports: list[Import] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    classes: list[Class] = field(default_factory=list)
    relative: list[int] = field(default_factory=list)

    @property
    def module(self) -> str:
        """The full name by which other files import this one."""
        name = self.path[: -len(".py")].replace("/", ".")
        return PACKAGE + (name[: -len(".__init__")] if name.endswith(".__init__") else name)

    @property
    def domain(self) -> str:
        """The folder of ``module_utils`` the file is in, "" for other plugins."""
        kind, _slash, rest = self.path.partition("/")
        return rest.partition("/")[0] if kind == "module_utils" else ""


def read(plugins: pathlib.Path) -> list[Source]:
    """All files below ``plugins``, sorted by path."""
    return [_read(path, path.relative_to(plugins).as_posix()) for path in sorted(plugins.rglob("*.py"))]


def _read(path: pathlib.Path, name: str) -> Source:
    source, tree, names = Source(name), ast.parse(path.read_text(), name), {}
    unexecuted = {id(node) for block in ast.walk(tree) if _is_type_checking(block) for node in ast.walk(block)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                source.imports.append(Import(alias.name, node.lineno, id(node) not in unexecuted))
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                source.relative.append(node.lineno)
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                source.imports.append(Import(full, node.lineno, id(node) not in unexecuted))
                names[alias.asname or alias.name] = full
    _Uses(source, names).visit(tree)
    return source


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in (
        "t.TYPE_CHECKING",
        "typing.TYPE_CHECKING",
        "TYPE_CHECKING",
    )


class _Uses(ast.NodeVisitor):
    """Collects uses of imported names and classes."""

    def __init__(self, source: Source, names: t.Mapping[str, str]) -> None:
        self._source = source
        self._names = names

    def visit_Attribute(self, node: ast.Attribute) -> None:
        full = self._full(node)
        if full:
            self._source.uses.append(Use(full, node.lineno))
        else:
            self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in self._names:
            self._source.uses.append(Use(self._names[node.id], node.lineno))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        bases = tuple(self._full(base) or ast.unparse(base) for base in node.bases)
        self._source.classes.append(Class(node.name, node.lineno, bases))
        self.generic_visit(node)

    def _full(self, node: ast.AST) -> str:
        """The full name of ``a.b.c`` where ``a`` is imported, else ""."""
        if isinstance(node, ast.Name):
            return self._names.get(node.id, "")
        if isinstance(node, ast.Attribute):
            start = self._full(node.value)
            return f"{start}.{node.attr}" if start else ""
        return ""


class Sources:
    """All files, and which of them an import leads to."""

    def __init__(self, plugins: pathlib.Path) -> None:
        self.files = read(plugins)
        self._by_module = {source.module: source for source in self.files}

    def target(self, name: str) -> Source | None:
        """The file that importing ``name`` loads, None for one that is not of this collection."""
        while name.startswith(PACKAGE):
            if name in self._by_module:
                return self._by_module[name]
            name = name.rpartition(".")[0]
        return None

    def edges(self) -> t.Iterator[tuple[Source, Import, Source]]:
        """Each import of one file of the collection by another."""
        for source in self.files:
            for one in source.imports:
                target = self.target(one.name)
                if target is not None and target is not source:
                    yield source, one, target
