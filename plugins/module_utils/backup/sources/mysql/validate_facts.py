# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a MySQL or MariaDB source in a manifest."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import shared_fields
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import schema

# It becomes part of a statement.
_CREATE = schema.matching(re.compile(r"CHARACTER SET [a-z0-9_]+ COLLATE [a-z0-9_]+\Z"), "a character set and collation")
_DATABASE = schema.matching(re.compile(r"[^\0/\\.]{1,64}\Z"), "the name of a database")
# CREATE and GRANT only: they are applied to the server.
_ACCOUNT = schema.matching(re.compile(r"(CREATE (USER|ROLE)|GRANT) .*\Z", re.DOTALL), "a statement about an account")


def validate(value: t.Mapping[str, t.Any], artefacts: t.Mapping[str, str], where: str) -> None:
    """Check the facts of a manifest before they are used. A new fact that is used belongs here.

    Args:
        artefacts: SHA-256 of each file of the source, by path.

    Raises:
        Malformed: the text names the field.
    """
    found = shared_fields.facts(value, where)

    def database(value: t.Any, place: str) -> None:
        needed: dict[str, schema.Check] = {
            "path": shared_fields.artefact(artefacts),
            "create": _CREATE,
            "tables": shared_fields.mapping_of(_table),
            "objects": shared_fields.mapping_of(schema.sha256),
        }
        shared_fields.each(schema.mapping(value, place), place, needed, {})

    needed: dict[str, schema.Check] = {
        "version": schema.text,
        "image": shared_fields.image,
        "lower_case": _lower_case,
        "users": shared_fields.mapping_of(shared_fields.list_of(_ACCOUNT)),
        "databases": shared_fields.mapping_of(database, _DATABASE),
        "not_compared": shared_fields.texts,
    }
    shared_fields.each(found, where, needed, {})


def _lower_case(value: t.Any, where: str) -> None:
    schema.number(value, where, 2)


def _table(value: t.Any, where: str) -> None:
    rows = schema.rows(value, where, 2)
    if len(rows) != 2:
        raise schema.Malformed(f"{where} is not a number of rows and a SHA-256")
    schema.number(rows[0], where)
    schema.sha256(rows[1], where)
