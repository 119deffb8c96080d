# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Move data to the place that the compose file declares. The source is kept, and a killed move continues.

The data is copied while its services run. They are stopped only for the last pass, the comparison and one rename. They
stay stopped after it, because they would write to the old place: the next deploy starts them at the new one.
"""

from __future__ import annotations

import hashlib
import os
import stat
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.backup import on_swarm
from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import Cli
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    MismatchError,
    RestoreRefused,
    SourceError,
    SourceLimit,
    SpaceError,
    file_errors,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.moves import tree
from ansible_collections.onebox.stack.plugins.module_utils.backup.moves.ends import End
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import folders
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import server_data
from ansible_collections.onebox.stack.plugins.module_utils.backup.state import State
from ansible_collections.onebox.stack.plugins.module_utils.core import beneath, files, lock, trees
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

_PREFIX = ".onebox-move-"
_TREE = "tree"
_PATIENCE = 600.0
_SHOWN = 5


@dataclass
class Request:
    """A move.

    Attributes:
        stack: name of the stack.
        source, target: from where to where.
        dump: an existing dump of the database in the source, "" for none.
        state_dir: for the record of the move.
        check: only check whether it could begin.
    """

    stack: str
    source: End
    target: End
    dump: str
    state_dir: str
    check: bool = False


@dataclass
class Result:
    """A finished move.

    Attributes:
        sha256: of everything that was compared.
        stopped: names of containers that were stopped and stay so until the next deploy.
    """

    changed: bool
    source: str
    target: str
    files: int = 0
    bytes: int = 0
    sha256: str = ""
    stopped: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def by_options(given: t.Mapping[str, t.Any], check: bool, world: World) -> dict[str, t.Any]:
    """The result of a move as the module returns it. Raises as :func:`move`."""
    source, target = End.of(given["source"], "source"), End.of(given["target"], "target")
    request = Request(given["name"], source, target, given["dump"] or "", given["state_dir"], check)
    found = vars(move(request, world))
    found["warnings_found"] = found.pop("warnings")
    return found


def move(request: Request, world: World) -> Result:
    """Move data, or continue a killed move.

    Raises:
        RestoreRefused: the move would change other data, or a running database has no dump.
        BackupError: it failed. The source and the target are as before, and the stopped containers run again.
    """
    if not world.is_root:
        raise RestoreRefused("only root can keep owners and read volumes: set become: true. Nothing was changed")
    with file_errors():
        state = State(os.path.join(request.state_dir, "moves"))
        trees.private_dir(state.path)
        name = hashlib.sha256(f"{request.source.shown}\0{request.target.shown}".encode()).hexdigest()[:16]
        with lock.held(state.lock, purpose="move", timeout=0.0, world=world):
            return _Move(request, world, state, f"move-{name}").run()


class _Move:
    def __init__(self, request: Request, world: World, state: State, note: str) -> None:
        self._request = request
        self._world = world
        self._state = state
        self._note = note
        self._source_cli = request.source.cli(world)
        self._target_cli = request.target.cli(world)
        self._source = request.source.directory(self._source_cli)
        if not self._source or not os.path.isdir(self._source):
            raise SourceError(f"source: {request.source.shown} does not exist. Correct the option source")
        self._target = request.target.directory(self._target_cli)

    def run(self) -> Result:
        """The move."""
        record = self._state.read(self._note)
        if self._is_done(record):
            return Result(False, self._source, self._target, sha256=str(record["sha256"]))
        self._check()
        if self._request.check:
            return Result(True, self._source, self._target)
        self._target = self._request.target.create(self._target_cli, self._request.stack)
        with folders.open_created(os.path.dirname(self._target)) as parent:
            if not beneath.only_ours(os.fstat(parent.descriptor)):
                raise RestoreRefused(
                    f"target: others can write to {parent.path} and could redirect the move. Run chown root "
                    f"{parent.path} && chmod go-w {parent.path} first. Nothing was changed"
                )
            stage = os.path.join(os.path.dirname(self._target), f"{_PREFIX}{self._note[5:]}")
            trees.private_dir(stage)
            with beneath.open_directory(self._source) as source:
                result = self._copy(source, os.path.join(stage, _TREE), parent, record)
            trees.remove_tree(stage)
        return result

    def _copy(
        self, source: beneath.Directory, staged: str, parent: beneath.Directory, record: t.Mapping[str, t.Any]
    ) -> Result:
        copy = tree.Copy(source, staged)
        running = [each.name for each in self._request.source.users(self._source_cli, self._source)]
        if running:
            copy.run()
        noted = record.get("stopped")
        stopped = list(dict.fromkeys([*(noted if isinstance(noted, list) else ()), *running]))
        self._state.write(self._note, {"stopped": stopped})
        try:
            self._stop(running)
            copy.run()
            found = tree.compare(source, staged)
            if found.differing:
                copy.again(found.differing)
                found = tree.compare(source, staged)
            if found.differing:
                raise MismatchError(
                    f"{len(found.differing)} entries differ after the last pass, such as "
                    f"{', '.join(name or '.' for name in found.differing[:_SHOWN])}: another process writes to "
                    f"{self._source}. Stop it, then run the move again"
                )
            trees.sync_tree(staged)
            status = os.stat(staged)
            done = {"sha256": found.sha256, "files": found.files, "moved": [status.st_dev, status.st_ino]}
            # Before the rename: it alone decides whether the move is done.
            self._state.write(self._note, {**done, "stopped": stopped})
            with beneath.open_directory(os.path.dirname(staged)) as stage:
                stage.rename(_TREE, parent, os.path.basename(self._target))
            files.sync(parent.descriptor)
        except BaseException:
            self._start(stopped)
            raise
        warnings = [f"sockets and devices are left out: {', '.join(copy.left_out[:_SHOWN])}"] if copy.left_out else []
        return Result(True, self._source, self._target, found.files, found.bytes, found.sha256, stopped, warnings)

    def _is_done(self, record: t.Mapping[str, t.Any]) -> bool:
        """Whether the target is the directory that this move renamed."""
        if not self._target or not os.path.isdir(self._target):
            return False
        status = os.stat(self._target)
        # A file system may use the number of a removed directory again.
        empty = record.get("files") and not os.listdir(self._target)
        return record.get("moved") == [status.st_dev, status.st_ino] and not empty

    def _check(self) -> None:
        """Refuse a move that cannot begin. Raises :class:`RestoreRefused`, :class:`SpaceError`."""
        source, target = realpath(self._source), realpath(self._target) if self._target else ""
        if target and (f"{target}/".startswith(f"{source}/") or f"{source}/".startswith(f"{target}/")):
            raise RestoreRefused(f"target: {target} and the source {source} contain each other. Nothing was changed")
        if target and os.path.lexists(target):
            if not stat.S_ISDIR(os.lstat(target).st_mode) or os.listdir(target):
                raise RestoreRefused(
                    f"target: {target} is not empty. Rename it first, or correct the option target. Nothing was changed"
                )
            if trees.is_mount_point(target):
                raise RestoreRefused(
                    f"target: {target} is a mount point, which cannot be replaced. Move to a directory below it"
                )
            using = self._request.target.users(self._target_cli, target)
            if using:
                raise RestoreRefused(
                    f"target: {', '.join(each.name for each in using)} uses {self._request.target.shown}. Stop it "
                    "first. Nothing was changed"
                )
        on_swarm.require_scaled_down(
            self._request.source.users(self._source_cli, self._source), f"source: {self._request.source.shown}"
        )
        self._check_database()
        room = sum(status.st_blocks * 512 for status in self._statuses())
        place = target or os.path.dirname(os.path.abspath(self._request.target.path or self._source))
        if trees.free_bytes(place) < room:
            raise SpaceError(
                f"{place} has {trees.free_bytes(place) >> 20} MiB free, and the copy needs {room >> 20} MiB. Free "
                "some space. Nothing was changed"
            )

    def _statuses(self) -> t.Iterator[os.stat_result]:
        with beneath.open_directory(self._source) as source:
            for _name, status in source.walk():
                yield status

    def _check_database(self) -> None:
        running = [each.name for each in self._request.source.users(self._source_cli, self._source)]
        if not running:
            return
        try:
            server_data.refuse(self._source, ())
        except SourceLimit as error:
            dump = self._request.dump
            if not dump:
                raise RestoreRefused(
                    f"source: {str(error).partition(':')[0]}, and {', '.join(running)} runs on it. Take a dump and "
                    "name it with the option dump (move_dump), or stop the service first. Nothing was changed"
                ) from error
            if not os.path.exists(dump) or not (os.path.isdir(dump) or os.path.getsize(dump)):
                raise RestoreRefused(f"dump: {dump} does not exist or is empty. Nothing was changed") from error

    def _stop(self, names: t.Sequence[str]) -> None:
        """Stop containers, and require that a database ended by itself. Raises :class:`SourceError`."""
        for name in names:
            self._cli().call("stop", name, timeout=_PATIENCE)
            code = self._cli().call("inspect", "--format", "{{.State.ExitCode}}", name).stdout.strip()
            if code == "137" and self._request.dump:
                raise SourceError(
                    f"{name} did not end by itself and was killed, so its files may not be clean. Raise its "
                    "stop_grace_period, then run the move again"
                )
        left = [each.name for each in self._request.source.users(self._source_cli, self._source)]
        if left:
            raise SourceError(f"{', '.join(left)} did not stay stopped. Stop it first")

    def _start(self, names: t.Sequence[str]) -> None:
        for name in names:
            self._cli().call("start", name, check=False, timeout=_PATIENCE)

    def _cli(self) -> Cli:
        if self._source_cli is None:
            raise SourceError("no container engine answers, which could stop the services of the source")
        return self._source_cli
