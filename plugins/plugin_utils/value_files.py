# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files with the values of hosts and groups: where they are, and what cannot be read in them."""

from __future__ import annotations

import pathlib
import re
import typing as t

import yaml

_LOADER: t.Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ENDINGS = ("", ".yml", ".yaml", ".json")
_VAULT_OPTIONS = "Add --ask-vault-pass or --vault-password-file=FILE."


def find(folders: t.Iterable[pathlib.Path], hosts: t.Iterable[str], groups: t.Iterable[str]) -> list[pathlib.Path]:
    """The files that Ansible reads for some hosts and groups, below group_vars and host_vars of each folder."""
    found: list[pathlib.Path] = []
    wanted = [("host_vars", name) for name in hosts] + [("group_vars", name) for name in groups]
    for folder in dict.fromkeys(folders):
        for kind, name in wanted:
            paths = [folder / kind / f"{name}{ending}" for ending in _ENDINGS]
            for path in paths:
                inside = sorted(path.rglob("*")) if path.is_dir() else [path]
                found += [each for each in inside if each.is_file() and each.suffix in _ENDINGS]
    return found


def problem(path: pathlib.Path, *, has_password: bool) -> str:
    """Why Ansible cannot read a file, with the line; "" if it can.

    Args:
        path: the file.
        has_password: whether a vault password was given.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    if text.startswith("$ANSIBLE_VAULT;"):
        return "" if has_password else f"{_shown(path)} is encrypted and no vault password was given. {_VAULT_OPTIONS}"
    return yaml_problem(path, text)


def yaml_problem(path: pathlib.Path, text: str | None = None) -> str:
    """Why a file is not YAML, with the line and column; "" if it is. Unknown tags are accepted."""
    try:
        yaml.compose(path.read_text(encoding="utf-8", errors="replace") if text is None else text, Loader=_LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        reason = getattr(error, "problem", None) or "cannot be read"
        return f"{_shown(path)}{where}: not YAML: {reason}. Check indentation and quotes here and one line above."
    return ""


def missing_password(name: str) -> str:
    """What to say about one encrypted value."""
    return f"{name} is encrypted and no vault password was given. {_VAULT_OPTIONS}"


def line_of(name: str, paths: t.Iterable[pathlib.Path]) -> str:
    """File and line where a variable is set, as ``FILE:LINE: ``; "" when no file sets it at its top level."""
    pattern = re.compile(rf"^[\"']?{re.escape(name)}[\"']?\s*:")
    for path in paths:
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if pattern.match(line):
                return f"{_shown(path)}:{number}: "
    return ""


def _shown(path: pathlib.Path) -> str:
    """A path as the user types it, from the current directory."""
    try:
        return str(path.relative_to(pathlib.Path.cwd()))
    except ValueError:
        return str(path)
