# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replace a database by a restored one, unless the restored one differs."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import BackupError, SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import load
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import server as postgresql
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.model import DatabaseFacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.server import Server, ident
from ansible_collections.onebox.stack.plugins.module_utils.core import process

_ENABLED = """SELECT to_json(subname) FROM pg_subscription WHERE subenabled AND subdbid =
 (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY subname;"""


def replace_database(
    server: Server,
    name: str,
    dump: str,
    facts: DatabaseFacts,
    previous: str,
    aside: list[str],
    *,
    another: bool,
) -> list[str]:
    """Restore ``dump`` as the database ``name`` and compare it. Returns notes.

    Args:
        facts: the facts of the database in the manifest.
        previous: the new name for the existing one, "" when there is none.
        ``aside``: extended by a line when the previous database is kept under that name.
        another: the server is of another major version than the manifest says.

    Raises:
        BackupError: it could not be restored or differs. The previous database has its name again, or the text
            gives the fix.
    """
    stopped: list[str] = []
    if previous:
        stopped = _switch_subscriptions(server, name, server.query(name, _ENABLED), "DISABLE")
        try:
            postgresql.rename(server, name, previous)
        except BackupError:
            _switch_subscriptions(server, name, stopped, "ENABLE")
            raise
    try:
        load.restore_database(server, name, dump, create=True)
        problems, notes = load.compare(server, {name: facts}, another=another)
        load.require_equal(problems)
    except BackupError as error:
        try:
            postgresql.drop(server, name)
            if previous:
                postgresql.rename(server, previous, name)
                _switch_subscriptions(server, name, stopped, "ENABLE")
        except BackupError as worse:
            text = f"database {name} could not be restored: {error}"
            if previous:
                aside.append(f"database {previous}")
                text += f"; the previous one is {previous}: stop the services, drop {name} and rename it back"
            raise type(error)(f"{text}; renaming it back failed: {worse}") from error
        raise type(error)(f"database {name} could not be restored and is unchanged: {error}") from error
    if previous:
        aside.append(f"database {previous}")
    return notes + [
        f"subscription {json.loads(one)} is disabled in {previous} and in {name}: two databases must not read "
        f"one replication slot. {name} lacks what {previous} received since the backup: copy it, then enable the "
        f"subscription in {name} and run ALTER SUBSCRIPTION ... SET (slot_name = NONE) in {previous}"
        for one in stopped
    ]


def _switch_subscriptions(server: Server, database: str, names: t.Sequence[str], how: str) -> list[str]:
    for one in names:
        result = server.script(database, f"ALTER SUBSCRIPTION {ident(json.loads(one))} {how};")
        if result.rc != 0:
            raise SourceError(
                f"subscription {json.loads(one)} of database {database} could not be switched ({how}): "
                f"{process.last_words(result.stderr)}"
            )
    return list(names)
