# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read dotenv files as docker compose or podman-compose does, and write files that both read the same.

The readers differ: docker compose replaces ``$NAME`` in plain and double-quoted values, podman-compose (python-dotenv)
replaces ``${NAME}`` even in single quotes, and both treat backslashes in their own way. Values are written in a form
that means the same to both, and values without such a form are refused. The rules were found by running docker compose
2.26 and 2.40 and python-dotenv 1.0 to 1.2 side by side, and a test does so again.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import stat
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.core.dotenv_syntax import (
    DOCKER_COMPOSE,
    PODMAN_COMPOSE,
    PODMAN_REFERENCE,
    Dialect,
    EnvFileError,
    Statement,
    expand,
    line_of,
    refusal,
    statements,
)

MODE = 0o600
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")
_MANAGED = "# Set by onebox.stack.env_file, by hand no longer: "


def parse(
    text: str, dialect: Dialect, environ: t.Mapping[str, str] | None = None, path: str = ".env"
) -> dict[str, str]:
    """The variables that a tool reads from a dotenv file, with references replaced.

    A name without a value has the value of ``environ``, and is left out when it is not set there.

    Args:
        text: the file.
        dialect: the tool.
        environ: the environment the tool runs in.
        path: the file, for errors.

    Raises:
        EnvFileError: docker compose refuses the file. podman-compose skips unreadable lines.
    """
    outside = environ or {}
    found: dict[str, str | None] = {}

    def lookup(name: str) -> str | None:
        # docker compose prefers its environment, podman-compose the lines above, also one without a value.
        if dialect.docker:
            return outside.get(name, found.get(name))
        return (found[name] or "") if name in found else outside.get(name)

    for statement in statements(text, dialect, path):
        name = statement.name
        if statement.value is not None:
            found[name] = expand(statement, dialect, lookup, path, text)
        elif dialect.docker:
            found[name] = lookup(name)
        else:
            found[name] = None
    given = ((name, outside.get(name) if value is None else value) for name, value in found.items())
    return {name: value for name, value in given if name and value is not None}


def text_of(name: str, value: t.Any) -> str:
    """The text of a variable's value as it came from YAML: true and false as there, nothing for null."""
    if not _NAME.fullmatch(name):
        message = "is not a valid name of a variable. Use letters, digits and '_', and do not start with a digit"
        raise EnvFileError(f"{name!r} {message}")
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise EnvFileError(f"{name} must be text or a number, not a {type(value).__name__}")


def quote(name: str, value: str) -> str:
    """``value`` in the form from which every reader gets exactly it.

    Raises:
        EnvFileError: there is no such form. The text does not hold the value: it may be a secret.
    """
    if _PLAIN.fullmatch(value):
        return value
    if "\0" in value:
        raise EnvFileError(f"{name} holds a NUL character, which no environment can")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise EnvFileError(f"{name} is not valid Unicode text") from error
    if PODMAN_REFERENCE.search(value):
        raise EnvFileError(f"{name} holds ${{...}}, which podman-compose expands whatever the quotes: write its value")
    single = not re.search(r"\\(?:[\\']|\Z)|\r", value)
    if single and "\n" not in value:
        return "'" + value.replace("'", "\\'") + "'"
    if "$" not in value:
        if value.endswith("\\"):
            return _without_quotes(name, value)
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
        return f'"{escaped}"'
    if single:
        return "'" + value.replace("'", "\\'") + "'"
    raise EnvFileError(
        f"{name} holds '$' together with a backslash before a backslash or quote, or a carriage return: docker compose "
        "and podman-compose would read it differently. Put it into a file and mount it as a secret"
    )


def _without_quotes(name: str, value: str) -> str:
    # The old python-dotenv takes a backslash before the closing quote for an escape, and reads on to the next quote.
    if re.search(r"[\r\n]|\s#|\A[\s#'\"]", value):
        raise EnvFileError(
            f"{name} ends in a backslash and needs quotes. python-dotenv before 1.2.3, which Debian's podman-compose "
            "uses, misses the closing quote. Put the value into a file and mount it as a secret."
        )
    return value


class Piece(t.NamedTuple):
    """Text of the file that belongs together. ``name`` is "" for a comment, blanks and other text."""

    name: str
    text: str
    line: int


def pieces(text: str, path: str) -> list[Piece]:
    """The file in pieces; joined, their texts are the file. A quoted value may go over several lines."""
    found: list[Piece] = []
    done = 0
    for statement in statements(text, PODMAN_COMPOSE, path):
        start = max(done, text.rfind("\n", 0, statement.start) + 1)  # with its indentation
        if start > done:
            found.append(Piece("", text[done:start], line_of(text, done)))
        name = "" if statement.value is None else statement.name
        found.append(Piece(name, text[start : statement.end], line_of(text, start)))
        done = statement.end
    if done < len(text):
        found.append(Piece("", text[done:], line_of(text, done)))
    return found


def merge(text: str, values: t.Mapping[str, str], path: str = ".env") -> str:
    """``text`` with ``values`` set in their places or at the end, and without those set earlier and no longer.

    Comments, order and the variables of others stay as they are.

    Raises:
        EnvFileError: a value has no form that every reader reads the same, docker compose refuses the file, or a line
            of others keeps a reader from a value.
    """
    text = text[1:] if text.startswith("\ufeff") else text
    statements(text, DOCKER_COMPOSE, path)
    before: set[str] = set()
    rest: list[Piece] = []
    for piece in pieces(text, path):
        if piece.text.startswith(_MANAGED):
            before.update(piece.text[len(_MANAGED) :].split())
        else:
            rest.append(piece)
    made = [Piece("", f"{_MANAGED}{' '.join(values)}\n", 0)] if values else []
    done: set[str] = set()
    for piece in rest:
        if piece.name in values:
            if piece.name not in done:  # of several, readers take the last: one is left
                made.append(_set(piece.name, values))
            done.add(piece.name)
        elif piece.name not in before:
            made.append(piece)
    if made and not made[-1].text.endswith("\n"):
        made[-1] = made[-1]._replace(text=made[-1].text + "\n")
    made += [_set(name, values) for name in values if name not in done]
    _read_back(made, values, path)
    return "".join(piece.text for piece in made)


