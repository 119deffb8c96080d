# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a directory source."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.facts import Facts
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Source

KIND = "directory"
# The kinds whose files are below one directory.
TREES = (KIND, "volume")
# The order of a list: that of the walk.
WALK = "walk"


@dataclass(frozen=True)
class DirectoryFacts(Facts):
    """The facts of a directory in a manifest.

    Attributes:
        root: its absolute path.
        entries: number of entries, the root included.
        bytes: bytes of its files, without holes.
        holes: bytes of holes: the size of its files minus their stored data.
        plain_files: number of plain files; 0 in old sets.
        list: path of the list in the set.
        list_order: ``walk``, or "" in sets of version 1.0.0, which are sorted by path.
        archive: path of the archive in the set, "" when the store holds the files.
        databases: path of each SQLite file below the root, and of its copy in the set.
    """

    root: str = ""
    entries: int = 0
    bytes: int = 0
    holes: int = 0
    plain_files: int = 0
    list: str = ""
    list_order: str = ""
    archive: str = ""
    databases: t.Mapping[str, str] = field(default_factory=dict)


def of(source: Source) -> DirectoryFacts | None:
    """The facts of a directory or volume whose files the store holds itself, None for any other source."""
    facts = DirectoryFacts.from_dict(source.facts) if source.kind in TREES else None
    return facts if facts and not facts.archive else None
