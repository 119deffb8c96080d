# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole tenancy's usage of the free allowance, which is one for all of its compartments.

Two sources: the instances and volumes of every compartment that the user may read, which are exact, and the figures of
Oracle's limits service, which include what the user may not read and lag by up to an hour. The higher one counts.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.oci import errors, freetier, protocol
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import CallFailed
from ansible_collections.onebox.stack.plugins.module_utils.oci.freetier import Usage
from ansible_collections.onebox.stack.plugins.module_utils.oci.protocol import Json

# In a tenancy with more compartments, only the limits are read: one call for each would be too many.
COMPARTMENTS_MAX = 30
# Limits of the compute service for each free shape, with the field of Usage that they count.
LIMITS: dict[str, dict[str, str]] = {
    freetier.ARM_SHAPE: {"standard-a1-core-count": "ocpus", "standard-a1-memory-count": "memory_gb"},
    freetier.MICRO_SHAPE: {"vm-standard-e2-1-micro-count": "count"},
}


class Reader(t.Protocol):
    """The reads of one account. Each raises :class:`errors.CallFailed`. ``compartment`` is where the launch happens."""

    compartment: str

    def compartments(self) -> list[str]:
        """OCIDs of the tenancy and of every active compartment in it that the user can see."""

    def instances_in(self, compartment: str) -> list[Json]:
        """Every instance of a compartment."""

    def volumes_in(self, compartment: str, domain: str) -> list[Json]:
        """Every boot volume and block volume of a compartment in an availability domain."""

    def available(self, limit: str, domain: str) -> dict[str, t.Any]:
        """``used`` and ``available`` of a compute limit of the tenancy in an availability domain."""


def usage(reader: Reader, shape: str, domains: t.Sequence[str], volumes: bool) -> Usage:
    """Read the usage. ``unread`` names the parts that the user has no permission to read. Other failures are raised.

    Args:
        reader: the account.
        shape: the requested shape.
        domains: the availability domains of the region.
        volumes: whether to read the volumes, too: two calls for each compartment and domain.
    """
    unread: list[str] = []
    compartments = _allowed(reader.compartments, "the compartments of the tenancy", unread) or [reader.compartment]
    if len(compartments) > COMPARTMENTS_MAX:
        unread.append(f"{len(compartments)} compartments (at most {COMPARTMENTS_MAX} are read)")
        compartments = [reader.compartment]
    found: dict[str, Json] = {}
    storage = 0
    for compartment in compartments:
        rows = _allowed(functools.partial(reader.instances_in, compartment), compartment, unread) or []
        found.update({str(row["id"]): row for row in protocol.alive(rows)})
        for domain in domains if volumes else ():
            read = functools.partial(reader.volumes_in, compartment, domain)
            storage += _gigabytes(_allowed(read, f"volumes of {compartment}", unread) or [])
    counted = {"ocpus": 0.0, "memory_gb": 0.0, "count": 0.0}
    for limit, name in LIMITS.get(shape, {}).items():
        for domain in domains:
            figures = _allowed(functools.partial(reader.available, limit, domain), limit, unread) or {}
            counted[name] += float(figures.get("used") or 0)
    return Usage(tuple(found.values()), storage, unread=tuple(dict.fromkeys(unread)), **counted)


def _gigabytes(rows: t.Iterable[Json]) -> int:
    return sum(int(row.get("sizeInGBs") or 0) for row in rows if row.get("lifecycleState") != "TERMINATED")


_Result = t.TypeVar("_Result")


def _allowed(read: t.Callable[[], _Result], what: str, unread: list[str]) -> _Result | None:
    try:
        return read()
    except CallFailed as failed:
        if failed.answer.how != errors.ANSWERED or failed.answer.status not in (400, 403, 404):
            raise
        unread.append(what)
        return None
