# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An RDB or a directory from another place becomes data of the stack, by the ways a restore uses.

What arrived is remembered in the state directory: neither can hold a note of its own that would not be data.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import rehearse, sources
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.declaration import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.directory import archive as directories
from ansible_collections.onebox.stack.plugins.module_utils.backup.directory import extract, listing, place
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import MigrationError, MismatchError
from ansible_collections.onebox.stack.plugins.module_utils.backup.redis import load as redis_load
from ansible_collections.onebox.stack.plugins.module_utils.backup.redis import server as redis
from ansible_collections.onebox.stack.plugins.module_utils.backup.redis.restore import restore_redis
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Artefact, Source
from ansible_collections.onebox.stack.plugins.module_utils.core import files, trees

_NOTE = "arrivals"


class _Arrival:
    """What both have in common: a digest, and the note that it arrived."""

    def __init__(self, context: Context, spec: SourceSpec, file: str, scratch: str) -> None:
        self.context = context
        self.spec = spec
        self.file = file
        self.scratch = scratch
        self.sha256 = ""

    def there(self) -> bool:
        """Whether this very content was the last that came in here."""
        note = (self.context.state.read(_NOTE).get("sources") or {}).get(self.spec.name) or {}
        return bool(note.get("sha256") == self.sha256)

    def _note(self) -> None:
        known = self.context.state.read(_NOTE).get("sources") or {}
        known[self.spec.name] = {
            "sha256": self.sha256,
            "file": os.path.basename(self.file),
            "at": self.context.now().isoformat(),
        }
        self.context.state.write(_NOTE, {"sources": known})

    def _require_some(self, count: int, what: str) -> None:
        if not count and not self.spec.allow_empty:
            raise MigrationError(f"{self.file} holds no {what}; if that is right, set allow_empty for this source")


class Rdb(_Arrival):
    """An RDB on its way into a running Redis or Valkey."""

    def __init__(self, context: Context, spec: SourceSpec, file: str, scratch: str) -> None:
        super().__init__(context, spec, file, scratch)
        try:
            with files.open_regular(file) as rdb:
                magic = rdb.read(9)
        except OSError as error:
            raise MigrationError(f"the RDB {file} cannot be read: {error.strerror}") from error
        if not magic.startswith((b"REDIS", b"VALKEY")):
            raise MigrationError(f"{file} is no RDB; at the old place make one with: redis-cli --rdb FILE")
        self.sha256 = files.digest(file)[0]

    def try_out(self) -> dict[str, t.Any]:
        """Load it in a throwaway container of the service's own image: one of another version may refuse it."""
        cli = self.context.open_cli()
        stack = self.context.declaration.stack
        container = sources.find_container(cli.engine, stack, self.spec)
        server = sources.redis_server(cli, container, self.spec)
        facts: dict[str, t.Any] = {**redis.settings(server, server.info()), "path": os.path.basename(self.file)}
        spare = cli.throwaway(
            container.image_id,
            rehearse.throwaway_name(stack, self.spec.name),
            stack,
            entrypoint="sleep",
            command=["infinity"],
        )
        try:
            cli.run(spare, ["mkdir", "-p", "/tmp/obx"])
            cli.copy_in(self.file, spare, "/tmp/obx/dump.rdb")
            throwaway = redis_load.ThrowawayServer(cli, spare, "/tmp/obx")
            facts.update(throwaway.check("dump.rdb"))
            self._require_some(facts["keys"], "key")
            facts["digest"] = redis_load.load(throwaway, facts)["digest"]
        except MismatchError as error:
            raise MigrationError(f"{self.file} does not load in {container.image_ref}: {error}") from error
        finally:
            cli.remove(spare)
        artefact = Artefact(facts["path"], os.path.getsize(self.file), self.sha256)
        self.source = Source(self.spec.name, "redis", (artefact,), facts["keys"], facts, 0.0, ())
        return {"keys": facts["keys"]}

    def move_in(self, stamp: str) -> str:
        """Load it in the stack. Returns where the former data is."""
        warnings: list[str] = []
        aside = restore_redis(self.context, self.spec, self.source, os.path.dirname(self.file), stamp, warnings)
        for warning in warnings:
            self.context.log(warning)
        self._note()
        return aside


