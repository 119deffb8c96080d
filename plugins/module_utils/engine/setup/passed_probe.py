# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record that a probe passed, so that a stack without a health check or a port does not cost a probe in every run.

A probe takes two seconds. The record is in a directory that a boot clears, because a boot may change the kernel.
"""

from __future__ import annotations

import json
import os

from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup import running_probe


class PassedProbe:
    """The last probe that passed since the boot, of one engine.

    Args:
        engine: the engine, whose name, version and socket the record has to match.
        world: the user of the record, its directory and the clock.
    """

    def __init__(self, engine: Engine, world: World) -> None:
        self._engine = {"name": engine.name, "version": engine.version, "socket": engine.socket}
        self._engine.update((name, world.environ.get(name, "")) for name in running_probe.VARIABLES)
        self._folder = world.runtime_dir
        self._path = os.path.join(self._folder, f"probe-{engine.name}.json")
        self._now = world.epoch

    def is_newer_than(self, change: float) -> bool:
        """Whether a probe of this engine passed after ``change``, in seconds since 1970."""
        if not self._folder:
            return False
        try:
            record = json.loads(files.read_text(self._path) or "{}")
            # A time in the future is one of a clock that was set back since: it compares with nothing.
            return bool(record["engine"] == self._engine and change < record["passed_at"] <= self._now())
        except (files.FileError, ValueError, LookupError, TypeError, RecursionError):
            return False

    def record(self) -> None:
        """Record that a probe passed now. Without a writable directory, the next run probes again."""
        if not self._folder:
            return
        data = json.dumps({"engine": self._engine, "passed_at": self._now()}).encode()
        try:
            files.make_directories(self._folder, 0o700)
            files.replace(self._path, data, 0o600, durable=False)
        except files.FileError:
            return
