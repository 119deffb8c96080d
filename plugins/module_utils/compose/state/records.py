# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of the containers and images that deploys created, which no engine keeps."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.digests import Content
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container

# The number of recorded builds. Older ones are judged by the age of their files: at worst one cached build more.
_BUILDS = 50


@dataclass(frozen=True)
class Record:
    """One container: its service, the digests of the files it was started with, and its stop timeout in seconds.

    ``started_at`` is the start that these digests belong to, as the engine prints it, or "" where it is unknown.
    ``restarts`` is the engine's count at the end of the last run.
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
        """The record of a container that was just created or restarted."""
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
        """Whether the container still runs since the recorded start."""
        return self.started_at in ("", container.started_at)


@dataclass(frozen=True)
class Memory:
    """All records of a stack.

    Attributes:
        records: container id -> record.
        builds: image id -> digest of the context it was built from.
        cache: see :class:`digests.Reader`.
        tools: :func:`find.fingerprint` -> version.
        outside: id of a network, or name of a volume, -> digest of its declaration, see :func:`resources.digest`.
        at: when they were written, seconds since 1970; 0 where that is unknown.
    """

    records: t.Mapping[str, Record] = field(default_factory=dict)
    builds: t.Mapping[str, str] = field(default_factory=dict)
    cache: t.Mapping[str, t.Sequence[t.Any]] = field(default_factory=dict)
    tools: t.Mapping[str, str] = field(default_factory=dict)
    outside: t.Mapping[str, str] = field(default_factory=dict)
    at: float = 0.0

    @classmethod
    def parse(cls, data: t.Mapping[str, t.Any]) -> Memory:
        """The records in the state file. Missing or damaged entries are ignored."""
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
        """Container id -> seconds it may take to stop."""
        return {identity: row.stop_seconds for identity, row in self.records.items()}

    def as_dict(self) -> dict[str, t.Any]:
        """The records for the state file."""
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
