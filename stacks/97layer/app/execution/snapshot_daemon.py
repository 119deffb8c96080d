# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes a snapshot of the workspace now and then.

``.snapshots/<time>.tar.gz`` holds the files, ``.snapshots/<time>.json`` the manifest with the SHA-256 of each. The
manifest is written last: an archive without one was interrupted, and is removed. When nothing changed since the newest
snapshot, that one is confirmed (its manifest gets a new time) rather than a copy pushing an older state out.

``snapshot_daemon.py healthy`` is the healthcheck: 0 when the newest snapshot is younger than three intervals.

Environment: ``WORKSPACE`` (/app), ``SNAPSHOT_INTERVAL`` seconds (900), ``SNAPSHOT_KEEP`` how many (12),
``SNAPSHOT_EXCLUDE`` names to leave out, separated by spaces.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fnmatch
import hashlib
import json
import os
import pathlib
import stat
import sys
import tarfile
import tempfile
import threading
import time
import typing as t

from service import log, make_directory, number, on_stop, sync_directory, workspace, write_durably

EXCLUDE = ".snapshots .git .venv node_modules __pycache__ *.pyc .DS_Store ._*"
CHUNK = 1024 * 1024
# What opening a file says that was removed or became something else since the directory was read.
WENT_AWAY = (errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.ESTALE)


class Stopped(Exception):
    """The program is to end; the snapshot at hand is given up."""


def entries(root: pathlib.Path, exclude: t.Sequence[str]) -> t.Iterator[pathlib.Path]:
    """Everything below ``root`` worth keeping, in a fixed order. Links are kept as links, never followed."""
    for place, directories, files in os.walk(root, followlinks=False):
        directories[:] = sorted(name for name in directories if not _excluded(name, exclude))
        for name in sorted([*directories, *files]):
            if not _excluded(name, exclude):
                yield pathlib.Path(place, name)


def _excluded(name: str, exclude: t.Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in exclude)


