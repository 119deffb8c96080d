# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A MySQL or MariaDB server in a container: queries by its own client, and its accounts."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import Cli
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import lookup
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.core import files, process

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container

SYSTEM = ("information_schema", "performance_schema", "mysql", "sys")
_PASSWORDS = ("MARIADB_ROOT_PASSWORD", "MYSQL_ROOT_PASSWORD")
_OWN_ACCOUNTS = ("mysql.sys", "mysql.session", "mysql.infoschema", "mariadb.sys", "healthcheck", "root", "PUBLIC")
_ESCAPED = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t", "0": "\0"}


def ident(name: str) -> str:
    """A name for SQL."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """A text for SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


@dataclass
class Server:
    """A server, reached from inside its container over its socket.

    Attributes:
        container: id or name.
        user: an account that may read everything.
        env: variables with the password.
        maria: whether it is MariaDB.
    """

    cli: Cli
    container: str
    user: str
    port: int
    env: dict[str, str]
    maria: bool

    def argv(self, program: str, *words: str) -> list[str]:
        """The command of ``client``, ``dump`` or ``admin``."""
        names = (
            {"client": "mariadb", "dump": "mariadb-dump"} if self.maria else {"client": "mysql", "dump": "mysqldump"}
        )
        port = [f"--port={self.port}"] if self.port else []
        return [names[program], f"--user={self.user}", *port, "--default-character-set=utf8mb4", *words]

    def query(self, sql: str, database: str = "") -> list[list[str]]:
        """Run statements and return the rows. Raises :class:`SourceError` with the server's words."""
        words = ["--batch", "--skip-column-names", *([f"--database={database}"] if database else [])]
        result = self.cli.run(
            self.container, self.argv("client", *words), env=self.env, stdin=sql.encode("utf-8", "surrogateescape")
        )
        # Tabs and line ends in values are escaped.
        return [[_plain(value) for value in line.split("\t")] for line in result.stdout.split("\n") if line]

    def load(self, path: str, database: str) -> None:
        """Run a dump in a database. Raises :class:`SourceError` at its first error."""
        words = self.argv("client", "--binary-mode", f"--database={database}")
        with files.open_regular(path) as dump:
            self.cli.stream(self.container, words, None, env=self.env, source=dump)

    def version(self) -> str:
        """The version, as the server states it."""
        return self.query("SELECT VERSION();")[0][0]

    def lower_case(self) -> int:
        """``lower_case_table_names``."""
        return int(self.query("SELECT @@lower_case_table_names;")[0][0])

    def databases(self) -> dict[str, str]:
        """Databases of applications, with their character set and collation in words of CREATE DATABASE."""
        rows = self.query(
            "SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA "
            "ORDER BY SCHEMA_NAME;"
        )
        return {name: f"CHARACTER SET {chars} COLLATE {order}" for name, chars, order in rows if name not in SYSTEM}

    def create(self, name: str, words: str) -> None:
        """Create an empty database; one of that name is dropped."""
        self.query(f"DROP DATABASE IF EXISTS {ident(name)}; CREATE DATABASE {ident(name)} {words};")

    def not_transactional(self, name: str) -> list[str]:
        """Tables whose dump is not a snapshot while others write to them."""
        rows = self.query(
            "SELECT TABLE_NAME, ENGINE FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' AND "
            f"TABLE_SCHEMA = {literal(name)} AND ENGINE NOT IN ('InnoDB', 'ROCKSDB') ORDER BY 1;"
        )
        return [f"{table} ({engine})" for table, engine in rows]

    def broken_views(self, name: str) -> dict[str, str]:
        """Views that refer to something that is missing, with their definitions. No dump can hold them."""
        views = self.query(
            "SELECT TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = "
            f"{literal(name)} ORDER BY 1;"
        )
        if not views:
            return {}
        names = ", ".join(f"{ident(name)}.{ident(view)}" for view, _definition in views)
        # Table, operation, kind of message, message: several rows for a broken one.
        bad = {row[0] for row in self.query(f"CHECK TABLE {names};") if row[2].lower() == "error"}
        return {view: definition for view, definition in views if f"{name}.{view}" in bad}

    def accounts(self) -> dict[str, list[str]]:
        """Statements that create each account and role of the applications, with its grants."""
        role = "is_role" if self.maria else "'N'"
        found = {}
        for user, host, is_role in self.query(f"SELECT User, Host, {role} FROM mysql.user ORDER BY 1, 2;"):
            if user in _OWN_ACCOUNTS:
                continue
            name = literal(user) if is_role == "Y" else f"{literal(user)}@{literal(host)}"
            # Some hashes of MySQL hold bytes that are not text.
            hashes = "" if self.maria else "SET print_identified_with_as_hex = ON; "
            made = [[f"CREATE ROLE {name}"]] if is_role == "Y" else self.query(f"{hashes}SHOW CREATE USER {name};")
            found[name] = [row[0] for row in [*made, *self.query(f"SHOW GRANTS FOR {name};")]]
        return found


def of_container(cli: Cli, container: Container, spec: SourceSpec) -> Server:
    """The server in the running container of a source. Raises :class:`SourceError`."""
    usual = next((name for name in _PASSWORDS if lookup.variable(container, name)), _PASSWORDS[0])
    password = lookup.password(container, spec, usual)
    return reach(cli, container.name, spec.user or "root", spec.port, {"MYSQL_PWD": password} if password else {})


def reach(cli: Cli, container: str, user: str, port: int, env: dict[str, str]) -> Server:
    """A server by the clients that its image has. Raises :class:`SourceError` when it has none."""
    found = cli.run(container, ["sh", "-c", "command -v mariadb-dump || command -v mysqldump"], check=False)
    if not found.stdout.strip():
        raise SourceError(
            f"container {container} has neither mariadb-dump nor mysqldump: {process.last_words(found.stderr)}. Name "
            "the container of the server, with an image that has its client"
        )
    return Server(cli, container, user, port, env, "mariadb-dump" in found.stdout)


def _plain(value: str) -> str:
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found.group(1), found.group(1)), value)
