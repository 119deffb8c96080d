# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stacks of this repository, unchanged, with a deploy directory, ports and images for the tests."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import shutil
import typing as t
import urllib.error
import urllib.request

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from compose_lab import Lab, wait_for

STACKS = pathlib.Path(__file__).resolve().parents[3] / "stacks"


class RealStack(Lab):
    """One stack of this repository; ``variables`` are what its environment file says."""

    _epoch = 0.0

    def take(self, name: str, images: t.Mapping[str, str] | None = None, **variables: str) -> None:
        """Copy the stack into the deploy directory.

        Args:
            images: service -> what runs there instead of the public image; the testbed does not give out public names.
            variables: of its environment file.
        """
        shutil.copytree(STACKS / name, self.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        self.files = ["compose.yml"]
        if images:
            body = {"services": {service: {"image": image} for service, image in images.items()}}
            (self.folder / "images.yml").write_text(json.dumps(body))
            self.files.append("images.yml")
        self.variables = dict(variables)

    def at(self, epoch: float) -> RealStack:
        """From now on it is that time (seconds since 1970) where hours count."""
        self._epoch = epoch
        return self

    def world(self) -> World:
        world = super().world()
        if self._epoch:
            world = dataclasses.replace(world, epoch=lambda: self._epoch)
        return world

    def write(self) -> None:
        """Write the environment file; the compose files are the stack's own."""
        env = self.folder / ".env"
        env.write_text("".join(f'{key}="{value}"\n' for key, value in self.variables.items()), encoding="utf-8")
        env.chmod(0o600)

    def stack(self, **changes):
        return super().stack(**{"files": tuple(self.files), "wait_timeout": 90.0, **changes})

    def rows(self, **changes) -> dict[str, tuple[str, tuple[str, ...]]]:
        """The plan as it is now: service -> (action, reasons), or the codes of what forbids it under ""."""
        found = self.info(**changes)
        if found["problems"]:
            return {"": ("refused", tuple(sorted({row["code"] for row in found["problems"]})))}
        return {row["service"]: (row["action"], tuple(row["reasons"])) for row in found["plan"]}

    def directory(self, name: str, owner: int, mode: int = 0o750) -> str:
        """Make a data directory as data_dirs does."""
        place = self.data / name
        place.mkdir(parents=True, exist_ok=True)
        os.chown(place, owner, owner)
        place.chmod(mode)
        return str(place)

    def ids(self) -> dict[str, str]:
        return {service: rows[0].id for service, rows in self.containers().items()}


def ask(port: str, path: str, data: bytes | None = None) -> dict:
    """JSON of a path of a service on loopback; {} when it does not answer that."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}{path}", data, timeout=10) as answer:
            return json.load(answer)
    except (urllib.error.URLError, OSError, ValueError):
        return {}


def eventually(look: t.Callable[[], t.Any], wanted: t.Any, seconds: float = 30.0) -> None:
    """Wait until ``look()`` is ``wanted``; says what it was when it never is."""
    seen: list[t.Any] = [None]

    def there() -> bool:
        seen[0] = look()
        return seen[0] == wanted

    try:
        wait_for(there, seconds)
    except AssertionError:
        assert seen[0] == wanted
