# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of the files that deploys of a stack wrote, and the saved copies of files that a deploy overwrote.

Only a file in the list that still has the content of a deploy may be removed. All other files belong to others. The
list is written before the first file changes and names the old and the new content, so that a killed run leaves no
file that is not in the list.
"""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import MARKER
from ansible_collections.onebox.stack.plugins.module_utils.core import files, trees
from ansible_collections.onebox.stack.plugins.module_utils.core.beneath import Directory, open_directory

NAME = "files.json"
SAVED = "saved"
# Runs whose saved copies are kept.
_SAVED_RUNS = 20

# Path relative to a directory -> digests of what deploys wrote there: more than one after a killed run.
Digests = t.Mapping[str, t.Sequence[str]]


@dataclass(frozen=True)
class DeployedFiles:
    """The list.

    Attributes:
        files: absolute directory -> its files.
        folders: absolute directory -> directories below it that deploys created, relative; "" is the directory itself.
    """

    files: t.Mapping[str, Digests] = field(default_factory=dict)
    folders: t.Mapping[str, t.Sequence[str]] = field(default_factory=dict)

    @property
    def project_dir(self) -> str:
        """The deploy directory, "" when no files were deployed to one."""
        return next((directory for directory, names in self.files.items() if MARKER in names), "")

    def deployed_to(self, project_dir: str) -> t.Collection[str] | None:
        """The files of deploys in the deploy directory; None where others put the files there."""
        return self.of(project_dir) if MARKER in self.of(project_dir) else None

    def of(self, directory: str) -> Digests:
        """The files below ``directory``."""
        return self.files.get(directory, {})

    def folders_of(self, directory: str) -> t.Sequence[str]:
        """The created directories below ``directory``."""
        return self.folders.get(directory, ())

    def updated(self, directory: str, found: Digests, folders: t.Collection[str]) -> DeployedFiles:
        """The list with other entries for one directory; without entries, it is no longer in the list."""
        names = {key: value for key, value in self.files.items() if key != directory}
        made = {key: value for key, value in self.folders.items() if key != directory}
        if found:
            names[directory] = {name: list(found[name]) for name in sorted(found)}
        if folders:
            made[directory] = sorted(folders)
        return DeployedFiles(names, made)


def load(folder: str) -> DeployedFiles:
    """The list in a stack's state ``folder``. A list that is missing or damaged is empty: then nothing is removed."""
    try:
        data = json.loads(files.read_text(os.path.join(folder, NAME)) or "{}")
        names = {
            str(directory): {str(name): [str(each) for each in digests] for name, digests in entries.items()}
            for directory, entries in data.get("files", {}).items()
        }
        made = {str(directory): [str(name) for name in entries] for directory, entries in data["folders"].items()}
    except (files.FileError, ValueError, KeyError, AttributeError, TypeError):
        return DeployedFiles()
    return DeployedFiles(names, made)


def save(folder: str, deployed: DeployedFiles) -> None:
    """Replace the list; an empty one is removed.

    Raises:
        FileError: it cannot be written, and the old list is unchanged.
    """
    path = os.path.join(folder, NAME)
    if not deployed.files and not deployed.folders:
        files.remove(path)
        return
    text = json.dumps({"files": dict(deployed.files), "folders": dict(deployed.folders)}, indent=1, sort_keys=True)
    # Digests of short secrets can be guessed, so that no other user may read them.
    files.replace(path, f"{text}\n".encode("utf-8", "surrogateescape"), 0o600, durable=True)


class SavedCopies:
    """Private copies of files that a run overwrites and no deploy wrote.

    Args:
        folder: the stack's state folder.
        at: time of the run, the name of the folder of its copies.
    """

    def __init__(self, folder: str, at: str) -> None:
        self._base = os.path.join(folder, SAVED)
        self._at = at

    def keep(self, directory: Directory, name: str, saved_as: str) -> str:
        """Copy a plain file or a link. Returns the path of the copy.

        Raises:
            FileError: it cannot be copied.
        """
        trees.private_dir(self._base)
        with open_directory(self._base) as base:
            relative, number = f"{self._at}/{saved_as}", 1
            while base.exists(relative):
                number += 1
                relative = f"{self._at}/{saved_as}.{number}"
            path = os.path.join(self._base, relative)
            try:
                base.make_directories(os.path.dirname(relative), 0o700)
                try:
                    base.link(relative, directory.link_target(name))
                except OSError:
                    base.replace(relative, directory.blocks(name), 0o600, durable=True)
            except OSError as error:
                raise files.error_of("save a copy of", os.path.join(directory.path, name), error) from error
        return path

    def forget_old(self) -> None:
        """Remove the copies of all but the newest runs."""
        if os.path.isdir(self._base):
            for name in sorted(os.listdir(self._base))[:-_SAVED_RUNS]:
                trees.remove_tree(os.path.join(self._base, name))
