# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory source that is the data directory of a database server is refused with the kind to use."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceLimit
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import server_data


def tree(root: pathlib.Path, *names: str) -> str:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    return str(root)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("PG_VERSION", "global/pg_control"), "PostgreSQL.*use kind: postgresql"),
        (("ibdata1", "mysql/user.frm"), "MySQL or MariaDB.*use kind: mysql"),
        (("WiredTiger", "WiredTiger.wt"), "MongoDB.*back up a dump"),
        (("appendonlydir/appendonly.aof.manifest",), "Redis.*use kind: redis"),
        (("appendonly.aof",), "Redis.*use kind: redis"),
    ],
)
def test_data_directory_of_a_server_is_refused(tmp_path: pathlib.Path, names: tuple[str, ...], said: str) -> None:
    with pytest.raises(SourceLimit, match=said):
        server_data.refuse(tree(tmp_path, *names), [])


@pytest.mark.parametrize(
    ("names", "exclude"),
    [
        (("PG_VERSION", "notes.txt"), []),
        (("pg/PG_VERSION", "pg/global/pg_control"), []),
        (("dump.rdb",), []),
        (("appendonly.aof", "app.conf"), ["appendonly.aof"]),
    ],
)
def test_other_directory_is_not_refused(tmp_path: pathlib.Path, names: tuple[str, ...], exclude: list[str]) -> None:
    server_data.refuse(tree(tmp_path, *names), exclude)


def test_missing_directory_is_left_to_the_capture(tmp_path: pathlib.Path) -> None:
    server_data.refuse(str(tmp_path / "missing"), [])
