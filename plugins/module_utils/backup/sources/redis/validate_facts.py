# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validate the facts of a Redis source in a manifest."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import shared_fields
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import schema
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.schema import Malformed

_module_path = schema.matching(re.compile(r"/[^\0\n]{0,4094}\Z"), "an absolute path")


def validate(value: t.Mapping[str, t.Any], artefacts: t.Mapping[str, str], where: str) -> None:
    """Check the facts of a manifest before they are used. Add each new fact here.

    Args:
        artefacts: SHA-256 of each file of the source, by path.

    Raises:
        Malformed: the text names the field.
    """
    found = shared_fields.facts(value, where)

    def config(value: t.Any, field: str) -> None:
        # They become file names and arguments of commands in the container of the service.
        known = {"appendfilename", "appenddirname", "dbfilename"}
        for key, setting in schema.mapping(value, field).items():
            if key in known and setting:
                schema.file_name(setting, f"{field}.{key}")
            elif key == "dir" and setting:
                schema.absolute(setting, f"{field}.{key}")
            else:
                schema.text(setting, f"{field}.{key}")

    def keyspace(value: t.Any, field: str) -> None:
        for key, row in schema.mapping(value, field).items():
            if not key.isdigit() or len(schema.rows(row, field)) < 2:
                raise Malformed(f"{field}[{key!r}] is not keys and expires")
            for each in row:
                schema.number(each, f"{field}[{key!r}]")

    needed: dict[str, schema.Check] = {
        "version": schema.text,
        "config": config,
        "keyspace": keyspace,
        "path": shared_fields.artefact(artefacts),
        "keys": schema.number,
        "expires": schema.number,
        "image": shared_fields.image,
    }
    may: dict[str, schema.Check] = {
        "expired": schema.number,
        "magic": schema.text,
        "digest": schema.text,
        "functions": shared_fields.mapping_of(schema.sha256),
        "modules": shared_fields.list_of(_module),
        "acl_users": shared_fields.list_of(schema.text),
        "not_compared": shared_fields.list_of(schema.text),
    }
    shared_fields.each(found, where, needed, may)


def _module(value: t.Any, where: str) -> None:
    # They become arguments of the server, where a dash would be an option.
    if not schema.rows(value, where, 1000):
        raise Malformed(f"{where} is not the path of a module")
    _module_path(value[0], where)
    for argument in value[1:]:
        schema.word(argument, where)
