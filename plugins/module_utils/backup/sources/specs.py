# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a source in a backup configuration, by kind."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import ConfigError
from ansible_collections.onebox.stack.plugins.module_utils.backup.fields import Table
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.schema import KINDS


@dataclass(frozen=True)
class SourceSpec:
    """One source of a backup configuration. The used fields depend on ``kind``, see docs/backups.md."""

    name: str
    kind: str
    service: str = ""
    container: str = ""
    databases: tuple[str, ...] = ()
    user: str = ""
    port: int = 0
    password_variable: str = ""
    password_file: str = ""
    path: str = ""
    volume: str = ""
    volume_name: str = ""
    exclude: tuple[str, ...] = ()
    sqlite: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    allow_empty: bool = False
    max_drop_percent: int = 100
    max_entries: int = 5_000_000
    max_hole_gib: int = 64

    def least(self, before: int) -> float:
        """The smallest accepted count after ``before``."""
        return before * (100 - self.max_drop_percent) / 100

    @property
    def rules(self) -> Rules:
        """The rules of its kind."""
        return RULES[self.kind]

    @property
    def where(self) -> str:
        """The container that serves the source, for messages."""
        return f"service {self.service}" if self.service else f"container {self.container}"


@dataclass(frozen=True)
class Rules:
    """The options that a kind allows and requires in the backup configuration.

    Attributes:
        options: names of the options of this kind alone.
        in_container: whether a server in a container holds the data.
        takes_path: whether the option ``path`` is required.
        takes_files: whether the option ``files`` is required.
        takes_volume: whether the option ``volume`` or ``volume_name`` is required. Only a capture finds the directory.
        max_drop_percent: default of that option.
    """

    options: frozenset[str]
    in_container: bool = False
    takes_path: bool = False
    takes_files: bool = False
    takes_volume: bool = False
    max_drop_percent: int = 50


_COMMON = frozenset({"name", "kind", "allow_empty", "max_drop_percent"})
_SERVER = frozenset({"service", "container", "user", "port", "password_variable", "password_file"})
_TREE = frozenset({"exclude", "sqlite", "max_entries", "max_hole_gib"})
RULES = {
    "postgresql": Rules(_SERVER | {"databases"}, in_container=True),
    "mysql": Rules(_SERVER | {"databases"}, in_container=True),
    "redis": Rules(_SERVER, in_container=True, max_drop_percent=100),
    "directory": Rules(_TREE | {"path"}, takes_path=True),
    "sqlite": Rules(frozenset({"path"}), takes_path=True),
    "volume": Rules(_TREE | {"volume", "volume_name"}, takes_volume=True),
    "compose": Rules(frozenset({"files"}), takes_files=True, max_drop_percent=100),
}


def parse(table: Table) -> SourceSpec:
    """Check a source and fill in defaults. Raises :class:`ConfigError` that names the option."""
    kind = table.choice("kind", KINDS, None)
    rules = RULES[kind]
    table.only(_COMMON | rules.options)
    name = table.name("name")
    table.where += f" ({name})"
    if rules.in_container and table.has("service") == table.has("container"):
        raise ConfigError(f"{table.where}: set either service or container")
    if rules.takes_volume and table.has("volume") == table.has("volume_name"):
        raise ConfigError(
            f"{table.where}: set either volume (its name in the compose file) or volume_name (its name in the engine)"
        )
    if table.has("password_variable") and table.has("password_file"):
        raise ConfigError(f"{table.where}: set password_variable or password_file, not both")
    drop = table.number("max_drop_percent", rules.max_drop_percent)
    if drop > 100:
        raise ConfigError(f"{table.where}: max_drop_percent must be between 0 and 100, not {drop}")
    files = table.words("files")
    for file in files:
        if not os.path.isabs(file):
            raise ConfigError(f"{table.where}: files must be absolute paths, not {file!r}")
    if rules.takes_files and not files:
        raise ConfigError(f"{table.where}: files is missing: name the compose file and the env file")
    return SourceSpec(
        name=name,
        kind=kind,
        service=table.text("service", ""),
        container=table.text("container", ""),
        databases=table.words("databases"),
        user=table.text("user", ""),
        port=table.number("port", 0),
        password_variable=table.text("password_variable", ""),
        password_file=table.path("password_file") if table.has("password_file") else "",
        path=table.path("path") if rules.takes_path else "",
        volume=table.text("volume", ""),
        volume_name=table.text("volume_name", ""),
        exclude=table.words("exclude"),
        sqlite=table.words("sqlite"),
        files=files,
        allow_empty=table.flag("allow_empty"),
        max_drop_percent=drop,
        max_entries=table.number("max_entries", 5_000_000, 1),
        max_hole_gib=table.number("max_hole_gib", 64),
    )
