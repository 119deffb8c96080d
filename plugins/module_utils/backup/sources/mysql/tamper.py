# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The negative controls of a MySQL or MariaDB source."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.mysql.model import MysqlFacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.mysql.server import Server, ident, literal
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Source

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.selftest import SelfTest

CUT_DUMP = "cut dump of MySQL"
ALTERED_ROW = "altered row of MySQL"
_COLUMNS = """SELECT c.TABLE_NAME, c.COLUMN_NAME, c.DATA_TYPE FROM information_schema.COLUMNS c
 JOIN information_schema.TABLES t USING (TABLE_SCHEMA, TABLE_NAME) WHERE t.TABLE_TYPE = 'BASE TABLE' AND
 c.EXTRA = '' AND c.COLUMN_KEY = '' AND c.TABLE_SCHEMA = %s AND c.DATA_TYPE IN ('int', 'bigint', 'varchar', 'text')
 ORDER BY 1, 2;"""


def controls(test: SelfTest, source: Source) -> None:
    """Cut a dump, and change one row of the restored server."""
    largest = max(source.artefacts, key=lambda artefact: artefact.size)
    test.restored(source, f"{largest.path} cut, without the checksum", {largest.path: test.cut})
    _alter_row(test, source)


def _alter_row(test: SelfTest, source: Source) -> None:
    done: list[str] = []

    def damage(server: Server) -> None:
        for name in MysqlFacts.from_dict(source.facts).databases:
            for table, column, kind in server.query(_COLUMNS % literal(name)):
                there = f"{ident(name)}.{ident(table)}"
                change = f"{ident(column)} + 1" if kind.endswith("int") else f"REVERSE(CONCAT({ident(column)}, 'x'))"
                sql = (
                    f"SET foreign_key_checks = 0; UPDATE IGNORE {there} SET {ident(column)} = {change} WHERE "
                    f"{ident(column)} IS NOT NULL LIMIT 1; SELECT ROW_COUNT();"
                )
                try:
                    changed = server.query(sql) == [["1"]]
                except SourceError:
                    continue  # a trigger or a check refuses it
                if changed:
                    done.append(f"{there}.{column}")
                    return

    staged = test.fetched(source)
    control = test.control("one altered row of MySQL, same rows", lambda: test.check(source, staged, damage))
    if not done:
        test.withdraw(control)
        if control.caught:
            raise SourceError(f"nothing was damaged yet, and {source.name} could not be restored: {control.said}")
        test.skip(ALTERED_ROW)
