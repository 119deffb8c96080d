# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replace databases of a running server by those of a set, all of them or none: their views may need each other."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import BackupError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.mysql import dump, load
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.mysql.model import MysqlFacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.mysql.server import Server, ident
from ansible_collections.onebox.stack.plugins.module_utils.core import files, process


def save(server: Server, kept: t.Mapping[str, str]) -> list[str]:
    """Dump the present databases. Returns notes about views that no dump can hold.

    Args:
        kept: path of a new file by database.

    Raises:
        BackupError: a database cannot be dumped. Nothing was replaced.
    """
    notes = []
    for name, path in kept.items():
        broken = server.broken_views(name)
        with files.HashedFile(path) as target:
            for view, definition in broken.items():
                target.write(f"-- View {view}: {' '.join(definition.split())}\n".encode("utf-8", "surrogateescape"))
            dump.write(server, name, target, without=list(broken))
        dump.parts(path)  # it must be whole
        notes += [
            f"view {view} of database {name} refers to something that is missing, so the saved copy does not recreate "
            f"it. Its definition is at the beginning of {path}"
            for view in broken
        ]
    return notes


def replace(
    server: Server,
    names: t.Sequence[str],
    facts: MysqlFacts,
    staged: str,
    kept: t.Mapping[str, str],
    *,
    words: bool,
) -> None:
    """Load databases of a set and compare them. If one differs, all previous ones are loaded again.

    Args:
        kept: path of the dump of each previous database; one that did not exist has none.
        words: compare the words of the schema, too.

    Raises:
        BackupError: the text says what the server holds now.
    """
    before = server.databases()
    where = f"{'database' if len(names) == 1 else 'databases'} {', '.join(names)} could not be restored"
    try:
        load.load_all(server, facts, names, staged)
        load.require_equal(load.compare(server, facts, names, staged, words=words))
    except BackupError as error:
        try:
            for name in names:
                if name not in kept:
                    server.query(f"DROP DATABASE IF EXISTS {ident(name)};")
            load.load_dumps(server, {name: (before[name], path) for name, path in kept.items()})
        except BackupError as worse:
            raise type(error)(
                f"{where}: {error}; going back failed, too: {process.last_words(str(worse))}. Load the previous ones "
                f"from {', '.join(kept.values())}"
            ) from error
        raise type(error)(f"{where}; the server is as it was before: {error}") from error
