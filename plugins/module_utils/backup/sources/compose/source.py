# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compose source: the compose file, the env file and other files that rebuild the stack."""

from __future__ import annotations

import os
import stat
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import ConfigError, SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import lookup
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.base import (
    Captured,
    Datum,
    Import,
    Kind,
    Rehearsed,
    RehearseJob,
    RestoreJob,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.compose import write
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.compose.model import ComposeFacts, File
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Artefact, Source
from ansible_collections.onebox.stack.plugins.module_utils.core import beneath, files, trees
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.capture import Capturer

# Largest size of a file in bytes: files are read into memory.
_MOST = 64 << 20


class ComposeKind(Kind):
    """Plain files of a stack, and the images that its services ran."""

    name = "compose"
    as_files = True

    def capture(self, run: Capturer, spec: SourceSpec, staging: str) -> Captured:
        artefacts = []
        found = {}
        for path in spec.files:
            target = f"compose/{spec.name}{path}"
            data, status = _read(path)
            sha256 = files.write_new(trees.private_parents(staging, target), data, durable=False)
            artefacts.append(Artefact(target, len(data), sha256))
            row = File(target, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, sha256)
            found[path] = row.as_dict()
        services = [
            {
                "service": container.service,
                "name": container.name,
                **lookup.image_facts(run.cli.engine, container).as_dict(),
            }
            for container in lookup.stack_containers(run.cli.engine, run.config.stack)
        ]
        return Captured(artefacts, len(found), ComposeFacts(found, services).as_dict())

    def plan(self, job: RestoreJob, spec: SourceSpec, source: Source) -> list[str]:
        facts = ComposeFacts.from_dict(source.facts)
        if not job.into:
            job.warnings += [
                f"file {path} of set {job.chosen.seq} is not in the backup configuration: it is not written. To get "
                "it, restore with --into"
                for path in write.undeclared(spec, facts)
            ]
        return [_step(job, path) for path in _wanted(job, spec, facts)]

    def restore(self, job: RestoreJob, spec: SourceSpec, source: Source, staged: str) -> None:
        facts = ComposeFacts.from_dict(source.facts)
        paths = _wanted(job, spec, facts)
        job.aside += write.put_files(facts, paths, staged, job.into, job.stamp, job.owners)
        job.finished += [_step(job, path) for path in paths]

    def rehearse(self, job: RehearseJob, source: Source) -> Rehearsed:
        # Plain copies: the fetch already compared their checksums.
        return Rehearsed({"files": len(ComposeFacts.from_dict(source.facts).files)})

    def import_(self, context: Context, spec: SourceSpec, datum: Datum, scratch: str) -> Import:
        raise ConfigError(_NO_IMPORT.format(spec.name))

    def check_datum(self, spec: SourceSpec, datum: Datum, where: str) -> None:
        raise ConfigError(f"{where}: {_NO_IMPORT.format(spec.name)}")

    def paths(self, spec: SourceSpec) -> list[str]:
        return [os.path.dirname(path) for path in spec.files]


_NO_IMPORT = "source {} is of kind compose, which cannot be imported"


def _wanted(job: RestoreJob, spec: SourceSpec, facts: ComposeFacts) -> list[str]:
    """The files to write. In the stack, only those that the backup configuration names."""
    left_out = () if job.into else write.undeclared(spec, facts)
    return [path for path in facts.files if path not in left_out]


def _step(job: RestoreJob, path: str) -> str:
    return f"file {write.target(path, job.into)} written, a previous one saved next to it"


def _read(path: str) -> tuple[bytes, os.stat_result]:
    """A file of the stack and its status. Only links that root made are followed."""
    if beneath.foreign_link(path):
        raise SourceError(f"{path}: {beneath.foreign_link(path)} is a link that root did not create. Name its target")
    real = realpath(path)
    try:
        with beneath.open_directory(os.path.dirname(real)) as folder:
            descriptor = folder.open(os.path.basename(real), os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise SourceError(f"{path} is not a plain file")
            if status.st_size > _MOST:
                raise SourceError(f"{path} has {status.st_size >> 20} MiB. Use kind directory for large files")
            return file.read(_MOST), status
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    except (files.FileError, beneath.UnsafePath) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
