# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema in the format of pg_dump, split into objects, so that two can be compared in any order.

The order of lines within an object counts: columns of a table, labels of an enum, lines of a function. The order of
objects does not: pg_dump sorts equal ones by their ids.
"""

from __future__ import annotations

import collections
import hashlib
import re
import typing as t

# A random token, since the minor releases of August 2025. It differs in each plain dump.
_RESTRICT = re.compile(r"\\(?:un)?restrict ")
_ENTRY = re.compile(r"^--\n-- (?=Name: )", re.MULTILINE)
_END = re.compile(r"^--\n-- PostgreSQL database dump complete\n--$", re.MULTILINE)
# Written at the end of the previous object's text. The tablespace of a
# table is not compared; its access method is compared by the catalog.
_SWITCH = re.compile(r"SET (?:default_tablespace|default_table_access_method|default_with_oids) = .*;")
_LABEL = re.compile(r"Name: (?P<name>.*); Type: (?P<type>[^;]*); Schema: (?P<schema>[^;]*); Owner: ")
# pg_dump lists the roles of a policy in the order of their creation.
_POLICY = re.compile(r"^(CREATE POLICY .*? TO )([^()]+?)((?: USING \(| WITH CHECK \(|;).*)$", re.DOTALL)


def entries(text: str) -> list[list[str]]:
    """The output of ``pg_dump --schema-only`` as sorted pairs: a readable name of each object and its digest."""
    found = []
    for block in _ENTRY.split(_END.sub("", text))[1:]:
        head, unused, body = block.partition("\n")
        lines = [line for line in body.splitlines() if line and not _RESTRICT.match(line)]
        while lines and (lines[-1] == "--" or _SWITCH.fullmatch(lines[-1])):
            lines.pop()
        if "; Type: ACL;" in head or "; Type: DEFAULT ACL;" in head:
            lines.sort()  # their statements are in the order in which the privileges were granted
        content = _with_sorted_roles("\n".join(lines).lstrip("-\n"))
        digest = hashlib.sha256(f"{head}\n{content}".encode("utf-8", "surrogateescape")).hexdigest()
        found.append([_readable(head), digest])
    return sorted(found)


def lines(text: str) -> list[str]:
    """The lines that sets of the first release hold instead of :func:`entries`."""
    return [
        _with_sorted_roles(line)
        for line in text.splitlines()
        if line and not line.startswith("--") and not _RESTRICT.match(line) and not _SWITCH.fullmatch(line)
    ]


def _with_sorted_roles(statement: str) -> str:
    policy = _POLICY.match(statement)
    if policy is None:
        return statement
    return policy.group(1) + ", ".join(sorted(policy.group(2).split(", "))) + policy.group(3)


def _readable(head: str) -> str:
    label = _LABEL.match(head)
    if label is None:
        return head[:200]
    schema = "" if label.group("schema") == "-" else label.group("schema") + "."
    return f"{label.group('type')} {schema}{label.group('name')}"[:200]


def compare(expected: t.Sequence[t.Sequence[str]], found: t.Sequence[t.Sequence[str]], where: str) -> list[str]:
    """The differences of two lists of :func:`entries`, as a sentence that names up to six objects."""
    before = collections.Counter(map(tuple, expected))
    after = collections.Counter(map(tuple, found))
    gone = {row[0] for row in before - after}
    new = {row[0] for row in after - before}
    if not gone and not new:
        return []
    shown = [
        f"{what} {', '.join(sorted(names)[:2])}"
        for what, names in (("changed", gone & new), ("missing", gone - new), ("new", new - gone))
        if names
    ]
    return [f"{where}: the schema differs: {'; '.join(shown)}"]
