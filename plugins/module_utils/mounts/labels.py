# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which compose file and directory a container was made from, by its labels, against those it should come from."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import (
    CONFIG_FILES_LABEL,
    WORKING_DIR_LABEL,
    Container,
)


def mismatches(
    containers: t.Iterable[Container], working_dir: str, config_files: t.Sequence[str]
) -> list[dict[str, t.Any]]:
    """A row for each label that says something else than expected; "" and no files mean that it is not compared."""
    rows = []
    for container in containers:
        folder = container.labels.get(WORKING_DIR_LABEL, "")
        files = container.labels.get(CONFIG_FILES_LABEL, "")
        if working_dir and not _same(folder, working_dir):
            rows.append(_row(container, WORKING_DIR_LABEL, working_dir, folder))
        if config_files and not _same_files(files, folder, config_files):
            rows.append(_row(container, CONFIG_FILES_LABEL, ",".join(config_files), files))
    return rows


def _same(found: str, wanted: str) -> bool:
    return bool(found) and os.path.realpath(found) == os.path.realpath(wanted)


def _same_files(found: str, folder: str, wanted: t.Sequence[str]) -> bool:
    if not found or found == "-":
        return False
    # A comma separates them, and may stand in a name too: then the whole text decides.
    if found == ",".join(wanted):
        return True
    paths = [os.path.realpath(os.path.join(folder, one)) for one in found.split(",")]
    return paths == [os.path.realpath(one) for one in wanted]


def _row(container: Container, label: str, wanted: str, found: str) -> dict[str, t.Any]:
    name = shown(container.name)
    if not found:
        what = f"{name} does not say where it was made from: compose did not make it, or a very old one did"
    elif found == "-":
        what = f"{name} was made from a compose file on standard input"
    elif label == WORKING_DIR_LABEL:
        what = f"{name} was made in the directory {shown(found)}"
        if os.path.basename(os.path.normpath(found)) == os.path.basename(os.path.normpath(wanted)):
            what += ", a twin of the right one (same name, another place)"
    else:
        what = f"{name} was made from {shown(found)}"
    return {
        "container": container.name,
        "service": container.service,
        "label": label,
        "expected": wanted,
        "found": found,
        "message": f"{what}, not from {shown(wanted)}. Deploy it again from there",
    }
