# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values for units, and systemd's documented rules to read them back (systemd.syntax(7), systemd.service(5))."""

from __future__ import annotations

import re

from ansible_collections.onebox.stack.plugins.module_utils.core import jobs
from hypothesis import strategies as st

BLANKS = " \t\n\r"
ESCAPES = {**{c: c for c in "\\\"'"}, **dict(zip("abfnrtvs", "\a\b\f\n\r\t\v "))}


def noncharacter(character: str) -> bool:
    code = ord(character)
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF


# Any text that can be in a file, and often the characters that mean something to systemd.
SPECIAL = " \t\n\r\"'\\$%;#{}@-:+=~é\u00a0\u2028\u0085\x01\x7f\x1b한😀"
PIECES = ["%h", "%%", "$HOME", "${HOME}", "$$", "\\n", "\\\n", " ;", "; ", "..", "/../", "  "]
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXT = st.one_of(
    st.sampled_from([";", "", "#", *PIECES]),
    st.lists(st.one_of(st.sampled_from([*SPECIAL, *PIECES]), CHARACTERS), max_size=10).map("".join),
).filter(lambda text: not any(noncharacter(one) for one in text))
LINE = TEXT.filter(lambda text: not set(text) & set("\n\r"))
PATH = LINE.map(lambda text: "/" + text).filter(lambda path: ".." not in path.split("/"))
PROGRAM = st.text(st.sampled_from("ab $%;{}=é한😀/-@"), max_size=8).map(lambda text: f"/bin/{text}x")


# systemd's rules


def lines(text: str) -> list[tuple[str, str]]:
    """Keys and values of a unit, ("[", name) for a section (systemd.syntax(7))."""
    assert not any(noncharacter(one) for one in text)
    found = []
    joined = ""
    for line in re.split("[\n\r\0]", text):
        line = line.lstrip(BLANKS) if not joined else line
        if line[:1] in ("#", ";"):
            continue
        if (len(line) - len(line.rstrip("\\"))) % 2:
            joined += line[:-1] + " "
            continue
        line, joined = (joined + line).strip(BLANKS), ""
        if line.startswith("["):
            found.append(("[", line[1:-1]))
        elif line:
            key, _sign, value = line.partition("=")
            found.append((key.rstrip(BLANKS), value.strip(BLANKS)))
    assert not joined, "the last line is continued"
    return found


def words(text: str, *, escapes: bool, command: bool = False) -> list[str]:
    """Split a value as systemd does; ``escapes`` in a command line and for variables, not in a list of paths."""
    found: list[str] = []
    word: str | None = None
    quote = ""
    rest = text
    while rest:
        character, rest = rest[0], rest[1:]
        if word is None and command and character == ";" and rest[:1] in ("", *BLANKS):
            raise AssertionError("the command line ends here, and another one begins")
        if character == "\\":
            assert rest, "a backslash at the end"
            character, rest = unescape(rest) if escapes else (rest[0], rest[1:])
            word = (word or "") + character
        elif character == quote:
            quote = ""
        elif not quote and character in "\"'":
            quote, word = character, word or ""
        elif not quote and character in BLANKS:
            found += [] if word is None else [word]
            word = None
        else:
            word = (word or "") + character
    assert not quote, "an open quote"
    return found if word is None else [*found, word]


def unescape(rest: str) -> tuple[str, str]:
    if rest[0] in ESCAPES:
        return ESCAPES[rest[0]], rest[1:]
    digits = {"x": 2, "u": 4, "U": 8}[rest[0]]
    code = int(rest[1 : 1 + digits], 16)
    assert code, "NUL"
    assert code < 0x80 or digits > 2, "bytes that are no text"
    return chr(code), rest[1 + digits :]


def specifiers(text: str) -> str:
    assert not re.search("%[^%]", text.replace("%%", "")), f"a specifier in {text!r}"
    assert text.count("%") % 2 == 0
    return text.replace("%%", "%")


def variables(word: str) -> str:
    """What a program gets for an argument (systemd.service(5)), which must name no variable."""
    assert "$" not in word.replace("$$", ""), f"a variable in {word!r}"
    return word.replace("$$", "$")


def value_of(key: str, value: jobs.Value, section: str = "Service") -> list[str]:
    """The raw values that a unit with one setting has for it. Nothing else may be in the unit."""
    found = lines(jobs.unit({section: [(key, value), ("Type", "oneshot")]}))
    assert [found[0], found[-1]] == [("[", section), ("Type", "oneshot")]
    assert {name for name, _value in found[1:-1]} <= {key}
    return [raw for _key, raw in found[1:-1]]


def command_of(raw: str) -> list[str]:
    program, *arguments = [specifiers(word) for word in words(raw, escapes=True, command=True)]
    return [program, *(variables(word) for word in arguments)]
