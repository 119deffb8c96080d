# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ends of a move: a directory of this host, or a volume of an engine."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import Cli
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import ConfigError, SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.volume import find
from ansible_collections.onebox.stack.plugins.module_utils.core import trees
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import discover
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError
from ansible_collections.onebox.stack.plugins.module_utils.engine.membership import PROJECT_LABELS
from ansible_collections.onebox.stack.plugins.module_utils.engine.resources import Volume

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container

_SECONDS = 120.0


@dataclass(frozen=True)
class End:
    """Where data lies, or is to lie.

    Attributes:
        path: a directory, "" for a volume.
        volume: the engine's name of a volume, "" for a directory.
        key: its name in the compose file, for a volume to create.
        engine: auto, docker or podman.
        socket: path of the engine's socket, "" for the usual ones.
    """

    path: str = ""
    volume: str = ""
    key: str = ""
    engine: str = "auto"
    socket: str = ""

    @classmethod
    def of(cls, given: t.Mapping[str, t.Any], where: str) -> End:
        """The end that module options describe. Raises :class:`ConfigError`."""
        end = cls(**{key: value for key, value in given.items() if value})
        if bool(end.path) == bool(end.volume):
            raise ConfigError(f"{where}: set either path or volume")
        if end.path and (not os.path.isabs(end.path) or ".." in end.path.split("/")):
            raise ConfigError(f"{where}: path must be absolute and without '..', not {end.path}")
        return end

    @property
    def shown(self) -> str:
        """For messages."""
        return f"volume {self.volume}" if self.volume else self.path

    def cli(self, world: World) -> Cli | None:
        """The engine; None for a directory on a host without one. Raises :class:`SourceError`."""
        try:
            return Cli(discover.find(self.engine, self.socket or None, world=world), _SECONDS, world)
        except EngineError as error:
            if self.path:
                return None
            raise SourceError(str(error)) from error

    def directory(self, cli: Cli | None) -> str:
        """The directory on this host, "" if there is none yet. Raises :class:`SourceError`."""
        if self.path or cli is None:
            return os.path.normpath(self.path)
        found = _volume(cli, self.volume)
        return _mountpoint(found, cli.engine.name) if found else ""

    def create(self, cli: Cli | None, stack: str) -> str:
        """The directory. A missing volume is created with the labels of compose. Raises :class:`SourceError`."""
        place = self.directory(cli)
        if place or cli is None:
            return place
        words = []
        if self.key:
            words = ["--label", f"{PROJECT_LABELS[0]}={stack}", "--label", f"{find.KEY_LABEL}={self.key}"]
            if cli.engine.name == "podman":
                words += ["--label", f"{PROJECT_LABELS[1]}={stack}"]
        cli.call("volume", "create", *words, self.volume)
        place = self.directory(cli)
        if not place:
            raise SourceError(f"{cli.engine.name} created no volume {self.volume}")
        return place

    def users(self, cli: Cli | None, place: str) -> list[Container]:
        """The running containers that can write to the data. Raises :class:`SourceError`."""
        if cli is None:
            return []
        try:
            every = cli.engine.containers()
        except EngineError as error:
            raise SourceError(str(error)) from error
        return [each for each in every if each.running and place and _writes(each, self.volume, place)]


def _writes(container: Container, volume: str, place: str) -> bool:
    for row in container.mounts:
        source = realpath(row.source) if row.source else ""
        inside = source == place or place.startswith(source.rstrip("/") + "/") or source.startswith(place + "/")
        if row.read_write and ((volume and row.name == volume) or (source and inside)):
            return True
    return False


def _volume(cli: Cli, name: str) -> Volume | None:
    try:
        return next((row for row in cli.engine.all_volumes() if row.name == name), None)
    except EngineError as error:
        raise SourceError(str(error)) from error


def _mountpoint(volume: Volume, engine: str) -> str:
    what = f"volume {volume.name} of {engine}"
    if not volume.mountpoint or not os.path.isdir(volume.mountpoint):
        raise SourceError(f"{what} has no directory on this host. Run the move on the host or machine of the engine")
    if (volume.options.get("device") or volume.options.get("type")) and not trees.is_mount_point(volume.mountpoint):
        raise SourceError(f"{what} is mounted only while a container uses it. Move its directory with path instead")
    return realpath(volume.mountpoint)
