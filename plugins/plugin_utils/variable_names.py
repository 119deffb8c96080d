# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of the roles, and names that look like one of them and are none."""

from __future__ import annotations

import difflib
import pathlib
import re
import typing as t

import yaml

# How similar a name without a role's prefix must be to a variable to be a misspelling of it.
_MISSPELT = 0.93
# Names under which roles register results.
_RESULT = re.compile(r"_(result|plan)$")
_SHARED = re.compile(r"\bonebox_[a-z][a-z0-9_]*")
_LOADER: t.Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Unknown(t.NamedTuple):
    """A variable that no role reads.

    Args:
        name: the variable.
        nearest: the variable of a role that was probably meant, "" without one.
    """

    name: str
    nearest: str


def known(roles: pathlib.Path) -> set[str]:
    """The variables in the argument specifications of all roles, and the shared ones that their defaults read."""
    found: set[str] = set()
    for path in roles.glob("*/meta/argument_specs.yml"):
        specs = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)["argument_specs"]
        for entry in specs.values():
            found.update(entry.get("options") or ())
    for path in roles.glob("*/defaults/main.yml"):
        found.update(_SHARED.findall(path.read_text(encoding="utf-8")))
    return found


def unknown(names: t.Iterable[str], variables: t.Collection[str], roles: t.Iterable[str]) -> list[Unknown]:
    """The names that begin like a role's variables, or are spelt nearly like one, and are none.

    Args:
        names: names of variables that a user set.
        variables: the variables of the roles.
        roles: names of the roles, which are the prefixes of their variables.
    """
    prefixes = tuple(f"{role}_" for role in roles)
    found = []
    for name in sorted(set(names) - set(variables)):
        ours = name.startswith(prefixes) and not _RESULT.search(name)
        near = difflib.get_close_matches(name, variables, 1, 0.6 if ours else _MISSPELT)
        if ours or near:
            found.append(Unknown(name, near[0] if near else ""))
    return found
