# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files and secrets of a deploy: compare them with the host, check them, and write them under the stack's lock."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import binds, declaration, project_dir
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose import (
    secrets as podman_secrets,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.files import changes as file_changes
from ansible_collections.onebox.stack.plugins.module_utils.compose.files import directories, move_in, networks
from ansible_collections.onebox.stack.plugins.module_utils.compose.files.changes import Difference, Target
from ansible_collections.onebox.stack.plugins.module_utils.compose.files.staging import Staging, settle_modes
from ansible_collections.onebox.stack.plugins.module_utils.compose.inspect import Inspection
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import (
    FILE_NAMES,
    MARKER,
    OVERRIDE_NAMES,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.proposals import derived
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.compose.result import Result
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import deployed_files
from ansible_collections.onebox.stack.plugins.module_utils.core import beneath, files, trees
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

# Names in a result. A directory with many more is data.
_MOST_FOREIGN = 50
# Bytes that must stay free after writing.
_RESERVE = 1 << 20


class Incoming:
    """The difference between the files of a deploy and the host.

    Args:
        request: the wanted state.
        staging: the staged files.
        seen: the stack that they declare.

    Attributes:
        problems: why they must not be deployed.
        secrets: secrets to set in Podman.
    """

    def __init__(self, request: Request, staging: Staging, seen: Inspection) -> None:
        self._request = request
        self._model = seen.model
        self._networks = networks.missing(seen.model, seen.facts.outside, request.rules.derive)
        self._engine = seen.engine
        self._missing = binds.missing_directories(seen.model, seen.source, request.rules.derive, seen.facts.images)
        self._derived = derived.of(seen.model, seen.source, request, self._missing)
        self._deployed = deployed_files.load(request.state_folder)
        self.secrets = seen.coming
        self.problems = [*staging.problems, *podman_secrets.problems(request, seen.engine)]
        sources = tuple(declaration.written_to(seen.model))
        self._differences: list[Difference] = []
        if staging.main is not None:
            self.problems += project_dir.problems(request.name, request.project_dir, request.state_dir)
            self.problems += _compose_files_of_others(seen, staging.main)
            staging.main.target = dataclasses.replace(staging.main.target, foreign=sources)
            self.problems += _link_of_others(request.project_dir, sources)
            self._differences.append(staging.main)
        for target in [*staging.targets, *self._content()]:
            own = dataclasses.replace(target, foreign=sources)
            self._differences.append(file_changes.compare(own, self._deployed))
        self.problems += [problem for each in self._differences for problem in each.problems]
        self.problems += _no_room(self._differences)

    def _content(self) -> t.Iterator[Target]:
        for source, path in self._request.content:
            self.problems += project_dir.content_problems(path)
            settle_modes(source)
            items, problems = file_changes.read_tree(source)
            self.problems += problems
            yield Target(path, items, source, data=True, outside=True)

    @property
    def rows(self) -> list[dict[str, str]]:
        """The files that are written, removed, or kept although they left the source."""
        return sorted((row for each in self._differences for row in each.rows()), key=lambda row: row["path"])

    @property
    def changes(self) -> list[str]:
        """The changes on the host as text, without the marker, which no service reads."""
        marker = os.path.join(self._request.project_dir, MARKER)
        written = [row for row in self.rows if row["action"] != file_changes.KEEP_EDITED and row["path"] != marker]
        made = [f"{each.path} (directory)" for each in self._missing] + [f"network {name}" for name in self._networks]
        return (
            [f"{row['path']} ({row['action']})" for row in written] + [f"secret {name}" for name in self.secrets] + made
        )

    def describe(self, result: Result) -> None:
        """Add the difference to a result."""
        result.files = self.rows
        ours = {os.path.join(each.target.path, name) for each in self._differences for name in each.target.items}
        others = [os.path.join(each.target.path, name) for each in self._differences for name in each.foreign]
        env_file = os.path.join(self._request.project_dir, ".env")
        # What services write to is their data, and no file that somebody left there.
        data = declaration.written_to(self._model)
        result.foreign_files = [
            path
            for path in others
            if path not in (*ours, *data, env_file) and not any(own.startswith(f"{path}/") for own in ours)
        ][:_MOST_FOREIGN]
        # The marker is a record, like the files in the state directory.
        marker = os.path.join(self._request.project_dir, MARKER)
        written = [row for row in self.rows if row["action"] != file_changes.KEEP_EDITED and row["path"] != marker]
        result.directories = [directories.described(each) for each in self._missing]
        result.networks = self._networks
        result.derived = self._derived
        result.changed = result.changed or bool(written or self.secrets or self._missing or self._networks)
        for row in self.rows:
            if row["action"] == file_changes.KEEP_EDITED:
                result.warnings.append(
                    f"{row['path']} left the source, but was edited on the host, so it stays. Remove it when it is "
                    "not needed."
                )

    def move_in(self, world: World, result: Result) -> None:
        """Write the files. The stack must be locked and checked.

        Args:
            world: the clock.
            result: gets a warning for each overwritten file that was edited.

        Raises:
            OneboxError: a file cannot be written. The message names it.
        """
        folder, now = self._request.state_folder, self._deployed
        quiet = not any(each.changes or each.scratch for each in self._differences)
        copies: dict[str, str] = {}
        saved = deployed_files.SavedCopies(folder, world.now())
        if not quiet:
            for each in self._differences:
                now = move_in.planned(each, now)
            deployed_files.save(folder, now)
            for each in self._differences:
                copies.update(move_in.save_copies(each, saved))
        for each in self._differences:
            now = move_in.carry_out(each, now)
        if not quiet or now != self._deployed:
            deployed_files.save(folder, now)
        if self._engine is not None:
            networks.create(self._networks, self._engine, world)
        directories.create(self._missing, declaration.written_to(self._model))
        if copies:
            saved.forget_old()
        result.warnings += [
            f"{path} was edited after the last deploy, and is overwritten. Its previous content is in {copy}."
            for path, copy in copies.items()
        ]


def _link_of_others(path: str, sources: t.Sequence[str]) -> t.Iterator[Problem]:
    link = beneath.foreign_link(path, sources)
    if link:
        message = f"{link} is a symbolic link that a container could have created. Name the directory itself."
        yield Problem("unsafe_path", path, message)


def _compose_files_of_others(seen: Inspection, main: Difference) -> t.Iterator[Problem]:
    """Compose files of others in the directory that would be read instead of the deployed ones."""
    shipped = [name for name in FILE_NAMES if name in main.target.items]
    if not seen.source.searched or not shipped:
        return
    overrides = [name for name in OVERRIDE_NAMES if name in main.target.items]
    in_front = [name for name in FILE_NAMES[: FILE_NAMES.index(shipped[0])] if name in main.foreign]
    before = OVERRIDE_NAMES.index(overrides[0]) if overrides else len(OVERRIDE_NAMES)
    beside = [name for name in OVERRIDE_NAMES[:before] if name in main.foreign]
    for name in [*in_front, *beside]:
        how = f"instead of {shipped[0]}" if name in in_front else f"together with {shipped[0]}"
        message = (
            f"this file is not from a deploy, but would be read {how}. Add it to the source, remove it, or name the "
            "compose files in compose_stack_files (files)."
        )
        yield Problem("foreign_compose_file", os.path.join(seen.source.project_dir, name), message)


def _no_room(differences: t.Iterable[Difference]) -> t.Iterator[Problem]:
    for each in differences:
        needed = each.bytes_needed
        if not needed:
            continue
        try:
            free = trees.free_bytes(each.target.path)
        except files.FileError:
            continue  # the write itself reports the problem
        if needed + _RESERVE > free:
            message = (
                f"its file system has {free >> 20} MiB free, but the deploy needs {needed >> 20} MiB. Free some space."
            )
            yield Problem("disk_full", each.target.path, message)
