# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocol of the kinds of sources. Each kind is a class in the folder of its name, see :mod:`registry`."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import ConfigError, SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import specs
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Artefact, Source

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.capture import Capturer
    from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
    from ansible_collections.onebox.stack.plugins.module_utils.backup.selftest import SelfTest
    from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import Store, StoredSet


@dataclass(frozen=True)
class Captured:
    """The result of a capture. ``count`` is rows, keys or entries; ``facts`` is the mapping for the manifest."""

    artefacts: t.Sequence[Artefact]
    count: int
    facts: dict[str, t.Any]
    warnings: t.Sequence[str] = ()


@dataclass
class RestoreJob:
    """A restore of one set.

    Attributes:
        into: directory to restore files below, "" for the stack itself.
        databases: only these databases, () for all.
        stamp: ends the names of previous copies.
        owners: set owners and groups.
        warnings, finished, ``aside``: lines of the report.
    """

    context: Context
    store: Store
    chosen: StoredSet
    into: str
    databases: tuple[str, ...]
    stamp: str
    owners: bool
    warnings: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)


@dataclass
class RehearseJob:
    """A rehearsal of one set.

    Attributes:
        staged: directory with the fetched files of the set.
        scratch: directory for restored copies.
        damage: changes the restored server before the comparison, for a negative control; None for none.
    """

    context: Context
    store: Store
    chosen: StoredSet
    staged: str
    scratch: str
    damage: t.Callable[[t.Any], None] | None = None


@dataclass(frozen=True)
class Rehearsed:
    """The result of a successful rehearsal: counts for the report, and warnings."""

    found: dict[str, t.Any]
    warnings: t.Sequence[str] = ()


@dataclass(frozen=True)
class Datum:
    """One file or directory to import into a source.

    Attributes:
        file: a dump of pg_dump, an RDB, or a directory, as the source's kind requires; an absolute path on this host.
        database: for PostgreSQL, the database to create from it.
        owners: for PostgreSQL, whether owners and privileges in the dump are kept.
        globals_file: for PostgreSQL, roles to create first.
        facts_file: for PostgreSQL, facts of the server that the dump comes from.
    """

    source: str
    file: str
    database: str = ""
    owners: bool = True
    globals_file: str = ""
    facts_file: str = ""


class Import(t.Protocol):
    """A prepared import.

    Attributes:
        sha256: digest of the content to import.
        warnings: for the report.
        prefix: written before the name of the previous copy in a report, such as ``database``.
    """

    sha256: str
    warnings: list[str]
    prefix: str

    def already_imported(self) -> bool:
        """Whether this content was the last import into the source."""

    def step(self, stamp: str) -> str:
        """The step for the plan."""

    def try_out(self) -> dict[str, t.Any]:
        """Restore it outside of the stack as a test. Returns counts for the report. Raises :class:`BackupError`."""

    def move_in(self, stamp: str) -> str:
        """Replace the data of the source. Returns the name of the previous copy, "" for none."""


class Kind(t.Protocol):
    """One kind of source.

    Attributes:
        name: the value of ``kind`` in backup configurations and manifests.
        as_files: whether a copy can be restored into another directory.
        notes_itself: whether :meth:`restore` notes its first change itself, see :mod:`interrupted`.
        speaks_sql: whether files of SQL can be applied to it.
        damages: names of the controls of :meth:`tamper`, for a stack without such a source.
        unexpected: the class of the error for an unexpected failure of :meth:`capture`.
    """

    name: str
    as_files: bool = False
    notes_itself: bool = False
    speaks_sql: bool = False
    damages: tuple[str, ...] = ()
    unexpected: type[SourceError] = SourceError

    def capture(self, run: Capturer, spec: specs.SourceSpec, staging: str) -> Captured:
        """Read a source into ``staging``. Raises :class:`SourceError`."""
        raise NotImplementedError

    def verify(self, source: Source, staged: str) -> None:
        """Check the fetched files of a source before they are restored, if the store's check is not enough.

        Raises:
            MismatchError: a file differs from the captured one.
        """
        return

    def plan(self, job: RestoreJob, spec: specs.SourceSpec, source: Source) -> list[str]:
        """The steps of a restore; warnings go to the job. Raises :class:`RestoreRefused`."""
        raise NotImplementedError

    def restore(self, job: RestoreJob, spec: specs.SourceSpec, source: Source, staged: str) -> None:
        """Restore a source from the files of the set in ``staged``. Raises :class:`BackupError`."""
        raise NotImplementedError

    def rehearse(self, job: RehearseJob, source: Source) -> Rehearsed:
        """Restore a source outside of the stack and compare it.

        Raises:
            MismatchError: it differs from the backup.
            BackupError: it could not be restored.
        """
        raise NotImplementedError

    def tamper(self, test: SelfTest, source: Source) -> None:
        """Run the negative controls on copies of a source. Each damage must be found."""
        return

    def import_(self, context: Context, spec: specs.SourceSpec, datum: Datum, scratch: str) -> Import:
        """Prepare an import. Raises :class:`MigrationError` for a file that is not of this kind."""
        raise NotImplementedError

    @property
    def in_container(self) -> bool:
        """Whether a server in a container holds the data."""
        return specs.RULES[self.name].in_container

    # -- with a default for most kinds ------- ---------------------------------------------------------------------

    def check_datum(self, spec: specs.SourceSpec, datum: Datum, where: str) -> None:
        """Refuse an import that does not fit the source. Raises :class:`ConfigError`."""
        if datum.database or datum.globals_file or datum.facts_file or not datum.owners:
            raise ConfigError(f"{where}: database, globals, facts and owners are for PostgreSQL, not {spec.kind}")

    def paths(self, spec: specs.SourceSpec) -> list[str]:
        """Directories of the host that a capture reads."""
        return []

    def trees(self, spec: specs.SourceSpec) -> list[str]:
        """Directories that a store may read itself."""
        return []

    def databases(self, source: Source) -> list[str]:
        """Names of databases that can be restored alone."""
        return []

    def room(self, source: Source) -> int:
        """Bytes of a restored copy on the disk of the host, in addition to the files of the set."""
        return 0

    def target(self, job: RestoreJob, spec: specs.SourceSpec) -> str:
        """The path on the host that a restore replaces, if it needs space; else ""."""
        return ""

    def keep(self, source: Source, staging: str, lists: str) -> None:
        """Save a file of a committed source in the directory ``lists``, for the next capture."""
        return

    def size(self, source: Source, without: t.Collection[str] = ()) -> int:
        """Bytes for the comparison of two sets, except those of the files ``without``."""
        return sum(artefact.size for artefact in source.artefacts if artefact.path not in without)

    def not_expected(self, spec: specs.SourceSpec, before: Source) -> tuple[int, t.Collection[str]]:
        """Rows and files of the previous set that may be missing in the next one."""
        return 0, ()

    def shrunk(self, spec: specs.SourceSpec, now: Source, before: Source) -> tuple[list[str], list[str]]:
        """Parts that are missing or much smaller than in the previous set. Returns problems and warnings."""
        return [], []

    def finish_restore(self, context: Context, specs: t.Sequence[specs.SourceSpec]) -> list[str]:
        """Finish the half-done steps of a killed restore. Returns a line for each action."""
        return []

    def finish_import(self, context: Context, specs: t.Sequence[specs.SourceSpec]) -> list[str]:
        """Finish the half-done steps of a killed import. Returns a line for each action."""
        return []
