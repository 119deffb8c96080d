# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Data of each kind that needs no server, to back up, and a clock that tests set."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import sqlite3
import typing as t

import worlds
from ansible_collections.onebox.stack.plugins.module_utils.backup import (
    configuration,
    run,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import Cli
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.resources import parse_volume

START = dt.datetime(2026, 1, 1, 2, 0).astimezone()


class Site:
    """A directory to back up, and a clock that tests set."""

    def __init__(self, base: t.Any) -> None:
        self.base = str(base)
        self.files = os.path.join(self.base, "data")
        self.now = START
        self.trusted = True
        self.fill()

    def fill(self) -> None:
        """Write the data."""
        os.makedirs(os.path.join(self.files, "sub dir"))
        for name in ("a", "-b", "c\nd", "sub dir/é"):
            with open(os.path.join(self.files, name), "w", encoding="utf-8") as file:
                file.write(name * 50)
        os.symlink("a", os.path.join(self.files, "link"))

    def context(self, **more: t.Any) -> contexts.Context:
        declared = {
            "stack": "unit",
            "state_dir": os.path.join(self.base, "state"),
            "repository": {"engine": "files", "path": os.path.join(self.base, "repo")},
            "reserve_mib": 0,
            "metrics_file": os.path.join(self.base, "metrics", "unit.prom"),
            "sources": [self.source()],
            **more,
        }
        return contexts.make(configuration.parse(declared), worlds.at(lambda: self.now, lambda: self.trusted))

    def source(self) -> dict[str, t.Any]:
        """The source of the data, as a backup configuration declares it."""
        return {"name": "data", "kind": "directory", "path": self.files, "sqlite": ["*.db"]}

    def is_whole(self, path: str) -> bool:
        """Whether the data at a path is all of it: the present one, or a previous one."""
        return os.path.isfile(os.path.join(path, "a"))

    def saved(self) -> list[str]:
        """The paths of the data: the present one, and each previous one."""
        folder, name = os.path.split(self.files)
        names = [each for each in os.listdir(folder) if each == name or each.startswith(f"{name}.before-")]
        return [os.path.join(folder, each) for each in names if not each.endswith(("-wal", "-shm", "-journal"))]

    def day(self, days: int = 1) -> dict[str, t.Any]:
        report = run.backup(self.context())
        self.now += dt.timedelta(days=days)
        return report

    def seqs(self) -> list[int]:
        return [found.seq for found in self.context().store.sets()]


class VolumeSite(Site):
    """A volume in the directory of an engine that only lists it."""

    def fill(self) -> None:
        self.files = os.path.join(self.base, "volumes", "unit_data", "_data")
        super().fill()

    def source(self) -> dict[str, t.Any]:
        return {"name": "data", "kind": "volume", "volume": "data", "sqlite": ["*.db"]}

    def context(self, **more: t.Any) -> contexts.Context:
        made = super().context(**more)
        made._cli = Cli(_Volumes(self.files), 60, made.world)
        return made


class SqliteSite(Site):
    """A SQLite database in a directory of its application."""

    rows = 300

    def fill(self) -> None:
        self.files = os.path.join(self.base, "app", "data.db")
        os.makedirs(os.path.dirname(self.files))
        with contextlib.closing(sqlite3.connect(self.files)) as made:
            made.execute("PRAGMA journal_mode = WAL")
            made.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
            made.executemany("INSERT INTO t (b) VALUES (?)", [("x" * number,) for number in range(self.rows)])
            made.commit()

    def source(self) -> dict[str, t.Any]:
        return {"name": "data", "kind": "sqlite", "path": self.files}

    def context(self, **more: t.Any) -> contexts.Context:
        made = super().context(**more)
        made._cli = Cli(_Volumes(""), 60, made.world)
        return made

    def is_whole(self, path: str) -> bool:
        if not os.path.isfile(path):
            return False
        with contextlib.closing(sqlite3.connect(path)) as found:
            return bool(found.execute("SELECT count(*) FROM t").fetchone() == (self.rows,))


SITES = {"directory": Site, "volume": VolumeSite, "sqlite": SqliteSite}


class _Volumes(Engine):
    """An engine without containers, and with a volume if there is a directory for it."""

    name = "docker"
    socket = "/run/none.sock"

    def __init__(self, mountpoint: str) -> None:
        self._mountpoint = mountpoint

    def all_volumes(self) -> list[t.Any]:
        labels = {"com.docker.compose.project": "unit", "com.docker.compose.volume": "data"}
        row = {"Name": "unit_data", "Driver": "local", "Labels": labels, "Options": None}
        return [parse_volume({**row, "Mountpoint": self._mountpoint})] if self._mountpoint else []

    def containers(self, project: str | None = None, names: t.Sequence[str] = ()) -> list[t.Any]:
        return []
