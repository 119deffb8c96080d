# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SQL files of a stack: applied in order, once, completely or not at all."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import migrate
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    MigrationError,
)
from migration_stacks import fresh, make, sql


@pytest.fixture
def stack(new):
    return fresh(new)


def test_sql_is_applied_in_order_once_and_optional_ones_may_fail(stack):
    files = [
        "CREATE TABLE risk (day date PRIMARY KEY); -- no semicolon at the end\nINSERT INTO risk VALUES ('2026-02-22')",
        "ALTER TABLE risk ADD COLUMN buy_count int NOT NULL DEFAULT 0;",
        "ALTER TABLE agent_decisions ADD COLUMN reason text;",
        "INSERT INTO risk VALUES ('2026-02-23', 5);",
    ]
    optional = {"m2": {"required": False}}
    report = migrate.migrate(make(stack), sql(*files, **optional))
    assert report["error"] == ""
    assert [row["state"] for row in report["migrations"]] == ["applied", "applied", "failed", "applied"]
    assert 'relation "agent_decisions" does not exist' in report["warnings"][0]
    assert stack.sql("SELECT sum(buy_count) FROM risk;") == "5"

    stack.sql("CREATE TABLE agent_decisions (id int);")
    again = migrate.migrate(make(stack), sql(*files, **optional))
    assert [row.get("now", False) for row in again["migrations"]] == [False, False, True, False]
    assert migrate.migrate(make(stack), sql(*files, **optional))["changed"] is False

    changed = [files[0], files[1] + " -- and more", *files[2:]]
    with pytest.raises(
        MigrationError, match=r"1\.sql was applied to database coin at .* applied files cannot be changed"
    ):
        migrate.migrate(make(stack), sql(*changed, "CREATE TABLE later (a int);"))
    assert stack.sql("SELECT to_regclass('later') IS NULL;") == "t"


def test_required_file_that_fails_is_rolled_back_and_ends_the_run(stack):
    request = sql("CREATE TABLE a (x int);", "CREATE TABLE b (x int); SELECT 1/0;", "CREATE TABLE c (x int);")
    report = migrate.migrate(make(stack), request)
    assert report["exit_code"] == 11
    assert "1.sql on database coin failed" in report["error"]
    assert "division by zero" in report["error"]
    assert (
        stack.sql("SELECT string_agg(tablename, ',' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public';")
        == "a,mine"
    )
    report = migrate.migrate(make(stack), sql("CREATE TABLE a (x int);", "CREATE TABLE b (x int);"))
    assert [row.get("now", False) for row in report["migrations"]] == [False, True]


def test_sql_that_cannot_be_in_a_transaction_is_applied_outside_of_one(stack):
    text = "CREATE INDEX CONCURRENTLY IF NOT EXISTS mine_a ON mine (a);"
    with_one = migrate.migrate(make(stack), sql(text))
    assert "cannot run inside a transaction block" in with_one["error"]
    assert migrate.migrate(make(stack), sql(text, m0={"transaction": False}))["error"] == ""
    assert migrate.migrate(make(stack), sql(text, m0={"transaction": False}))["changed"] is False


@pytest.mark.parametrize(
    "text", ["CREATE TABLE open (a int); /* never closed", "SELECT 'never closed;", "SELECT $x$ open;"]
)
def test_unclosed_comment_or_quote_is_an_error(stack, text):
    report = migrate.migrate(make(stack), sql(text))
    assert report["error"]
    assert stack.sql("SELECT to_regclass('open') IS NULL;") == "t"
