# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the facts of each kind of source must be, see :mod:`schema`. A new fact that is used belongs here."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.store import schema
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.schema import Malformed

_MOST_ID = 0xFFFFFFFF
_MOST_TEXT = 1 << 26
_LONGEST_NAME = 200  # of an object of a schema, see postgresql/schema.py
_setting_name = schema.matching(re.compile(r"[^\s=\0-][^\s=\0]{0,1023}\Z"), "the name of a setting")
_module_path = schema.matching(re.compile(r"/[^\0\n]{0,4094}\Z"), "an absolute path")


def check(kind: str, facts: t.Any, artefacts: t.Mapping[str, str], where: str) -> None:
    """Check the facts of a source.

    Args:
        artefacts: its files, path to SHA-256.

    Raises:
        Malformed: the text names the field.
    """
    found = schema.mapping(facts, where)
    schema.anything(found, where)
    kinds = {"postgresql": _postgresql, "redis": _redis, "directory": _directory, "compose": _compose}
    kinds[kind](found, artefacts, where)


def _each(
    found: t.Mapping[str, t.Any], where: str, needed: t.Mapping[str, schema.Check], may: t.Mapping[str, schema.Check]
) -> None:
    for key, one in needed.items():
        if key not in found:
            raise Malformed(f"{where}.{key} is missing")
        one(found[key], f"{where}.{key}")
    for key, one in may.items():
        if found.get(key) is not None:
            one(found[key], f"{where}.{key}")


def _artefact(artefacts: t.Mapping[str, str]) -> schema.Check:
    def one(value: t.Any, where: str) -> None:
        if schema.relative(value, where) not in artefacts:
            raise Malformed(f"{where} is not a file of this source: {ascii(value)[:80]}")

    return one


def _list_of(inner: schema.Check) -> schema.Check:
    def one(value: t.Any, where: str) -> None:
        for row in schema.rows(value, where):
            inner(row, where)

    return one


def _texts(value: t.Any, where: str) -> None:
    for row in schema.rows(value, where):
        schema.text(row, where, _MOST_TEXT)


def _mapping_of(inner: schema.Check, key_check: schema.Check = schema.text) -> schema.Check:
    def one(value: t.Any, where: str) -> None:
        for key, row in schema.mapping(value, where).items():
            key_check(key, f"{where}: a key")
            inner(row, f"{where}[{ascii(key)[:80]}]")

    return one


def _image(value: t.Any, where: str) -> None:
    # They become arguments of the engine, where a dash would be an option.
    needed: dict[str, schema.Check] = {
        "image": schema.text,
        "image_id": schema.word,
        "digests": _list_of(schema.word),
    }
    _each(schema.mapping(value, where), where, needed, {})


def _postgresql(found: t.Mapping[str, t.Any], artefacts: t.Mapping[str, str], where: str) -> None:
    def databases(value: t.Any, place: str) -> None:
        for name, row in schema.mapping(value, place).items():
            if not schema.text(name, f"{place}: a name", 255):
                raise Malformed(f"{place}: a name is empty")
            _database(schema.mapping(row, f"{place}[{name!r}]"), artefacts, f"{place}[{name!r}]")

    needed: dict[str, schema.Check] = {
        "version": schema.text,
        "user": schema.word,
        "databases": databases,
        "image": _image,
    }
    may: dict[str, schema.Check] = {
        "preload": _list_of(schema.text),
        "initdb_args": schema.text,
        "settings": _settings,
        "catalogue": _catalogue,
        "not_compared": _list_of(schema.text),
    }
    _each(found, where, needed, may)


def _settings(value: t.Any, where: str) -> None:
    def from_file(row: t.Any, place: str) -> None:
        if len(schema.rows(row, place)) != 2 or not isinstance(row[1], bool):
            raise Malformed(f"{place} is not a value and whether ALTER SYSTEM made it")
        if row[0] is not None:
            schema.text(row[0], place)

    # The throwaway server is given those of the first kind.
    needed: dict[str, schema.Check] = {
        "carried": _mapping_of(schema.text, _setting_name),
        "in_data_directory": _mapping_of(from_file),
    }
    _each(schema.mapping(value, where), where, needed, {})


def _catalogue(value: t.Any, where: str) -> None:
    """Groups of objects with their attributes. A later version of PostgreSQL has others, so that no name is fixed."""
    _mapping_of(_mapping_of(_mapping_of(_attribute)))(value, where)


def _attribute(value: t.Any, where: str) -> None:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, (list, dict)):
            raise Malformed(f"{where} is not an attribute of the catalog: a {type(one).__name__}")
        if isinstance(one, str):
            schema.text(one, where, _MOST_TEXT)


def _entries(value: t.Any, where: str) -> None:
    for number, row in enumerate(schema.rows(value, where)):
        place = f"{where}[{number}]"
        if len(schema.rows(row, place)) != 2:
            raise Malformed(f"{place} is not the name of an object and its digest")
        schema.text(row[0], place, _LONGEST_NAME)
        schema.sha256(row[1], place)


