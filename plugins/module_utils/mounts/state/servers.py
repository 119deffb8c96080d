# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where database servers keep their data, by the variables and settings that decide it.

The rules need no running server, so that a deploy can apply them before a byte is written.
"""

from __future__ import annotations

import os
import re
import shlex
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.onebox.stack.plugins.module_utils.engine import databases
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container

# Parts of the names of images, and the kind of server in them.
_NAMES = {
    "postgresql": ("postgres", "timescale", "pgvector", "postgis"),
    "mysql": ("mysql", "mariadb", "percona"),
    "redis": ("redis", "valkey", "keydb"),
    "mongodb": ("mongo",),
    "influxdb": ("influxdb",),
}
# The programs of servers. Those of all but MongoDB and InfluxDB run in their data directory.
PROGRAMS = {
    "postgres": "postgresql",
    "mysqld": "mysql",
    "mariadbd": "mysql",
    "redis-server": "redis",
    "valkey-server": "redis",
    "mongod": "mongodb",
    "influxd": "influxdb",
}
_PROGRAM = re.compile(r"(?:^|[/\s])(" + "|".join(PROGRAMS) + r")(?:$|\s)")
RUN_IN_DATA = ("postgres", "mysqld", "mariadbd", "redis-server", "valkey-server")
_VARIABLES = {"PGDATA": "postgresql", "MYSQL_DATADIR": "mysql", "INFLUXD_BOLT_PATH": "influxdb"}
_OPTIONS = {
    "postgresql": ("-D", "--data_directory", "data_directory"),
    "mysql": ("--datadir", "-h"),
    "redis": ("--dir",),
    "mongodb": ("--dbpath",),
    "influxdb": ("--engine-path",),
}
_USUAL = {"mysql": "/var/lib/mysql", "mongodb": "/data/db", "influxdb": "/var/lib/influxdb2"}
_SHOWN = {
    "postgresql": "PostgreSQL",
    "mysql": "MySQL or MariaDB",
    "redis": "Redis",
    "mongodb": "MongoDB",
    "influxdb": "InfluxDB",
}


@dataclass(frozen=True)
class Home:
    """The data directory of a server.

    Attributes:
        database: the kind, see :class:`place.Place`.
        path: absolute path in the container.
        evidence: the reason, as in :class:`place.Place`.
        keeps: True if a setting makes the server persist, False if one stops it, None without a setting.
    """

    database: str
    path: str
    evidence: str
    keeps: bool | None = None


@dataclass(frozen=True)
class Server:
    """The settings of a container that decide where a server keeps its data.

    Attributes:
        image: name of the image.
        env: the variables, those of the image included.
        argv: entrypoint and command.
        directory: the directory the container starts in.
        volumes: paths of the image's VOLUMEs.
        own_command: the command, if it is not the image's.
    """

    image: str
    env: t.Mapping[str, str]
    argv: tuple[str, ...]
    directory: str
    volumes: tuple[str, ...] = ()
    own_command: tuple[str, ...] = ()

    def kind(self) -> str:
        """The kind of server, "" if it is none, such as a service that runs ``psql`` in a database's image."""
        name = self.image.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
        started = next((_PROGRAM.search(word) for word in self.argv if _PROGRAM.search(word)), None)
        if started:
            return PROGRAMS[started[1]]
        if self.own_command and not self.own_command[0].startswith("-"):
            return ""
        if databases.is_database(name) and "backup" not in name:
            return next((kind for kind, words in _NAMES.items() if any(word in name for word in words)), "")
        return "postgresql" if "PGDATA" in self.env and "backup" not in name else ""

    def home(self) -> Home | None:
        """The data directory; None if this is not a database, or its directory is unknown."""
        kind = self.kind()
        if not kind:
            return None
        keeps = self.keeps() if kind == "redis" else None
        given = self._option(_OPTIONS[kind])
        if given:
            return Home(kind, given[1], f"setting {given[0]}", keeps)
        for name, of in _VARIABLES.items():
            if of == kind and self.env.get(name, "").startswith("/"):
                path = self.env[name] if not name.endswith("_BOLT_PATH") else os.path.dirname(self.env[name])
                return Home(kind, os.path.normpath(path), f"variable {name}", keeps)
        usual = _USUAL.get(kind) or (self.directory if kind == "redis" else "")
        if len(self.volumes) == 1 and not any(_is_below(usual, volume) for volume in self.volumes):
            usual = os.path.normpath(self.volumes[0])
        return Home(kind, os.path.normpath(usual), "data_directory", keeps) if len(usual) > 1 else None

    def _words(self) -> list[str]:
        """Entrypoint and command, the script of a shell split into its words."""
        found: list[str] = []
        for word in self.argv:
            try:
                found += shlex.split(word) if _PROGRAM.search(word) and " " in word else [word]
            except ValueError:
                found += word.split()
        return found

    def _option(self, names: t.Sequence[str]) -> tuple[str, str] | None:
        found = None
        words = self._words()
        for index, word in enumerate(words):
            name, equals, value = word.partition("=")
            if name not in names:
                continue
            if not equals and index + 1 < len(words):
                value = words[index + 1]
            if value.startswith("/"):
                found = (name.strip("-"), os.path.normpath(value))
        return found

    def setting(self, name: str) -> str | None:
        """The last value of a setting of Redis on the command line, None if it is not there."""
        found = None
        words = self._words()
        for index, word in enumerate(words):
            if word == f"--{name}":
                found = words[index + 1] if index + 1 < len(words) else ""
                found = "" if found.startswith("--") else found
        return found

    def keeps(self) -> bool | None:
        """Whether the command line makes Redis persist; None if it leaves that to the defaults or to a file."""
        append, save = self.setting("appendonly"), self.setting("save")
        if append == "yes" or save not in (None, "", '""', "''"):
            return True
        return False if save is not None else None


