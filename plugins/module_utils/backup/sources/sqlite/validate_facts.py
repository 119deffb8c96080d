# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a SQLite source in a manifest."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import shared_fields
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import schema

_MOST_ID = 1 << 32


def validate(value: t.Mapping[str, t.Any], artefacts: t.Mapping[str, str], where: str) -> None:
    """Check the facts of a manifest before they are used. Add each new fact here.

    Args:
        artefacts: SHA-256 of each file of the source, by path.

    Raises:
        Malformed: the text names the field.
    """
    found = shared_fields.facts(value, where)
    needed: dict[str, schema.Check] = {
        "path": schema.absolute,
        "file": shared_fields.artefact(artefacts),
        "uid": _identity,
        "gid": _identity,
        "mode": _mode,
        "settings": schema.mapping,
        "tables": shared_fields.mapping_of(_table),
        "objects": shared_fields.mapping_of(schema.sha256),
        "broken_references": schema.number,
        "not_compared": shared_fields.texts,
    }
    shared_fields.each(found, where, needed, {})


def _identity(value: t.Any, where: str) -> None:
    schema.number(value, where, _MOST_ID)


def _mode(value: t.Any, where: str) -> None:
    # No set-user-id bit: a set must not be able to install one.
    schema.number(value, where, 0o777)


def _table(value: t.Any, where: str) -> None:
    rows = schema.rows(value, where, 2)
    if len(rows) != 2:
        raise schema.Malformed(f"{where} is not a number of rows and a SHA-256")
    schema.number(rows[0], where)
    schema.sha256(rows[1], where)
