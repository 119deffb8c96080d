# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runs on a stack: user, time, state, revision, plan and ending, as one JSON object a line."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError

NAME = "history.jsonl"


def append(folder: str, entry: t.Mapping[str, t.Any]) -> str:
    """Add a line, or nothing in a failure. Returns the path of the file.

    Raises:
        ComposeError: it cannot be written.
    """
    path = os.path.join(folder, NAME)
    line = (json.dumps(entry, sort_keys=True, ensure_ascii=False) + "\n").encode("utf-8", "surrogateescape")
    try:
        os.makedirs(folder, mode=0o750, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ComposeError(f"cannot write the history {path}: {error.strerror}") from error
    return path


def last(folder: str, count: int) -> list[dict[str, t.Any]]:
    """The last ``count`` entries, oldest first; damaged lines are omitted."""
    try:
        with open(os.path.join(folder, NAME), encoding="utf-8", errors="replace") as stream:
            lines = stream.readlines()
    except OSError:
        return []
    found = []
    for line in lines[-count:]:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found
