# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a Redis or Valkey source."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.facts import Facts, Image


@dataclass(frozen=True)
class Settings(Facts):
    """The requirements of the data on a server: its version, settings and modules (path, arguments)."""

    version: str = ""
    config: t.Mapping[str, str] = field(default_factory=dict)
    modules: t.Sequence[t.Sequence[str]] = ()

    @property
    def major(self) -> int:
        """The major version, 0 when it is unknown."""
        head = self.version.split(".", 1)[0]
        return int(head) if head.isdigit() else 0


@dataclass(frozen=True)
class RedisFacts(Settings):
    """The facts of a Redis or Valkey in a manifest.

    Attributes:
        keyspace: keys, and keys with a time to live, of each numbered database.
        path: path of the RDB in the set.
        keys, expires, expired: counts of redis-check-rdb.
        functions: digest of each library of functions, None when they are unknown.
        magic: the first nine characters of the RDB.
        digest: DEBUG DIGEST of the data, None when it was not taken.
    """

    keyspace: t.Mapping[str, t.Sequence[int]] = field(default_factory=dict)
    path: str = ""
    keys: int = 0
    expires: int = 0
    expired: int | None = None
    functions: t.Mapping[str, str] | None = None
    not_compared: t.Sequence[str] = ()
    acl_users: t.Sequence[str] = ()
    magic: str | None = None
    digest: str | None = None
    image: Image | t.Mapping[str, t.Any] = field(default_factory=Image)


@dataclass(frozen=True)
class Loaded:
    """Counts of data that a server loaded: keys, keys with a time to live, append-only file in use, DEBUG DIGEST."""

    keys: int
    expires: int
    appendonly: bool = False
    digest: str = ""
