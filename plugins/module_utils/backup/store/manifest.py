# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest: the contents of a set, written last. A set without a manifest does not count.

A manifest contains the sha256 of its canonical form, which detects a single flipped bit. It also contains an
authentication, see :mod:`authentication`. :mod:`schema` checks it before any field is used.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.facts_validators import VALIDATORS
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import schema
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.authentication import UNSIGNED, Forged, Keys

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
    """The captured content of a source.

    ``facts`` depend on ``kind``. A rehearsal compares them. ``count`` is rows, keys or entries.
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
    """A whole set. ``taken`` is local wall time with zone (ISO 8601). Sets are ordered by ``seq`` alone."""

    stack: str
    seq: int
    taken: str
    host: str
    sources: tuple[Source, ...]
    runner: t.Mapping[str, t.Any] = field(default_factory=dict)

    @property
    def when(self) -> dt.datetime:
        """Local wall time at the start of the run, without zone, for retention."""
        return dt.datetime.fromisoformat(self.taken).replace(tzinfo=None)

    @property
    def size(self) -> int:
        """Bytes of all artefacts."""
        return sum(artefact.size for source in self.sources for artefact in source.artefacts)

    @property
    def left_out(self) -> dict[str, str]:
        """Configured sources that this set lacks, with the reasons."""
        found = self.runner.get("left_out")
        return {str(name): str(why) for name, why in found.items()} if isinstance(found, dict) else {}

    def source(self, name: str) -> Source | None:
        """The source of that name."""
        return next((source for source in self.sources if source.name == name), None)


def dump(manifest: Manifest, keys: Keys | None = None) -> bytes:
    """The bytes to store, authenticated when there are ``keys``.

    Raises:
        StoreError: the manifest would not be readable, or there is no key.
    """
    body: dict[str, t.Any] = {
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
    try:
        _manifest(body, f"set {manifest.seq}")
    except schema.Malformed as error:
        raise StoreError(f"set {manifest.seq}: its manifest would not be readable: {error}. Report this.") from error
    if keys is not None:
        body["authentication"] = keys.sign(_canonical(body))
    return _seal(body)


def load(data: bytes, where: str) -> Manifest:
    """Read stored bytes, authentic or not.

    Raises:
        StoreError: damaged, of a newer version, or malformed. The text names the manifest and the field.
    """
    return load_judged(data, where, None)[0]


def load_judged(data: bytes, where: str, keys: Keys | None) -> tuple[Manifest, str]:
    """Read stored bytes. Returns the manifest, and the reason why it is not authentic ("" when it is).

    Raises:
        StoreError: as :func:`load`, or its authentication shows a change.
    """
    try:
        body = schema.decode(data)
        seal = body.pop("sha256", None)
        if not isinstance(seal, str) or _seal(body) != data:
            raise schema.Malformed("its checksum does not match")
        stated = body.pop("authentication", None)
        manifest = _manifest(body, where)
        not_authentic = UNSIGNED if keys is None else keys.judge(_canonical(body), stated, manifest.seq)
    except (schema.Malformed, Forged, ValueError, RecursionError) as error:
        raise StoreError(f"the manifest {where} is damaged: {error}; the set is kept and not used") from error
    return manifest, not_authentic


def _manifest(body: t.Mapping[str, t.Any], where: str) -> Manifest:
    """Check a decoded manifest. Raises :class:`schema.Malformed` with the name of the field."""
    for key in ("version", "stack", "seq", "taken", "host", "runner", "sources"):
        if key not in body:
            raise schema.Malformed(f"{key} is missing")
    if schema.number(body["version"], "version", 1 << 31) != VERSION:
        raise schema.Malformed(f"it is of version {body['version']}, this program reads {VERSION}")
    schema.anything(schema.mapping(body["runner"], "runner"), "runner")
    for name, why in schema.mapping(body["runner"].get("left_out", {}), "runner.left_out").items():
        schema.name(name, "runner.left_out: a source")
        schema.text(why, f"runner.left_out.{name}")
    manifest = Manifest(
        stack=schema.name(body["stack"], "stack"),
        seq=schema.number(body["seq"], "seq", schema.MAX_SEQ, 1),
        taken=schema.moment(body["taken"], "taken"),
        host=schema.text(body["host"], "host", 1024),
        runner=body["runner"],
        sources=tuple(
            _source(row, f"sources[{number}]", where)
            for number, row in enumerate(schema.rows(body["sources"], "sources", 10_000))
        ),
    )
    names = [source.name for source in manifest.sources]
    paths = [artefact.path for source in manifest.sources for artefact in source.artefacts]
    for what, found in (("sources are called", names), ("files have the path", paths)):
        if len(set(found)) != len(found):
            twice = next(each for each in found if found.count(each) > 1)
            raise schema.Malformed(f"two {what} {twice!r}")
    return manifest


def _source(given: t.Any, field: str, where: str) -> Source:
    row = schema.mapping(given, field)
    for key in ("name", "kind", "artefacts", "count", "facts", "seconds", "warnings"):
        if key not in row:
            raise schema.Malformed(f"{field}.{key} is missing")
    name = schema.name(row["name"], f"{field}.name")
    field = f"{field} ({name})"
    if row["kind"] not in schema.KINDS:
        raise schema.Malformed(f"{field}.kind is none of {', '.join(schema.KINDS)}: {ascii(row['kind'])[:80]}")
    artefacts = tuple(
        _artefact(each, f"{field}.artefacts[{number}]")
        for number, each in enumerate(schema.rows(row["artefacts"], f"{field}.artefacts"))
    )
    facts, warnings = row["facts"], schema.rows(row["warnings"], f"{field}.warnings")
    VALIDATORS[row["kind"]](facts, {each.path: each.sha256 for each in artefacts}, f"{field}.facts")
    return Source(
        name=name,
        kind=row["kind"],
        artefacts=artefacts,
        count=schema.number(row["count"], f"{field}.count"),
        facts=schema.Facts(facts, f"{where}: source {name}: facts"),
        seconds=schema.seconds(row["seconds"], f"{field}.seconds"),
        warnings=tuple(schema.text(each, f"{field}.warnings", 1 << 20) for each in warnings),
    )


def _artefact(given: t.Any, field: str) -> Artefact:
    row = schema.mapping(given, field)
    for key in ("path", "size", "sha256"):
        if key not in row:
            raise schema.Malformed(f"{field}.{key} is missing")
    path = schema.relative(row["path"], f"{field}.path")
    if path.split("/", 1)[0] == NAME:
        raise schema.Malformed(f"{field}.path is the manifest itself")
    return Artefact(path, schema.number(row["size"], f"{field}.size"), schema.sha256(row["sha256"], f"{field}.sha256"))


def _canonical(body: t.Mapping[str, t.Any]) -> bytes:
    return json.dumps(body, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode()


def _seal(body: t.Mapping[str, t.Any]) -> bytes:
    sealed = dict(body, sha256=hashlib.sha256(_canonical(body)).hexdigest())
    # Indented, because people read it after the loss of a host.
    return json.dumps(sealed, sort_keys=True, ensure_ascii=True, indent=1).encode() + b"\n"
