# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result as a compact table for a terminal or a mail."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state.place import DECLARED_UNUSED


def lines(result: t.Mapping[str, t.Any]) -> list[str]:
    """One line for each mount, failures first. Below each finding is its message."""
    cells = [
        (mount["verdict"], container["name"], shown(mount["destination"]), shown(mount["source"]), mount)
        for container in result["containers"]
        for mount in container["mounts"]
    ]
    cells.sort(key=lambda cell: (cell[0] == "ok", cell[1], cell[2]))
    widths = [max([len(cell[column]) for cell in cells], default=0) for column in range(3)]
    out = []
    for verdict, name, destination, source, mount in cells:
        out.append(f"{verdict:{widths[0]}}  {name:{widths[1]}}  {destination:{widths[2]}}  {source}".rstrip())
        if verdict != "ok":
            out.append(f"    {mount['message']}")
    out += [f"    {lost['message']}" for lost in result["missing_mounts"] if not lost["container"]]
    out += [f"    {row['message']}" for row in result["label_mismatch"]]
    out += [f"unpersisted  {row['message']}" for row in result["ephemeral_writes"]]
    for place in result["data_places"]:
        if place["at_risk"] or place["verdict"] == DECLARED_UNUSED:
            out.append(f"{place['verdict']}  {place['message']}")
    out.append(result["message"])
    return out
