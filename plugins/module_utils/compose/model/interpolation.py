# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the variables that a compose file uses and that are not set.

Docker Compose warns about an unset variable and continues with an empty string. podman-compose does not even warn. Both
have deployed empty passwords, and ``/data`` instead of ``$BASE/data``.
"""

from __future__ import annotations

import re
import typing as t

_SIMPLE = re.compile(r"\$(?:\$|([A-Za-z_][A-Za-z0-9_]*)|\{)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The profile that Docker Compose enables where none is chosen.
NO_PROFILE = ("",)


def wanted(text: str) -> list[tuple[str, str, str]]:
    """The variables ``text`` interpolates, as ``(name, operator, operand)``.

    The operator is "" or one of ``-  :-  ?  :?  +  :+`` as in the compose specification; nested defaults are included.
    """
    found: list[tuple[str, str, str]] = []
    position = 0
    while True:
        match = _SIMPLE.search(text, position)
        if match is None:
            return found
        position = match.end()
        if match.group(1):
            found.append((match.group(1), "", ""))
        elif match.group(0) == "${":
            inside, position = braced(text, position)
            name = _NAME.match(inside)
            if name is None:
                continue
            rest = inside[name.end() :]
            operator = rest[:2] if rest[:2] in (":-", ":?", ":+") else rest[:1]
            operand = rest[len(operator) :]
            found.append((name.group(0), operator, operand))
            found += wanted(operand)


def braced(text: str, start: int) -> tuple[str, int]:
    """What stands between ``${``, which ends at ``start``, and its ``}``, and the position behind that."""
    depth = 1
    for index in range(start, len(text)):
        if text[index] == "{" and text[index - 1] == "$":
            depth += 1
        elif text[index] == "}":
            depth -= 1
            if depth == 0:
                return text[start:index], index + 1
    return text[start:], len(text)


def unset(document: t.Any, values: t.Mapping[str, str]) -> dict[str, str]:
    """Unset variables without a default in the strings of a parsed YAML ``document``.

    Returns:
        name -> the file's own message for it (``${X:?message}``), "" without one.
    """
    missing: dict[str, str] = {}
    for text in strings(document):
        for name, operator, operand in wanted(text):
            empty_counts = operator.startswith(":")
            is_set = bool(values.get(name)) if empty_counts else name in values
            if not is_set and operator in ("", "?", ":?"):
                missing.setdefault(name, operand)
    return missing


def strings(document: t.Any) -> t.Iterator[str]:
    """Each string in a parsed YAML document except the keys."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for value in document.values():
            yield from strings(value)
    elif isinstance(document, list):
        for value in document:
            yield from strings(value)


def taken(services: t.Any, profiles: t.Collection[str]) -> set[str]:
    """Names of the services of a parsed compose file that run with these profiles."""
    found = set()
    for name, body in services.items() if isinstance(services, dict) else ():
        own = body.get("profiles") if isinstance(body, dict) else None
        if not own or not isinstance(own, list) or "*" in profiles or set(map(str, own)) & set(profiles):
            found.add(name)
    return found


def profiles_of(values: t.Mapping[str, str]) -> list[str]:
    """The profiles that an environment file selects."""
    return [name.strip() for name in values.get("COMPOSE_PROFILES", "").split(",") if name.strip()]


def used(document: t.Mapping[str, t.Any], names: t.Container[str]) -> dict[str, t.Any]:
    """A parsed compose file without extensions, and with these services only."""
    kept = {key: value for key, value in document.items() if not str(key).startswith("x-")}
    if isinstance(kept.get("services"), dict):
        kept["services"] = {name: body for name, body in kept["services"].items() if name in names}
    return kept


def mentioned(document: t.Any) -> set[str]:
    """Every variable in the strings of a parsed document, also those with a default."""
    return {name for text in strings(document) for name, _operator, _operand in wanted(text)}
