# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the variables a compose file wants and nobody set, and read dotenv files.

Docker Compose warns about an unset variable and goes on with an empty string; podman-compose says nothing at all. Both
have deployed empty passwords and ``/data`` where ``$BASE/data`` was meant.
"""

from __future__ import annotations

import re
import typing as t

_SIMPLE = re.compile(r"\$(?:\$|([A-Za-z_][A-Za-z0-9_]*)|\{)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


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
            inside, position = _braced(text, position)
            name = _NAME.match(inside)
            if name is None:
                continue
            rest = inside[name.end() :]
            operator = rest[:2] if rest[:2] in (":-", ":?", ":+") else rest[:1]
            operand = rest[len(operator) :]
            found.append((name.group(0), operator, operand))
            found += wanted(operand)


def _braced(text: str, start: int) -> tuple[str, int]:
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
    """Variables in the strings of a parsed YAML ``document`` that nobody set and that have no default.

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
    """Every text in a parsed YAML document but the keys."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for value in document.values():
            yield from strings(value)
    elif isinstance(document, list):
        for value in document:
            yield from strings(value)


_BRACED = re.compile(r"\$\{([^}:]*)(?::-([^}]*))?\}")


def expand(values: t.Mapping[str, str], environ: t.Mapping[str, str]) -> dict[str, str]:
    """Fill in ``${NAME}`` and ``${NAME:-default}`` as python-dotenv, and so podman-compose, does: whatever the quotes,
    from lines above, else from the environment."""
    made: dict[str, str] = {}
    for name, text in values.items():
        made[name] = _BRACED.sub(
            lambda match: made.get(match.group(1), environ.get(match.group(1), match.group(2) or "")), text
        )
    return made


_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.\-]*)\s*(?:[=:]\s?(.*))?$", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


def parse_dotenv(text: str) -> dict[str, str]:
    """Read the dotenv dialect compose tools share: comments, ``export``, single and double quotes over several lines.

    Values are not interpolated: this is for knowing which names are set, and for noticing that a file changed.
    """
    values: dict[str, str] = {}
    lines = iter(text.lstrip("\ufeff").splitlines())
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None or match.group(2) is None:
            continue
        name, raw = match.group(1), match.group(2).lstrip()
        quote = raw[:1]
        if quote in ("'", '"'):
            body = raw[1:]
            while not _closed(body, quote):
                more = next(lines, None)
                if more is None:
                    break
                body += "\n" + more
            values[name] = _unquote(body, quote)
        else:
            values[name] = re.split(r"\s+#", raw, maxsplit=1)[0].rstrip()
    return values


def _closed(body: str, quote: str) -> bool:
    return _end(body, quote) >= 0


def _end(body: str, quote: str) -> int:
    index = 0
    while index < len(body):
        if quote == '"' and body[index] == "\\":
            index += 2
            continue
        if body[index] == quote:
            return index
        index += 1
    return -1


def _unquote(body: str, quote: str) -> str:
    end = _end(body, quote)
    inside = body if end < 0 else body[:end]
    if quote == "'":
        return inside
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match.group(1), match.group(0)), inside, flags=re.DOTALL)
