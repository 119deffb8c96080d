# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema of all fields of a manifest, checked before any of them is used.

Readers of a manifest join its names to paths, compare its numbers and pass its texts to programs. So every value has a
type and a bound here. Names follow the rules of backup configurations. A path in the facts must be one of the files
that the source lists with a checksum. Unknown keys are bounded and kept, because another version may use them.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import math
import os
import re
import sqlite3
import tarfile
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from ansible_collections.onebox.stack.plugins.module_utils.core import trees

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\Z")
KINDS = ("postgresql", "mysql", "redis", "sqlite", "directory", "volume", "compose")
MAX_SEQ = 999_999_999
MAX_BYTES = 1 << 28
MAX_NUMBER = 1 << 63
_MAX_TEXT = 1 << 16
_MAX_DEPTH = 24
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_WORD = re.compile(r"[^\s\0-][^\s\0]{0,511}\Z")
_FILE_NAME = re.compile(r"(?!\.{1,2}\Z)[^/\0\s-][^/\0\n]{0,254}\Z")
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_$.-]{0,127}\Z")

Check = t.Callable[[t.Any, str], t.Any]


class Malformed(StoreError):
    """A field of a manifest is malformed. The text names the field."""


class Facts(dict[str, t.Any]):
    """Facts of a source. Reading a missing field is an error of the set that names the field.

    Args:
        where: the set's source, for the message.
    """

    def __init__(self, data: t.Mapping[str, t.Any], where: str) -> None:
        super().__init__(
            {key: Facts(value, f"{where}.{key}") if isinstance(value, dict) else value for key, value in data.items()}
        )
        self.where = where

    def __missing__(self, key: str) -> t.NoReturn:
        raise StoreError(f"{self.where}: {key!r} is missing in the manifest of the set. Use another set.")


@contextlib.contextmanager
def of_set(where: str) -> t.Iterator[None]:
    """Convert exceptions of reading a damaged set to :class:`StoreError` with ``where``."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, EOFError) as error:
        raise StoreError(f"{where}: its files are damaged ({_described(error)}). Use another set.") from error
    except (tarfile.TarError, sqlite3.Error) as error:
        raise StoreError(f"{where}: an archive of it is damaged ({_described(error)}). Use another set.") from error


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"


def decode(data: bytes) -> dict[str, t.Any]:
    """Strict JSON for a manifest: without duplicate keys, NaN and unlimited depth. Raises ValueError."""
    if len(data) > MAX_BYTES:
        raise Malformed(f"it is larger than {MAX_BYTES >> 20} MiB")

    def pairs(rows: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
        found = dict(rows)
        if len(found) != len(rows):
            raise Malformed("a key exists twice")
        return found

    def constant(word: str) -> t.NoReturn:
        raise Malformed(f"{word} is not a number")

    try:
        body = json.loads(data, object_pairs_hook=pairs, parse_constant=constant)
    except RecursionError:
        raise Malformed("it is nested too deeply") from None
    return mapping(body, "it")


# -- values ----------------------------------------------------------------------------------------------------------


def number(value: t.Any, where: str, most: int = MAX_NUMBER, least: int = 0) -> int:
    """A whole number. Raises :class:`Malformed`."""
    # In Python a bool is an int, in JSON it is not a number.
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Malformed(f"{where} is not a whole number from {least} to {most}: {_shown(value)}")
    return value


def text(value: t.Any, where: str, most: int = _MAX_TEXT) -> str:
    """A text that can be a name or an argument. Raises :class:`Malformed`."""
    if not isinstance(value, str) or len(value) > most or "\0" in value:
        raise Malformed(f"{where} is not a text of at most {most} characters: {_shown(value)}")
    try:
        if not value.isascii():
            os.fsencode(value)
    except UnicodeError:
        raise Malformed(f"{where} holds half a character: {_shown(value)}") from None
    return value


def matching(pattern: re.Pattern[str], what: str) -> Check:
    """A check for a text that matches ``pattern``."""

    def check(value: t.Any, where: str) -> str:
        if not pattern.match(text(value, where)):
            raise Malformed(f"{where} is not {what}: {_shown(value)}")
        return str(value)

    return check


name = matching(NAME, "a name that a backup configuration allows")
sha256 = matching(_SHA256, "a SHA-256")
word = matching(_WORD, "a word that does not begin with a dash")
setting = matching(_SETTING, "the name of a setting")
file_name = matching(_FILE_NAME, "the name of a file")


def relative(value: t.Any, where: str) -> str:
    """A relative path without ``..``. Raises :class:`Malformed`."""
    if not trees.safe_relative(text(value, where, 4096)):
        raise Malformed(f"{where} leaves its directory: {_shown(value)}")
    return str(value)


def absolute(value: t.Any, where: str) -> str:
    """An absolute path without ``..``. Raises :class:`Malformed`."""
    if not os.path.isabs(text(value, where, 4096)) or ".." in value.split("/") or value.startswith("//"):
        raise Malformed(f"{where} is not an absolute path without '..': {_shown(value)}")
    return str(value)


def mapping(value: t.Any, where: str) -> dict[str, t.Any]:
    """A mapping. Raises :class:`Malformed`."""
    if not isinstance(value, dict):
        raise Malformed(f"{where} is not a mapping: {_shown(value)}")
    return value


def rows(value: t.Any, where: str, most: int = 1_000_000) -> list[t.Any]:
    """A list. Raises :class:`Malformed`."""
    if not isinstance(value, list) or len(value) > most:
        raise Malformed(f"{where} is not a list of at most {most} entries: {_shown(value)}")
    return value


def seconds(value: t.Any, where: str) -> float:
    """A duration. Raises :class:`Malformed`."""
    if type(value) not in (int, float) or not 0 <= value < 1e9:
        raise Malformed(f"{where} is not a number of seconds: {_shown(value)}")
    return float(value)


def moment(value: t.Any, where: str) -> str:
    """A time with its zone (ISO 8601). Raises :class:`Malformed`."""
    try:
        found = dt.datetime.fromisoformat(text(value, where, 64))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or not 1970 <= found.year < 9999:
        raise Malformed(f"{where} is not a time with its zone: {_shown(value)}")
    return str(value)


def anything(value: t.Any, where: str, depth: int = 0) -> None:
    """Limit the size of values without a specific check. Raises :class:`Malformed`."""
    if depth > _MAX_DEPTH:
        raise Malformed(f"{where} is nested too deeply")
    if isinstance(value, dict):
        for key, inner in value.items():
            text(key, f"{where}: a key")
            anything(inner, where, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            anything(inner, where, depth + 1)
    elif isinstance(value, str):
        text(value, where, 1 << 26)
    elif isinstance(value, float) and not math.isfinite(value):
        raise Malformed(f"{where} holds {value}, which is not a number")
    elif isinstance(value, int) and not isinstance(value, bool):
        number(value, where, MAX_NUMBER, -MAX_NUMBER)


def _shown(value: t.Any) -> str:
    if isinstance(value, (dict, list)):
        return f"a {type(value).__name__}"
    if isinstance(value, int) and abs(value) > 1 << 128:
        return "a huge number"
    return ascii(value)[:80]