def _database(found: t.Mapping[str, t.Any], artefacts: t.Mapping[str, str], where: str) -> None:
    def tables(value: t.Any, place: str) -> None:
        for key, row in schema.mapping(value, place).items():
            _pair(key, place)
            if len(schema.rows(row, f"{place}[{key}]")) < 2:
                raise Malformed(f"{place}[{key}] is not rows and a hash")
            schema.number(row[0], f"{place}[{key}]")
            schema.text(row[1], f"{place}[{key}]")

    def sequences(value: t.Any, place: str) -> None:
        for key, row in schema.mapping(value, place).items():
            _pair(key, place)
            # Two in sets of the first release: the value, None for one that was not used, and whether it cycles.
            size = len(schema.rows(row, f"{place}[{key}]"))
            if size not in (2, 3) or not all(isinstance(flag, bool) for flag in row[1:]):
                raise Malformed(f"{place}[{key}] is not a value, whether it was used and whether it cycles")
            if size == 3 or row[0] is not None:
                schema.number(row[0], f"{place}[{key}]", schema.MAX_NUMBER, -schema.MAX_NUMBER)

    needed: dict[str, schema.Check] = {
        "path": _artefact(artefacts),
        "tables": tables,
        "extensions": _mapping_of(schema.text),
        "sequences_before": sequences,
        "sequences_after": sequences,
    }
    may: dict[str, schema.Check] = {
        "schema": _texts,  # of the first release
        "entries": _entries,
        "extension_updates": _mapping_of(schema.text),
        "catalogue": _catalogue,
        "large_objects": schema.rows,
        "config_tables": tables,
        "views": tables,
    }
    _each(found, where, needed, may)
    # Without either, a restore could not tell one schema from another.
    if found.get("schema") is None and found.get("entries") is None:
        raise Malformed(f"{where}.entries is missing, and so is schema")


def _pair(key: str, where: str) -> None:
    """A key that names something in a database: a JSON list of texts."""
    try:
        parts = json.loads(key)
    except (ValueError, RecursionError):
        parts = None
    if not isinstance(parts, list) or not parts or not all(isinstance(part, str) for part in parts):
        raise Malformed(f"{where}: a key is not schema and name: {ascii(key)[:80]}")


def _redis(found: t.Mapping[str, t.Any], artefacts: t.Mapping[str, str], where: str) -> None:
    def config(value: t.Any, place: str) -> None:
        # They are names of files and words of commands in the container of the service.
        known = {"appendfilename", "appenddirname", "dbfilename"}
        for key, setting in schema.mapping(value, place).items():
            if key in known and setting:
                schema.file_name(setting, f"{place}.{key}")
            elif key == "dir" and setting:
                schema.absolute(setting, f"{place}.{key}")
            else:
                schema.text(setting, f"{place}.{key}")

    def keyspace(value: t.Any, place: str) -> None:
        for key, row in schema.mapping(value, place).items():
            if not key.isdigit() or len(schema.rows(row, place)) < 2:
                raise Malformed(f"{place}[{key!r}] is not keys and expires")
            for each in row:
                schema.number(each, f"{place}[{key!r}]")

    needed: dict[str, schema.Check] = {
        "version": schema.text,
        "config": config,
        "keyspace": keyspace,
        "path": _artefact(artefacts),
        "keys": schema.number,
        "expires": schema.number,
        "image": _image,
    }
    may: dict[str, schema.Check] = {
        "expired": schema.number,
        "magic": schema.text,
        "digest": schema.text,
        "functions": _mapping_of(schema.sha256),
        "modules": _list_of(_module),
        "acl_users": _list_of(schema.text),
        "not_compared": _list_of(schema.text),
    }
    _each(found, where, needed, may)


def _module(value: t.Any, where: str) -> None:
    # They become arguments of the server, where a dash would be an option.
    if not schema.rows(value, where, 1000):
        raise Malformed(f"{where} is not the path of a module")
    _module_path(value[0], where)
    for argument in value[1:]:
        schema.word(argument, where)


def _directory(found: t.Mapping[str, t.Any], artefacts: t.Mapping[str, str], where: str) -> None:
    def archive(value: t.Any, place: str) -> None:
        if value != "":
            _artefact(artefacts)(value, place)

    def databases(value: t.Any, place: str) -> None:
        for path, copy in schema.mapping(value, place).items():
            schema.relative(path, f"{place}: a path")
            _artefact(artefacts)(copy, f"{place}[{path!r}]")

    needed: dict[str, schema.Check] = {
        "root": schema.absolute,
        "entries": schema.number,
        "bytes": schema.number,
        "list": _artefact(artefacts),
        "archive": archive,
        "databases": databases,
    }
    _each(found, where, needed, {"plain_files": schema.number, "holes": schema.number, "list_order": schema.text})


def _compose(found: t.Mapping[str, t.Any], artefacts: t.Mapping[str, str], where: str) -> None:
    def files(value: t.Any, place: str) -> None:
        for path, row in schema.mapping(value, place).items():
            schema.absolute(path, f"{place}: a path")
            inner = f"{place}[{path!r}]"
            needed: dict[str, schema.Check] = {
                "artefact": _artefact(artefacts),
                "sha256": schema.sha256,
                "mode": lambda given, spot: schema.number(given, spot, 0o7777),
                "uid": lambda given, spot: schema.number(given, spot, _MOST_ID),
                "gid": lambda given, spot: schema.number(given, spot, _MOST_ID),
            }
            _each(schema.mapping(row, inner), inner, needed, {})
            if artefacts[row["artefact"]] != row["sha256"]:
                raise Malformed(f"{inner}.sha256 is not that of its file")

    def services(value: t.Any, place: str) -> None:
        for row in schema.rows(value, place):
            needed: dict[str, schema.Check] = {"service": schema.text, "name": schema.text}
            _each(schema.mapping(row, place), place, needed, {})
            _image(row, place)

    _each(found, where, {"files": files}, {"services": services})
