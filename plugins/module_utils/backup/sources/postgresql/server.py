# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL: dump with the server's own programs inside its container, and restore with those of the same image.

pg_dump of another major version refuses the server, and a dump through a terminal is corrupt. ``pg_restore -l`` accepts
an archive cut to 30 %. So this runs the container's programs without a terminal, checks every exit code, and decodes
and hashes the whole archive.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import typing as t
import urllib.parse

from ansible_collections.onebox.stack.plugins.module_utils.backup.background import Background
from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import Cli, Session
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import lookup
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.facts import Image
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import catalogue, requirements
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import facts as pgfacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import schema as pgschema
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.model import (
    DatabaseFacts,
    ServerFacts,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Artefact
from ansible_collections.onebox.stack.plugins.module_utils.core import files, process, trees

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container

_BUSY = "is being accessed by other users"
_NAME_BYTES = 63
# A database or role may have settings that prevent loading a dump. Those of the client have priority.
_OPTIONS = "-c default_transaction_read_only=off -c statement_timeout=0 -c lock_timeout=0"


class Server:
    """A running PostgreSQL server in a container.

    Args:
        container: its name or id.
        user: a superuser, or a role with BYPASSRLS that may read everything.
        env: PGPASSWORD, when the local socket requires one.
    """

    def __init__(self, cli: Cli, container: str, user: str, port: int, env: t.Mapping[str, str]) -> None:
        self.cli = cli
        self.container = container
        self.user = user
        self.env = {"PGOPTIONS": _OPTIONS, **env}
        self._where = ["-U", user, "-w"] + (["-p", str(port)] if port else [])
        self._home = ""

    def session(self, database: str) -> Session:
        """psql on a database, quiet, unaligned, stopping at the first error."""
        words = ["psql", *self._where, "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", connect(database)]
        return self.cli.session(self.container, words, self.env)

    def query(self, database: str, sql: str) -> list[str]:
        """Run SQL and return the lines of the answer."""
        with self.session(database) as session:
            return session.ask(sql)

    def script(self, database: str, text: str) -> process.Result:
        """Run a script up to its first error. Returns the result. Process lists do not show it."""
        words = self.argv("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", connect(database))
        return self.cli.run(self.container, words, env=self.env, stdin=text.encode(), check=False)

    def argv(self, program: str, *words: str) -> list[str]:
        """A client program of the server with its connection options."""
        return [program, *self._where, *words]

    def home(self, name: str = "") -> str:
        """A database to connect to, other than ``name``: postgres, or template1 when postgres does not exist.

        It may be dropped, or renamed by a restore under way or by a killed one.
        """
        if name == "postgres":
            return "template1"
        if not self._home:
            self._home = "postgres" if self.script("postgres", "").rc == 0 else "template1"
        return self._home

    def administer(self, name: str, sql: str) -> None:
        """End the connections to the database ``name``, then run SQL that renames or drops it.

        Raises:
            SourceError: it fails, or clients reconnect faster than they are disconnected.
        """
        # In one psql, so that a client of the stack does not reconnect in between.
        sql = (
            f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = {literal(name)} "
            f"AND pid <> pg_backend_pid();\n{sql}"
        )
        world = self.cli.world
        deadline = world.monotonic() + 30
        try:
            while (result := self.script(self.home(name), sql)).rc != 0:
                if _BUSY not in result.stderr or world.monotonic() > deadline:
                    raise SourceError(
                        f"database {name} could not be renamed or dropped ({process.last_words(result.stderr)}); "
                        "stop the services that use it and run again"
                    )
                world.sleep(0.05)
        finally:
            self._home = ""

    def databases(self) -> list[str]:
        """Databases that accept connections; of templates only those that users created."""
        sql = (
            "SELECT to_json(datname) FROM pg_database WHERE datallowconn AND datconnlimit <> -2 "
            "AND datname NOT IN ('template0', 'template1') ORDER BY datname;"
        )
        return [json.loads(line) for line in self.query(self.home(), sql)]

    def roles(self) -> list[str]:
        """The names of all roles."""
        sql = "SELECT to_json(rolname) FROM pg_roles ORDER BY rolname;"
        return [json.loads(line) for line in self.query(self.home(), sql)]

    @contextlib.contextmanager
    def at_home(self) -> t.Iterator[Session]:
        """A session for queries about the server, with settings that make the answers comparable."""
        with self.session(self.home()) as session:
            session.ask(pgfacts.SETTINGS)
            yield session

    def schema(self, database: str, snapshot: str = "") -> str:
        """The output of ``pg_dump --schema-only``."""
        words = ["pg_dump", "--schema-only", "--no-tablespaces", *_snapshot(snapshot), "-d", connect(database)]
        return self.cli.run(self.container, self.argv(*words), env=self.env).stdout


def of_container(cli: Cli, container: Container, spec: SourceSpec) -> Server:
    """The server of a source, with the configured user and password, else those of the image's variables."""
    user = spec.user or lookup.variable(container, "POSTGRES_USER") or "postgres"
    password = lookup.password(container, spec, "POSTGRES_PASSWORD")
    return Server(cli, container.id, user, spec.port, {"PGPASSWORD": password} if password else {})


def capture(
    server: Server, wanted: t.Sequence[str], staging: str, prefix: str, *, image: Image, initdb_args: str
) -> tuple[list[Artefact], ServerFacts, list[str]]:
    """Dump globals and databases into ``staging`` below ``prefix``. Returns artefacts, facts and warnings."""
    there = server.databases()
    for name in wanted:
        if name not in there:
            raise SourceError(
                f"there is no database {name!r} in {server.container} that accepts connections; there are "
                f"{', '.join(there)}"
            )
    with server.at_home() as session:
        version = session.ask("SHOW server_version;")[0]
        superuser = session.ask("SELECT rolsuper FROM pg_roles WHERE rolname = current_user;") == ["t"]
        artefact, roles = _capture_globals(server, session, staging, f"{prefix}/globals.sql")
        in_data = requirements.in_data_directory(session) if superuser else {}
        preload = session.ask("SHOW shared_preload_libraries;")[0:1]
        settings = {"carried": requirements.carried(session), "in_data_directory": in_data}
        warnings = requirements.left_out(session, in_data)
    warnings += requirements.in_template1(server)
    artefacts = [artefact]
    databases: dict[str, dict[str, t.Any]] = {}
    compress = _compression(server, version)
    for name in wanted or there:
        artefact, found, subscriptions = _capture_database(server, name, compress, superuser, staging, prefix)
        artefacts.append(artefact)
        databases[name] = found.as_dict()
        for extension, brought in found.extension_updates.items():
            warnings.append(
                f"database {name} has extension {extension} in version {found.extensions[extension]}, and the image "
                f"brings {brought}: a restore installs {brought}. Run ALTER EXTENSION {ident(extension)} UPDATE"
            )
        if subscriptions:
            warnings.append(
                f"database {name} has subscriptions ({', '.join(subscriptions)}): a restore creates them disabled. "
                "Enable each after a restore, once its replication slot is right"
            )
    not_compared = list(catalogue.NOT_COMPARED)
    if not superuser:
        not_compared.append("large objects, and settings in the data directory: the user is not a superuser")
    facts = ServerFacts(version, server.user, databases, image, initdb_args, preload, settings, roles, not_compared)
    return artefacts, facts, warnings


def _capture_globals(server: Server, session: Session, staging: str, path: str) -> tuple[Artefact, catalogue.Groups]:
    """Dump the roles. Their facts must be the same before and after, or they are dumped again."""
    before = catalogue.of_server(session)
    for _attempt in range(5):
        artefact = _dump(server, ["pg_dumpall", "--globals-only", "--no-tablespaces"], staging, path)
        after = catalogue.of_server(session)
        if after == before:
            return artefact, after
        before = after
        os.unlink(os.path.join(staging, path))
    raise SourceError(f"the roles of {server.container} keep changing; run again when they are stable")


def _capture_database(
    server: Server, name: str, compress: t.Sequence[str], superuser: bool, staging: str, prefix: str
) -> tuple[Artefact, DatabaseFacts, list[str]]:
    path = f"{prefix}/{urllib.parse.quote(name, safe='')}.dump"
    with server.session(name) as session:
        session.ask("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;" + pgfacts.SETTINGS)
        snapshot = session.ask("SELECT pg_catalog.pg_export_snapshot();")[0]
        before = pgfacts.sequences(session)
        entries = pgschema.entries(server.schema(name, snapshot))
        words = ["-Fc", *compress, "--no-tablespaces", "--lock-wait-timeout=60s", *_snapshot(snapshot)]
        dump = Background(lambda: _dump(server, ["pg_dump", *words, "-d", connect(name)], staging, path))
        # The session that exported the snapshot computes the hashes, while pg_dump reads the same snapshot.
        try:
            there = pgfacts.contents(session, superuser)
            subscriptions = [json.loads(line) for line in session.ask(requirements.SUBSCRIPTIONS)]
        finally:
            artefact = dump.join()
        session.ask("COMMIT;")
        after = pgfacts.sequences(session)
    found = DatabaseFacts(
        path=path,
        tables=there.tables,
        config_tables=there.config_tables,
        views=there.views,
        extensions=there.extensions,
        extension_updates=there.extension_updates,
        sequences_before=before,
        sequences_after=after,
        entries=entries,
        catalogue=there.catalogue,
        large_objects=there.large_objects,
    )
    with files.open_regular(f"{staging}/{path}") as file:
        # Only decoding the whole archive detects a truncated one. Its list of contents does not.
        server.cli.stream(server.container, ["pg_restore", "-f", "/dev/null"], None, source=file)
    return artefact, found, subscriptions


def major(server: Server) -> str:
    """The major version of a running server."""
    return server.query(server.home(), "SHOW server_version;")[0].partition(".")[0]


def rename(server: Server, name: str, to: str) -> None:
    """Rename a database, ending the connections to it first."""
    server.administer(name, f"ALTER DATABASE {ident(name)} RENAME TO {ident(to)};")


def drop(server: Server, name: str) -> None:
    """Drop a database that this program just created and rejected. A missing one is not an error."""
    if name in server.databases():
        for one in server.query(name, requirements.SUBSCRIPTIONS):
            subscription = ident(json.loads(one))
            # Dropping it with its slot contacts the publisher, and another subscription uses the slot.
            server.query(
                name,
                f"ALTER SUBSCRIPTION {subscription} DISABLE; ALTER SUBSCRIPTION {subscription} SET (slot_name = NONE); "
                f"DROP SUBSCRIPTION {subscription};",
            )
        server.query(server.home(name), f"ALTER DATABASE {ident(name)} IS_TEMPLATE false;")
    server.administer(name, f"DROP DATABASE IF EXISTS {ident(name)};")


def _dump(server: Server, words: t.Sequence[str], staging: str, path: str) -> Artefact:
    target = trees.private_parents(staging, path)
    with files.HashedFile(target) as file:
        server.cli.stream(server.container, server.argv(*words), file, env=server.env)
    if not file.size:
        raise SourceError(f"{words[0]} in container {server.container} wrote nothing")
    return Artefact(path, file.size, file.sha256())


def _compression(server: Server, version: str) -> list[str]:
    # zstd takes half the time of gzip, but only some builds include it.
    if int(re.match(r"\d+", version).group()) < 16:  # type: ignore[union-attr]
        return []
    # Without --no-sync it fails, because this output cannot be synced.
    words = ["-Fc", "-Z", "zstd", "--no-sync", "--schema-only", "-f", "/dev/null", "-d", "template1"]
    words = server.argv("pg_dump", *words)
    return ["-Z", "zstd"] if server.cli.run(server.container, words, env=server.env, check=False).rc == 0 else []


def with_suffix(name: str, suffix: str) -> str:
    """``name`` and ``suffix`` as a name within PostgreSQL's limit, which is in bytes."""
    return name.encode()[: _NAME_BYTES - len(suffix.encode())].decode(errors="ignore") + suffix


def aside_name(database: str, stamp: str) -> str:
    """The name of the previous copy of a database."""
    return with_suffix(database, f"_before_{stamp}")


def ident(name: str) -> str:
    """``name`` as an identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """``text`` as a string in SQL."""
    quoted = text.replace("'", "''")
    return f"'{quoted}'" if "\\" not in quoted else " E'" + quoted.replace("\\", "\\\\") + "'"


def _snapshot(snapshot: str) -> list[str]:
    return [f"--snapshot={snapshot}"] if snapshot else []


def connect(database: str) -> str:
    """``database`` as the value of psql's -d."""
    # A name with '=' or '://' would be read as a connection string, and one with a dash as an option.
    if re.fullmatch(r"[A-Za-z0-9_]+", database):
        return database
    quoted = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{quoted}'"