class Tree(_Arrival):
    """A directory on its way to where a directory source is."""

    def __init__(self, context: Context, spec: SourceSpec, file: str, scratch: str) -> None:
        super().__init__(context, spec, file, scratch)
        if not os.path.isdir(file) or os.path.islink(file):
            raise MigrationError(f"{file} is no directory")
        target = os.path.realpath(spec.path)
        place = os.path.realpath(file)
        if os.path.commonpath([target, place]) in (target, place):
            raise MigrationError(f"{file} and {spec.path} lie in each other; copy it to another place first")
        got = self._read("list", archive=False)
        self.warnings = got.warnings
        self.sha256 = self._digest(got)

    def _read(self, name: str, archive: bool) -> directories.Captured:
        """Read it as a source is: SQLite files by SQLite's own interface, everything with its hash."""
        self._staged = os.path.join(self.scratch, name)
        trees.private_dir(self._staged)
        return directories.capture(self.file, (), self.spec.sqlite, self._staged, self.spec.name, archive=archive)

    def _digest(self, got: directories.Captured) -> str:
        """Of names, modes, owners and contents: copied again it is the same directory."""
        return listing.digest(os.path.join(self._staged, got.facts["list"]))

    def try_out(self) -> dict[str, t.Any]:
        """Read it once more, now with all that is in it, and demand that nobody writes to it."""
        got = self._read("archive", archive=True)
        if self._digest(got) != self.sha256:
            raise MigrationError(f"{self.file} changes while it is read; stop what writes to it, and run again")
        self._facts = got.facts
        self._require_some(self._facts["entries"] - 1, "file")
        return {"entries": self._facts["entries"] - 1}

    def move_in(self, stamp: str) -> str:
        """Copy it beside the live directory, compare, and change names. Returns the former one's place, "" for none."""
        target = self.spec.path
        owners = self.context.world.is_root
        note = _swap_note(self.spec)
        with place.arrival(target) as arrival:
            trees.private_dir(arrival.tree)
            lost = extract.extract(os.path.join(self._staged, self._facts["archive"]), arrival.tree, owners)
            extract.overlay_databases(self._facts, self._staged, arrival.tree, owners)
            extract.dress_root(self._facts, self._staged, arrival.tree, owners)
            problems, _moved = directories.check(self._facts, self._staged, arrival.tree, owners, lost)
            if problems:
                raise MismatchError(
                    f"{target} is untouched, the copy of {self.file} differs: {'; '.join(problems[:5])}"
                )
            self.warnings += rehearse.not_kept(self.spec.name, lost, target)
            trees.sync_tree(arrival.tree)
            # Killed in the middle of the change of names, the next run finishes: see finish_tree().
            aside = f"{os.path.basename(target)}.before-{stamp}"
            kept = {"fresh": list(arrival.fresh), "sha256": self.sha256, "file": self.file}
            self.context.state.write(note, kept)
            former = arrival.move_in(aside)
        self._note()
        self.context.state.write(note, {})
        return former


def finish_tree(context: Context, spec: SourceSpec) -> str:
    """Finish a change of names that was killed in its middle. Returns what was done, "" for nothing."""
    note = context.state.read(_swap_note(spec))
    if not note:
        return ""
    settled = place.settle(spec.path)
    with place.open_parent(spec.path) as parent:
        arrived = list(place.identity(parent, os.path.basename(spec.path))) == note["fresh"]
    if arrived:
        known = context.state.read(_NOTE).get("sources") or {}
        known[spec.name] = {"sha256": note["sha256"], "file": note["file"], "at": context.now().isoformat()}
        context.state.write(_NOTE, {"sources": known})
    context.state.write(_swap_note(spec), {})
    return f"{spec.path}: the change of names that was interrupted is done" if settled and arrived else ""


def _swap_note(spec: SourceSpec) -> str:
    return f"swap-{spec.name}"
