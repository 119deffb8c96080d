# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the compose file and directory of a container, by its labels, with the expected ones."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import (
    CONFIG_FILES_LABEL,
    WORKING_DIR_LABEL,
    Container,
)


def mismatches(
    containers: t.Iterable[Container], working_dir: str, config_files: t.Sequence[str]
) -> list[dict[str, t.Any]]:
    """A row for each label of a compose tool that differs from the expectation; "" and no files are not compared."""
    rows = []
    for container in containers:
        if container.swarm_service:
            continue  # a Swarm does not know the compose file
        folder = container.labels.get(WORKING_DIR_LABEL, "")
        files = container.labels.get(CONFIG_FILES_LABEL, "")
        if working_dir and not _same(folder, working_dir):
            rows.append(_row(container, WORKING_DIR_LABEL, working_dir, folder))
        if config_files and not _same_files(files, folder, config_files):
            rows.append(_row(container, CONFIG_FILES_LABEL, ",".join(config_files), files))
    return rows


def _same(found: str, wanted: str) -> bool:
    return bool(found) and realpath(found) == realpath(wanted)


def _same_files(found: str, folder: str, wanted: t.Sequence[str]) -> bool:
    if not found or found == "-":
        return False
    # A comma separates them, and may also be part of a name: then the whole text decides.
    if found == ",".join(wanted):
        return True
    paths = [realpath(os.path.join(folder, one)) for one in found.split(",")]
    return paths == [realpath(one) for one in wanted]


def _row(container: Container, label: str, wanted: str, found: str) -> dict[str, t.Any]:
    name = shown(container.name)
    if not found:
        finding = f"{name} has no label about its origin: compose did not create it, or a very old version did"
    elif found == "-":
        finding = f"{name} was created from a compose file on standard input"
    elif label == WORKING_DIR_LABEL:
        finding = f"{name} was created from the directory {shown(found)}"
        if os.path.basename(os.path.normpath(found)) == os.path.basename(os.path.normpath(wanted)):
            finding += ", a look-alike of the right one (same name, another path)"
    else:
        finding = f"{name} was created from {shown(found)}"
    return {
        "container": container.name,
        "service": container.service,
        "label": label,
        "expected": wanted,
        "found": found,
        "message": f"{finding}, not from {shown(wanted)}. Deploy it again from there",
    }
