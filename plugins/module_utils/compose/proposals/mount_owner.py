# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory's lines for directories that a service cannot use, because another user owns them."""

from __future__ import annotations

import json
import re
import typing as t

# Rootless Podman has a command of its own, whose ids are not those of the inventory.
_COMMAND = re.compile(r"`chown (\d+):(\d+) ([^`]+)`")


def lines(mounts: t.Iterable[t.Mapping[str, t.Any]]) -> list[str]:
    """The items of ``data_dirs_directories``, with a heading, for the mounts that a change of the owner would fix.

    A run of ``data_dirs`` undoes a chown of a directory that the inventory lists, so the owner belongs there.

    Args:
        mounts: rows of a proof.
    """
    found: dict[str, None] = {}
    for row in mounts:
        command = _COMMAND.search(row["message"]) if row.get("fix") == "chown" else None
        if command and command[3] == row.get("source"):
            path, user, group = (json.dumps(command[number], ensure_ascii=False) for number in (3, 1, 2))
            found[f"- {{ path: {path}, owner: {user}, group: {group} }}"] = None
    if not found:
        return []
    return [
        "If data_dirs_directories in host_vars lists the directory, set its owner there, or a run undoes chown:",
        *found,
    ]