def _set(name: str, values: t.Mapping[str, str]) -> Piece:
    return Piece(name, f"{name}={quote(name, values[name])}\n", 0)


def _read_back(made: t.Sequence[Piece], values: t.Mapping[str, str], path: str) -> None:
    """Read ``values`` from the new file with every dialect.

    Raises:
        EnvFileError: a line of others, say one with an open quote, keeps a reader from one.
    """
    text = "".join(piece.text for piece in made)
    for dialect in (DOCKER_COMPOSE, PODMAN_COMPOSE):
        found = {each.name: each for each in statements(text, dialect, path)}
        for name, value in values.items():
            there = found.get(name)
            if there is None or not _holds(there, value, dialect, path, text):
                line = _line_in_the_way(name, made, statements(text, dialect, path))
                message = f"because of this line {dialect.tool} would not read {name} as it is set. Fix or remove it."
                raise refusal(path, line, message)


def _holds(statement: Statement, value: str, dialect: Dialect, path: str, text: str) -> bool:
    try:
        return expand(statement, dialect, lambda unused: None, path, text) == value
    except EnvFileError:
        return False


def _line_in_the_way(name: str, made: t.Sequence[Piece], found: t.Sequence[Statement]) -> int:
    """The line, in the file as it was, of the statement that is read in place of the one that sets ``name``."""
    starts = list(itertools.accumulate((len(piece.text) for piece in made), initial=0))
    ours = next(start for start, piece in zip(starts, made) if piece.name == name and not piece.line)
    others = [each.start for each in found if each.start < ours < each.end or each.name == name and each.start != ours]
    position = others[-1] if others else ours
    piece, start = next((piece, start) for piece, start in reversed(list(zip(made, starts))) if start <= position)
    return piece.line + line_of(piece.text, position - start) - 1


def missing(text: str, required: t.Sequence[str], path: str = ".env") -> list[str]:
    """Those of ``required`` that docker compose or podman-compose reads as empty, or does not find.

    Raises:
        EnvFileError: docker compose refuses the file.
    """
    empty: set[str] = set()
    for dialect in (DOCKER_COMPOSE, PODMAN_COMPOSE):
        filled = {statement.name: bool(statement.value) for statement in statements(text, dialect, path)}
        empty.update(name for name in required if not filled.get(name))
    return [name for name in required if name in empty]


def keys(text: str, path: str = ".env") -> list[str]:
    """The names of all variables that docker compose or podman-compose reads a value for, sorted."""
    found = statements(text, PODMAN_COMPOSE, path)
    with contextlib.suppress(EnvFileError):  # where docker compose refuses the file, podman-compose may still be used
        found += statements(text, DOCKER_COMPOSE, path)
    return sorted({statement.name for statement in found if statement.name and statement.value is not None})


def masked(before: str, after: str, path: str = ".env") -> dict[str, str]:
    """A diff that shows which variables change, and no value."""
    old = {piece.name: piece.text for piece in pieces(before, path) if piece.name}
    new = {piece.name: piece.text for piece in pieces(after, path) if piece.name}
    return {
        "before": "".join(f"{name}=********\n" for name in sorted(old)),
        "after": "".join(
            f"{name}=********{'' if old.get(name) in (None, new[name]) else ' (changed)'}\n" for name in sorted(new)
        ),
    }


class State(t.NamedTuple):
    """The file as it is. ``uid`` and ``gid`` are -1, ``mode`` 0, while there is none."""

    text: str
    uid: int
    gid: int
    mode: int


def read(path: str) -> State:
    """The file at ``path``, which need not be there."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return State("", -1, -1, 0)
    except OSError as error:
        reason = "is a symbolic link; name the file itself" if os.path.islink(path) else f"is: {error.strerror}"
        raise EnvFileError(f"{path} {reason}") from error
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise EnvFileError(f"{path} is not a regular file")
    with os.fdopen(fd, "rb") as file:
        try:
            text = file.read().decode("utf-8")
        except UnicodeDecodeError as error:
            raise EnvFileError(f"{path} is not UTF-8 (byte {error.start}): convert or remove it") from error
    return State(text, found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode))


def directory_due(path: str, mode: int) -> bool:
    """Whether the directory of the file at ``path`` is missing, or has another mode than ``mode``."""
    try:
        found = os.stat(os.path.dirname(path))
    except FileNotFoundError:
        return True
    except OSError as error:
        raise EnvFileError(f"{os.path.dirname(path)} is: {error.strerror}") from error
    return stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) != mode


def make_directory(path: str, mode: int) -> None:
    """Create the directory of the file at ``path`` and its parents, with ``mode``."""
    directory = os.path.dirname(path)
    try:
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, mode)
    except OSError as error:
        raise EnvFileError(f"{directory} cannot be created: {error.strerror}") from error


def write(path: str, text: str, uid: int, gid: int) -> None:
    """Replace the file in one step. Only its owner can read it at any moment. -1 keeps the caller's id."""
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        raise EnvFileError(f"{directory} is not a directory: create it first, then {path}")
    try:
        files.replace(path, text.encode(), MODE, durable=True, owner=(uid, gid))
    except files.FileError as error:
        raise EnvFileError(f"{error}; it is as it was") from error
