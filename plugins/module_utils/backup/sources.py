# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a declared source to what it gives: find its container, its password, and the capture of its kind."""

from __future__ import annotations

import os
import stat
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import drops, foreign, guard
from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import Cli
from ansible_collections.onebox.stack.plugins.module_utils.backup.declaration import Declaration, SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.directory import archive as directories
from ansible_collections.onebox.stack.plugins.module_utils.backup.directory import recognise
from ansible_collections.onebox.stack.plugins.module_utils.backup.directory.limits import Limits
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    BackupError,
    RoomLimit,
    SourceError,
    SourceLimit,
    SpaceError,
    StoreError,
    file_errors,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.postgresql import server as postgresql
from ansible_collections.onebox.stack.plugins.module_utils.backup.redis import server as redis
from ansible_collections.onebox.stack.plugins.module_utils.backup.state import State
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Artefact, Manifest, Source
from ansible_collections.onebox.stack.plugins.module_utils.core import beneath, files, trees
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import databases

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import StoredSet
    from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
    from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container


# A directory may take as long as a command, and what the first look at a sleeping disk takes.
_LEAST_SECONDS = 30.0
# Of one file of a compose source: it is held in memory.
_MOST_COMPOSE = 64 << 20


class Capturer:
    """Captures the sources of one run.

    Args:
        open_cli: gives the engine's command line; only called when a source needs a container.
        world: the clock.
        archive: directories become tar files; otherwise they are left to the store.
    """

    def __init__(self, declaration: Declaration, open_cli: t.Callable[[], Cli], world: World, *, archive: bool) -> None:
        self._declaration = declaration
        self._open_cli = open_cli
        self._world = world
        self.used_engine = False
        # Whether a source failed for want of room.
        self.no_room = False
        self._archive = archive
        self._lists = os.path.join(declaration.state_dir, "lists")
        self.trees: list[str] = []
        self.excludes: list[str] = []

    def capture(self, spec: SourceSpec, staging: str) -> Source:
        """Read one source into ``staging``. Raises :class:`SourceError`."""
        began = self._world.monotonic()
        kinds = {
            "postgresql": self._postgresql,
            "redis": self._redis,
            "directory": self._directory,
            "compose": self._compose,
        }
        artefacts, count, facts, warnings = kinds[spec.kind](spec, staging)
        seconds = self._world.monotonic() - began
        return Source(spec.name, spec.kind, tuple(artefacts), count, facts, seconds, tuple(warnings))

    def keep_lists(self, staging: str, good: t.Iterable[Source]) -> None:
        """Keep the lists of a committed set: the next run hashes only what differs from them."""
        if self._archive:
            return
        trees.private_dir(self._lists)
        for source in good:
            if source.kind == "directory":
                os.replace(
                    os.path.join(staging, source.facts["list"]), os.path.join(self._lists, f"{source.name}.list")
                )

    @property
    def _cli(self) -> Cli:
        self.used_engine = True
        return self._open_cli()

    def _postgresql(self, spec: SourceSpec, staging: str) -> _Given:
        container = find_container(self._cli.engine, self._declaration.stack, spec)
        server = postgres_server(self._cli, container, spec)
        there = server.databases() if not spec.databases else []
        aside = [name for name in there if drops.is_aside(name)]
        wanted = spec.databases or [name for name in there if name not in aside]
        artefacts, facts, told = postgresql.capture(server, wanted, staging, f"pg/{spec.name}")
        warnings = [f"database {name} is a previous copy that a restore kept, and in no set. Drop it" for name in aside]
        warnings += told
        facts["image"] = image_facts(self._cli.engine, container)
        facts["initdb_args"] = variable(container, "POSTGRES_INITDB_ARGS")
        return artefacts, postgresql.rows(facts), facts, warnings

    def _redis(self, spec: SourceSpec, staging: str) -> _Given:
        container = find_container(self._cli.engine, self._declaration.stack, spec)
        server = redis_server(self._cli, container, spec)
        artefacts, facts, warnings = redis.capture(server, staging, f"redis/{spec.name}.rdb")
        facts["image"] = image_facts(self._cli.engine, container)
        return artefacts, facts["keys"], facts, warnings

    def _directory(self, spec: SourceSpec, staging: str) -> _Given:
        limits = self._limits(spec, staging)

        def capture() -> directories.Captured:
            before = os.path.join(self._lists, f"{spec.name}.list")
            return directories.capture(
                spec.path,
                spec.exclude,
                spec.sqlite,
                staging,
                spec.name,
                archive=self._archive,
                before=before,
                limits=limits,
            )

        if foreign.on_share(spec.path):
            got = _in_child(capture, spec, limits, State(self._declaration.state_dir), self._world)
        else:
            got = capture()
        self.trees.append(spec.path)
        self.excludes += got.excludes
        # The root itself is an entry, and an unmounted directory has only that one.
        listed = os.path.join(staging, got.facts["list"])
        in_use = recognise.databases_in(listed, spec.path, got.facts["databases"], self._world.epoch())
        return got.artefacts, got.facts["entries"] - 1, got.facts, [*got.warnings, *in_use]

    def _limits(self, spec: SourceSpec, staging: str) -> Limits:
        return Limits(
            spec.path,
            seconds=_LEAST_SECONDS + self._declaration.timeout,
            entries=spec.max_entries,
            hole_bytes=spec.max_hole_gib << 30,
            writes_to=staging,
            reserve=self._declaration.reserve_mib << 20,
            world=self._world,
        )

    def _compose(self, spec: SourceSpec, staging: str) -> _Given:
        artefacts = []
        found = {}
        for path in spec.files:
            target = f"compose/{spec.name}{path}"
            data, status = _read_file(path)
            sha256 = files.write_new(trees.private_parents(staging, target), data, durable=False)
            artefacts.append(Artefact(target, len(data), sha256))
            found[path] = {
                "artefact": target,
                "mode": stat.S_IMODE(status.st_mode),
                "uid": status.st_uid,
                "gid": status.st_gid,
                "sha256": sha256,
            }
        services = [
            {"service": container.service, "name": container.name, **image_facts(self._cli.engine, container)}
            for container in project_containers(self._cli.engine, self._declaration.stack)
        ]
        return artefacts, len(found), {"files": found, "services": services}, []


