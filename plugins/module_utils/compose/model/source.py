# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source of a stack: its directory, its compose files, its environment file."""

from __future__ import annotations

import dataclasses
import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack
from ansible_collections.onebox.stack.plugins.module_utils.core import dotenv
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath

# A file with the name of the stack that the deploy directory belongs to.
MARKER = ".onebox-stack"
# In the order of Docker Compose: the first that exists, and the first existing override next to it.
FILE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
OVERRIDE_NAMES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)


_VARIABLE = "COMPOSE_FILE"


@dataclass(frozen=True)
class Source:
    """The source of a stack, with absolute paths. ``env_file`` is "" without an environment file.

    Attributes:
        staged: the directory with staged files, which is read instead of ``project_dir``; or "".
        instead: single files that are read elsewhere until they are deployed.
        searched: whether the compose files were found by their usual names.
    """

    project: str
    project_dir: str
    files: tuple[str, ...]
    env_file: str
    profiles: tuple[str, ...]
    staged: str = ""
    instead: t.Mapping[str, str] = field(default_factory=dict)
    searched: bool = False

    @property
    def files_read(self) -> list[str]:
        """The compose files, in the order they are merged, and the environment file."""
        return [self.named(path) for path in (*self.files, self.env_file) if path]

    @property
    def read_dir(self) -> str:
        """The directory the stack's files are read from."""
        return self.staged or self.project_dir

    def place(self, path: str) -> str:
        """The path where ``path`` of the stack is read."""
        if path in self.instead:
            return self.instead[path]
        if not self.staged:
            return path
        found = moved(path, self.project_dir, self.staged)
        # podman-compose prints paths with symbolic links resolved.
        return found if found != path else moved(path, realpath(self.project_dir), self.staged)

    def named(self, path: str) -> str:
        """The path in the stack of a file that is read at ``path``; the reverse of :meth:`place`."""
        for name, read_at in self.instead.items():
            if path == read_at:
                return name
        return moved(path, self.staged, self.project_dir) if self.staged else path

    def deployed(self) -> Source:
        """The source after the files are deployed."""
        return dataclasses.replace(
            self,
            files=tuple(self.named(path) for path in self.files),
            env_file=self.named(self.env_file),
            staged="",
            instead={},
        )


def moved(path: str, before: str, after: str) -> str:
    """``path`` with the directory ``before`` at its beginning replaced by ``after``."""
    return after + path[len(before) :] if path == before or path.startswith(before + os.sep) else path


def locate(
    project: str,
    project_dir: str,
    files: t.Sequence[str],
    env_file: str | None,
    profiles: t.Sequence[str],
    staged: str = "",
    instead: t.Mapping[str, str] | None = None,
) -> Source:
    """Find the files of a stack.

    Args:
        staged: see :class:`Source`.
        instead: see :class:`Source`.

    Raises:
        BadStack: files are missing. The message names each.
    """
    problems = []
    folder = staged or project_dir
    if not os.path.isabs(project_dir):
        problems.append(Problem("relative_project_dir", project_dir, "is not an absolute path. Correct project_dir"))
    elif not os.path.isdir(folder):
        problems.append(Problem("no_project_dir", folder, "this directory does not exist. Copy the stack there"))
    if problems:
        raise BadStack(project, problems)
    source = Source(project, project_dir, (), "", tuple(profiles), staged, instead or {})
    named = os.path.join(project_dir, env_file or ".env")
    # Without an environment file in the source, the existing file stays.
    env_path = next((path for path in (source.place(named), named) if os.path.isfile(path)), "")
    from_env = [] if files else _compose_file(env_path)
    if files or from_env:
        chosen = [source.place(os.path.normpath(os.path.join(project_dir, name))) for name in files or from_env]
    else:
        chosen = _by_name(folder)
        if not chosen:
            message = f"has no compose file ({', '.join(FILE_NAMES)}). Copy it here, or set files"
            problems.append(Problem("no_compose_file", project_dir, message))
    for path in chosen:
        if not os.path.isfile(path):
            why = f". {_VARIABLE} in {named} names it. Ship the file, or correct the variable" if from_env else ""
            problems.append(Problem("no_compose_file", source.named(path), f"this compose file does not exist{why}"))
    if env_file and not env_path:
        problems.append(Problem("no_env_file", named, "this environment file does not exist"))
    if problems:
        raise BadStack(project, problems)
    return dataclasses.replace(source, files=tuple(chosen), env_file=env_path, searched=not files and not from_env)


def _by_name(folder: str) -> list[str]:
    """The compose file and its override, as Docker Compose selects them."""
    chosen = []
    for names in (FILE_NAMES, OVERRIDE_NAMES):
        present = [name for name in names if os.path.exists(os.path.join(folder, name))]
        if not present:
            break
        chosen.append(os.path.join(folder, present[0]))
    return chosen


def _compose_file(env_path: str) -> list[str]:
    """The compose files that the stack's environment file selects, as Docker Compose reads it."""
    try:
        with open(env_path or os.devnull, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            text = stream.read()
        values = dotenv.parse(text, dotenv.DOCKER_COMPOSE) if _VARIABLE in text else {}
    except (OSError, dotenv.EnvFileError):
        return []  # reading its other variables reports the problem
    separator = values.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
    return [name for name in values.get(_VARIABLE, "").split(separator) if name]
