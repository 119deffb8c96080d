# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write YAML that a person reads, and that each YAML 1.1 and 1.2 reader reads alike. The standard library has none."""

from __future__ import annotations

import json
import re
import typing as t

_PLAIN = re.compile(r"[A-Za-z_/.][A-Za-z0-9_./@+-]*(?::[A-Za-z0-9_./@+-]+)*")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "null", "y", "n", ".inf", ".nan", "."))


def dump(value: t.Any, comment: t.Sequence[str] = ()) -> str:
    """The text of a document: mappings, lists, texts, numbers, truth values and None.

    Args:
        comment: lines at the top. A line break in one becomes a space.
    """
    lines = [("# " + " ".join(line.split())).rstrip() for line in comment]
    return "\n".join([*lines, "---", *_block(value, "")]) + "\n"


def _block(value: t.Any, indent: str) -> t.Iterator[str]:
    if isinstance(value, t.Mapping) and value:
        for key, inner in value.items():
            yield from _entry(f"{indent}{scalar(str(key))}:", inner, indent)
    elif isinstance(value, (list, tuple)) and value:
        for inner in value:
            rows = list(_block(inner, indent + "  "))
            yield f"{indent}- {rows[0].lstrip(' ')}"
            yield from rows[1:]
    else:
        yield indent + scalar(value)


def _entry(head: str, inner: t.Any, indent: str) -> t.Iterator[str]:
    if isinstance(inner, (t.Mapping, list, tuple)) and inner:
        yield head
        yield from _block(inner, indent + "  ")
    else:
        yield f"{head} {scalar(inner)}"


def scalar(value: t.Any) -> str:
    """One value on one line."""
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS and not _number(value)
        return value if plain else '"' + "".join(map(_escaped, value)) + '"'
    if isinstance(value, (t.Mapping, list, tuple)):
        return "{}" if isinstance(value, t.Mapping) else "[]"
    return json.dumps(value)


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    # YAML has no pairs of surrogates, unlike JSON.
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _number(text: str) -> bool:
    # Readers of YAML 1.1 take .5, and 1:30 in base 60, for numbers.
    return bool(re.fullmatch(r"[-+.0-9][0-9._:eE+-]*", text))
