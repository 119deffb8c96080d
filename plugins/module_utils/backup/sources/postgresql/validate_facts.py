# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validate the facts of a PostgreSQL source in a manifest."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import shared_fields
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import schema
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.schema import Malformed

_LONGEST_NAME = 200  # of an object of a schema, see schema.py
_setting_name = schema.matching(re.compile(r"[^\s=\0-][^\s=\0]{0,1023}\Z"), "the name of a setting")


def validate(value: t.Mapping[str, t.Any], artefacts: t.Mapping[str, str], where: str) -> None:
    """Check the facts of a manifest before they are used. Add each new fact here.

    Args:
        artefacts: SHA-256 of each file of the source, by path.

    Raises:
        Malformed: the text names the field.
    """
    found = shared_fields.facts(value, where)

    def databases(value: t.Any, field: str) -> None:
        for name, row in schema.mapping(value, field).items():
            if not schema.text(name, f"{field}: a name", 255):
                raise Malformed(f"{field}: a name is empty")
            _database(schema.mapping(row, f"{field}[{name!r}]"), artefacts, f"{field}[{name!r}]")

    needed: dict[str, schema.Check] = {
        "version": schema.text,
        "user": schema.word,
        "databases": databases,
        "image": shared_fields.image,
    }
    may: dict[str, schema.Check] = {
        "preload": shared_fields.list_of(schema.text),
        "initdb_args": schema.text,
        "settings": _settings,
        "catalogue": _catalogue,
        "not_compared": shared_fields.list_of(schema.text),
    }
    shared_fields.each(found, where, needed, may)


def _settings(value: t.Any, where: str) -> None:
    def from_file(row: t.Any, field: str) -> None:
        if len(schema.rows(row, field)) != 2 or not isinstance(row[1], bool):
            raise Malformed(f"{field} is not a value and whether ALTER SYSTEM made it")
        if row[0] is not None:
            schema.text(row[0], field)

    # The throwaway server is started with the carried ones.
    needed: dict[str, schema.Check] = {
        "carried": shared_fields.mapping_of(schema.text, _setting_name),
        "in_data_directory": shared_fields.mapping_of(from_file),
    }
    shared_fields.each(schema.mapping(value, where), where, needed, {})


def _catalogue(value: t.Any, where: str) -> None:
    """Groups of objects with their attributes. Names are not fixed, because later versions of PostgreSQL add some."""
    shared_fields.mapping_of(shared_fields.mapping_of(shared_fields.mapping_of(_attribute)))(value, where)


def _attribute(value: t.Any, where: str) -> None:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, (list, dict)):
            raise Malformed(f"{where} is not an attribute of the catalog: a {type(one).__name__}")
        if isinstance(one, str):
            schema.text(one, where, shared_fields.MOST_TEXT)


def _entries(value: t.Any, where: str) -> None:
    for number, row in enumerate(schema.rows(value, where)):
        field = f"{where}[{number}]"
        if len(schema.rows(row, field)) != 2:
            raise Malformed(f"{field} is not the name of an object and its digest")
        schema.text(row[0], field, _LONGEST_NAME)
        schema.sha256(row[1], field)


def _database(found: t.Mapping[str, t.Any], artefacts: t.Mapping[str, str], where: str) -> None:
    def tables(value: t.Any, field: str) -> None:
        for key, row in schema.mapping(value, field).items():
            _pair(key, field)
            if len(schema.rows(row, f"{field}[{key}]")) < 2:
                raise Malformed(f"{field}[{key}] is not rows and a hash")
            schema.number(row[0], f"{field}[{key}]")
            schema.text(row[1], f"{field}[{key}]")

    def sequences(value: t.Any, field: str) -> None:
        for key, row in schema.mapping(value, field).items():
            _pair(key, field)
            # Two in sets of the first release: the value (None if unused), and whether it cycles.
            size = len(schema.rows(row, f"{field}[{key}]"))
            if size not in (2, 3) or not all(isinstance(flag, bool) for flag in row[1:]):
                raise Malformed(f"{field}[{key}] is not a value, whether it was used and whether it cycles")
            if size == 3 or row[0] is not None:
                schema.number(row[0], f"{field}[{key}]", schema.MAX_NUMBER, -schema.MAX_NUMBER)

    needed: dict[str, schema.Check] = {
        "path": shared_fields.artefact(artefacts),
        "tables": tables,
        "extensions": shared_fields.mapping_of(schema.text),
        "sequences_before": sequences,
        "sequences_after": sequences,
    }
    may: dict[str, schema.Check] = {
        "schema": shared_fields.texts,  # of the first release
        "entries": _entries,
        "extension_updates": shared_fields.mapping_of(schema.text),
        "catalogue": _catalogue,
        "large_objects": schema.rows,
        "config_tables": tables,
        "views": tables,
    }
    shared_fields.each(found, where, needed, may)
    # Without both, a restore could not compare the schema.
    if found.get("schema") is None and found.get("entries") is None:
        raise Malformed(f"{where}.entries is missing, and so is schema")


def _pair(key: str, where: str) -> None:
    """A key that names an object in a database: a JSON list of texts."""
    try:
        parts = json.loads(key)
    except (ValueError, RecursionError):
        parts = None
    if not isinstance(parts, list) or not parts or not all(isinstance(part, str) for part in parts):
        raise Malformed(f"{where}: a key is not schema and name: {ascii(key)[:80]}")
