# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the facts of each kind of source must be, see :mod:`schema`. A new fact that is used belongs here."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.store import schema
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.schema import Malformed

_MOST_ID = 0xFFFFFFFF


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
        schema.text(row, where, 1 << 26)


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
    _each(found, where, needed, {"preload": _list_of(schema.text), "initdb_args": schema.text})


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
            if len(schema.rows(row, f"{place}[{key}]")) < 2 or isinstance(row[0], (bool, float, str, list, dict)):
                raise Malformed(f"{place}[{key}] is not a value and whether it cycles")

    def extensions(value: t.Any, place: str) -> None:
        for version in schema.mapping(value, place).values():
            schema.text(version, place)

    needed: dict[str, schema.Check] = {
        "path": _artefact(artefacts),
        "tables": tables,
        "extensions": extensions,
        "sequences_before": sequences,
        "sequences_after": sequences,
    }
    may: dict[str, schema.Check] = {
        "schema": _texts,
        "large_objects": schema.rows,
        "config_tables": tables,
        "views": tables,
    }
    _each(found, where, needed, may)


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
    _each(found, where, needed, {"expired": schema.number, "magic": schema.text, "digest": schema.text})


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
