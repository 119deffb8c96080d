# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A set back into a server, and its comparison: one way for rehearsal and restore."""

from __future__ import annotations

import contextlib
import os
import secrets
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import Cli
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    BackupError,
    MismatchError,
    SourceError,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.mysql import dump
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.mysql.model import DatabaseFacts, MysqlFacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.mysql.server import Server, reach
from ansible_collections.onebox.stack.plugins.module_utils.core import files

_SCRIPTS = "/docker-entrypoint-initdb.d"
# Scheduled events must not run in a copy. Nothing of it has to survive a power cut.
_COMMAND = ("--event-scheduler=OFF", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0")
_GRANT = "GRANT "
_SERVERS = ("mariadbd", "mysqld")


@contextlib.contextmanager
def throwaway(cli: Cli, stack: str, name: str, image: str, facts: MysqlFacts) -> t.Iterator[Server]:
    """Run an empty server during the block. Raises :class:`SourceError` when it does not start."""
    password = secrets.token_hex(16)
    env = {"MARIADB_ROOT_PASSWORD": password, "MYSQL_ROOT_PASSWORD": password}
    command = [*_COMMAND, *([f"--lower-case-table-names={facts.lower_case}"] if facts.lower_case else [])]
    container = cli.throwaway(image, name, stack, command=command, env=env, tmpfs=[_SCRIPTS])
    try:
        yield _await(cli, container, {"MYSQL_PWD": password})
    finally:
        cli.remove(container)


def _await(cli: Cli, container: str, env: dict[str, str]) -> Server:
    # The image sets itself up with a server of its own first. Only the real one is the first process.
    deadline = cli.world.monotonic() + 180
    while True:
        first = cli.run(container, ["cat", "/proc/1/comm"], check=False)
        if first.stdout.strip() in _SERVERS:
            server = reach(cli, container, "root", 0, env)
            with contextlib.suppress(SourceError):
                server.query("SELECT 1;")
                return server
        log = cli.call("logs", "--tail", "3", container, check=False)
        said = " | ".join((log.stdout + log.stderr).split("\n"))[-500:]
        if first.rc != 0 and cli.call("inspect", "--format", "{{.State.Running}}", container).stdout.strip() != "true":
            raise SourceError(f"the throwaway server ended: {said}")
        if cli.world.monotonic() > deadline:
            raise SourceError(f"the throwaway server did not start within 180 s: {said}")
        cli.world.sleep(0.2)


def create_accounts(server: Server, facts: MysqlFacts) -> tuple[list[str], list[str]]:
    """Create the accounts that the server lacks, without grants. One that exists is kept.

    Returns:
        The names of those that were created, and notes about those that differ.
    """
    there = server.accounts()
    missing = [name for name in facts.users if name not in there]
    for name in missing:
        for statement in facts.users[name]:
            if not statement.startswith(_GRANT):
                server.query(f"{statement};")
    return missing, [
        f"account {name} differs from the set; the server's own was kept"
        for name, statements in facts.users.items()
        if name in there and there[name] != list(statements)
    ]


def grant(server: Server, facts: MysqlFacts, names: t.Iterable[str]) -> list[str]:
    """Grant what accounts had: tables and routines must exist. Returns a note for each grant that was refused."""
    notes = []
    for statement in [each for name in names for each in facts.users[name] if each.startswith(_GRANT)]:
        try:
            server.query(f"{statement};")
        except SourceError as error:
            # Words of the statement hold the hash of a password.
            notes.append(f"a grant was refused: {str(error).rpartition('ERROR')[2].strip()}")
    return notes


def load_all(server: Server, facts: MysqlFacts, names: t.Sequence[str], staged: str) -> None:
    """Load databases of a set. Raises :class:`BackupError`."""
    found = {name: facts.database(name) for name in names}
    load_dumps(server, {name: (each.create, os.path.join(staged, each.path)) for name, each in found.items()})


def load_dumps(server: Server, dumps: t.Mapping[str, tuple[str, str]]) -> None:
    """Replace databases by dumps. A view may need another database, so those that failed are tried again at the end.

    Args:
        dumps: character set and collation in words of CREATE DATABASE, and path of the dump, by database.

    Raises:
        BackupError: a dump cannot be loaded.
    """
    left = list(dumps)
    while left:
        failed: dict[str, BackupError] = {}
        for name in left:
            create, path = dumps[name]
            server.create(name, create)
            try:
                server.load(path, name)
            except SourceError as error:
                failed[name] = error
        if len(failed) == len(left):
            raise next(iter(failed.values()))
        left = list(failed)


def compare(
    server: Server, facts: MysqlFacts, names: t.Sequence[str], scratch: str, *, words: bool = True
) -> list[str]:
    """Dump restored databases and compare them with the facts of the set. Returns differences."""
    problems = []
    for name in names:
        database = facts.database(name)
        path = os.path.join(scratch, "compared.sql")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        try:
            with files.HashedFile(path) as target:
                dump.write(server, name, target)
            problems += dump.differences(_parts(database), dump.parts(path), f"database {name}", words=words)
        except SourceError as error:
            # The set could be dumped, so what was restored from it is not the same.
            problems.append(f"database {name} cannot be dumped: {error}")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(scratch, "compared.sql"))
    return problems


def compare_accounts(server: Server, facts: MysqlFacts) -> list[str]:
    """Compare the accounts of a server that holds nothing else with the set. Returns differences."""
    there = server.accounts()
    names = [*facts.users, *(name for name in there if name not in facts.users)]
    return [f"account {name} differs" for name in names if list(facts.users.get(name, ())) != there.get(name)]


def require_equal(problems: t.Sequence[str]) -> None:
    """Raise :class:`MismatchError` with the first differences, if any."""
    if problems:
        raise MismatchError("; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else ""))


def _parts(database: DatabaseFacts) -> dump.Parts:
    return dump.Parts({name: list(row) for name, row in database.tables.items()}, dict(database.objects))
