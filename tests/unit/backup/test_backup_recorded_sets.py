# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets that earlier versions wrote are listed, checked, restored and compared with. Those of restic: integration."""

from __future__ import annotations

import importlib.util
import pathlib

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import drops, restore, status
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError, StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import manifest

ROOT = pathlib.Path(__file__).resolve().parents[3]
_SPEC = importlib.util.spec_from_file_location("obx_recorded", ROOT / "tests/testbed/backup/recorded.py")
recorded = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(recorded)
COUNTS = {"db": 41, "cache": 4, "data": 10, "stack": 2}


@pytest.fixture(params=recorded.VERSIONS)
def version(request):
    return request.param


@pytest.fixture
def context(version, tmp_path):
    return recorded.context(version, "plain", tmp_path, {"engine": "files"})


def test_recorded_set_is_listed_and_its_files_are_whole(version, context):
    (found,) = context.store.sets()
    assert (found.seq, found.problem) == (1, "")
    assert (found.not_authentic == "") is (version in recorded.AUTHENTICATED)
    assert {source.name: source.count for source in found.understood().sources} == COUNTS
    assert context.store.verify(found) == found.understood().size
    assert [row["problem"] for row in status.status(context)["rows"]] == [""]


def test_recorded_set_is_written_again_with_the_same_keys(version, context):
    (found,) = context.store.sets()
    data = manifest.dump(found.understood())
    assert manifest.load(data, "here") == found.understood()
    written = (recorded.FOLDER / version / "plain/sets/000001/manifest.json").read_bytes()
    # Both are canonical: only authentication and checksum of the whole may differ.
    parts = [[line for line in each.splitlines() if b'"sha256": "' not in line] for each in (data, written)]
    authentication = [line for line in parts[1] if b'"hmac"' in line or b'"key"' in line or b'"authentication"' in line]
    assert len(parts[1]) - len(parts[0]) == (4 if authentication else 0)
    assert set(parts[0]) <= set(parts[1])


def test_recorded_set_with_a_flipped_bit_is_not_used(context):
    path = pathlib.Path(context.store.location, "sets/000001/manifest.json")
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"count": 41', b'"count": 40', 1))
    (found,) = context.store.sets()
    assert found.manifest is None
    path.write_bytes(data)
    pathlib.Path(context.store.location, "sets/000001/redis/cache.rdb").write_bytes(b"REDIS0009")
    with pytest.raises(StoreError, match="cache.rdb is damaged"):
        context.store.verify(context.store.sets()[0])


def test_recorded_directory_and_files_are_restored_and_compared(version, context, tmp_path):
    into = tmp_path / "into"
    accepted = 0 if version in recorded.AUTHENTICATED else 1
    request = restore.Request(into=str(into), accepted=accepted)
    report = restore.restore(context, request, confirm="recorded")
    assert report["error"] == ""
    assert [(row["name"], row["ok"]) for row in report["sources"]] == [("data", True), ("stack", True)]
    recorded.require_restored(into)
    damaged = pathlib.Path(context.store.location, "sets/000001/files/data.list")
    lines = damaged.read_bytes()
    assert b'"mode":288' in lines
    damaged.write_bytes(lines.replace(b'"mode":288', b'"mode":292'))
    again = restore.restore(
        context, restore.Request(into=str(tmp_path / "again"), accepted=accepted), confirm="recorded"
    )
    assert again["error"] != ""


def test_restore_of_a_recorded_database_is_planned(version, context):
    accepted = 0 if version in recorded.AUTHENTICATED else 1
    steps = restore.restore(context, restore.Request(sources=("db", "cache"), accepted=accepted))["steps"]
    assert [step.partition(":")[0] for step in steps] == [
        "database coin of service db",
        "database postgres of service db",
        "service cache",
    ]
    assert "4 keys loaded" in steps[2]


@pytest.mark.parametrize("before", recorded.VERSIONS)
def test_next_set_is_compared_with_a_recorded_one(version, before, context, tmp_path_factory):
    older = recorded.context(before, "plain", tmp_path_factory.mktemp("before"), {"engine": "files"}).store.sets()
    now = context.store.sets()[0].understood()
    for spec in context.config.sources:
        source = now.source(spec.name)
        assert drops.check(spec, source, drops.last(older, spec.name)) == []
    empty = now.source("cache").__class__("cache", "redis", (), 0, {})
    with pytest.raises(SourceError, match="source cache is empty"):
        drops.check(context.config.sources[1], empty, drops.last(older, "cache"))
