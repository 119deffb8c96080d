# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The launcher's interface to a cloud. The real one is in sdk.py. Tests use a simulated one."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.oci import freetier
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import LOST, Answer, CallFailed
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.spec import NAME_TAG

Json = dict[str, t.Any]


class Cloud(t.Protocol):
    """Each method is one kind of call and sends each request once. A failed one raises :class:`errors.CallFailed`.

    Instances are dictionaries with the API's own names (id, lifecycleState, shape, metadata, freeformTags, …). One that
    was read by its OCID also has ``etag``, from the header of that name.
    """

    def domains(self) -> list[str]:
        """Names of the availability domains of the region."""

    def launch(self, body: Json, token: str) -> Json:
        """LaunchInstance with this body and ``opc-retry-token``."""

    def instances(self) -> list[Json]:
        """Every instance of the compartment: all pages."""

    def usage(self, shape: str, domains: t.Sequence[str]) -> freetier.Usage:
        """The whole tenancy's usage of the free allowance of a shape, volumes included."""

    def instance(self, identity: str) -> Json:
        """One instance."""

    def failures(self, identity: str) -> list[str]:
        """Messages of the failed work requests of an instance."""

    def addresses(self, identity: str) -> tuple[str, str] | None:
        """Public ("" without one) and private address of the primary network card; None while it is not attached."""

    def boot_volumes(self, domain: str, identity: str) -> list[str]:
        """Boot volumes attached to an instance, or left behind by it."""

    def terminate(self, identity: str, etag: str = "") -> None:
        """Terminate an instance with its boot volume; with the ``etag`` of one that was read, only if unchanged."""

    def delete_boot_volume(self, identity: str) -> None:
        """Delete a boot volume."""


def alive(rows: t.Iterable[Json]) -> list[Json]:
    """Instances that are neither terminated nor terminating. Raises :class:`CallFailed` for a damaged list."""
    found = list(rows)
    if not all(isinstance(row, dict) and isinstance(row.get("id"), str) for row in found):
        raise CallFailed(Answer(0, message="the list of instances holds something else", how=LOST))
    return [row for row in found if row.get("lifecycleState") not in freetier.GONE]


def is_ours(row: Json, name: str) -> bool:
    """Whether the launcher made this instance under ``name``."""
    tags = row.get("freeformTags")
    return isinstance(tags, dict) and tags.get(NAME_TAG) == name
