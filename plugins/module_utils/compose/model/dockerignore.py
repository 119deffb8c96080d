# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``.dockerignore``: the files of a build context that a build gets.

The rules are those of Docker's ``patternmatcher``: the last matching pattern wins, ``!`` includes again, ``**`` spans
directories, and a pattern that matches a directory matches all below it.
"""

from __future__ import annotations

import re
import typing as t


class Ignore:
    """The patterns of one ``.dockerignore`` (or of a ``develop.watch`` rule's ``ignore``)."""

    def __init__(self, lines: t.Iterable[str]) -> None:
        self._rules: list[tuple[bool, t.Pattern[str]]] = []
        for line in lines:
            pattern = line.strip()
            if not pattern or pattern.startswith("#"):
                continue
            back = pattern.startswith("!")
            pattern = pattern[1:].strip() if back else pattern
            parts = [part for part in pattern.split("/") if part not in ("", ".")]
            if parts:
                self._rules.append((back, _compiled(parts)))
        self.takes_back = any(back for back, unused in self._rules)

    def __call__(self, path: str) -> bool:
        """Whether ``path``, relative to the context and with ``/``, is excluded."""
        out = False
        for back, expression in self._rules:
            if out == back and expression.match(path):
                out = not back
        return out


def _compiled(parts: t.Sequence[str]) -> t.Pattern[str]:
    try:
        return re.compile(_expression(parts))
    except re.error:  # [z-a]: invalid for a build, too, which reports it
        return re.compile(re.escape("/".join(parts)) + r"\Z")


def _expression(parts: t.Sequence[str]) -> str:
    pieces = []
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "**":
            pieces.append(".*" if last else "(?:.*/)?")
        else:
            pieces.append(_segment(part) + ("" if last else "/"))
    # All below a matched directory is matched as well.
    return "".join(pieces) + r"(?:/.*)?\Z"


def _segment(part: str) -> str:
    made, index = "", 0
    while index < len(part):
        char = part[index]
        if char == "*":
            made += "[^/]*"
        elif char == "?":
            made += "[^/]"
        elif char == "[" and "]" in part[index + 2 :]:
            end = part.index("]", index + 2)
            inside = part[index + 1 : end].replace("\\", "\\\\")
            made += "[" + ("^" + inside[1:] if inside.startswith("^") else inside) + "]"
            index = end
        elif char == "\\" and index + 1 < len(part):
            index += 1
            made += re.escape(part[index])
        else:
            made += re.escape(char)
        index += 1
    return made
