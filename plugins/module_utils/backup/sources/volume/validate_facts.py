# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a volume source in a manifest."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import shared_fields
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import validate_facts as directory
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import schema

# What both engines accept. It becomes an argument of theirs.
_NAME = schema.matching(re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}\Z"), "the name of a volume")


def validate(value: t.Mapping[str, t.Any], artefacts: t.Mapping[str, str], where: str) -> None:
    """Check the facts of a manifest before they are used. A new fact that is used belongs here.

    Args:
        artefacts: SHA-256 of each file of the source, by path.

    Raises:
        Malformed: the text names the field.
    """
    directory.validate(value, artefacts, where)
    shared_fields.each(value, where, {"volume": _NAME, "mapped": _flag}, {})
    if value["mapped"] and not value["archive"]:
        raise schema.Malformed(f"{where}.archive is missing, and {where}.mapped is true")


def _flag(value: t.Any, where: str) -> None:
    if not isinstance(value, bool):
        raise schema.Malformed(f"{where} is not true or false")
