# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validate the facts of a compose source in a manifest."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import shared_fields
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import schema
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.schema import Malformed

_MOST_ID = 0xFFFFFFFF


def validate(value: t.Mapping[str, t.Any], artefacts: t.Mapping[str, str], where: str) -> None:
    """Check the facts of a manifest before they are used. Add each new fact here.

    Args:
        artefacts: SHA-256 of each file of the source, by path.

    Raises:
        Malformed: the text names the field.
    """
    found = shared_fields.facts(value, where)

    def files(value: t.Any, field: str) -> None:
        for path, row in schema.mapping(value, field).items():
            schema.absolute(path, f"{field}: a path")
            inner = f"{field}[{path!r}]"
            needed: dict[str, schema.Check] = {
                "artefact": shared_fields.artefact(artefacts),
                "sha256": schema.sha256,
                "mode": lambda given, inner: schema.number(given, inner, 0o7777),
                "uid": lambda given, inner: schema.number(given, inner, _MOST_ID),
                "gid": lambda given, inner: schema.number(given, inner, _MOST_ID),
            }
            shared_fields.each(schema.mapping(row, inner), inner, needed, {})
            if artefacts[row["artefact"]] != row["sha256"]:
                raise Malformed(f"{inner}.sha256 is not that of its file")

    def services(value: t.Any, field: str) -> None:
        for row in schema.rows(value, field):
            needed: dict[str, schema.Check] = {"service": schema.text, "name": schema.text}
            shared_fields.each(schema.mapping(row, field), field, needed, {})
            shared_fields.image(row, field)

    shared_fields.each(found, where, {"files": files}, {"services": services})
