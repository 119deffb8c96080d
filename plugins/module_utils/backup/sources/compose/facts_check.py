# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a source of plain files in a manifest."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import checks
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import schema
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.schema import Malformed

_MOST_ID = 0xFFFFFFFF


def check(value: t.Mapping[str, t.Any], artefacts: t.Mapping[str, str], where: str) -> None:
    """Check the facts of a manifest before they are used. A new fact that is used belongs here.

    Args:
        artefacts: SHA-256 of each file of the source, by path.

    Raises:
        Malformed: the text names the field.
    """
    found = checks.facts(value, where)

    def files(value: t.Any, place: str) -> None:
        for path, row in schema.mapping(value, place).items():
            schema.absolute(path, f"{place}: a path")
            inner = f"{place}[{path!r}]"
            needed: dict[str, schema.Check] = {
                "artefact": checks.artefact(artefacts),
                "sha256": schema.sha256,
                "mode": lambda given, spot: schema.number(given, spot, 0o7777),
                "uid": lambda given, spot: schema.number(given, spot, _MOST_ID),
                "gid": lambda given, spot: schema.number(given, spot, _MOST_ID),
            }
            checks.each(schema.mapping(row, inner), inner, needed, {})
            if artefacts[row["artefact"]] != row["sha256"]:
                raise Malformed(f"{inner}.sha256 is not that of its file")

    def services(value: t.Any, place: str) -> None:
        for row in schema.rows(value, place):
            needed: dict[str, schema.Check] = {"service": schema.text, "name": schema.text}
            checks.each(schema.mapping(row, place), place, needed, {})
            checks.image(row, place)

    checks.each(found, where, {"files": files}, {"services": services})
