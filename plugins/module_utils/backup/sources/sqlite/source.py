# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources of kind ``sqlite``: one database file of the host."""

from __future__ import annotations

import os
import stat
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    ConfigError,
    RestoreRefused,
    RoomLimit,
    SourceError,
    SourceLimit,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.base import (
    Captured,
    Datum,
    Import,
    Kind,
    Rehearsed,
    RehearseJob,
    RestoreJob,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.sqlite import contents, online, restore
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.sqlite import tamper as tampering
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.sqlite.model import KIND, SqliteFacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Artefact, Source
from ansible_collections.onebox.stack.plugins.module_utils.core import beneath, files, trees

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.capture import Capturer
    from ansible_collections.onebox.stack.plugins.module_utils.backup.selftest import SelfTest

# A table that had this many rows is named when it is empty.
_MANY = 1000


class SqliteKind(Kind):
    """A SQLite database of the host, its content compared row by row."""

    name = KIND
    as_files = True
    # Only the swap of names changes the stack, and it writes the note itself.
    notes_itself = True
    damages = (tampering.CUT_FILE, tampering.ALTERED_ROW, tampering.ALTERED_SETTING)
    unexpected = SourceLimit

    def capture(self, run: Capturer, spec: SourceSpec, staging: str) -> Captured:
        target = f"sqlite/{spec.name}.db"
        place = trees.private_parents(staging, target)
        with _open_directory(spec) as folder:
            descriptor = _open(folder, spec)
            try:
                live = os.fstat(descriptor)
                _require_room(spec, live.st_size, staging, run.config.reserve_mib << 20)
                online.copy(spec.path, descriptor, place)
                found = contents.read(place)
            except (SourceError, files.FileError):
                trees.remove_tree(place)
                raise
            finally:
                os.close(descriptor)
        sha256, size = files.digest(place)
        facts = SqliteFacts(
            path=spec.path,
            file=target,
            uid=live.st_uid,
            gid=live.st_gid,
            mode=stat.S_IMODE(live.st_mode) & 0o777,
            settings=found.settings,
            tables=found.tables,
            objects=found.objects,
            broken_references=found.broken_references,
            not_compared=found.not_compared,
        )
        return Captured([Artefact(target, size, sha256)], facts.rows, facts.as_dict(), _warnings(found))

    def plan(self, job: RestoreJob, spec: SourceSpec, source: Source) -> list[str]:
        target = self._target(job, spec)
        if trees.is_mount_point(target):
            raise RestoreRefused(
                f"{target} is a mount point, which cannot be renamed. Restore with --into another directory and copy "
                "the file; nothing was changed"
            )
        stops = [] if job.into else restore.using(job.context, target)
        meanwhile = f"; meanwhile {', '.join(stops)} stops" if stops else ""
        return [self._step(job, target) + meanwhile]

    def restore(self, job: RestoreJob, spec: SourceSpec, source: Source, staged: str) -> None:
        target = self._target(job, spec)
        restore.put(job, target, source.name, SqliteFacts.from_dict(source.facts), staged)
        job.finished.append(self._step(job, target))

    def rehearse(self, job: RehearseJob, source: Source) -> Rehearsed:
        facts = SqliteFacts.from_dict(source.facts)
        scratch = os.path.join(job.scratch, f"sqlite-{source.name}")
        trees.remove_tree(scratch)
        trees.private_dir(scratch)
        try:
            restored = os.path.join(scratch, "restored.db")
            restore.install(os.path.join(job.staged, facts.file), restored)
            restore.require_equal(facts, restored, "the restored copy")
        finally:
            trees.remove_tree(scratch)
        return Rehearsed({"tables": len(facts.tables), "rows": facts.rows, "not_compared": list(facts.not_compared)})

    def tamper(self, test: SelfTest, source: Source) -> None:
        tampering.controls(test, source)

    def import_(self, context: Context, spec: SourceSpec, datum: Datum, scratch: str) -> Import:
        self.check_datum(spec, datum, spec.name)
        raise NotImplementedError

    def check_datum(self, spec: SourceSpec, datum: Datum, where: str) -> None:
        raise ConfigError(
            f"{where}: a SQLite file cannot be imported. Stop the service, copy the file to {spec.path}, then start it"
        )

    def paths(self, spec: SourceSpec) -> list[str]:
        return [os.path.dirname(spec.path)]

    def room(self, source: Source) -> int:
        return sum(artefact.size for artefact in source.artefacts)

    def target(self, job: RestoreJob, spec: SourceSpec) -> str:
        return self._target(job, spec)

    def shrunk(self, spec: SourceSpec, now: Source, before: Source) -> tuple[list[str], list[str]]:
        """Name tables that are gone or empty."""
        problems, warnings = [], []
        there, previous = SqliteFacts.from_dict(now.facts), SqliteFacts.from_dict(before.facts)
        for table, (rows, _sha256) in previous.tables.items():
            if table not in there.tables and rows >= _MANY:
                problems.append(f"table {table} with {rows} rows is gone")
            elif rows >= _MANY and there.tables.get(table, [0])[0] == 0:
                warnings.append(f"table {table} went from {rows} rows to none")
        return (problems, warnings) if spec.max_drop_percent < 100 else ([], problems + warnings)

    def _target(self, job: RestoreJob, spec: SourceSpec) -> str:
        return os.path.join(job.into, spec.name, os.path.basename(spec.path)) if job.into else spec.path

    def _step(self, job: RestoreJob, target: str) -> str:
        return f"database {target}: the previous one renamed to {target}.before-{job.stamp}"


def _open_directory(spec: SourceSpec) -> beneath.Directory:
    try:
        return beneath.open_directory(os.path.dirname(spec.path))
    except (beneath.UnsafePath, files.FileError) as error:
        raise SourceError(f"source {spec.name}: {error}. Correct the source's option path") from error


def _open(folder: beneath.Directory, spec: SourceSpec) -> int:
    """Open the database without following a link. Raises :class:`SourceError`."""
    try:
        descriptor = folder.open(os.path.basename(spec.path), os.O_RDONLY | os.O_NONBLOCK)
    except (beneath.UnsafePath, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise SourceError(
            f"source {spec.name}: the SQLite file {spec.path} cannot be opened: {why}. Correct the source's option "
            "path, or check that its disk is mounted"
        ) from error
    head = os.pread(descriptor, len(online.MAGIC), 0) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b"-"
    # SQLite creates a database as an empty file.
    if head not in (online.MAGIC, b""):
        os.close(descriptor)
        raise SourceError(
            f"source {spec.name}: {spec.path} is not a SQLite database (an encrypted one is not supported). Correct "
            "the source's option path, or use kind: directory"
        )
    return descriptor


def _require_room(spec: SourceSpec, size: int, staging: str, reserve: int) -> None:
    wal = 0
    if os.path.exists(f"{spec.path}-wal"):
        wal = os.stat(f"{spec.path}-wal", follow_symlinks=False).st_size
    free = trees.free_bytes(staging)
    if free < size + wal + reserve:
        raise RoomLimit(
            f"source {spec.name}: {staging} has {free >> 20} MiB free, and the copy of {spec.path} needs "
            f"{(size + wal + reserve) >> 20} MiB with the reserve. Make room"
        )


def _warnings(found: contents.Contents) -> list[str]:
    warnings = [f"{text}. It is stored, and not compared" for text in found.not_compared]
    if found.broken_references:
        warnings.append(
            f"{found.broken_references} rows violate a foreign key already in the live database. They are backed up "
            "as they are"
        )
    return warnings
