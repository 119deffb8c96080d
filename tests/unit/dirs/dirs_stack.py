# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories of a stack on the file system of the tests, and mounts that report other file systems."""

from __future__ import annotations

import pathlib
import stat

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.dirs import filesystem, walk
from ansible_collections.onebox.stack.plugins.module_utils.dirs.ensure import ensure


class Stack:
    """A stack's directories below ``tmp_path/srv``."""

    def __init__(self, place: pathlib.Path) -> None:
        self.place = place
        self.base = place / "srv"

    def run(self, *entries: dict, check: bool = False, **options) -> dict:
        options = {
            "base": str(self.base),
            "deploy_dir": None,
            "state_dir": str(self.place / "state"),
            "mounts": filesystem.Mounts(World.real()),
            **options,
        }
        return ensure(entries, check=check, **options)

    def problems(self, *entries: dict, **options) -> list[str]:
        """The messages. Asserts that nothing was changed."""
        before = tree(self.place)
        result = self.run(*entries, **options)
        assert result["problems"]
        assert not result["changed"]
        assert not any(row["changed"] for row in result["directories"])
        assert tree(self.place) == before
        return [row["message"] for row in result["problems"]]


def tree(place: pathlib.Path) -> dict[str, tuple]:
    """Everything below ``place`` with inode, mode, owner and both times, so that any change is visible."""
    found = {}
    for path in [place, *place.rglob("*")]:
        now = path.lstat()
        found[str(path)] = (now.st_ino, now.st_mode, now.st_uid, now.st_gid, now.st_mtime_ns, now.st_ctime_ns)
    return found


def mode(path: pathlib.Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class FakeMounts(filesystem.Mounts):
    """Reports exFAT or tmpfs: this kernel does not have exFAT (the integration test has a real one, by FUSE)."""

    def __init__(self, **facts: object) -> None:
        super().__init__(World.real())
        self._facts = facts

    def space(self, place: walk.Place) -> filesystem.Space:
        return super().space(place)._replace(**self._facts)
