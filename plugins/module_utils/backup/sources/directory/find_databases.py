# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases among plain files: a copy of one in use is not a backup of it, and needs a warning.

They are recognised by their content and by known names, from the list of the directory.
"""

from __future__ import annotations

import json
import os
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import beneath, files
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError

_SQLITE = b"SQLite format 3\0"
_COMPANIONS = ("-wal", "-shm", "-journal")
# Names of files that only a server's data directory has.
_SERVERS = {
    "PG_VERSION": ("PostgreSQL", "kind: postgresql"),
    "ibdata1": ("MySQL or MariaDB", "kind: mysql"),
    "WiredTiger.wt": ("MongoDB", "a dump of it"),
    "appendonly.aof.manifest": ("Redis", "kind: redis"),
    "appendonly.aof": ("Redis", "kind: redis"),
}
_NAMED = re.compile(
    rb"(?:%s|\.db3?|\.sqlite3?|%s)\",\""
    % (
        b"|".join(map(re.escape, map(os.fsencode, _COMPANIONS))),
        b"|".join(re.escape(os.fsencode(name)) for name in _SERVERS),
    ),
)
_CHANGED = re.compile(rb'"mtime":(\d+),')
# A file written to within this time counts as in use.
_RECENT = 24 * 3600
# Most files to open only because they are recent. Files with a known name are always opened.
_MOST_RECENT = 20_000
_SHOWN = 5


def databases_in(listed: str, root: str, copied: t.Collection[str], now: float) -> list[str]:
    """A warning for the databases in use that a directory source holds as plain files.

    Args:
        listed: the path of the list of the directory.
        root: the directory.
        copied: paths below it that were copied as databases.
        now: seconds since 1970.
    """
    servers: dict[str, set[str]] = {}
    sqlite: set[str] = set()
    try:
        with beneath.open_directory(root) as directory, files.open_regular(listed) as lines:
            recent = 0
            for line in lines:
                named = _NAMED.search(line)
                if not named:
                    changed = _CHANGED.search(line)
                    if not changed or int(changed.group(1)) < (now - _RECENT) * 1e9 or recent >= _MOST_RECENT:
                        continue
                    recent += 1
                row = json.loads(line)
                path = row["path"]
                folder, _slash, name = path.rpartition("/")
                if row["type"] != "file":
                    continue
                if name in _SERVERS:
                    servers.setdefault(name, set()).add(folder)
                main = next((path[: -len(tail)] for tail in _COMPANIONS if path.endswith(tail)), path)
                used = main != path or row["mtime"] >= (now - _RECENT) * 1e9
                if used and main not in copied and main not in sqlite and _is_sqlite(directory, main):
                    sqlite.add(main)
            return [*_servers(directory, servers, root), *_files(sorted(sqlite), root)]
    except (OSError, OneboxError):
        return []  # the capture reports problems of the directory


def _is_sqlite(directory: beneath.Directory, path: str) -> bool:
    try:
        descriptor = directory.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, OneboxError):
        return False
    try:
        return os.pread(descriptor, len(_SQLITE), 0) == _SQLITE
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _servers(directory: beneath.Directory, found: t.Mapping[str, t.Collection[str]], root: str) -> list[str]:
    warnings = []
    for name, folders in found.items():
        what, instead = _SERVERS[name]
        # PG_VERSION is in the directory of each database, too: the top one has global/pg_control.
        tops = [
            folder
            for folder in sorted(folders)
            if name != "PG_VERSION" or directory.exists(os.path.join(folder, "global", "pg_control"))
        ]
        if tops:
            where = ", ".join(os.path.join(root, top) for top in tops[:_SHOWN])
            warnings.append(
                f"{where} is the data directory of {what}: a copy of one in use cannot be restored. Add a source with "
                f"{instead}, and exclude the directory here"
            )
    return warnings


def _files(paths: t.Sequence[str], root: str) -> list[str]:
    if not paths:
        return []
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return [
        f"SQLite databases in use are copied as plain files, which may be incomplete: "
        f"{', '.join(paths[:_SHOWN])}{more} in {root}. Name them in the source's sqlite option"
    ]
