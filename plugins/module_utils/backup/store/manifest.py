# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest: what a set holds, written last. Without it there is no set.

A manifest carries the sha256 of itself and is stored in one canonical form: a single flipped bit anywhere in it shows.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from ansible_collections.onebox.stack.plugins.module_utils.core import trees

NAME = "manifest.json"
VERSION = 1


@dataclass(frozen=True)
class Artefact:
    """A file of a set: its path below the set, its size in bytes and the sha256 taken while it was written."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Source:
    """What one source gave.

    ``facts`` is what a rehearsal compares with, and depends on ``kind``; ``count`` is what a drop is judged by: rows,
    keys or entries. ``warnings`` are for a person.
    """

    name: str
    kind: str
    artefacts: tuple[Artefact, ...]
    count: int
    facts: t.Mapping[str, t.Any]
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """A whole set. ``taken`` is local wall time with zone (ISO 8601); order is by ``seq`` alone."""

    stack: str
    seq: int
    taken: str
    host: str
    sources: tuple[Source, ...]
    runner: t.Mapping[str, t.Any] = field(default_factory=dict)

    @property
    def when(self) -> dt.datetime:
        """Local wall time at the start of the run, without zone, as retention wants it."""
        return dt.datetime.fromisoformat(self.taken).replace(tzinfo=None)

    @property
    def size(self) -> int:
        """Bytes of all artefacts."""
        return sum(artefact.size for source in self.sources for artefact in source.artefacts)

    def source(self, name: str) -> Source | None:
        """The source of that name."""
        return next((source for source in self.sources if source.name == name), None)


def dump(manifest: Manifest) -> bytes:
    """The bytes to store."""
    body = {
        "version": VERSION,
        "stack": manifest.stack,
        "seq": manifest.seq,
        "taken": manifest.taken,
        "host": manifest.host,
        "runner": dict(manifest.runner),
        "sources": [
            {
                "name": source.name,
                "kind": source.kind,
                "count": source.count,
                "seconds": round(source.seconds, 3),
                "facts": source.facts,
                "warnings": list(source.warnings),
                "artefacts": [
                    {"path": artefact.path, "size": artefact.size, "sha256": artefact.sha256}
                    for artefact in source.artefacts
                ],
            }
            for source in manifest.sources
        ],
    }
    return _seal(body)


def load(data: bytes, where: str) -> Manifest:
    """Read stored bytes.

    Raises:
        StoreError: damaged, of a newer version, or with paths that leave the set; the text says where.
    """
    try:
        body = json.loads(data)
        seal = body.pop("sha256")
        if _seal(body) != data or not isinstance(seal, str):
            raise ValueError("its checksum does not fit")
        if body["version"] != VERSION:
            raise ValueError(f"it is of version {body['version']}, this program reads {VERSION}")
        manifest = Manifest(
            stack=str(body["stack"]),
            seq=int(body["seq"]),
            taken=str(body["taken"]),
            host=str(body["host"]),
            runner=body["runner"],
            sources=tuple(_source(row) for row in body["sources"]),
        )
        if manifest.seq < 1 or not manifest.when:  # an unreadable date must show here, not in the retention plan
            raise ValueError("its sequence number is not positive")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"the manifest {where} is damaged: {error}; the set is kept and counts for nothing") from error
    return manifest


def _source(row: t.Mapping[str, t.Any]) -> Source:
    artefacts = tuple(Artefact(str(a["path"]), int(a["size"]), str(a["sha256"])) for a in row["artefacts"])
    for artefact in artefacts:
        if not trees.safe_relative(artefact.path):
            raise ValueError(f"{artefact.path!r} leaves the set")
    return Source(
        name=str(row["name"]),
        kind=str(row["kind"]),
        artefacts=artefacts,
        count=int(row["count"]),
        facts=row["facts"],
        seconds=float(row["seconds"]),
        warnings=tuple(row["warnings"]),
    )


def _seal(body: t.Mapping[str, t.Any]) -> bytes:
    inner = json.dumps(body, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode()
    sealed = dict(body, sha256=hashlib.sha256(inner).hexdigest())
    # Indented, because a person reads it on the day the box is gone.
    return json.dumps(sealed, sort_keys=True, ensure_ascii=True, indent=1).encode() + b"\n"
