# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a deployed stack that no engine keeps: one small file without secrets."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import files

NAME = "compose.json"


def load(folder: str) -> dict[str, t.Any]:
    """The state in ``folder``; empty when there is none or it is damaged: it can always be rebuilt."""
    try:
        with open(os.path.join(folder, NAME), encoding="utf-8") as stream:
            data = json.load(stream)
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def save(folder: str, data: t.Mapping[str, t.Any]) -> None:
    """Replace the state in ``folder``, which is created when it is missing.

    Raises:
        FileError: it cannot be written, and the old state is unchanged.
    """
    text = json.dumps(data, sort_keys=True, indent=1) + "\n"
    files.make_directories(folder, 0o750)
    # Digests of short secrets can be guessed, so no other user may read them.
    files.replace(os.path.join(folder, NAME), text.encode(), 0o600, durable=True)


def forget(folder: str) -> None:
    """Remove the state of a removed stack. History and reports stay.

    Raises:
        FileError: it cannot be removed.
    """
    files.remove(os.path.join(folder, NAME))
