# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same round on other servers: Redis 6; PostgreSQL 17 (zstd dumps) with Redis 8; Valkey 8 and 9; on Podman."""

from __future__ import annotations

import secrets

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration, rehearse, restore, run
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from backup_stack import Stack
from onebox_testbed import podman


@pytest.mark.parametrize(
    ("parts", "engine"),
    [
        (("pg15", "redis6"), "docker"),
        (("pg17", "redis8"), "docker"),
        (("pg17", "valkey8"), "docker"),
        (("pg15", "valkey9"), "docker"),
        (("pg15", "redis7"), "podman"),
    ],
    ids=["redis6", "redis8", "valkey8", "valkey9", "podman"],
)
def test_set_is_made_rehearsed_and_restored(images, tmp_path, parts, engine, monkeypatch):
    for name, value in podman.environment().items():
        monkeypatch.setenv(name, value)
    stack = Stack(f"obx-backup-{secrets.token_hex(3)}", tmp_path, parts, engine)
    try:
        stack.start(images)
        stack.fill()
        config = configuration.read(stack.config())
        report = run.backup(contexts.make(config, World.real()))
        assert report["error"] == ""
        # The byte after PGDMP, the format's version and three sizes says how the archive is compressed: 3 is zstd.
        dump = (stack.repo / "sets" / report["snapshot"]["id"] / "pg/db/coin.dump").read_bytes()
        assert parts[0] != "pg17" or dump[11] == 3
        assert rehearse.rehearse(contexts.make(config, World.real()))["error"] == ""
        stack.redis("FLUSHALL")
        stack.sql("DELETE FROM trades;")
        request = restore.Request(sources=("db", "cache"))
        restored = restore.restore(contexts.make(config, World.real()), request, confirm=stack.name)
        assert restored["error"] == ""
        assert stack.redis("DBSIZE") == "5001"
        assert stack.sql("SELECT count(*) FROM trades;") == "20000"
    finally:
        stack.stop()


def test_set_is_restored_into_a_newer_postgresql_with_a_warning(images, tmp_path):
    stack = Stack(f"obx-backup-{secrets.token_hex(3)}", tmp_path)
    only = {"sources": [{"name": "db", "kind": "postgresql", "service": "db"}]}
    try:
        stack.start(images)
        stack.fill()
        assert run.backup(contexts.make(configuration.read(stack.config(**only)), World.real()))["error"] == ""
        stack.stop()
        stack.parts = ("pg17", "redis7")
        stack.start(images)
        request = restore.Request(databases=("coin", "odd = name; '%s/../\u00fc"))
        context = contexts.make(configuration.read(stack.config(**only)), World.real())
        restored = restore.restore(context, request, confirm=stack.name)
        assert restored["error"] == ""
        assert [line for line in restored["warnings"] if "another build" in line]
        assert stack.sql("SELECT count(*) FROM trades;") == "20000"
        # Rehearsed with the image of the backup, not with the running one.
        assert rehearse.rehearse(contexts.make(configuration.read(stack.config(**only)), World.real()))["error"] == ""
    finally:
        stack.stop()
