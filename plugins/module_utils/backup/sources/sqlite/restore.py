# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replace a SQLite database by the copy of a set.

A ``-wal`` or ``-journal`` file next to another database than its own would damage that database. So the previous
database is merged with its companions first. Those of a damaged one are renamed with it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import typing as t
import urllib.parse

from ansible_collections.onebox.stack.plugins.module_utils.backup import interrupted
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    MismatchError,
    RestoreRefused,
    SourceError,
    SourceLimit,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.base import RestoreJob
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import swap
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.sqlite import contents, online
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.sqlite.model import SqliteFacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.volume import users
from ansible_collections.onebox.stack.plugins.module_utils.core import beneath, files
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container

_SHOWN = 5


def put(job: RestoreJob, target: str, source: str, facts: SqliteFacts, staged: str) -> None:
    """Restore a database, compare it, and replace the present one.

    Args:
        target: its path.
        source: name of the source.
        staged: directory with the files of the set.

    Raises:
        BackupError: as :meth:`Kind.restore`.
    """
    with swap.replacement(target) as new:
        install(os.path.join(staged, facts.file), new.tree)
        require_equal(facts, new.tree, f"{target} is untouched, the restored copy differs")
        if job.owners:
            os.chown(new.tree, facts.uid, facts.gid)
        os.chmod(new.tree, facts.mode)
        if job.into:
            move_in(new.tree, target, job.stamp)
            return
        with _quiet(job.context, target):
            require_unused(target)
            interrupted.begin(job.context, job.chosen.seq, source)
            previous = move_in(new.tree, target, job.stamp)
        if previous:
            job.aside.append(previous)


def install(copy: str, target: str) -> None:
    """Write the copy of a set to a new private file, on the disk. Raises :class:`OSError`."""
    with files.open_regular(copy) as data, files.HashedFile(target) as new:
        shutil.copyfileobj(data, new, files.CHUNK)
        new.sync()


def require_equal(facts: SqliteFacts, path: str, where: str) -> None:
    """Compare a restored database with the facts of its set, and write to it without a change.

    Raises:
        MismatchError: it differs, is damaged, or does not accept a transaction.
    """
    try:
        problems = contents.differences(facts, contents.read(path))
    except SourceLimit as error:
        raise MismatchError(f"{where}: {error}") from error
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise MismatchError(f"{where}: {'; '.join(problems[:_SHOWN])}{more}")
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as base:
            base.execute("BEGIN IMMEDIATE")
            base.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise MismatchError(f"{where}: it accepts no transaction: {error}") from error


def mounts(container: Container, path: str) -> bool:
    """Whether a container can write to the file, or to a directory above it."""
    sources = [realpath(row.source) for row in container.mounts if row.source and row.read_write]
    place = realpath(path)
    return any(place == source or place.startswith(source.rstrip("/") + "/") for source in sources)


def using(context: Context, path: str) -> list[str]:
    """Names of the running containers that can write to the database, none without an engine."""
    with contextlib.suppress(SourceError):
        return users.running(context.open_cli(), lambda row: mounts(row, path), f"the database {path}")
    return []


def require_unused(path: str) -> None:
    """Refuse to replace a database that a process has open. Other users' processes are visible to root alone.

    Raises:
        RestoreRefused: the text names the processes.
    """
    found: list[str] = []
    for tail in ("", *online.COMPANIONS):
        with contextlib.suppress(OSError):
            status = os.stat(path + tail)
            found += _processes((status.st_dev, status.st_ino))
    if found:
        raise RestoreRefused(
            f"{path} is open in {', '.join(dict.fromkeys(found))}: it would continue to write to the previous "
            "database. Stop the program, then restore again; nothing was changed"
        )


def _processes(wanted: tuple[int, int]) -> t.Iterator[str]:
    names = os.listdir("/proc") if os.path.isdir("/proc/self") else []
    for pid in (name for name in names if name.isdigit() and int(name) != os.getpid()):
        with contextlib.suppress(OSError):
            for number in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    status = os.stat(f"/proc/{pid}/fd/{number}")
                    if (status.st_dev, status.st_ino) == wanted:
                        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as stream:
                            yield f"process {pid} ({stream.read().strip()})"
                        break


def _quiet(context: Context, path: str) -> t.ContextManager[None]:
    """Stops the containers that can write to the database, if there is an engine."""
    try:
        context.open_cli()
    except SourceError:
        return contextlib.nullcontext()
    return users.stopped(context, lambda row: mounts(row, path), f"the database {path}")


def move_in(new: str, target: str, stamp: str) -> str:
    """Replace a database in one step. Returns the path of the previous one, "" for none.

    A kill leaves the previous database whole, as the target or as the saved copy.
    """
    name = os.path.basename(target)
    with swap.open_parent(target) as parent:
        saved = _free_name(parent, f"{name}.before-{stamp}") if parent.exists(name) else ""
        if saved:
            # Before these get a second name.
            foreign = online.foreign_companion(target)
            _save(parent, name, saved)
            files.sync(parent.descriptor)
            if not foreign and _merge(parent, name, target):
                _remove(parent, saved)
        _remove(parent, name)
        with beneath.open_directory(os.path.dirname(new)) as stage:
            stage.rename(os.path.basename(new), parent, name)
        files.sync(parent.descriptor)
    return os.path.join(os.path.dirname(target), saved) if saved else ""


def _merge(parent: beneath.Directory, name: str, target: str) -> bool:
    """Let SQLite merge the companions of an unused database into it. Returns whether the file now holds all."""
    if not parent.exists(name):
        return False
    uri = f"file:{urllib.parse.quote(os.fsencode(target))}?mode=rw"
    descriptor = parent.open(name, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as base:
            base.execute("PRAGMA schema_version").fetchone()
            # SQLite opens paths, and a path may have been redirected.
            if not online.has_open(descriptor):
                return False
            base.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error:
        return False
    finally:
        os.close(descriptor)
    return True


def _remove(parent: beneath.Directory, name: str) -> None:
    """Remove the companions of a database."""
    for tail in online.COMPANIONS:
        if parent.exists(name + tail):
            parent.unlink(name + tail)


def _free_name(parent: beneath.Directory, wanted: str) -> str:
    chosen, number = wanted, 1
    while any(parent.exists(chosen + tail) for tail in ("", *online.COMPANIONS)):
        number += 1
        chosen = f"{wanted}-{number}"
    return chosen


def _save(parent: beneath.Directory, name: str, saved: str) -> None:
    """Give a database and its companions a second name."""
    if not stat.S_ISREG(parent.stat(name).st_mode):
        raise RestoreRefused(
            f"{os.path.join(parent.path, name)} is not a plain file. Correct the path of the source, or use --into; "
            "nothing was changed"
        )
    there = parent.descriptor
    for tail in online.COMPANIONS + ("",):
        if not parent.exists(name + tail):
            continue
        try:
            os.link(name + tail, saved + tail, src_dir_fd=there, dst_dir_fd=there, follow_symlinks=False)
        except OSError:
            parent.rename(name + tail, parent, saved + tail)  # this file system has no hard links
