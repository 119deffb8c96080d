# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the bound files of a service that are configuration, so that a change needs a restart.

A process reads its configuration when it starts. A file that changes behind a bind is visible in the container at
once, but the process still runs with the previous content.
"""

from __future__ import annotations

import os
import stat
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.model import short_syntax
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Service
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.short_syntax import Bind
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath

# A service with this label reads changed files by itself.
RELOAD_LABEL = "onebox.reload"
BY_ITSELF = "self"
# More files or bytes are data and not configuration. Reading them would take longer than a deploy without changes.
MOST_FILES = 2000
MOST_BYTES = 32 << 20
# Files that the host writes for itself, and logs. A service that reads these follows them.
_OF_THE_HOST = ("/dev", "/proc", "/run/systemd", "/sys", "/var/log")
_FILES_OF_THE_HOST = frozenset(
    f"/etc/{name}"
    for name in ("group", "hostname", "hosts", "localtime", "machine-id", "os-release", "passwd", "resolv.conf")
) | {"/etc/timezone", "/usr/lib/os-release"}
# Scripts in these directories run once, when a database is created. A restart does not read them.
_READ_ONCE = ("/docker-entrypoint-initdb.d",)


class Found(t.NamedTuple):
    """One regular file: its name below the bind, "" for a bound file itself, and where it is read."""

    name: str
    path: str
    status: os.stat_result


def reloads(service: Service) -> bool:
    """Whether the application of ``service`` reads changed files by itself."""
    return service.labels.get(RELOAD_LABEL) == BY_ITSELF


def configuration(service: Service, project_dir: str, written: t.Iterable[str]) -> list[Bind]:
    """Binds of ``service`` that hold configuration: read-only files anywhere, and files that come with the stack.

    Args:
        project_dir: the deploy directory.
        written: directories that containers of the stack can write to, without symbolic links. A file there is data.
    """
    if reloads(service):
        return []
    watched = [short_syntax.absolute(str(rule["path"]), project_dir) for rule in service.watch if rule.get("path")]
    found = []
    for bind in service.binds:
        target = os.path.normpath(bind.target)
        shipped = bind.relative and belongs(bind.source, project_dir)
        if not (bind.read_only or shipped) or any(_below(target, each) for each in _READ_ONCE):
            continue
        # A watch rule defines the reaction to changed files. The action sync leaves it to the application.
        if any(_below(bind.source, each) for each in watched):
            continue
        real = realpath(bind.source)
        # What a service can write to itself and comes with the stack counts as it was shipped, see digests.Reader.
        if bind.read_only and any(_below(real, each) for each in written):
            continue
        if not {real, bind.source} & _FILES_OF_THE_HOST and not any(_below(real, each) for each in _OF_THE_HOST):
            found.append(bind)
    return found


def belongs(path: str, project_dir: str) -> bool:
    """Whether ``path`` is in the deploy directory."""
    return _below(realpath(path), realpath(project_dir))


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def read(top: str, skip: t.Container[str], ours: t.Callable[[str], bool]) -> list[Found] | None:
    """The regular files at or below ``top``, sorted.

    Args:
        top: the path where the bind's source is read.
        skip: paths that are ignored.
        ours: whether a file belongs to the stack, by its name below ``top``.

    Returns:
        None when it is neither a file nor a directory, or has more than ``MOST_FILES`` or ``MOST_BYTES``.
    """
    try:
        status = os.stat(top)
    except OSError:
        return None
    if stat.S_ISREG(status.st_mode):
        return [Found("", top, status)] if status.st_size <= MOST_BYTES else None
    if not stat.S_ISDIR(status.st_mode):
        return None
    found: list[Found] = []
    seen = size = 0
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        try:
            entries = list(os.scandir(os.path.join(top, prefix)))
        except OSError:
            continue
        for entry in entries:
            seen += 1
            if seen > MOST_FILES or size > MOST_BYTES:
                return None
            name = prefix + entry.name
            if entry.path in skip:
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(f"{name}/")
                continue
            try:
                status = entry.stat()  # a link counts as the file that the process reads
            except OSError:
                continue  # it was removed in the meantime
            if stat.S_ISREG(status.st_mode) and ours(name):
                found.append(Found(name, entry.path, status))
                size += status.st_size
    return sorted(found) if size <= MOST_BYTES else None
