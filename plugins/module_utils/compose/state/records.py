# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this collection wrote down about the containers and images it made; the engine keeps none of it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.digests import Content
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container

# Builds kept in mind; older ones are judged by the age of their files, which costs one cached build at worst.
_BUILDS = 50


@dataclass(frozen=True)
class Record:
    """One container: its service, the digests of what it was started with, and the seconds it may take to end.

    ``started_at`` is the start that these digests belong to, in the engine's words, "" where that was not written
    down. ``restarts`` is the engine's count at the end of the last run.
    """

    service: str
    digest: str
    files: t.Mapping[str, str] = field(default_factory=dict)
    code: t.Mapping[str, str] = field(default_factory=dict)
    stop_seconds: int = 10
    started_at: str = ""
    restarts: int = 0

    @classmethod
    def of(cls, service: str, digest: str, content: Content, stop_seconds: int, container: Container) -> Record:
        """The record of a container made or restarted just now."""
        return cls(
            service,
            digest,
            {key: piece.digest for key, piece in content.files.items()},
            {key: piece.digest for key, piece in {**content.code, **content.bound}.items()},
            stop_seconds,
            container.started_at,
            container.restart_count,
        )

    def belongs_to(self, container: Container) -> bool:
        """Whether the container still runs since the start that was written down."""
        return self.started_at in ("", container.started_at)


@dataclass(frozen=True)
class Memory:
    """All of it.

    Attributes:
        records: container id -> record.
        builds: image id -> digest of the context it was built from.
        cache: see :class:`content.Reader`.
        tools: :func:`find.fingerprint` -> version.
        outside: id of a network, or name of a volume, -> digest of its declaration, see :func:`resources.digest`.
        at: when it was written, seconds since 1970; 0 where that is not known.
    """

    records: t.Mapping[str, Record] = field(default_factory=dict)
    builds: t.Mapping[str, str] = field(default_factory=dict)
    cache: t.Mapping[str, t.Sequence[t.Any]] = field(default_factory=dict)
    tools: t.Mapping[str, str] = field(default_factory=dict)
    outside: t.Mapping[str, str] = field(default_factory=dict)
    at: float = 0.0

    @classmethod
    def parse(cls, data: t.Mapping[str, t.Any]) -> Memory:
        """From the state file; what is missing or damaged there is as if never written."""
        records = {}
        for identity, row in _mapping(data.get("containers")).items():
            if isinstance(row, dict) and isinstance(row.get("digest"), str):
                seconds, restarts = row.get("stop_seconds"), row.get("restarts")
                records[identity] = Record(
                    str(row.get("service")),
                    row["digest"],
                    _mapping(row.get("files")),
                    _mapping(row.get("code")),
                    seconds if isinstance(seconds, int) else 10,
                    str(row.get("started_at") or ""),
                    restarts if isinstance(restarts, int) else 0,
                )
        at = data.get("at")
        builds, cache, tools, outside = (_mapping(data.get(name)) for name in ("builds", "cache", "tools", "outside"))
        return cls(records, builds, cache, tools, outside, float(at) if isinstance(at, (int, float)) else 0.0)

    @property
    def grace(self) -> dict[str, int]:
        """Container id -> seconds it may take to end."""
        return {identity: row.stop_seconds for identity, row in self.records.items()}

    def as_dict(self) -> dict[str, t.Any]:
        """For the state file."""
        return {
            "containers": {
                identity: {
                    "service": row.service,
                    "digest": row.digest,
                    "files": dict(row.files),
                    "code": dict(row.code),
                    "stop_seconds": row.stop_seconds,
                    "started_at": row.started_at,
                    "restarts": row.restarts,
                }
                for identity, row in self.records.items()
            },
            "builds": dict(list(self.builds.items())[-_BUILDS:]),
            "cache": dict(self.cache),
            "tools": dict(self.tools),
            "outside": dict(self.outside),
            "at": self.at,
        }


def _mapping(value: t.Any) -> dict[str, t.Any]:
    return value if isinstance(value, dict) else {}
