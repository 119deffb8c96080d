"""The documented options of the collection's modules."""

from __future__ import annotations

import ast
import pathlib
import typing as t

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
PREFIX = "onebox.stack."
Yaml = t.Any


def module_options(name: str, root: pathlib.Path) -> dict[str, Yaml]:
    """The documented options of one of our modules, in order, those of its documentation fragments included.

    Args:
        name: the module without its collection.
        root: the folder of the collection.

    Raises:
        OSError, ValueError: the module or a fragment is missing.
    """
    documentation = yaml.safe_load(_constant(root / f"plugins/modules/{name}.py", "DOCUMENTATION"))
    options: dict[str, Yaml] = {}
    for fragment in documentation.get("extends_documentation_fragment") or ():
        if fragment.startswith(PREFIX):
            file, unused, part = fragment.removeprefix(PREFIX).partition(".")
            path = root / f"plugins/doc_fragments/{file}.py"
            options.update(yaml.safe_load(_constant(path, part.upper() or "DOCUMENTATION")).get("options") or {})
    options.update(documentation.get("options") or {})
    return options


def _constant(path: pathlib.Path, name: str) -> str:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            return str(ast.literal_eval(node.value))
    raise ValueError(f"{path}: {name} is missing")