def _in_child(
    capture: t.Callable[[], directories.Captured], spec: SourceSpec, limits: Limits, state: State, world: World
) -> directories.Captured:
    """Capture a directory whose file system may stop to answer in the middle."""

    def work(beat: t.Callable[[], None]) -> dict[str, t.Any]:
        limits.beat = beat
        try:
            with file_errors(), guard.everything(SourceLimit):
                got = capture()
        except BackupError as error:
            return {"error": str(error), "kind": type(error).__name__}
        return {**got._asdict(), "artefacts": [vars(artefact) for artefact in got.artefacts]}

    said = foreign.in_child(work, spec.path, foreign.CAPTURE_PATIENCE, state, world)
    if not said:
        raise SourceLimit(f"the process that read {spec.path} died. Look for a full memory in the log of the kernel")
    if "error" in said:
        kinds = {kind.__name__: kind for kind in (RoomLimit, SourceLimit, SpaceError, StoreError)}
        raise kinds.get(said["kind"], SourceError)(said["error"])
    return directories.Captured(**{**said, "artefacts": [Artefact(**row) for row in said["artefacts"]]})


def _read_file(path: str) -> tuple[bytes, os.stat_result]:
    """A file of the stack and its status. Links on the way count when only root could have made them."""
    if beneath.foreign_link(path):
        raise SourceError(f"{path}: {beneath.foreign_link(path)} is a link that root did not make. Name its target")
    real = os.path.realpath(path)
    try:
        with beneath.open_directory(os.path.dirname(real)) as folder:
            descriptor = folder.open(os.path.basename(real), os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise SourceError(f"{path} is not a plain file")
            if status.st_size > _MOST_COMPOSE:
                raise SourceError(f"{path} has {status.st_size >> 20} MiB: a source of files is for what is small")
            return file.read(_MOST_COMPOSE), status
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    except (files.FileError, beneath.UnsafePath) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error


_Given = t.Tuple[t.Sequence[Artefact], int, t.Dict[str, t.Any], t.Sequence[str]]  # noqa: UP006


def project_containers(engine: Engine, stack: str) -> list[Container]:
    """Containers of the compose project of the stack."""
    return _containers(engine, project=stack)


def _containers(engine: Engine, **which: t.Any) -> list[Container]:
    from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError

    try:
        return engine.containers(**which)
    except EngineError as error:
        raise SourceError(str(error)) from error


def image(engine: Engine, identity: str) -> dict[str, t.Any] | None:
    """What the engine knows of an image, None when it is not there. Raises :class:`SourceError`."""
    from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError

    try:
        return engine.image(identity)
    except EngineError as error:
        raise SourceError(str(error)) from error


def find_container(engine: Engine, stack: str, spec: SourceSpec) -> Container:
    """The running container of a source. Raises :class:`SourceError` with what is wrong with it."""
    if spec.container:
        found = _containers(engine, names=[spec.container])
    else:
        found = [row for row in project_containers(engine, stack) if row.service == spec.service]
    what = f"container {spec.container}" if spec.container else f"service {spec.service} of stack {stack}"
    if not found:
        raise SourceError(f"source {spec.name}: there is no container of {what}; start the stack or correct the source")
    running = [row for row in found if row.status == "running"]
    if not running:
        raise SourceError(f"source {spec.name}: {what} is {found[0].status}, not running; start it and run again")
    return running[0]


def postgres_server(cli: Cli, container: Container, spec: SourceSpec) -> postgresql.Server:
    """The server of a source, its user and password as the image's own variables say when nothing else is told."""
    user = spec.user or variable(container, "POSTGRES_USER") or "postgres"
    password = _password(container, spec, "POSTGRES_PASSWORD")
    return postgresql.Server(cli, container.id, user, spec.port, {"PGPASSWORD": password} if password else {})


def redis_server(cli: Cli, container: Container, spec: SourceSpec) -> redis.Server:
    """The server of a source."""
    password = _password(container, spec, "REDIS_PASSWORD")
    return redis.Server(cli, container.id, spec.user, spec.port, {"REDISCLI_AUTH": password} if password else {})


def image_facts(engine: Engine, container: Container) -> dict[str, t.Any]:
    """What is needed to run the same image again: its id, name and registry digests."""
    found = image(engine, container.image_id) or {}
    return {
        "image": container.image_ref,
        "image_id": container.image_id,
        "digests": sorted(found.get("RepoDigests") or ()),
    }


def uncovered(engine: Engine, declaration: Declaration) -> list[str]:
    """A warning for each database of the stack that no source names."""
    named = {spec.service for spec in declaration.sources} | {spec.container for spec in declaration.sources}
    warnings = []
    for container in project_containers(engine, declaration.stack):
        if container.service in named or container.name in named:
            continue
        if databases.is_database(container.image_ref):
            warnings.append(databases.not_backed_up(container.service, container.image_ref))
    return warnings


def no_longer_declared(declaration: Declaration, newest: StoredSet | None) -> list[str]:
    """A warning for each source of the newest set that is not declared: from now on it is in no set."""
    if newest is None or newest.manifest is None:
        return []
    declared = {spec.name for spec in declaration.sources}
    return [
        f"source {source.name} ({source.kind}) is in set {newest.seq} and not declared any more: no later set holds "
        f"it. To keep its last copy, run onebox-backup with: pin {newest.seq}"
        for source in newest.manifest.sources
        if source.name not in declared
    ]


def in_no_set(declaration: Declaration, newest: Manifest | None) -> list[str]:
    """A note for each declared source that the newest set was taken before."""
    return [
        f"source {spec.name} ({spec.kind}) is in no set yet: the next backup takes it"
        for spec in declaration.sources
        if newest is not None and newest.source(spec.name) is None and spec.name not in newest.left_out
    ]


def _password(container: Container, spec: SourceSpec, usual: str) -> str:
    if spec.password_file:
        try:
            with open(spec.password_file, encoding="utf-8") as file:
                return file.read().rstrip("\r\n")
        except OSError as error:
            raise SourceError(
                f"source {spec.name}: password_file {spec.password_file} cannot be read: {error.strerror}"
            ) from error
    if spec.password_variable:
        value = variable(container, spec.password_variable)
        if not value:
            raise SourceError(
                f"source {spec.name}: {container.name} has no variable {spec.password_variable} (password_variable)"
            )
        return value
    return variable(container, usual)


def variable(container: Container, name: str) -> str:
    """The value of a variable in a container, "" when it is not set."""
    for line in container.env:
        key, unused, value = line.partition("=")
        if key == name:
            return value
    return ""
