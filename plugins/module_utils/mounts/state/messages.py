# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words about data that would be lost, each with the next command."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state import place as places
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state import servers
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state.place import Place
from ansible_collections.onebox.stack.plugins.module_utils.mounts.unpersisted.scan import size

_WHEN = {
    places.LOST_AT_RECREATE: "It is lost when the container is created again",
    places.LOST_AT_DOWN: "`down` leaves it behind, and the next `up` starts without it",
}
_WHERE = {
    places.ANONYMOUS: "in a volume without a name (an anonymous volume)",
    places.LAYER: "in the container itself, on no mount",
    places.TMPFS: "in a tmpfs",
}


def lost(row: Place, engine: str) -> str:
    """The message about a path whose data would be lost."""
    name = shown(row.container)
    if row.lies == places.MEMORY:
        return f"{name} is configured to write nothing to disk: all of its keys are lost when it stops"
    what = f"{servers.shown_name(row.database)} in {name} keeps its data" if row.database else f"{name} keeps data"
    why = next((each.partition(" ")[2] for each in row.evidence if each.startswith(("variable ", "setting "))), "")
    said = f"{what} in {shown(row.path)}{f' ({shown(why)})' if why else ''}, {_WHERE[row.lies]}{_amount(row)}"
    if row.intended:
        return f"{said}. It is lost when the container stops"
    target = shown(row.destination or row.path)
    copy = f"stop {name}, run `{engine} cp -a {name}:{target}/. DIRECTORY/`, and mount DIRECTORY at {target}"
    if row.files == 0:
        copy = f"mount a directory or a named volume at {target}"
    return f"{said}. {_WHEN[row.verdict]}. To keep it, {copy} in the compose file"


def unused(row: Place, beside: Place) -> str:
    """The message about a mount that nothing is written to."""
    return (
        f"{shown(row.destination)} in {shown(row.container)} is mounted and empty: the data goes to "
        f"{shown(beside.path)}. Mount {shown(row.source)} at {shown(beside.destination or beside.path)} instead"
    )


def headline(rows: t.Sequence[Place]) -> str:
    """The end of the sentence about proven mounts, "" if no data would be lost."""
    risky = [row for row in rows if row.at_risk]
    if not risky:
        return ""
    named = ", ".join(f"{shown(row.service or row.container)}: {shown(row.path)}" for row in risky[:3])
    more = f" and {len(risky) - 3} more" if len(risky) > 3 else ""
    count = f"{len(risky)} {'path' if len(risky) == 1 else 'paths'}"
    return f", but data at {count} on no declared mount would be lost ({named}{more})"


def _amount(row: Place) -> str:
    if not row.files:
        return ""
    least = "" if row.complete else "at least "
    files = "1 file" if row.files == 1 else f"{row.files} files"
    return f" ({least}{files}{f', {size(row.bytes)}' if row.bytes is not None else ''})"
