# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validate the facts of a directory source in a manifest."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import shared_fields
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import schema


def validate(value: t.Mapping[str, t.Any], artefacts: t.Mapping[str, str], where: str) -> None:
    """Check the facts of a manifest before they are used. Add each new fact here.

    Args:
        artefacts: SHA-256 of each file of the source, by path.

    Raises:
        Malformed: the text names the field.
    """
    found = shared_fields.facts(value, where)

    def archive(value: t.Any, field: str) -> None:
        if value != "":
            shared_fields.artefact(artefacts)(value, field)

    def databases(value: t.Any, field: str) -> None:
        for path, copy in schema.mapping(value, field).items():
            schema.relative(path, f"{field}: a path")
            shared_fields.artefact(artefacts)(copy, f"{field}[{path!r}]")

    needed: dict[str, schema.Check] = {
        "root": schema.absolute,
        "entries": schema.number,
        "bytes": schema.number,
        "list": shared_fields.artefact(artefacts),
        "archive": archive,
        "databases": databases,
    }
    shared_fields.each(
        found, where, needed, {"plain_files": schema.number, "holes": schema.number, "list_order": schema.text}
    )
