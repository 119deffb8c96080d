# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep secrets out of messages, diffs, logs and histories.

A secret is known by its value, not by its name: every value a user supplies (environment, vault, secrets) is masked
wherever it would appear. Names are not reliable: DB_PW, DISCORD_URL and LICENSE seem harmless. Passwords with a
recognizable form, such as the one in a URL, are masked even if their value is not known.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
import typing as t
import urllib.parse

MASK = "********"
# A shorter value cannot be kept secret: masking each "1" would ruin the text and show the value all the same.
_SHORTEST = 3
# A value of this length or more is masked inside longer words, too.
_ANYWHERE = 8
# Words that everybody guesses. To mask them would make logs unreadable and protect nothing.
_PLAIN = frozenset(
    (
        *("true", "false", "yes", "off", "none", "null", "default", "auto", "info", "debug", "warn", "warning"),
        *("error", "trace", "localhost", "127.0.0.1", "0.0.0.0"),
    )
)
_WORD = re.compile(r"[A-Za-z0-9_]")
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*://)(?P<user>[^\s/:@'\"]*):(?P<password>[^\s'\"]*)@(?=[A-Za-z0-9\[])"
)
_QUERY = re.compile(
    r"(?P<head>[?&](?:[A-Za-z0-9_.\-]*(?:pass|passwd|password|secret|token|key|sig|signature|auth))=)(?P<value>[^&\s'\"]+)",
    re.IGNORECASE,
)
_HEADER = re.compile(r"(?P<head>\b(?:Bearer|Basic)\s+)(?P<value>[A-Za-z0-9._~+/=\-]{8,})")
# In the output of a program: a value after a name of a secret.
_ASSIGNMENT = re.compile(
    r"(?P<head>(?:^|[\s\"',;{])-{0,2}[A-Za-z0-9_.\-]*(?:pass|secret|token|webhook|api[_-]?key)[A-Za-z0-9_.\-]*[\"']?\s?[=:]\s?)"
    r"(?P<value>\"[^\"]*\"|'[^']*'|[^\s\"',;}]+)",
    re.IGNORECASE,
)
# As Go's encoding/json writes them, and with it every engine and Docker Compose.
_GO = (("&", "\\u0026"), ("<", "\\u003c"), (">", "\\u003e"))


class Secrets:
    """The values that must not be shown.

    Args:
        values: each as the user supplied it. Those of less than three characters and common words are ignored.
        public: texts a user must be able to read, such as bound paths, image references and names of services. A value
            is shown where it is part of one of these.
    """

    def __init__(self, values: t.Iterable[str] = (), public: t.Iterable[str] = ()) -> None:
        self._public = sorted({text for text in public if text}, key=len, reverse=True)
        shown = set(self._public)
        supplied = {value for value in values if value.strip() not in shown}
        self._hidden = sorted({text for value in supplied for text in _spellings(value)}, key=len, reverse=True)

        # A result repeats its messages, one for each mount.
        self._masked: dict[str, str] = {}

    def text(self, content: str) -> str:
        """``content`` without any of the values, and without passwords that are recognisable by their form."""
        if content not in self._masked:
            self._masked[content] = self._text(content)
        return self._masked[content]

    def _text(self, content: str) -> str:
        spans = [span for text in self._hidden for span in _found(text, content, len(text) >= _ANYWHERE)]
        if not spans:
            return forms(content)
        shown = [span for text in self._public for span in _found(text, content, False)]
        covered = [one for one in spans if not any(wide[0] <= one[0] and one[1] <= wide[1] for wide in shown)]
        parts, end = [], 0
        for start, stop in _joined(covered):
            parts += [content[end:start], MASK]
            end = stop
        return forms("".join([*parts, content[end:]]))

    def data(self, value: t.Any, shown: t.Container[str] = ()) -> t.Any:
        """A structure of mappings, lists and texts with every text masked. Keys stay.

        Args:
            shown: keys whose texts, and lists of texts, are returned as they are.
        """
        return self._data(value, shown, False)

    def _data(self, value: t.Any, shown: t.Container[str], as_it_is: bool) -> t.Any:
        if isinstance(value, str):
            return value if as_it_is else self.text(value)
        if isinstance(value, t.Mapping):
            return {key: self._data(inner, shown, key in shown) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._data(inner, shown, as_it_is) for inner in value]
        return value


def forms(content: str) -> str:
    """``content`` without passwords in URLs, tokens in their queries, and the credentials of HTTP headers."""
    content = _URL.sub(lambda match: f"{match['scheme']}{match['user']}:{MASK}@", content)
    content = _QUERY.sub(lambda match: match["head"] + MASK, content)
    return _HEADER.sub(lambda match: match["head"] + MASK, content)


def printed(content: str) -> str:
    """The output of a program, without the values of assignments such as ``--token=…`` and ``"db_password": …``."""
    return _ASSIGNMENT.sub(lambda match: match["head"] + MASK, forms(content))


def password(url: str) -> list[str]:
    """The password of a URL, also decoded. Empty when it has none."""
    try:
        found = urllib.parse.urlsplit(url).password or ""
    except ValueError:
        return [url]  # its parts are unknown
    return [text for text in dict.fromkeys((found, urllib.parse.unquote(found))) if text]


def credentials(url: str) -> list[str]:
    """The password of a URL and the values of its query and fragment, also decoded: its secret parts."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return [url]
    found = [*password(url), *(pair.partition("=")[2] for pair in parts.query.split("&")), parts.fragment]
    return [text for one in found for text in dict.fromkeys((one, urllib.parse.unquote(one))) if text]


def _found(text: str, content: str, anywhere: bool) -> t.Iterator[tuple[int, int]]:
    """Where ``text`` is in ``content``: everywhere, or only where it does not begin or end within a word."""
    start = content.find(text)
    while start >= 0:
        stop = start + len(text)
        if anywhere or not (_within_word(content, start) or _within_word(content, stop)):
            yield start, stop
        start = content.find(text, start + 1)


def _within_word(content: str, place: int) -> bool:
    if not 0 < place < len(content):
        return False
    return bool(_WORD.match(content[place - 1]) and _WORD.match(content[place]))


def _joined(spans: t.Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans in order, those that overlap or touch as one."""
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], stop))
        else:
            joined.append((start, stop))
    return joined


def _spellings(value: str) -> t.Iterator[str]:
    """The ways in which a value appears in texts: as it is, line by line, quoted, encoded."""
    lines = [line.strip() for line in value.splitlines()] if "\n" in value else []
    for text in (value, value.strip(), *(line for line in lines if len(line) >= _ANYWHERE)):
        if len(text.strip()) < _SHORTEST or text.strip().lower() in _PLAIN:
            continue
        yield text
        plain = json.dumps(text, ensure_ascii=False)[1:-1]
        yield plain
        yield json.dumps(text)[1:-1]
        for character, escaped in _GO:
            plain = plain.replace(character, escaped)
        yield plain
        yield repr(text)[1:-1]
        quoted = shlex.quote(text)
        yield quoted[1:-1] if quoted != text else text
        data = text.encode("utf-8", "surrogateescape")
        yield urllib.parse.quote(data, safe="")
        yield urllib.parse.quote_plus(data)
        yield text.replace("$", "$$")
        if len(text) >= _ANYWHERE:
            yield base64.b64encode(data).decode().rstrip("=")
