# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of sources, in the order in which self-tests and recoveries run.

A kind is imported when it is first used: the runner starts each day, and most stacks have sources of two kinds.
The imports are statements, because Ansible and core/zipapp search the sources for those to know what to send.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.base import Kind


class _Named(t.Protocol):
    """A source of a set, or one of the backup configuration."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...


def _postgresql() -> Kind:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.source import PostgresqlKind

    return PostgresqlKind()


def _mysql() -> Kind:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.mysql.source import MysqlKind

    return MysqlKind()


def _redis() -> Kind:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis.source import RedisKind

    return RedisKind()


def _sqlite() -> Kind:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.sqlite.source import SqliteKind

    return SqliteKind()


def _directory() -> Kind:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory.source import DirectoryKind

    return DirectoryKind()


def _volume() -> Kind:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.volume.source import VolumeKind

    return VolumeKind()


def _compose() -> Kind:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.compose.source import ComposeKind

    return ComposeKind()


_MAKERS: dict[str, t.Callable[[], Kind]] = {
    "postgresql": _postgresql,
    "mysql": _mysql,
    "redis": _redis,
    "sqlite": _sqlite,
    "directory": _directory,
    "volume": _volume,
    "compose": _compose,
}


@functools.cache
def _make(name: str) -> Kind:
    return _MAKERS[name]()


def all_kinds() -> t.Iterator[tuple[str, Kind]]:
    """Each kind with its name."""
    return ((name, _make(name)) for name in _MAKERS)


def of(source: _Named) -> Kind:
    """The kind of a source. Raises :class:`SourceError` for an unknown one."""
    if source.kind not in _MAKERS:
        raise SourceError(f"source {source.name} is of the unknown kind {source.kind!r}")
    return _make(source.kind)
