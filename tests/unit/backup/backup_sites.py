# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory to back up, and a clock that tests set."""

from __future__ import annotations

import datetime as dt
import os
import typing as t

import worlds
from ansible_collections.onebox.stack.plugins.module_utils.backup import (
    configuration,
    run,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts

START = dt.datetime(2026, 1, 1, 2, 0).astimezone()


class Site:
    """A directory to back up, and a clock that tests set."""

    def __init__(self, base: t.Any) -> None:
        self.base = str(base)
        self.files = os.path.join(self.base, "data")
        self.now = START
        self.trusted = True
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
            "sources": [{"name": "data", "kind": "directory", "path": self.files, "sqlite": ["*.db"]}],
            **more,
        }
        return contexts.make(configuration.parse(declared), worlds.at(lambda: self.now, lambda: self.trusted))

    def day(self, days: int = 1) -> dict[str, t.Any]:
        report = run.backup(self.context())
        self.now += dt.timedelta(days=days)
        return report

    def seqs(self) -> list[int]:
        return [found.seq for found in self.context().store.sets()]
