# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove the files that deploys of a stack wrote into its deploy directory, and no others."""

from __future__ import annotations

import contextlib
import os

from ansible_collections.onebox.stack.plugins.module_utils.compose.files import changes as file_changes
from ansible_collections.onebox.stack.plugins.module_utils.compose.files import move_in
from ansible_collections.onebox.stack.plugins.module_utils.compose.files.changes import Target
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import deployed_files
from ansible_collections.onebox.stack.plugins.module_utils.core import dotenv
from ansible_collections.onebox.stack.plugins.module_utils.core.beneath import open_directory
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError

_MOST_FOREIGN = 50


def remove(request: Request, *, check: bool) -> tuple[list[dict[str, str]], list[str], list[str]]:
    """Remove the files of the list that were not edited, and directories that are empty afterwards.

    Files in data directories and secrets stay: they are data.

    Args:
        check: only report.

    Returns:
        The files, the topmost names that stay, and warnings.

    Raises:
        OneboxError: a file cannot be removed.
    """
    deployed = deployed_files.load(request.state_folder)
    path = request.project_dir
    known = deployed.of(path)
    if not known and not deployed.folders_of(path):
        return [], [], []
    warnings = []
    found = file_changes.compare(Target(path, {}, "", prune=True), deployed)
    if found.problems:
        why = "; ".join(f"{each.where}: {each.message}" for each in found.problems)
        return [], [], [f"the deployed files stay: {why}"]
    if _has_variables_of_others(path):
        found.changes = [change for change in found.changes if change.name != ".env"]
        found.foreign.append(".env")
        warnings.append(
            f"{path}/.env stays, because it has variables that are not from a deploy. Remove it when it is not needed."
        )
    foreign = [os.path.join(path, name) for name in sorted(found.foreign)][:_MOST_FOREIGN]
    if not check and os.path.isdir(path):
        deployed = move_in.carry_out(found, deployed)
        created = "" in deployed.folders_of(path)
        deployed_files.save(request.state_folder, deployed_files.DeployedFiles())
        if created and not foreign:
            with contextlib.suppress(OneboxError, OSError), open_directory(os.path.dirname(path)) as above:
                above.remove_empty(os.path.basename(path))
    return found.rows(), foreign, warnings


def _has_variables_of_others(path: str) -> bool:
    try:
        text = dotenv.read(os.path.join(path, ".env")).text
        return bool(dotenv.keys(dotenv.merge(text, {})))
    except OneboxError:
        return True
