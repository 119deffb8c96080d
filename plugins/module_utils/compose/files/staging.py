# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The private directory with the staged files of a deploy, until the stack has been checked.

The role fills it. This module adds files from options: the environment file, the secrets, the marker of the deploy
directory. It links names that only the deploy directory has, so that a compose tool finds them here, too.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose.files.changes import (
    FILE,
    Difference,
    Item,
    Target,
    compare,
    folders_above,
    read_tree,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import (
    FILE_NAMES,
    MARKER,
    OVERRIDE_NAMES,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import deployed_files
from ansible_collections.onebox.stack.plugins.module_utils.core import dotenv, files, owners
from ansible_collections.onebox.stack.plugins.module_utils.core.beneath import open_directory
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError, Problem

SECRET_MODE = 0o400
# Links to names that only the deploy directory has. A directory of data is one name.
_MOST_LINKS = 20_000


@dataclass
class Staging:
    """The staged files.

    Attributes:
        targets: further directories that the deploy writes, except those for content.
        instead: path on the host -> where it is read until it is deployed.
        links: paths of the links to names that only the deploy directory has, and of directories created for them.
        problems: why the files cannot be deployed.
        main: the difference of the deploy directory; None when no files are deployed there.
    """

    targets: list[Target] = field(default_factory=list)
    instead: dict[str, str] = field(default_factory=dict)
    links: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    main: Difference | None = None

    @property
    def digests(self) -> dict[str, str]:
        """Path of a staged file -> SHA-256."""
        if self.main is None:
            return {}
        target = self.main.target
        return {os.path.join(target.source, name): row.digest for name, row in target.items.items() if row.kind == FILE}


@contextlib.contextmanager
def staged(request: Request) -> t.Iterator[Staging]:
    """Complete the staged files of a request. Files from options are removed at the end.

    Raises:
        OneboxError: the files or the options cannot be used. Nothing was changed.
    """
    staging = Staging()
    with contextlib.ExitStack() as at_end:
        private = ""
        if request.secret_files or (request.env is not None and not request.staged_dir):
            # In the role's directory, which the role removes even if this process is killed.
            private = tempfile.mkdtemp(suffix=".onebox", dir=request.staging_dir or None)
            at_end.callback(shutil.rmtree, private, ignore_errors=True)
        deployed = deployed_files.load(request.state_folder)
        if request.staged_dir:
            at_end.callback(_unlink, staging.links)
            _stage_files(request, staging, deployed)
        elif request.env is not None:
            path = os.path.join(private, ".env")
            files.replace(path, _env_text(request).encode(), dotenv.MODE, durable=False)
            staging.instead[os.path.join(request.project_dir, ".env")] = path
            items = {".env": _item(path)}
            staging.targets.append(Target(request.project_dir, items, private, atomic=(".env",)))
        for number, secret in enumerate(request.secret_files):
            _stage_secret(staging, secret, os.path.join(private, str(number)))
        yield staging


def _unlink(links: t.Iterable[str]) -> None:
    """Remove the links, and the directories created for them, so that the same files can be staged again."""
    for link in sorted(links, reverse=True):
        with contextlib.suppress(OSError):
            os.unlink(link) if os.path.islink(link) else os.rmdir(link)


def _stage_files(request: Request, staging: Staging, deployed: deployed_files.DeployedFiles) -> None:
    settle_modes(request.staged_dir)
    env_path = os.path.join(request.staged_dir, ".env")
    known = ".env" in deployed.of(request.project_dir)
    shipped_env = os.path.isfile(env_path)
    if request.env is not None or shipped_env or known:
        text = _env_text(request, env_path if shipped_env else "")
        # Without variables from options, the variables of others stay.
        if request.env is not None or shipped_env or dotenv.keys(text):
            files.replace(env_path, text.encode(), dotenv.MODE, durable=False)
    marker = f"{request.name}\n".encode()
    files.replace(os.path.join(request.staged_dir, MARKER), marker, 0o644, durable=False)
    items, problems = read_tree(request.staged_dir)
    staging.problems += problems
    target = Target(request.project_dir, items, request.staged_dir, prune=True, atomic=(".env",))
    staging.main = compare(target, deployed)
    shipped = any(name in items for name in FILE_NAMES)
    for name in staging.main.foreign[:_MOST_LINKS]:
        if shipped and name in (*FILE_NAMES, *OVERRIDE_NAMES):
            continue  # refused if it would be read instead of a shipped one, or with it
        # A directory that left the source can contain files of others.
        for above in folders_above(name):
            folder = os.path.join(request.staged_dir, above)
            if not os.path.isdir(folder):
                os.mkdir(folder, 0o700)
                staging.links.add(folder)
        link = os.path.join(request.staged_dir, name)
        os.symlink(os.path.join(request.project_dir, name), link)
        staging.links.add(link)


def settle_modes(folder: str) -> None:
    """Make modes independent of the umask of the checkout, without making a private file readable."""
    with open_directory(folder) as top:
        for name, status in top.walk():
            mode = stat.S_IMODE(status.st_mode)
            if stat.S_ISDIR(status.st_mode):
                wanted = 0o755 if mode & 0o005 == 0o005 else mode & 0o755 | 0o700
            elif stat.S_ISREG(status.st_mode):
                wanted = mode & 0o755 | (0o644 if mode & 0o004 else 0o600)
            else:
                continue
            if wanted != mode:
                top.dress(name, wanted)


def _env_text(request: Request, shipped: str = "") -> str:
    """The text of the environment file: the variables of the request before those that it had.

    Args:
        shipped: the file that comes with the stack; "" for the one on the host, to which others may have added.
    """
    where = os.path.join(request.project_dir, ".env")
    values = {name: dotenv.text_of(name, value) for name, value in (request.env or {}).items()}
    return dotenv.merge(dotenv.read(shipped or where).text, values, where)


def _item(path: str) -> Item:
    digest, size = files.digest(path)
    return Item(FILE, stat.S_IMODE(os.stat(path).st_mode), digest, size)


def _stage_secret(staging: Staging, secret: t.Mapping[str, t.Any], folder: str) -> None:
    path = str(secret["path"])
    where = f"compose_stack_secrets, path {path}"
    if not os.path.isabs(path) or os.path.normpath(path) != path:
        staging.problems.append(Problem("bad_secret_path", where, "is not an absolute path without '..' and '//'"))
        return
    try:
        owner = (owners.uid(secret.get("owner")), owners.gid(secret.get("group")))
    except OneboxError as error:
        staging.problems.append(Problem("unknown_owner", where, str(error)))
        return
    directory, name = os.path.split(path)
    os.mkdir(folder, 0o700)
    source = os.path.join(folder, name)
    files.replace(source, str(secret["value"]).encode("utf-8", "surrogateescape"), SECRET_MODE, durable=False)
    staging.instead[path] = source
    staging.targets.append(Target(directory, {name: _item(source)}, folder, owner=owner, atomic=(name,), outside=True))
