# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorded sets of earlier versions, see tests/fixtures/manifests/README.md."""

from __future__ import annotations

import os
import pathlib
import shutil
import sqlite3
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "manifests"
VERSIONS = ("d3c4744", "98a4a5c", "02fbab4", "d6634f2")
AUTHENTICATED = ("02fbab4", "d6634f2")
# The directory that the sets were recorded from.
ORIGIN = "/srv/onebox-recorded"


def context(version: str, engine: str, base: pathlib.Path, repository: dict[str, t.Any]) -> contexts.Context:
    """A private copy of a recorded repository, and the configuration to read it with.

    Args:
        engine: ``plain`` or ``restic``.
        repository: its options but for the path.
    """
    path = base / "repo"
    shutil.copytree(FOLDER / version / engine, path)
    for folder, _dirs, names in os.walk(path):
        os.chmod(folder, 0o700)
        for name in names:
            os.chmod(os.path.join(folder, name), 0o600)
    key = FOLDER / version / f"{engine}.authentication"
    if key.exists():
        shutil.copy(key, base / "authentication")
        os.chmod(base / "authentication", 0o600)
    return contexts.make(
        configuration.parse(
            {
                "stack": "recorded",
                "state_dir": str(base / "state"),
                "repository": {**repository, "path": str(path)},
                "authentication_file": str(base / "authentication"),
                "reserve_mib": 0,
                "sources": [
                    {"name": "db", "kind": "postgresql", "service": "db"},
                    {"name": "cache", "kind": "redis", "service": "cache"},
                    {"name": "data", "kind": "directory", "path": f"{ORIGIN}/data", "sqlite": ["*.db"]},
                    {"name": "stack", "kind": "compose", "files": [f"{ORIGIN}/compose.yml", f"{ORIGIN}/stack.env"]},
                ],
            }
        ),
        World.real(),
    )


def require_restored(into: pathlib.Path) -> None:
    """Check the directory and the files that a restore put below ``into``."""
    data = into / "data"
    names = sorted(os.fsencode(path.relative_to(data)) for path in data.rglob("*"))
    assert names == [
        b"a file", b"app.db", b"bytes\xff", b"link", b"new\nline", b"sparse", b"sub", b"sub.txt", b"sub/hard",
        b"sub/ro",
    ]  # fmt: skip
    assert (data / "a file").read_text(encoding="utf-8") == "a\n" * 100
    assert (data / "sub/ro").stat().st_mode & 0o7777 == 0o440
    assert os.readlink(data / "link") == "/etc/hostname"
    assert (data / "sparse").read_bytes() == b"\0" * (1 << 14) + b"in the middle" + b"\0" * ((1 << 14) - 13)
    copy = sqlite3.connect(data / "app.db")
    assert copy.execute("SELECT count(*), sum(a) FROM t").fetchone() == (50, 1225)
    copy.close()
    assert (into / ORIGIN.lstrip("/") / "compose.yml").read_text(encoding="utf-8") == "services: {}\n"
    assert (into / ORIGIN.lstrip("/") / "stack.env").stat().st_mode & 0o7777 == 0o600
