# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A dotenv file that docker compose and podman-compose read the same.

The two readers differ: docker compose expands ``$NAME`` in plain and double-quoted values, podman-compose
(python-dotenv) expands ``${NAME}`` even in single quotes, and both treat backslashes in their own way. What is written
here means the
same to both; what cannot be written so is refused. The rules were found by running docker compose 2.26 and 2.40 and
python-dotenv 1.2 side by side, and a test does so again.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError

MODE = 0o600
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")
# python-dotenv's own expression for what it expands, whatever the quotes.
_EXPANDED = re.compile(r"\$\{[^}:]*(?::-[^}]*)?\}")
_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=[ \t]*(.*)", re.DOTALL)
_MANAGED = "# Set by onebox.stack.env_file, by hand no longer: "


class EnvFileError(OneboxError):
    """The file cannot be what is asked for; the text says which variable or file, and what to do."""


def text_of(name: str, value: t.Any) -> str:
    """The text of a variable's value as it came from YAML: true and false as there, nothing for null."""
    if not _NAME.fullmatch(name):
        raise EnvFileError(f"{name!r} is no name of a variable: letters, digits and '_', and no digit first")
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise EnvFileError(f"{name} must be text or a number, not a {type(value).__name__}")


def quote(name: str, value: str) -> str:
    """``value`` so that both readers get exactly it. The error does not hold the value: it may be a secret."""
    if _PLAIN.fullmatch(value):
        return value
    if "\0" in value:
        raise EnvFileError(f"{name} holds a NUL character, which no environment can")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise EnvFileError(f"{name} is not valid Unicode text") from error
    if _EXPANDED.search(value):
        raise EnvFileError(
            f"{name} holds ${{...}}, which podman-compose expands whatever the quotes: write out what it stands for"
        )
    single = not re.search(r"\\(?:[\\']|\Z)|\r", value)
    if single and "\n" not in value:
        return "'" + value.replace("'", "\\'") + "'"
    if "$" not in value:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
        return f'"{escaped}"'
    if single:
        return "'" + value.replace("'", "\\'") + "'"
    raise EnvFileError(
        f"{name} holds '$' together with a backslash before a backslash or quote, or a carriage return: docker compose "
        "and podman-compose would read it differently; put it into a file and mount it as a secret"
    )


class Piece(t.NamedTuple):
    """Lines of the file that belong together. ``name`` is "" for a comment or an empty line."""

    name: str
    text: str


def pieces(text: str, path: str) -> list[Piece]:
    """The file in pieces; joined, their texts are the file. A quoted value may go over several lines."""
    found: list[Piece] = []
    lines = iter(enumerate(re.findall(r"[^\n]*\n|[^\n]+", text), 1))
    for number, line in lines:
        match = None if line.lstrip().startswith("#") else _ASSIGNMENT.match(line)
        if not match:
            found.append(Piece("", line))
            continue
        name, value = match.groups()
        while value[:1] in ("'", '"') and not _closed(value):
            more = next(lines, None)
            if more is None:
                raise EnvFileError(f"{path}, line {number}: the quote after {name}= does not end; mend or remove it")
            line += more[1]
            value += more[1]
        found.append(Piece(name, line))
    return found


def _closed(value: str) -> bool:
    mark = value[0]
    return bool(re.match(rf"{mark}(?:[^{mark}\\]|\\.)*{mark}", value, re.DOTALL))


def _empty(piece: Piece) -> bool:
    value = piece.text.split("=", 1)[1].strip()
    return not value or value.startswith("#") or value[:2] in ("''", '""')


def merge(text: str, values: t.Mapping[str, str], path: str = ".env") -> str:
    """``text`` with ``values`` set in their places or at the end, and without those set earlier and no longer.

    Comments, order and the variables of others stay as they are.
    """
    before: set[str] = set()
    rest: list[Piece] = []
    for piece in pieces(text, path):
        if piece.text.startswith(_MANAGED):
            before.update(piece.text[len(_MANAGED) :].split())
        else:
            rest.append(piece)
    lines = [f"{_MANAGED}{' '.join(values)}\n"] if values else []
    done: set[str] = set()
    for piece in rest:
        if piece.name in values:
            if piece.name not in done:  # of several, readers take the last: one is left
                lines.append(f"{piece.name}={quote(piece.name, values[piece.name])}\n")
            done.add(piece.name)
        elif piece.name not in before:
            lines.append(piece.text if piece.text.endswith("\n") else piece.text + "\n")
    lines += [f"{name}={quote(name, value)}\n" for name, value in values.items() if name not in done]
    return "".join(lines)


def missing(text: str, required: t.Sequence[str], path: str = ".env") -> list[str]:
    """Those of ``required`` that are not there or empty. Of several of one name, the last counts."""
    filled = {piece.name: not _empty(piece) for piece in pieces(text, path) if piece.name}
    return [name for name in required if not filled.get(name)]


def keys(text: str, path: str = ".env") -> list[str]:
    """The names of all variables, sorted."""
    return sorted({piece.name for piece in pieces(text, path) if piece.name})


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
    """Whether the directory of the file at ``path`` is not there, or has another mode than ``mode``."""
    try:
        found = os.stat(os.path.dirname(path))
    except FileNotFoundError:
        return True
    except OSError as error:
        raise EnvFileError(f"{os.path.dirname(path)} is: {error.strerror}") from error
    return stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) != mode


def make_directory(path: str, mode: int) -> None:
    """Make the directory of the file at ``path``, and those above it, and give it ``mode``."""
    directory = os.path.dirname(path)
    try:
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, mode)
    except OSError as error:
        raise EnvFileError(f"{directory} cannot be made: {error.strerror}") from error


def write(path: str, text: str, uid: int, gid: int) -> None:
    """Replace the file in one step. Nobody but its owner can read it at any moment; -1 leaves the caller's id."""
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        raise EnvFileError(f"{directory} is not a directory: make it first, then {path}")
    try:
        fd, temporary = tempfile.mkstemp(prefix=".env-", dir=directory)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(text.encode())
                os.fchown(fd, uid, gid)
                os.fchmod(fd, MODE)
                file.flush()
                os.fsync(fd)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise EnvFileError(f"{path} cannot be written: {error.strerror}; it is as it was") from error
