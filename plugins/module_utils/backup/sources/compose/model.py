# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a compose source: the compose file, the env file and other files that rebuild the stack."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.facts import Facts


@dataclass(frozen=True)
class File(Facts):
    """A file of the stack: path of its copy in the set, mode, owner, group and checksum."""

    artefact: str = ""
    mode: int = 0
    uid: int = 0
    gid: int = 0
    sha256: str = ""


@dataclass(frozen=True)
class ComposeFacts(Facts):
    """The facts of the files in a manifest, by absolute path, and the services that ran."""

    files: t.Mapping[str, t.Mapping[str, t.Any]] = field(default_factory=dict)
    services: t.Sequence[t.Mapping[str, t.Any]] = ()

    def file(self, path: str) -> File:
        """The facts of one file."""
        return File.from_dict(self.files[path])
