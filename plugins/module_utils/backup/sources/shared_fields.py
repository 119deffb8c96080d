# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validators of fields that the facts of several kinds have, see :mod:`schema`."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.store import schema
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.schema import Malformed

MOST_TEXT = 1 << 26


def facts(value: t.Any, where: str) -> dict[str, t.Any]:
    """Facts as a mapping of bounded values. Raises :class:`Malformed`."""
    found = schema.mapping(value, where)
    schema.anything(found, where)
    return found


def each(
    found: t.Mapping[str, t.Any], where: str, needed: t.Mapping[str, schema.Check], may: t.Mapping[str, schema.Check]
) -> None:
    """Check required and optional keys. Raises :class:`Malformed`."""
    for key, one in needed.items():
        if key not in found:
            raise Malformed(f"{where}.{key} is missing")
        one(found[key], f"{where}.{key}")
    for key, one in may.items():
        if found.get(key) is not None:
            one(found[key], f"{where}.{key}")


def artefact(artefacts: t.Mapping[str, str]) -> schema.Check:
    """A check for the path of a file of the source."""

    def one(value: t.Any, where: str) -> None:
        if schema.relative(value, where) not in artefacts:
            raise Malformed(f"{where} is not a file of this source: {ascii(value)[:80]}")

    return one


def list_of(inner: schema.Check) -> schema.Check:
    """A check for a list of which ``inner`` checks each entry."""

    def one(value: t.Any, where: str) -> None:
        for row in schema.rows(value, where):
            inner(row, where)

    return one


def texts(value: t.Any, where: str) -> None:
    """Check a list of texts that may be long. Raises :class:`Malformed`."""
    for row in schema.rows(value, where):
        schema.text(row, where, MOST_TEXT)


def mapping_of(inner: schema.Check, key_check: schema.Check = schema.text) -> schema.Check:
    """A check for a mapping of which ``inner`` checks each value."""

    def one(value: t.Any, where: str) -> None:
        for key, row in schema.mapping(value, where).items():
            key_check(key, f"{where}: a key")
            inner(row, f"{where}[{ascii(key)[:80]}]")

    return one


def image(value: t.Any, where: str) -> None:
    """Check the image of a container. Raises :class:`Malformed`."""
    # They become arguments of the engine: a leading dash would make an option of them.
    needed: dict[str, schema.Check] = {
        "image": schema.text,
        "image_id": schema.word,
        "digests": list_of(schema.word),
    }
    each(schema.mapping(value, where), where, needed, {})
