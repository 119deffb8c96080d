# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The password in a server's command, where most compose files of Redis have it. Pure."""

from __future__ import annotations

import re
import shlex
import typing as t

_OPTION = "--requirepass"
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")


def of_command(words: t.Sequence[str], env: t.Sequence[str]) -> str:
    """The value of ``--requirepass``, "" without one.

    Args:
        words: the command of the container.
        env: its environment, ``NAME=value``. A command of a shell can name one of its variables.
    """
    for before, word in zip(("", *words), words):
        if before == _OPTION:
            return word
        found = _of_text(word) if _OPTION in word and word != _OPTION else ""
        if found:
            variable = _VARIABLE.fullmatch(found)
            values = dict(each.partition("=")[::2] for each in env)
            return values.get(variable[1], "") if variable else found
    return ""


def _of_text(text: str) -> str:
    """The value in a command that is one text, as ``sh -c`` gets it."""
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    return next((after for word, after in zip(words, words[1:]) if word == _OPTION), "")
