# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports of runs. Public functions return them as mappings, with keys that users and files depend on."""

from __future__ import annotations

import dataclasses
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import BackupError

R = t.TypeVar("R", bound="Entry")
Dict = t.Dict[str, t.Any]  # noqa: UP006 (evaluated at import, where type checkers for 3.9 want typing)


@dataclass
class Entry:
    """A part of a report. Fields whose default is None are left out of the mapping while they are None."""

    # Fields that hold a list of entries, and the class of the entries.
    ITEMS: t.ClassVar[t.Mapping[str, type[Entry]]] = {}

    def as_dict(self) -> Dict:
        """The mapping for modules, state files and the command line."""
        found = {}
        for one in dataclasses.fields(self):
            value = getattr(self, one.name)
            if value is not None or one.default is not None:
                found[one.name] = _plain(value)
        return found

    @classmethod
    def from_dict(cls: type[R], data: t.Mapping[str, t.Any]) -> R:
        """The entry of a mapping. Keys that this version does not know are ignored."""
        names = {one.name for one in dataclasses.fields(cls)}
        found = {key: value for key, value in data.items() if key in names}
        for key, kind in cls.ITEMS.items():
            found[key] = [kind.from_dict(item) for item in found.get(key) or ()]
        return cls(**found)


def _plain(value: t.Any) -> t.Any:
    if isinstance(value, Entry):
        return value.as_dict()
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return value


@dataclass
class SourceResult(Entry):
    """A source in a report. ``count`` is rows, keys or entries, ``found`` the count of a rehearsal."""

    name: str
    kind: str
    ok: bool = False
    error: str = ""
    count: int = 0
    size: int | None = None
    seconds: float | None = None
    warnings: list[str] | None = None
    found: Dict | None = None


@dataclass
class Report(Entry):
    """The fields of all reports. ``error`` is "" when the run succeeded."""

    stack: str
    warnings: list[str] = field(default_factory=list)
    error: str = ""
    exit_code: int = 0
    seconds: float | None = None

    def failed(self, error: BackupError, text: str = "") -> None:
        """Record an error, with its own text or another."""
        self.error = text or str(error)
        self.exit_code = error.exit_code


@dataclass
class OffsiteResult(Entry):
    """The off-site copy. ``lag`` is the number of sets that are missing off-site, null when it is unknown."""

    place: str | None = None
    copied: int | None = None
    lag: int | None = None
    error: str | None = None
    prune_plan: Dict | None = None
    pruned: list[int] | None = None

    def as_dict(self) -> Dict:
        return {**super().as_dict(), "lag": self.lag}


@dataclass
class BackupReport(Report):
    """A backup."""

    ITEMS = {"sources": SourceResult}

    snapshot: Dict = field(default_factory=dict)
    sources: list[SourceResult] = field(default_factory=list)
    verified: bool = False
    pruned: list[int] = field(default_factory=list)
    prune_plan: Dict = field(default_factory=dict)
    offsite: OffsiteResult | Dict = field(default_factory=dict)


@dataclass
class RehearsalReport(Report):
    """A rehearsal. ``fallback`` is the outcome of the previous set, when the newest one failed."""

    ITEMS = {"sources": SourceResult}

    where: str = "local"
    seq: int = 0
    set: str = ""
    at: float = 0.0
    ok: bool = False
    sources: list[SourceResult] = field(default_factory=list)
    restore_seconds: float = 0.0
    evidence: str | None = None
    fallback: Dict | None = None


@dataclass
class Control(Entry):
    """A negative control: the damage, and whether the verification found it."""

    damage: str
    caught: bool = False
    said: str = ""


@dataclass
class SelfTestReport(Report):
    """A self-test. ``skipped`` are controls that apply to no source of the stack."""

    ITEMS = {"controls": Control}

    seq: int = 0
    ok: bool = False
    controls: list[Control] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


@dataclass
class RestoreReport(Report):
    """A restore, or its plan. ``finished`` are the ``steps`` that are done, ``aside`` the previous copies."""

    ITEMS = {"sources": SourceResult}

    seq: int = 0
    snapshot: Dict = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    sources: list[SourceResult] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    done: bool = False


@dataclass
class ImportResult(Entry):
    """An import in a report. ``state`` is move, there or moved."""

    source: str
    kind: str
    file: str
    sha256: str
    database: str
    state: str
    aside: str = ""
    found: Dict | None = None


@dataclass
class MigrationResult(Entry):
    """A file of SQL in a report. ``state`` is pending, applied or failed; ``now`` is true when this run applied it."""

    name: str
    source: str
    database: str
    sha256: str
    state: str
    required: bool
    error: str = ""
    now: bool | None = None


@dataclass
class MigrationReport(Report):
    """Imports and SQL."""

    ITEMS = {"data": ImportResult, "migrations": MigrationResult}

    steps: list[str] = field(default_factory=list)
    data: list[ImportResult] = field(default_factory=list)
    migrations: list[MigrationResult] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    done: bool = False
    changed: bool = False


@dataclass
class JobResult(Entry):
    """A scheduled job that was due."""

    job: str
    error: str = ""
    exit_code: int = 0


@dataclass
class DueReport(Report):
    """The scheduled jobs that were due."""

    ITEMS = {"jobs": JobResult}

    jobs: list[JobResult] = field(default_factory=list)


@dataclass
class SetEntry(Entry):
    """A set in a status."""

    seq: int
    id: str
    taken: str
    size: int
    problem: str
    authentic: bool
    lacks: list[str]
    rehearsed: bool
    pinned: bool


@dataclass
class StatusReport(Entry):
    """The state of a stack's backups. Times are seconds since 1970, ages and durations seconds, sizes bytes."""

    ITEMS = {"rows": SetEntry}

    stack: str
    repository: str
    sets: int
    rows: list[SetEntry]
    last_good: int | None
    last_good_at: float | None
    age_seconds: float | None
    last_size: int | None
    last_run_at: float | None
    last_run_ok: bool | None
    last_seconds: float | None
    offsite_lag: int | None
    rehearsals: dict[str, Dict]
    sources: dict[str, int]
    checks: dict[str, Dict]
    notes: list[str]
    problems: list[str]
    healthy: bool
    warnings: list[str] | None = None
