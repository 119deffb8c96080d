# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The negative controls of a PostgreSQL source."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import server as postgresql
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.model import ServerFacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Source

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.selftest import SelfTest

CUT_DUMP = "cut dump"
ALTERED_ROW = "altered row"

# Changes one value: the first of a common type, in the first row of the first table that has one.
_ALTER = """
SET session_replication_role = replica;
CREATE FUNCTION pg_temp.obx_alter() RETURNS text LANGUAGE plpgsql AS $obx$
DECLARE target record; hits bigint;
BEGIN
  FOR target IN
    SELECT format('%I.%I', n.nspname, c.relname) AS tab, quote_ident(a.attname) AS col,
      CASE WHEN a.atttypid IN ('text'::regtype, 'varchar'::regtype) THEN '%1$s || $x$x$x$'
           WHEN a.atttypid = 'bool'::regtype THEN 'NOT %1$s' ELSE '%1$s + 1' END AS change
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND a.attnum > 0
      AND NOT a.attisdropped AND a.attgenerated = '' AND a.atttypid IN ('text'::regtype, 'varchar'::regtype,
      'bool'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype, 'float8'::regtype)
    ORDER BY 1, a.attnum
  LOOP
    BEGIN
      EXECUTE format('UPDATE ONLY %s SET %s = %s WHERE ctid = (SELECT ctid FROM ONLY %s WHERE %s IS NOT NULL LIMIT 1)',
        target.tab, target.col, format(target.change, target.col), target.tab, target.col);
      GET DIAGNOSTICS hits = ROW_COUNT;
      IF hits = 1 THEN RETURN target.tab || '.' || target.col; END IF;
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
  END LOOP;
  RETURN '';
END $obx$;
SELECT pg_temp.obx_alter();
"""


def controls(test: SelfTest, source: Source) -> None:
    """Cut a dump, and change one row of the restored server."""
    dump = next(artefact.path for artefact in source.artefacts if artefact.path.endswith(".dump"))
    # The checksum is bypassed on purpose: the restore itself must fail, too.
    test.restored(source, f"{dump} cut, checksum not checked", {dump: test.cut})
    _alter_row(test, source)


def _alter_row(test: SelfTest, source: Source) -> None:
    """Change one value of one row in the restored server, bypassing all constraints, with the same number of rows."""
    done: list[str] = []

    def damage(server: postgresql.Server) -> None:
        for name in ServerFacts.from_dict(source.facts).databases:
            answer = [line for line in server.query(name, _ALTER) if line]
            if answer:
                done.append(f"{name}: {answer[0]}")
                return

    staged = test.fetched(source)
    control = test.control("one altered row, the same number of rows", lambda: test.check(source, staged, damage))
    if not done:
        test.withdraw(control)
        if control.caught:
            raise SourceError(f"{source.name} could not be restored, before any damage: {control.said}")
        test.skip(ALTERED_ROW)
