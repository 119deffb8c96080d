# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories as sources."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import foreign, guard, interrupted
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    BackupError,
    MismatchError,
    RestoreRefused,
    RoomLimit,
    SourceError,
    SourceLimit,
    SpaceError,
    StoreError,
    file_errors,
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
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import archive as directories
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import (
    find_databases,
    restore,
    server_data,
    swap,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import (
    tamper as tampering,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory.import_tree import (
    TreeImport,
    finish,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory.limits import Limits
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory.model import KIND, DirectoryFacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.volume import users
from ansible_collections.onebox.stack.plugins.module_utils.backup.state import State
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Artefact, Source
from ansible_collections.onebox.stack.plugins.module_utils.core import trees

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.capture import Capturer
    from ansible_collections.onebox.stack.plugins.module_utils.backup.selftest import SelfTest

# The time limit of a command, plus the time of the first access to a sleeping disk.
_LEAST_SECONDS = 30.0


class DirectoryKind(Kind):
    """A directory of the host, its SQLite files copied through SQLite."""

    name = KIND
    as_files = True
    # Only the swap of names changes the stack, and it writes the note itself.
    notes_itself = True
    damages = (tampering.ALTERED_FILE,)
    # An unexpected failure in the content of a directory leaves out this directory alone.
    unexpected = SourceLimit

    def capture(self, run: Capturer, spec: SourceSpec, staging: str) -> Captured:
        limits = Limits(
            spec.path,
            seconds=_LEAST_SECONDS + run.config.timeout,
            entries=spec.max_entries,
            hole_bytes=spec.max_hole_gib << 30,
            writes_to=staging,
            reserve=run.config.reserve_mib << 20,
            world=run.world,
        )

        def capture() -> directories.Captured:
            server_data.refuse(spec.path, spec.exclude)
            return directories.capture(
                spec.path,
                spec.exclude,
                spec.sqlite,
                staging,
                spec.name,
                archive=run.archive,
                before=os.path.join(run.lists, f"{spec.name}.list"),
                limits=limits,
            )

        got = _in_child(capture, spec, limits, run) if foreign.on_share(spec.path) else capture()
        run.trees.append(spec.path)
        run.excludes += got.excludes
        listed = os.path.join(staging, got.facts.list)
        in_use = find_databases.databases_in(listed, spec.path, got.facts.databases, run.world.epoch())
        # The root itself is an entry, and the only one of an unmounted directory.
        return Captured(got.artefacts, got.facts.entries - 1, got.facts.as_dict(), [*got.warnings, *in_use])

    def plan(self, job: RestoreJob, spec: SourceSpec, source: Source) -> list[str]:
        target = _target(job, spec)
        if trees.is_mount_point(target):
            raise RestoreRefused(
                f"{target} is a mount point, which cannot be renamed. Restore with --into "
                "another directory and copy the files, or unmount it first; nothing was changed"
            )
        if not job.into:
            users.require_none_on_swarm(job.context, target)
        return [_step(job, spec)]

    def restore(self, job: RestoreJob, spec: SourceSpec, source: Source, staged: str) -> None:
        restore_directory(job, spec, source, staged)

    def rehearse(self, job: RehearseJob, source: Source) -> Rehearsed:
        return rehearse_directory(job, source, job.context.world.is_root)

    def tamper(self, test: SelfTest, source: Source) -> None:
        tampering.controls(test, source)

    def import_(self, context: Context, spec: SourceSpec, datum: Datum, scratch: str) -> Import:
        return TreeImport(context, spec, datum.file, scratch)

    def paths(self, spec: SourceSpec) -> list[str]:
        return [spec.path]

    def trees(self, spec: SourceSpec) -> list[str]:
        return [spec.path]

    def room(self, source: Source) -> int:
        return DirectoryFacts.from_dict(source.facts).bytes

    def target(self, job: RestoreJob, spec: SourceSpec) -> str:
        return _target(job, spec)

    def keep(self, source: Source, staging: str, lists: str) -> None:
        listed = os.path.join(staging, DirectoryFacts.from_dict(source.facts).list)
        os.replace(listed, os.path.join(lists, f"{source.name}.list"))

    def size(self, source: Source, without: t.Collection[str] = ()) -> int:
        # Holes do not count: neither a file that became sparse nor a set of an old version has less data.
        facts = DirectoryFacts.from_dict(source.facts)
        return facts.bytes + facts.holes

    def finish_restore(self, context: Context, specs: t.Sequence[SourceSpec]) -> list[str]:
        return interrupted.finish_swaps(context, [spec.path for spec in specs], swap.settle)

    def finish_import(self, context: Context, specs: t.Sequence[SourceSpec]) -> list[str]:
        return [text for text in (finish(context, spec) for spec in specs) if text]


def restore_directory(
    job: RestoreJob, spec: SourceSpec, source: Source, staged: str, enter: t.Callable[[], None] = lambda: None
) -> None:
    """Restore a directory, and exchange it with the present one when it is equal to the set.

    Args:
        enter: see :func:`swap.replacement`.

    Raises:
        BackupError: as :meth:`Kind.restore`.
    """
    target = _target(job, spec)
    facts = DirectoryFacts.from_dict(source.facts)
    with swap.replacement(target, enter) as new:
        reserve = job.context.config.reserve_mib << 20
        lost = restore.put_directory(job.store, job.chosen, facts, staged, new.tree, job.owners, reserve)
        problems, moved = directories.check(facts, staged, new.tree, job.owners, lost)
        if problems:
            raise MismatchError(f"{target} is untouched, the restored copy differs: {'; '.join(problems[:5])}")
        job.warnings += [f"{source.name}: {text}" for text in _moved(moved)]
        job.warnings += restore.not_kept(source.name, lost, target)
        trees.sync_tree(new.tree)
        if not job.into:
            interrupted.begin(job.context, job.chosen.seq, source.name)
        previous = new.move_in(f"{os.path.basename(target)}.before-{job.stamp}")
        if previous:
            job.aside.append(previous)
    job.finished.append(_step(job, spec))


def rehearse_directory(job: RehearseJob, source: Source, owners: bool) -> Rehearsed:
    """Restore a directory into the scratch directory of a rehearsal and compare it.

    Args:
        owners: restore and compare owners and groups, which only root can.

    Raises:
        BackupError: as :meth:`Kind.rehearse`.
    """
    target = os.path.join(job.scratch, f"tree-{source.name}")
    facts = DirectoryFacts.from_dict(source.facts)
    reserve = job.context.config.reserve_mib << 20
    try:
        lost = restore.put_directory(job.store, job.chosen, facts, job.staged, target, owners, reserve)
        problems, moved = directories.check(facts, job.staged, target, owners, lost)
        if problems:
            more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
            raise MismatchError("; ".join(problems[:5]) + more)
        warnings = [*_moved(moved), *restore.not_kept("attributes", lost, job.scratch)]
        return Rehearsed({"entries": facts.entries, "bytes": facts.bytes}, warnings)
    finally:
        trees.remove_tree(target)


def _target(job: RestoreJob, spec: SourceSpec) -> str:
    return os.path.join(job.into, spec.name) if job.into else spec.path


def _step(job: RestoreJob, spec: SourceSpec) -> str:
    target = _target(job, spec)
    return f"directory {target}: the previous one renamed to {target}.before-{job.stamp}"


def _moved(paths: t.Sequence[str]) -> list[str]:
    return [f"{len(paths)} files changed during the backup: {', '.join(paths[:5])}"] if paths else []


def _in_child(
    capture: t.Callable[[], directories.Captured], spec: SourceSpec, limits: Limits, run: Capturer
) -> directories.Captured:
    """Capture a directory in a child process, because its file system may hang."""

    def work(beat: t.Callable[[], None]) -> dict[str, t.Any]:
        limits.beat = beat
        try:
            with file_errors(), guard.everything(SourceLimit):
                got = capture()
        except BackupError as error:
            return {"error": str(error), "kind": type(error).__name__}
        artefacts = [vars(artefact) for artefact in got.artefacts]
        return {**got._asdict(), "artefacts": artefacts, "facts": got.facts.as_dict()}

    state = State(run.config.state_dir)
    answer = foreign.in_child(work, spec.path, foreign.CAPTURE_SECONDS, state, run.world)
    if not answer:
        raise SourceLimit(f"the process that read {spec.path} died. Check the kernel log for exhausted memory")
    if "error" in answer:
        kinds = {kind.__name__: kind for kind in (RoomLimit, SourceLimit, SpaceError, StoreError)}
        raise kinds.get(answer["kind"], SourceError)(answer["error"])
    artefacts = [Artefact(**row) for row in answer["artefacts"]]
    return directories.Captured(
        **{**answer, "artefacts": artefacts, "facts": DirectoryFacts.from_dict(answer["facts"])}
    )
