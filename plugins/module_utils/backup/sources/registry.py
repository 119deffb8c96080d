# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of sources, in the order in which self-tests and recoveries run."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.base import Kind
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.compose.source import ComposeKind
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory.source import DirectoryKind
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.mysql.source import MysqlKind
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.source import PostgresqlKind
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis.source import RedisKind
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.sqlite.source import SqliteKind
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.volume.source import VolumeKind


class _Named(t.Protocol):
    """A source of a set, or one of the backup configuration."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (PostgresqlKind(), MysqlKind(), RedisKind(), SqliteKind(), DirectoryKind(), VolumeKind(), ComposeKind())
}


def of(source: _Named) -> Kind:
    """The kind of a source. Raises :class:`SourceError` for an unknown one."""
    if source.kind not in KINDS:
        raise SourceError(f"source {source.name} is of the unknown kind {source.kind!r}")
    return KINDS[source.kind]
