# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load a dump into a server and compare it with its set, for rehearsals, restores and imports.

The dump is streamed, because a copy inside the container would need space, and a service may have a small /tmp.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import MismatchError, SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import catalogue
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import facts as pgfacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import schema as pgschema
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.model import (
    Contents,
    DatabaseFacts,
    ServerFacts,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.server import Server, connect
from ansible_collections.onebox.stack.plugins.module_utils.core import files, process

_ROLE_EXISTS = re.compile(r'ERROR:  role ".*" already exists')
# A comment, a command of psql, a string, a name, the end of a statement, or another character.
_TOKEN = re.compile(
    rb"--[^\n]*|(?m:^)\\[^\n]*|(?<![A-Za-z0-9_])[Ee]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|;|[^'\"\\;-]|.",
    re.DOTALL,
)


def statements(text: bytes) -> t.Iterator[bytes]:
    """Split the output of pg_dumpall into statements. Comments and psql's own commands are separate.

    Lines are not enough: the comment of a role may contain lines that resemble statements.
    """
    statement = b""
    for token in _TOKEN.finditer(text):
        part = token.group()
        if not statement and (part.isspace() or part.startswith((b"--", b"\\"))):
            if not part.isspace():
                yield part
            continue
        statement += part
        if part == b";":
            yield statement
            statement = b""
    if statement:
        yield statement


def restore_globals(server: Server, path: str) -> None:
    """Create dumped roles. Existing ones keep their password and attributes. Other errors are raised."""
    with files.open_regular(path) as file:
        dumped = file.read()
    there = server.query(server.home(), "SELECT pg_catalog.quote_ident(rolname) FROM pg_catalog.pg_roles;")
    living = tuple(
        start.encode("utf-8", "surrogateescape")
        for role in there
        for start in (f"CREATE ROLE {role};", f"ALTER ROLE {role} WITH ")
    )
    sql = b"\n".join(statement for statement in statements(dumped) if not statement.startswith(living)) + b"\n"
    words = server.argv("psql", "-Xq", "-d", server.home())
    result = server.cli.run(server.container, words, env=server.env, stdin=sql, check=False)
    errors = [line for line in result.stderr.splitlines() if "ERROR:" in line and not _ROLE_EXISTS.search(line)]
    if errors or result.rc != 0:
        raise SourceError(f"the roles in {path} could not be restored: {process.last_words(' '.join(errors[:2]))}")


def restore_database(server: Server, name: str, path: str, create: bool, *more: str) -> None:
    """Restore an archive. With ``create``, the database is created as dumped; else it must exist and be empty.

    Args:
        more: further options of pg_restore.

    Raises:
        SourceError: pg_restore failed. It ends at its first error, which it prints last.
    """
    # A session in a database cannot create that database.
    target = ["--create", "-d", server.home(name)] if create else ["-d", connect(name)]
    words = server.argv("pg_restore", "--exit-on-error", "--no-tablespaces", *more, *target)
    with files.open_regular(path) as dump:
        server.cli.stream(server.container, words, None, env=server.env, source=dump)


def inspect(server: Server, name: str, superuser: bool) -> Contents:
    """The contents of a database now: tables, sequences, extensions, schema and groups of the catalog."""
    with server.session(name) as session:
        session.ask("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;" + pgfacts.SETTINGS)
        found = pgfacts.contents(session, superuser)
        sequences = pgfacts.sequences(session)
    text = server.schema(name)
    return dataclasses.replace(found, sequences=sequences, text=text, entries=pgschema.entries(text))


def compare(
    server: Server, expected: t.Mapping[str, DatabaseFacts], *, another: bool = False
) -> tuple[list[str], list[str]]:
    """Compare restored databases with the facts of the manifest. Returns differences and notes.

    Args:
        another: the server is of another major version than the manifest says.
    """
    problems = []
    notes = []
    there = server.databases()
    for name, facts in expected.items():
        if name not in there:
            problems.append(f"database {name} is missing")
            continue
        found = inspect(server, name, facts.large_objects is not None)
        problems += pgfacts.compare(facts, found, f"database {name}", another=another)
        if another:
            facts = pgfacts.for_another_major(facts)
        notes += pgfacts.renewed(facts, found, f"database {name}")
    return problems, notes


def compare_roles(
    server: Server, expected: ServerFacts, *, kept: t.Collection[str], alone: bool
) -> tuple[list[str], list[str]]:
    """Compare the roles of a server with the facts of the manifest; see :func:`catalogue.compare_server`."""
    if expected.catalogue is None:
        return [], [
            "roles, properties of databases and owners of large objects are not compared: the set is of version 1.0"
        ]
    with server.at_home() as session:
        found = catalogue.of_server(session)
    problems, own = catalogue.compare_server(expected.catalogue, found, kept=kept, alone=alone)
    return problems, [f"{text}; the server's own was kept" for text in own]


def judge(server: Server, facts: ServerFacts, kept: t.Collection[str]) -> tuple[list[str], list[str]]:
    """Compare a throwaway server that holds only a set with its facts. Returns differences and notes."""
    roles, own = compare_roles(server, facts, kept=kept, alone=True)
    problems, notes = compare(server, {name: facts.database(name) for name in facts.databases})
    return roles + problems, own + notes


def require_equal(problems: t.Sequence[str]) -> None:
    """Raise :class:`MismatchError` with the first differences, if any."""
    if problems:
        raise MismatchError("; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else ""))
