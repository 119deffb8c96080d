# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A dump of one database by the server's own program, and the digests of its parts.

The program reads in one snapshot. A second session would read another, so the digests are taken of what it wrote: a
restored database is dumped in the same way and its parts are compared. A row is one line, in the order of the key.
"""

from __future__ import annotations

import hashlib
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.mysql.server import Server
from ansible_collections.onebox.stack.plugins.module_utils.core import files

_OPTIONS = (
    *("--single-transaction", "--quick", "--routines", "--events", "--triggers", "--hex-blob", "--order-by-primary"),
    *("--skip-extended-insert", "--no-autocommit", "--skip-add-locks", "--skip-dump-date", "--comments"),
    *("--no-tablespaces", "--max-allowed-packet=1G"),
)
_MYSQL = ("--set-gtid-purged=OFF", "--column-statistics=0")
# The words of a heading, and the quoted name in it.
_HEADING = re.compile(rb"-- ([A-Z][A-Za-z ]+?) (?:for|of) (?:[a-z]+ )?([`'].*[`'])\n\Z")
_DATA = b"Dumping data"
_ROW = b"INSERT INTO "
_END = b"-- Dump completed"


class Parts(t.NamedTuple):
    """Digests of a dump: ``tables`` has rows and SHA-256 of each table's rows, ``objects`` those of all other words."""

    tables: dict[str, list[t.Any]]
    objects: dict[str, str]


def write(server: Server, name: str, target: files.HashedFile, without: t.Sequence[str] = ()) -> None:
    """Dump a database, except the views ``without``, into an open file. Raises :class:`SourceError`."""
    ignored = [f"--ignore-table={name}.{view}" for view in without]
    words = server.argv("dump", *_OPTIONS, *(() if server.maria else _MYSQL), *ignored, "--", name)
    server.cli.stream(server.container, words, target, env=server.env)


def parts(path: str) -> Parts:
    """The digests of a dump. Raises :class:`SourceError` for one that is cut."""
    tables: dict[str, list[t.Any]] = {}
    objects: dict[str, t.Any] = {}
    rows = None
    # Before the first heading: the program, its version, settings of the session.
    rest = hashlib.sha256()
    body = False
    last = b""
    with files.open_regular(path) as lines:
        for line in lines:
            last = line
            found = None if body else _HEADING.match(line)
            if found:
                what, quoted = found.group(1), found.group(2).decode("utf-8", "surrogateescape")
                rest = objects.setdefault(f"{what.decode()} {quoted}", hashlib.sha256())
                rows = None
                if what == _DATA:
                    rows = hashlib.sha256()
                    tables[quoted] = [0, rows]
            elif line.startswith(b"DELIMITER "):
                # Bodies of triggers and routines may look like anything.
                body = line.strip() != b"DELIMITER ;"
            if rows is not None and not body and line.startswith(_ROW):
                tables[quoted][0] += 1
                rows.update(line)
            elif not line.startswith(_END):
                rest.update(line)
    if not last.startswith(_END):
        raise SourceError(f"{path} ends in the middle: the dump was cut. Run again")
    return Parts(
        {name: [count, digest.hexdigest()] for name, (count, digest) in tables.items()},
        {name: digest.hexdigest() for name, digest in objects.items()},
    )


def differences(expected: Parts, found: Parts, where: str, *, words: bool = True) -> list[str]:
    """What differs, one line each.

    Args:
        words: compare the words of the schema, too. Another version words it differently.
    """
    problems = []
    for name, (rows, digest) in expected.tables.items():
        if name not in found.tables:
            problems.append(f"{where}: table {name} is missing")
        elif found.tables[name][0] != rows:
            problems.append(f"{where}: table {name} has {found.tables[name][0]} rows instead of {rows}")
        elif found.tables[name][1] != digest:
            problems.append(f"{where}: rows of table {name} differ")
    problems += [f"{where}: table {name} is not in the set" for name in found.tables if name not in expected.tables]
    if words:
        keys = [*expected.objects, *(key for key in found.objects if key not in expected.objects)]
        problems += [f"{where}: {key} differs" for key in keys if expected.objects.get(key) != found.objects.get(key)]
    return problems