def server_of(
    image: str,
    config: t.Mapping[str, t.Any],
    env: t.Mapping[str, str | None],
    entrypoint: t.Sequence[str] | None,
    command: t.Sequence[str] | None,
) -> Server:
    """The settings of a container that may not be created yet.

    Args:
        image: its reference.
        config: ``Config`` of the image's ``inspect``.
        env: the variables of the service.
        entrypoint: that of the service; None for that of the image.
        command: that of the service; None for that of the image.
    """
    inherited = {row.partition("=")[0]: row.partition("=")[2] for row in config.get("Env") or () if "=" in row}
    merged = {**inherited, **{name: value for name, value in env.items() if value is not None}}
    volumes = tuple(os.path.normpath(path) for path in config.get("Volumes") or ())
    usual = _words(config.get("Cmd")) if entrypoint is None else []
    own = () if command is None or list(command) == usual else tuple(command)
    first = _words(config.get("Entrypoint")) if entrypoint is None else list(entrypoint)
    argv = (*first, *(usual if command is None else command))
    return Server(image, merged, argv, str(config.get("WorkingDir") or "/"), volumes, own)


def of_container(container: Container, config: t.Mapping[str, t.Any]) -> Server:
    """The settings of a container.

    Args:
        config: ``Config`` of its image's ``inspect``.
    """
    env = {row.partition("=")[0]: row.partition("=")[2] for row in container.env if "=" in row}
    directory = str((container.raw.get("Config") or {}).get("WorkingDir") or config.get("WorkingDir") or "/")
    entrypoint = None if " ".join(container.entrypoint) == " ".join(_words(config.get("Entrypoint"))) else ()
    found = server_of(container.image_ref, config, env, entrypoint, container.command)
    return replace(found, argv=(*container.entrypoint, *container.command), directory=directory)


def shown_name(database: str) -> str:
    """The kind of a database for people."""
    return _SHOWN.get(database, database)


def _words(value: t.Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
