# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse a directory source that is the data directory of a database server: its copy cannot be restored."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceLimit
from ansible_collections.onebox.stack.plugins.module_utils.core import beneath
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError

# Files that only the data directory of a server has, all of them at once.
_SERVERS: t.Mapping[str, tuple[tuple[str, ...], ...]] = {
    "PostgreSQL, use kind: postgresql": (("PG_VERSION", "global/pg_control"),),
    "MySQL or MariaDB, use kind: mysql": (("ibdata1", "mysql"),),
    "MongoDB, back up a dump of it": (("WiredTiger", "WiredTiger.wt"),),
    "Redis, use kind: redis": (("appendonlydir/appendonly.aof.manifest",), ("appendonly.aof",)),
}


def refuse(path: str, exclude: t.Sequence[str]) -> None:
    """Refuse the data directory of a server. Directories below it are warned of when they are copied.

    Args:
        path: the directory.
        exclude: patterns that the source leaves out; with any of the server's files, it is not refused.

    Raises:
        SourceLimit: it is one. Other sources are not affected.
    """
    try:
        with beneath.open_directory(path) as directory:
            found = next(
                (
                    what
                    for what, choices in _SERVERS.items()
                    for names in choices
                    if all(directory.exists(name) for name in names) and not set(names) & set(exclude)
                ),
                "",
            )
    except (OSError, OneboxError):
        return  # the capture reports it
    if found:
        kind, _comma, instead = found.partition(", ")
        raise SourceLimit(
            f"{path} is the data directory of {kind}: files copied while it runs cannot be restored. In "
            f"backups_sources, {instead} instead of kind: directory for this path"
        )
