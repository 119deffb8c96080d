# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a volume source: those of the directory in which the engine keeps it, and which volume it is."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory.model import DirectoryFacts

KIND = "volume"


@dataclass(frozen=True)
class VolumeFacts(DirectoryFacts):
    """The facts of a volume in a manifest.

    Attributes:
        volume: its name in the engine. An engine that lacks the volume gets one of this name.
        mapped: its owners are those that the containers of a rootless Podman see.
    """

    volume: str = ""
    mapped: bool = False
