# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The statements of a dotenv file, as docker compose and as podman-compose read them.

docker compose reads with compose-go's parser, podman-compose with python-dotenv. They disagree about comments, escapes,
references, names and the end of a line. A test compares both with this reader.
"""

from __future__ import annotations

import re
import typing as t
import unicodedata
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError, Problem

Lookup = t.Callable[[str], "str | None"]


class EnvFileError(OneboxError):
    """A dotenv file cannot be read or written. The text names the file, the line or the variable, and no value."""


def refusal(path: str, line: int, message: str) -> EnvFileError:
    """The error for a line of a file."""
    problem = Problem("not_dotenv", f"{path}, line {line}", message)
    return EnvFileError(f"{problem.where}: {message}", problems=[problem])


@dataclass(frozen=True)
class Dialect:
    """The way one tool reads a dotenv file.

    Attributes:
        tool: its name in messages.
        python_dotenv: version of the library it reads with, ``()`` for docker compose.
    """

    tool: str
    python_dotenv: tuple[int, ...] = ()

    @property
    def docker(self) -> bool:
        """Whether the tool is docker compose."""
        return not self.python_dotenv

    @classmethod
    def podman_compose(cls, python_dotenv: str) -> Dialect:
        """The dialect of a podman-compose with this version of its library, the newest known one for ""."""
        version = tuple(int(part) for part in re.findall(r"\d+", python_dotenv)[:3])
        return cls("podman-compose", version or (1, 2, 4))


DOCKER_COMPOSE = Dialect("docker compose")
PODMAN_COMPOSE = Dialect.podman_compose("")


class Statement(t.NamedTuple):
    """One variable, comment or unreadable line.

    Attributes:
        name: "" for a comment and for a line that podman-compose skips.
        value: without quotes and escapes, references as they are written. None for a name without a value.
        literal: whether the value is used as it is, without replacing references.
        start: position of its first character in the text.
        end: position behind its last character.
    """

    name: str
    value: str | None
    literal: bool
    start: int
    end: int


def statements(text: str, dialect: Dialect, path: str) -> list[Statement]:
    """The statements of ``text`` in their order.

    Args:
        path: the file, for errors.

    Raises:
        EnvFileError: docker compose refuses the file. podman-compose skips unreadable lines.
    """
    skips_mark = dialect.docker or dialect.python_dotenv >= (1, 2, 3)
    start = 1 if skips_mark and text.startswith("\ufeff") else 0
    return list(_docker(text, start, path) if dialect.docker else _podman(text, start, dialect.python_dotenv))


def line_of(text: str, position: int) -> int:
    """The number of the line at ``position``."""
    return text.count("\n", 0, position) + 1


# --- docker compose ---

_BLANKS = "\t\v\f\r \x85\xa0"
_SPACES = _BLANKS + "\n\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
_SKIPPED = re.compile(rf"(?:[{_SPACES}]+|#[^\n]*)*")
_EXPORT = re.compile(rf"export(?=[\t\n\f\r ])[{_BLANKS}]*")
_BLANK = re.compile(rf"[{_BLANKS}]*")
_LINE = re.compile(r"[^\n]*")
_ESCAPE = re.compile(r'\\(?:[abfnrtv$"\\]|0[0-9]{0,3})')
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", '"': '"', "\\": "\\"}
_PAIR = re.compile(r"\\(.)", re.DOTALL)
_OCTAL = re.compile(r"[0-3][0-7]{2}")
_QUOTED = {quote: re.compile(rf"{quote}((?:\\.|[^{quote}\\])*){quote}", re.DOTALL) for quote in ("'", '"')}


def _docker(text: str, position: int, path: str) -> t.Iterator[Statement]:
    while True:
        start = _end(_SKIPPED, text, position)
        if start == len(text):
            return
        name, has_value, position = _docker_name(text, start, path)
        if not has_value:
            yield Statement(name, None, True, start, position)
            continue
        position = _end(_BLANK, text, position)
        quote = text[position : position + 1]
        if quote not in _QUOTED:
            end = _end(_LINE, text, position)
            value = text[position:end].split(" #", 1)[0].rstrip(_SPACES)
            yield Statement(name, value, False, start, end)
            position = end
            continue
        quoted = _QUOTED[quote].match(text, position)
        if quoted is None:
            raise refusal(path, line_of(text, start), f"the quote after {name}= does not end. Close or remove it.")
        position = quoted.end()
        value = _PAIR.sub(lambda pair, quote=quote: quote if pair.group(1) == quote else pair.group(), quoted.group(1))
        yield Statement(name, _docker_escapes(value) if quote == '"' else value, quote == "'", start, position)


def _docker_name(text: str, start: int, path: str) -> tuple[str, bool, int]:
    """The name of a variable, whether it has a value, and where that starts."""
    export = _EXPORT.match(text, start)
    first = export.end() if export else start
    for position in range(first, len(text)):
        character = text[position]
        if character in "=:\n":
            name = text[first:position].rstrip(_SPACES)
            if " " in name:
                raise _no_name(text, start, path)
            return name, character != "\n", position + 1
        if not (character in _BLANKS or character in "_.-[]" or unicodedata.category(character)[0] in "LN"):
            raise _no_name(text, start, path)
    if first == len(text):
        raise _no_name(text, start, path)
    # A last line without "=" and without an end of line is the value of a variable without a name.
    return "", True, first


def _no_name(text: str, start: int, path: str) -> EnvFileError:
    message = "docker compose cannot read this line. Write NAME=value, or remove the line."
    return refusal(path, line_of(text, start), message)


def _docker_escapes(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        escape = match.group()[1:]
        if escape == "$":
            return "$$"  # the form of one "$" in text with references
        if escape[0] == "0":
            # It drops the zero, and then knows three digits only.
            return chr(int(escape[1:], 8)) if _OCTAL.fullmatch(escape[1:]) else "\\" + escape[1:]
        return _ESCAPED[escape]

    return _ESCAPE.sub(plain, text)


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    """The end of the match of a pattern that always matches."""
    match = pattern.match(text, position)
    return match.end() if match else position


# --- podman-compose ---

_PY_SPACES = re.compile(r"\s*")
_PY_BLANKS = re.compile(r"[^\S\r\n]*")
_PY_EXPORT = re.compile(r"(?:export[^\S\r\n]+)?")
_PY_NAME = re.compile(r"'([^']+)'|(?!')([^=#\s]+)")
_PY_LINE = re.compile(r"[^\r\n]*")
_PY_LINE_END = re.compile(r"\r\n|\n|\r|\Z")
# Python opens the file as text, so that each end of line is "\n" for the tool.
_PY_OTHER_LINE_END = re.compile(r"\r\n?")
_PY_COMMENT = re.compile(r"(?:[^\S\r\n]*#[^\r\n]*)?[^\S\r\n]*(?:\r\n|\n|\r|\Z)")
_PY_OLD_QUOTED = {quote: re.compile(rf"{quote}((?:\\{quote}|[^{quote}])*){quote}") for quote in ("'", '"')}
_PY_ESCAPES = {"'": re.compile(r"\\([\\'])"), '"': re.compile(r"\\([\\'\"abfnrtv])")}
_PY_ESCAPED = {**_ESCAPED, "'": "'"}


def _podman(text: str, position: int, version: tuple[int, ...]) -> t.Iterator[Statement]:
    while True:
        start = _end(_PY_SPACES, text, position)
        if start == len(text):
            return
        name, value, position, readable = _podman_binding(text, start, version)
        rest = _PY_COMMENT.match(text, position) if readable else None
        if rest is None:
            name, value = "", None
            rest = _PY_LINE_END.match(text, _end(_PY_LINE, text, position))
        position = rest.end() if rest else len(text)
        yield Statement(name, value, False, start, position)


def _podman_binding(text: str, start: int, version: tuple[int, ...]) -> tuple[str, str | None, int, bool]:
    """Name and value, where they end, and whether they can be read up to there."""
    position = _end(_PY_EXPORT, text, start)
    name = ""
    if not text.startswith("#", position):
        found = _PY_NAME.match(text, position)
        if found is None:
            return "", None, position, False
        name, position = _PY_OTHER_LINE_END.sub("\n", found.group(1) or found.group(2)), found.end()
    position = _end(_PY_BLANKS, text, position)
    if not text.startswith("=", position):
        return name, None, position, True
    after = _end(_PY_BLANKS, text, position + 1)
    blank, position = after > position + 1, after
    character = text[position : position + 1]
    if character == "#" and blank and version >= (1, 2, 4):
        return name, "", position, True
    if character not in _QUOTED:
        end = _end(_PY_LINE, text, position)
        return name, re.sub(r"\s+#.*", "", text[position:end]).rstrip(), end, True
    quoted = (_QUOTED if version >= (1, 2, 3) else _PY_OLD_QUOTED)[character].match(text, position)
    if quoted is None:
        return name, None, position, False
    value = _PY_OTHER_LINE_END.sub("\n", quoted.group(1))
    value = _PY_ESCAPES[character].sub(lambda match: _PY_ESCAPED[match.group(1)], value)
    return name, value, quoted.end(), True


# --- references ---

_DOCKER_REFERENCE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<named>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\{(?:(?P<braced>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<operator>:?[-+?])(?P<operand>.*))?\})?)"
)
PODMAN_REFERENCE = re.compile(r"\$\{([^}:]*)(?::-([^}]*))?\}")


class _Unexpandable(OneboxError):
    """Why docker compose cannot replace a reference."""


def expand(statement: Statement, dialect: Dialect, lookup: Lookup, path: str, text: str) -> str:
    """The value of ``statement`` with its references replaced.

    Args:
        lookup: the value of a variable, None when it is not set.
        path: the file, for errors.
        text: its text, for errors.

    Raises:
        EnvFileError: docker compose refuses a reference.
    """
    value = statement.value or ""
    if statement.literal:
        return value
    if not dialect.docker:
        return PODMAN_REFERENCE.sub(lambda match: _podman_reference(match, lookup), value)
    try:
        return _substitute(value, lookup)
    except _Unexpandable as why:
        raise refusal(path, line_of(text, statement.start), f"{statement.name} {why}.") from None


def _podman_reference(match: re.Match[str], lookup: Lookup) -> str:
    value = lookup(match.group(1))
    return (match.group(2) or "") if value is None else value


def _substitute(template: str, lookup: Lookup) -> str:
    return _DOCKER_REFERENCE.sub(lambda match: _docker_reference(match.group(), lookup), template)


def _docker_reference(text: str, lookup: Lookup) -> str:
    # The operand of the match extends to the last "}" of the line.
    end = _closing_brace(text)
    text, rest = (text[: end + 1], text[end + 1 :]) if end >= 0 else (text, "")
    match = _DOCKER_REFERENCE.match(text)
    if match is not None and match["escaped"]:
        return "$"
    name = (match["named"] or match["braced"]) if match is not None else None
    if match is None or not name:
        raise _Unexpandable("has ${ without a variable and }. For a literal $ put the value in single quotes")
    operator, value = match["operator"] or "", lookup(name)
    if operator:
        given = bool(value) if operator.startswith(":") else value is not None
        if operator.endswith("?") and not given:
            raise _Unexpandable(f"requires {name}, which is not set. Set {name} above this line")
        if operator.endswith("+") == given and not operator.endswith("?"):
            value = _substitute(match["operand"], lookup)
        return (value or "") + _substitute(rest, lookup)
    return value or ""


def _closing_brace(text: str) -> int:
    """Where docker compose ends a reference: at the brace that closes the first one. -1 for nowhere."""
    depth = position = 0
    while position < len(text):
        if text[position] == "}":
            depth -= 1
            if depth == 0:
                return position
        elif text[position] == "{":
            depth += 1
            position += 1  # it skips the character after a brace
        position += 1
    return -1
