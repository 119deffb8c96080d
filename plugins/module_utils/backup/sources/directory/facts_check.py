# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a directory source in a manifest."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import checks
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import schema


def check(value: t.Mapping[str, t.Any], artefacts: t.Mapping[str, str], where: str) -> None:
    """Check the facts of a manifest before they are used. A new fact that is used belongs here.

    Args:
        artefacts: SHA-256 of each file of the source, by path.

    Raises:
        Malformed: the text names the field.
    """
    found = checks.facts(value, where)

    def archive(value: t.Any, place: str) -> None:
        if value != "":
            checks.artefact(artefacts)(value, place)

    def databases(value: t.Any, place: str) -> None:
        for path, copy in schema.mapping(value, place).items():
            schema.relative(path, f"{place}: a path")
            checks.artefact(artefacts)(copy, f"{place}[{path!r}]")

    needed: dict[str, schema.Check] = {
        "root": schema.absolute,
        "entries": schema.number,
        "bytes": schema.number,
        "list": checks.artefact(artefacts),
        "archive": archive,
        "databases": databases,
    }
    checks.each(found, where, needed, {"plain_files": schema.number, "holes": schema.number, "list_order": schema.text})
