# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Negative controls: damage copies of a set and demand that the rehearsal finds each damage.

A verifier that cannot fail proves nothing. The damage is done to fetched copies and throwaway servers, never to a set.
"""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import rehearse
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    BackupError,
    MismatchError,
    SourceError,
    file_errors,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.postgresql import server as postgresql
from ansible_collections.onebox.stack.plugins.module_utils.backup.run import Report
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import StoredSet, pick
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.files import FilesStore
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Source
from ansible_collections.onebox.stack.plugins.module_utils.core import files, trees

# Changes the first value of a kind that can be changed in general, in the first row of the first table that has one.
_ALTER = """
SET session_replication_role = replica;
CREATE FUNCTION pg_temp.obx_alter() RETURNS text LANGUAGE plpgsql AS $obx$
DECLARE place record; hits bigint;
BEGIN
  FOR place IN
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
        place.tab, place.col, format(place.change, place.col), place.tab, place.col);
      GET DIAGNOSTICS hits = ROW_COUNT;
      IF hits = 1 THEN RETURN place.tab || '.' || place.col; END IF;
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
  END LOOP;
  RETURN '';
END $obx$;
SELECT pg_temp.obx_alter();
"""


def self_test(context: Context, *, wait: float = 0.0) -> Report:
    """Run the controls on the newest local set. ``error`` in the report is "" when every damage was found.

    Controls that do not apply, because no source is of that kind, are reported as skipped and are no success.
    """
    with context.locked("self-test", wait):
        began = context.world.monotonic()
        chosen = pick(context.store.sets(), "latest", context.store.place)
        report: Report = {
            "stack": context.declaration.stack,
            "seq": chosen.seq,
            "ok": False,
            "controls": [],
            "skipped": [],
            "warnings": [],
            "error": "",
            "exit_code": 0,
        }
        scratch = os.path.join(context.declaration.state_dir, "scratch")
        try:
            with file_errors():
                _controls(context, chosen, scratch, report)
        except BackupError as error:
            report["error"] = f"the self-test could not be run: {error}"
            report["exit_code"] = error.exit_code
        finally:
            trees.remove_tree(scratch)
        missed = [row["damage"] for row in report["controls"] if not row["caught"]]
        if missed:
            report["error"] = f"damage was not found: {', '.join(missed)}; do not trust rehearsals of this version"
            report["exit_code"] = MismatchError.exit_code
        elif not report["controls"] and not report["error"]:
            report["error"] = "no control applies to the sources of this stack"
            report["exit_code"] = MismatchError.exit_code
        report["ok"] = not report["error"]
        report["seconds"] = round(context.world.monotonic() - began, 3)
        return report


def _controls(context: Context, chosen: StoredSet, scratch: str, report: Report) -> None:
    manifest = chosen.understood()
    kinds = {source.kind: source for source in manifest.sources}
    largest = max((a for s in manifest.sources for a in s.artefacts), key=lambda artefact: artefact.size)
    _stored(context, chosen, scratch, report, f"a flipped bit in {largest.path}", largest.path, _flip)
    _stored(context, chosen, scratch, report, f"{largest.path} cut to 90 %", largest.path, _cut)
    if "postgresql" in kinds:
        source = kinds["postgresql"]
        dump = next(artefact.path for artefact in source.artefacts if artefact.path.endswith(".dump"))
        # Past the checksum on purpose: the restore itself must fail, too.
        _restored(context, chosen, source, scratch, report, f"{dump} cut, checksum not asked", {dump: _cut})
        _altered_row(context, chosen, source, scratch, report)
    else:
        report["skipped"] += ["cut dump", "altered row"]
    if "redis" in kinds:
        source = kinds["redis"]
        path = source.facts["path"]
        _restored(context, chosen, source, scratch, report, f"{path} is an empty RDB", {path: _empty_rdb})
    else:
        report["skipped"].append("empty RDB")
    if "directory" in kinds:
        _altered_file(context, chosen, kinds["directory"], scratch, report)
    else:
        report["skipped"].append("altered file")


def _fresh(scratch: str) -> str:
    trees.remove_tree(scratch)
    trees.private_dir(scratch)
    staged = os.path.join(scratch, "set")
    trees.private_dir(staged)
    return staged


def _record(report: Report, damage: str, work: t.Callable[[], t.Any]) -> None:
    row = {"damage": damage, "caught": False, "said": ""}
    try:
        work()
    except BackupError as error:  # not FileError: a full disk is not a damage that was found
        row.update(caught=True, said=str(error))
    report["controls"].append(row)


def _stored(
    context: Context,
    chosen: StoredSet,
    scratch: str,
    report: Report,
    damage: str,
    path: str,
    spoil: t.Callable[[str], None],
) -> None:
    """Damage one file of a copy of the whole set, as a store would hold it, and verify that."""
    _fresh(scratch)
    manifest = chosen.understood()
    copy = FilesStore(os.path.join(scratch, "repository"), context.declaration.stack, "self-test")
    copy.prepare()
    staging = copy.stage(chosen.seq)
    context.store.fetch(chosen, staging)
    copy.commit(staging, manifest, (), ())
    good = copy.sets()[0]
    copy.verify(good)  # before the damage it must pass, or the control shows nothing
    spoil(os.path.join(copy.place, "sets", good.id, path))
    context.log(f"control: {damage}")
    _record(report, damage, lambda: copy.verify(good))


def _restored(
    context: Context,
    chosen: StoredSet,
    source: Source,
    scratch: str,
    report: Report,
    damage: str,
    spoil: t.Mapping[str, t.Callable[[str], None]],
) -> None:
    """Damage fetched files and restore them; the comparison must fail."""
    staged = _fresh(scratch)
    context.store.fetch(chosen, staged, [artefact.path for artefact in source.artefacts])
    _require_good(context, chosen, source, staged, scratch)
    for path, work in spoil.items():
        work(os.path.join(staged, path))
    context.log(f"control: {damage}")
    _record(
        report,
        damage,
        lambda: rehearse.check_source(context, context.store, chosen, source, staged, scratch),
    )


def _require_good(context: Context, chosen: StoredSet, source: Source, staged: str, scratch: str) -> None:
    """Undamaged it must come back: where no restore works at all, any damage would count as found."""
    context.log(f"control: {source.name} without damage")
    rehearse.check_source(context, context.store, chosen, source, staged, scratch)


def _altered_row(context: Context, chosen: StoredSet, source: Source, scratch: str, report: Report) -> None:
    """Change one value of one row in the restored server, past all constraints; the number of rows stays."""
    done: list[str] = []

    def tamper(server: postgresql.Server) -> None:
        for name in source.facts["databases"]:
            said = [line for line in server.query(name, _ALTER) if line]
            if said:
                done.append(f"{name}: {said[0]}")
                return

    staged = _fresh(scratch)
    context.store.fetch(chosen, staged, [artefact.path for artefact in source.artefacts])
    context.log("control: one altered row")
    _record(
        report,
        "one altered row, the same number of rows",
        lambda: rehearse.check_source(context, context.store, chosen, source, staged, scratch, tamper=tamper),
    )
    if not done:
        row = report["controls"].pop()
        if row["caught"]:
            raise SourceError(f"nothing was damaged yet, and {source.name} could not be restored: {row['said']}")
        report["skipped"].append("altered row")


def _altered_file(context: Context, chosen: StoredSet, source: Source, scratch: str, report: Report) -> None:
    staged = _fresh(scratch)
    context.store.fetch(chosen, staged, [artefact.path for artefact in source.artefacts])
    _require_good(context, chosen, source, staged, scratch)
    path = os.path.join(staged, source.facts["list"])
    with files.open_regular(path) as file, files.HashedFile(f"{path}.altered") as altered:
        done = False
        for line in file:
            row = json.loads(line)
            if row["type"] == "file" and not done:
                done = True
                row["sha256"] = "0" * 64
                line = json.dumps(row).encode() + b"\n"
            altered.write(line)
    if not done:
        report["skipped"].append("altered file")
        return
    os.replace(altered.path, path)
    context.log("control: one altered file")
    _record(
        report,
        "one altered file",
        lambda: rehearse.check_source(context, context.store, chosen, source, staged, scratch),
    )


def _flip(path: str) -> None:
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))


def _cut(path: str) -> None:
    os.truncate(path, os.path.getsize(path) * 9 // 10)


def _empty_rdb(path: str) -> None:
    # A valid RDB without a key: header of version 9, end of file, checksum 0 (= not checked).
    os.unlink(path)
    files.write_new(path, b"REDIS0009\xff" + b"\0" * 8, durable=False)
