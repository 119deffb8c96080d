# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore into the stack: shown first, done when the stack's name is typed, former data moved aside and never deleted.

A database is compared with the manifest before it counts as restored; when it differs, the former one goes back to its
name. Services that write into what is restored should be stopped: a connection to the former database is ended.
"""

from __future__ import annotations

import contextlib
import os
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.backup import (
    guard,
    interrupted,
    rehearse,
    restore_files,
    sources,
    status,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.declaration import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.directory import archive as directories
from ansible_collections.onebox.stack.plugins.module_utils.backup.directory import place
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    BackupError,
    MismatchError,
    RestoreRefused,
    StoreError,
    file_errors,
    of_files,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.postgresql import load, replace, surroundings
from ansible_collections.onebox.stack.plugins.module_utils.backup.postgresql import server as postgresql
from ansible_collections.onebox.stack.plugins.module_utils.backup.redis.restore import recover, restore_redis
from ansible_collections.onebox.stack.plugins.module_utils.backup.run import Report
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import Store, StoredSet, passed_over, pick
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Source
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.schema import of_set
from ansible_collections.onebox.stack.plugins.module_utils.core import trees
from ansible_collections.onebox.stack.plugins.module_utils.core.files import FileError

# The kinds that can go into another directory, beside the stack.
_FILES = ("directory", "compose")


@dataclass(frozen=True)
class Request:
    """What to restore. Empty ``sources`` and ``databases`` mean all; ``into`` puts files, and only them, elsewhere.

    ``accepted`` is the number of a set that its owner accepts without authentication, 0 for none.
    """

    wanted: str = "latest"
    where: str = "local"
    sources: tuple[str, ...] = ()
    databases: tuple[str, ...] = ()
    into: str = ""
    accepted: int = 0


def restore(context: Context, request: Request, *, confirm: str = "", wait: float = 0.0) -> Report:
    """Plan a restore, and do it when ``confirm`` is the stack's name. ``error`` is "" when all went well.

    Raises:
        RestoreRefused: ``confirm`` is something else, or a source is not in the set.
        StoreError: there is no such repository or set.
        Busy: another run holds the lock.
    """
    with context.locked("restore", wait):
        recovered = [recover(context), interrupted.recover(context)] if confirm else []
        work, report = _prepare(context, request, confirm)
        report["warnings"] += [text for text in recovered if text]
        if not confirm:
            return report
        began = context.world.monotonic()
        try:
            with file_errors(), guard.everything():
                work.run(report)
            report["done"] = True
        except BackupError as error:
            report["error"] = str(error)
            report["exit_code"] = error.exit_code
        report["seconds"] = round(context.world.monotonic() - began, 3)
        status.finish(context, "restore", report)
        return report


@file_errors()
def preview(context: Context, request: Request, confirm: str) -> Report:
    """The report with the steps and nothing done; takes no lock and writes nothing. Raises as :func:`restore`."""
    return _prepare(context, request, confirm)[1]


def _prepare(context: Context, request: Request, confirm: str) -> tuple[_Restore, Report]:
    stack = context.declaration.stack
    if confirm and confirm != stack:
        raise RestoreRefused(f"to restore, type the name of the stack: {stack}, not {confirm!r}; nothing was changed")
    store: Store | None = context.store if request.where == "local" else context.offsite
    if store is None:
        raise StoreError("there is no off-site repository in the declaration")
    there = store.sets()
    chosen = pick(there, request.wanted, store.place, request.accepted)
    work = _Restore(context, store, chosen, request, context.now().strftime("%Y%m%d-%H%M%S"))
    lacking = [] if request.sources else _lacking(there, chosen)
    return work, {
        "stack": stack,
        "seq": chosen.seq,
        "snapshot": {"seq": chosen.seq, "id": chosen.id},
        "steps": work.plan(),
        "finished": work.finished,
        "sources": [],
        "aside": [],
        "done": False,
        "warnings": [*passed_over(there, chosen), *lacking, *work.warnings],
        "error": "",
        "exit_code": 0,
    }


def _lacking(sets: t.Sequence[StoredSet], chosen: StoredSet) -> list[str]:
    """A warning for each declared source that the chosen set was committed without, and where it is."""
    warnings = []
    for name, why in chosen.understood().left_out.items():
        others = [found.seq for found in sets if found.manifest and not found.doubt and found.manifest.source(name)]
        where = (
            f"set {others[-1]} has it: restore it with --set {others[-1]} --source {name}"
            if others
            else "no set has it"
        )
        warnings.append(f"set {chosen.seq} lacks {name}, which stays as it is ({why}); {where}")
    return warnings


class _Restore:
    def __init__(self, context: Context, store: Store, chosen: StoredSet, request: Request, stamp: str) -> None:
        manifest = chosen.understood()
        self.context = context
        self.store = store
        self.chosen = chosen
        self.request = request
        self.stamp = stamp
        self.owners = context.world.is_root
        # Steps that are done, in the words of the plan; what a person must know of those that are not.
        self.finished: list[str] = []
        self.warnings = [f"set {chosen.seq}: {chosen.doubt}; it was accepted by name"] if chosen.doubt else []
        specs = {spec.name: spec for spec in context.declaration.sources}
        names = request.sources or tuple(
            source.name for source in manifest.sources if not request.into or source.kind in _FILES
        )
        if not request.sources:
            names = self._of_both(names, specs)
        if request.into and request.databases:
            raise RestoreRefused("a database goes into no directory: restore it without into, or leave databases out")
        self.work: list[tuple[SourceSpec, Source]] = []
        for name in names:
            source = manifest.source(name)
            if source is None:
                known = ", ".join(source.name for source in manifest.sources)
                raise RestoreRefused(f"set {chosen.seq} holds no source {name!r}; it holds {known}")
            if name not in specs:
                raise RestoreRefused(
                    f"source {name!r} of set {chosen.seq} is not in the declaration: where should it go?"
                )
            if request.into and source.kind not in _FILES:
                raise RestoreRefused(
                    f"source {name!r} is of the kind {source.kind} and goes into no directory: restore it without into"
                )
            if specs[name].kind != source.kind and not request.into:
                raise RestoreRefused(
                    f"source {name!r} is {source.kind} in set {chosen.seq} and {specs[name].kind} in the declaration: "
                    "restore it with into, or restore the others by their names"
                )
            self.work.append((specs[name], source))
        dumped = {
            name
            for _spec, source in self.work
            for name in source.facts.get("databases", ())
            if source.kind == "postgresql"
        }
        for name in request.databases:
            if name not in dumped:
                raise RestoreRefused(
                    f"set {chosen.seq} holds no database {name!r}; it holds {', '.join(sorted(dumped))}"
                )

    def _of_both(self, names: tuple[str, ...], specs: t.Mapping[str, SourceSpec]) -> tuple[str, ...]:
        """The sources that set and declaration have; a warning for each that only one of them has."""
        manifest = self.chosen.understood()
        self.warnings += [
            f"source {name!r} is in set {self.chosen.seq} and not in the declaration (any more): it is not restored. "
            "To restore it, declare it again"
            for name in names
            if name not in specs
        ]
        self.warnings += [
            f"set {self.chosen.seq} holds no source {name!r}: it stays as it is"
            for name in specs
            if manifest.source(name) is None and name not in manifest.left_out
        ]
        return tuple(name for name in names if name in specs)

    def databases(self, source: Source) -> list[str]:
        return [
            name for name in source.facts["databases"] if not self.request.databases or name in self.request.databases
        ]

    def plan(self) -> list[str]:
        """What will happen, one sentence a step. Raises :class:`RestoreRefused` for what cannot be done."""
        steps = []
        for spec, source in self.work:
            if source.kind == "postgresql":
                steps += [self.step(spec, source, name) for name in self.databases(source)]
            elif source.kind == "directory":
                if trees.is_mount_point(self.target(spec)):
                    raise RestoreRefused(
                        f"{self.target(spec)} is a mount point, which cannot be moved aside: restore with --into "
                        "another directory and copy what is wanted, or unmount it first; nothing was changed"
                    )
                steps.append(self.step(spec, source))
            elif source.kind == "compose":
                left_out = () if self.request.into else restore_files.undeclared(spec, source)
                self.warnings += [
                    f"file {path} of set {self.chosen.seq} is not in the declaration: it is not written. To get it, "
                    "restore with --into"
                    for path in left_out
                ]
                steps += [self.step(spec, source, path) for path in source.facts["files"] if path not in left_out]
            else:
                steps.append(self.step(spec, source))
        return steps

    def step(self, spec: SourceSpec, source: Source, part: str = "") -> str:
        """What is done for a source, or for one database or file of it."""
        server = f"service {spec.service}" if spec.service else f"container {spec.container}"
        if source.kind == "postgresql":
            former = postgresql.aside_name(part, self.stamp)
            return f"database {part} of {server}: the former one renamed to {former}, restored, compared"
        if source.kind == "redis":
            return f"{server}: stopped, its data moved to pre-restore-{self.stamp}, {source.count} keys loaded, started"
        if source.kind == "directory":
            return f"directory {self.target(spec)}: the former one renamed to {self.aside(self.target(spec))}"
        return f"file {self.file(part)} written, a former one kept beside it"

    def aside(self, path: str) -> str:
        return f"{path}.before-{self.stamp}"

    def target(self, spec: SourceSpec) -> str:
        return os.path.join(self.request.into, spec.name) if self.request.into else spec.path

    def file(self, path: str) -> str:
        return restore_files.target(path, self.request.into)

    def run(self, report: Report) -> None:
        """Do it, source by source; the first failure stops, what was restored stays, what was aside stays aside."""
        scratch = os.path.join(self.context.declaration.state_dir, "scratch")
        trees.remove_tree(scratch)
        size = sum(artefact.size for _spec, source in self.work for artefact in source.artefacts)
        self.context.require_room(scratch, size, "a restore")
        for spec, source in self.work:
            if source.kind == "directory":
                parent = os.path.dirname(self.target(spec))
                self.context.require_room(parent, int(source.facts["bytes"]), "a restore")
        trees.private_dir(scratch)
        staged = os.path.join(scratch, "set")
        trees.private_dir(staged)
        if any(source.kind in ("postgresql", "redis") for _spec, source in self.work):
            self.context.open_cli().remove_leftovers(self.context.declaration.stack)
        try:
            wanted = [artefact.path for _spec, source in self.work for artefact in source.artefacts]
            self.context.log(f"fetching set {self.chosen.seq} from {self.store.place}")
            self.store.fetch(self.chosen, staged, wanted)
            for spec, source in self.work:
                row: Report = {
                    "name": source.name,
                    "kind": source.kind,
                    "ok": False,
                    "error": "",
                    "count": source.count,
                }
                report["sources"].append(row)
                self.context.log(f"restoring {source.kind} {source.name}")
                try:
                    with of_set(f"set {self.chosen.seq}: source {source.name}"), self._told():
                        self._one(spec, source, staged, report)
                except (FileError, OSError) as error:
                    row["error"] = f"{error}; what was moved aside is untouched"
                    raise of_files(error, f"source {source.name}: {row['error']}") from error
                except BackupError as error:
                    row["error"] = str(error)
                    raise
                row["ok"] = True
        finally:
            trees.remove_tree(scratch)
        interrupted.end(self.context, [source.name for _spec, source in self.work])

    @contextlib.contextmanager
    def _told(self) -> t.Iterator[None]:
        """Forget what was begun when an error of ours ends it: that says what is as it was before, and what is not.

        What a damaged file of the set runs into says neither.
        """
        try:
            yield
        except BackupError:
            interrupted.end(self.context, [source.name for _spec, source in self.work])
            raise

    def _one(self, spec: SourceSpec, source: Source, staged: str, report: Report) -> None:
        if source.kind != "directory" and not self.request.into:
            interrupted.begin(self.context, self.chosen.seq, source.name)
        if source.kind == "postgresql":
            self._postgresql(spec, source, staged, report)
        elif source.kind == "redis":
            aside = restore_redis(self.context, spec, source, staged, self.stamp, report["warnings"])
            report["aside"].append(aside)
            self.finished.append(self.step(spec, source))
        elif source.kind == "directory":
            self._directory(spec, source, staged, report)
        else:
            into, stamp = self.request.into, self.stamp
            report["aside"] += restore_files.put_files(spec, source, staged, into, stamp, self.owners)
            written = [self.step(spec, source, path) for path in source.facts["files"]]
            self.finished += [step for step in written if step in report["steps"]]

    def _postgresql(self, spec: SourceSpec, source: Source, staged: str, report: Report) -> None:
        cli = self.context.open_cli()
        container = sources.find_container(cli.engine, self.context.declaration.stack, spec)
        if container.image_id != source.facts["image"]["image_id"]:
            report["warnings"].append(
                f"{source.name} was dumped from {source.facts['image']['image']} ({source.facts['version']}), "
                f"and goes into {container.image_ref} of another build"
            )
        server = sources.postgres_server(cli, container, spec)
        surroundings.require_libraries(server, source.facts, f"source {source.name} ({container.name})")
        kept = server.roles()
        load.restore_globals(server, os.path.join(staged, f"pg/{source.name}/globals.sql"))
        problems, notes = load.compare_roles(server, source.facts, kept=kept, alone=False)
        load.require_equal(problems)
        report["warnings"] += [f"{source.name}: {note}" for note in notes]
        there = server.databases()
        another = postgresql.major(server) != source.facts["version"].partition(".")[0]
        if another:
            report["warnings"].append(
                f"{source.name}: rows, sequences and large objects are compared, but not how the schema is worded: "
                "another major version words it otherwise"
            )
        for name in self.databases(source):
            facts = source.facts["databases"][name]
            former = postgresql.aside_name(name, self.stamp) if name in there else ""
            dump = os.path.join(staged, facts["path"])
            aside = report["aside"]
            notes = replace.replace_database(server, name, dump, facts, former, aside, another=another)
            self.finished.append(self.step(spec, source, name))
            report["warnings"] += [f"{source.name}: {note}" for note in notes]

    def _directory(self, spec: SourceSpec, source: Source, staged: str, report: Report) -> None:
        target = self.target(spec)
        with place.arrival(target) as arrival:
            reserve = self.context.declaration.reserve_mib << 20
            lost = rehearse.put_directory(self.store, self.chosen, source, staged, arrival.tree, self.owners, reserve)
            problems, moved = directories.check(source.facts, staged, arrival.tree, self.owners, lost)
            if problems:
                raise MismatchError(f"{target} is untouched, the restored copy differs: {'; '.join(problems[:5])}")
            if moved:
                report["warnings"].append(
                    f"{source.name}: {len(moved)} files changed during the backup: {', '.join(moved[:5])}"
                )
            report["warnings"] += rehearse.not_kept(source.name, lost, target)
            trees.sync_tree(arrival.tree)
            aside = os.path.basename(self.aside(target))
            if not self.request.into:
                interrupted.begin(self.context, self.chosen.seq, source.name)
            former = arrival.move_in(aside)
            if former:
                report["aside"].append(former)
        self.finished.append(self.step(spec, source))
