# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of a real server: missing or empty databases, and previous copies of a restore."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration, restore, run
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


@pytest.fixture
def site(stack):
    """Contexts of the stack with its server as the only source, and a separate repository."""
    source = {"name": "db", "kind": "postgresql", "service": "db"}
    place = {"engine": "files", "path": str(stack.base / "parts")}
    config = stack.config(sources=[source], repository=place, state_dir=str(stack.base / "parts-state"))
    return lambda: contexts.make(configuration.read(config), World.real())


def databases(stack):
    # The stack has databases with spaces in their names.
    return stack.sql("SELECT datname FROM pg_database ORDER BY 1;", "postgres").splitlines()


def newest(site):
    return site().store.sets()[-1].manifest.source("db").facts["databases"]


def test_emptied_or_missing_databases_are_named_although_the_sum_hides_them(stack, site):
    for number, rows in enumerate((100, 100, 100, 50_000)):
        stack.sql(f"CREATE DATABASE d{number};", "postgres")
        stack.sql(f"CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, {rows});", f"d{number}")
    assert run.backup(site())["error"] == ""
    stack.sql("TRUNCATE t;", "d0")
    stack.sql("DROP TABLE t;", "d1")
    stack.sql("DROP DATABASE d2;", "postgres")
    report = run.backup(site())
    assert report["exit_code"] == 4
    for part in ("d0 went from 100 to 0", "d1 went from 100 to 0", "lacks database d2, which the previous set has"):
        assert part in report["error"]
    assert run.backup(site(), accept_drop=["db"])["error"] == ""
    assert run.backup(site())["error"] == ""


def test_previous_copies_of_a_restore_are_in_no_set_and_may_be_dropped(stack, site):
    assert run.backup(site())["error"] == ""
    before = set(newest(site))
    assert restore.restore(site(), restore.Request(), confirm=stack.name)["error"] == ""
    kept = [name for name in databases(stack) if "_before_" in name]
    assert kept
    report = run.backup(site())
    assert report["error"] == ""
    assert set(newest(site)) == before
    told = "; ".join(report["warnings"])
    assert all(f"database {name} is a previous copy from a restore" in told for name in kept)
    for name in kept:
        stack.sql(f'DROP DATABASE "{name}";', "postgres")
    report = run.backup(site())
    assert report["error"] == ""
    assert "previous copy" not in "; ".join(report["warnings"])