class Snapshots:
    """The snapshots of ``root``, kept in ``root/.snapshots``.

    Args:
        stopping: checked between chunks, so that a large file does not delay the end.
    """

    def __init__(
        self,
        root: pathlib.Path,
        keep: int,
        exclude: t.Sequence[str] = tuple(EXCLUDE.split()),
        stopping: t.Callable[[], bool] = lambda: False,
    ) -> None:
        self.root = root
        self.directory = root / ".snapshots"
        self.keep = keep
        self.exclude = exclude
        self.stopping = stopping

    def manifests(self) -> list[pathlib.Path]:
        """Complete snapshots, oldest first: names are times."""
        return sorted(path for path in self.directory.glob("*.json") if path.with_suffix(".tar.gz").exists())

    def age(self, now: float) -> float | None:
        """Seconds since the newest snapshot was taken or confirmed; None without one."""
        found = self.manifests()
        return max(0.0, now - found[-1].stat().st_mtime) if found else None

    def take(self, now: datetime.datetime) -> str:
        """Take or confirm a snapshot and return what happened, in words. Raises OSError, :class:`Stopped`."""
        make_directory(self.directory, 0o700)
        self._clean()
        fd, temporary = tempfile.mkstemp(prefix=".tmp-", dir=self.directory)
        try:
            with os.fdopen(fd, "wb") as raw:
                files = self._archive(raw)
                raw.flush()
                os.fsync(raw.fileno())
            newest = self.manifests()[-1:]
            if newest and json.loads(newest[0].read_bytes())["files"] == files:
                os.unlink(temporary)
                os.utime(newest[0])
                return f"nothing changed since {newest[0].stem}"
            name = f"{now:%Y%m%dT%H%M%S.%fZ}"
            archive = self.directory / f"{name}.tar.gz"
            os.replace(temporary, archive)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        manifest = {"taken_at": now.isoformat(), "archive": archive.name, "files": files}
        write_durably(self.directory / f"{name}.json", json.dumps(manifest, indent=1).encode())
        for old in self.manifests()[: -self.keep]:
            old.unlink()  # first the manifest: an archive without one is nothing
            old.with_suffix(".tar.gz").unlink()
        sync_directory(self.directory)
        return f"{name}: {len(files)} entries, {archive.stat().st_size} bytes"

    def _clean(self) -> None:
        """Remove what an interrupted run left."""
        complete = {path.stem for path in self.manifests()}
        for path in self.directory.iterdir():
            if path.name.startswith(".tmp-") or (
                path.name.endswith(".tar.gz") and path.name[: -len(".tar.gz")] not in complete
            ):
                path.unlink()

    def _archive(self, raw: t.BinaryIO) -> dict[str, dict[str, t.Any]]:
        files: dict[str, dict[str, t.Any]] = {}
        with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=3) as archive:
            for path in entries(self.root, self.exclude):
                if self.stopping():
                    raise Stopped
                name = os.path.relpath(path, self.root)
                try:
                    row = self._add(archive, path, name)
                except OSError as error:
                    if error.errno in (errno.EACCES, errno.EPERM):
                        log(f"left out {name!r}: {error.strerror}")
                    elif error.errno not in WENT_AWAY:
                        raise
                    continue
                if row:
                    files[name.encode(errors="surrogateescape").decode(errors="backslashreplace")] = row
        return files

    def _add(self, archive: tarfile.TarFile, path: pathlib.Path, name: str) -> dict[str, t.Any] | None:
        info = archive.gettarinfo(str(path), name)
        mode = os.lstat(path).st_mode
        if stat.S_ISREG(mode):
            return self._add_file(archive, path, name)
        if stat.S_ISLNK(mode):
            archive.addfile(info)
            return {"link": info.linkname}
        if stat.S_ISDIR(mode):
            archive.addfile(info)
            return {"directory": True}
        return None  # sockets, pipes and devices hold nothing to keep

    def _add_file(self, archive: tarfile.TarFile, path: pathlib.Path, name: str) -> dict[str, t.Any]:
        # A file may grow or shrink while it is read, and the archive needs its size first: copy it completely.
        digest = hashlib.sha256()
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as source, tempfile.SpooledTemporaryFile(CHUNK, dir=self.directory) as aside:
            info = archive.gettarinfo(arcname=name, fileobj=source)
            info.type = tarfile.REGTYPE  # also what has several names: each is kept whole
            info.size = 0
            while True:
                chunk = source.read(CHUNK)
                if not chunk:
                    break
                if self.stopping():
                    raise Stopped
                digest.update(chunk)
                aside.write(chunk)
                info.size += len(chunk)
            aside.seek(0)
            archive.addfile(info, t.cast(t.IO[bytes], aside))
        return {"sha256": digest.hexdigest(), "bytes": info.size}


def run(snapshots: Snapshots, interval: int, stop: threading.Event) -> None:
    """Take one now and one every ``interval`` seconds, until ``stop``."""
    while not stop.is_set():
        try:
            log(snapshots.take(datetime.datetime.now(datetime.timezone.utc)))
        except Stopped:
            return
        except OSError as error:
            log(f"no snapshot this time: {error}")  # the healthcheck reports repeated failures
        stop.wait(interval)


def main(words: list[str]) -> int:
    interval = number("SNAPSHOT_INTERVAL", 900)
    stop = threading.Event()
    exclude = (os.environ.get("SNAPSHOT_EXCLUDE") or EXCLUDE).split()
    snapshots = Snapshots(workspace(), number("SNAPSHOT_KEEP", 12), [*exclude, ".snapshots"], stop.is_set)
    if words == ["healthy"]:
        age = snapshots.age(time.time())
        log("no snapshot yet" if age is None else f"the newest snapshot is {age:.0f} s old")
        return 0 if age is not None and age < 3 * interval else 1
    if words:
        log(f"unknown words {' '.join(words)!r}; there is only: healthy")
        return 2
    on_stop(stop.set)
    log(f"a snapshot of {snapshots.root} every {interval} s, {snapshots.keep} are kept")
    run(snapshots, interval, stop)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
