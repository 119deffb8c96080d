# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drops are found in each part of a source, even if the sum hides them. Missing sources are reported."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import drops, restore, run, status
from ansible_collections.onebox.stack.plugins.module_utils.backup.configuration import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import RestoreRefused, SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import cli
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import drops as pgdrops
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Artefact, Source
from backup_sites import Site

SPEC = SourceSpec("db", "postgresql", max_drop_percent=50)


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path / "site")


def tables(**rows):
    """A database: ``public__t=5`` is table t of schema public with five rows."""
    return {"tables": {json.dumps(name.split("__")): [count, "0"] for name, count in rows.items()}}


def server(size=1 << 20, **databases):
    count = sum(row[0] for database in databases.values() for row in database["tables"].values())
    return Source("db", "postgresql", (Artefact("pg/db/x.dump", size, ""),), count, {"databases": databases})


BEFORE = server(
    big=tables(public__t=5000, public__u=4000), d0=tables(public__t=100), d1=tables(public__t=10, log__t=990)
)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (
            server(big=tables(public__t=9000), d1=tables(public__t=10, log__t=990)),
            "lacks database d0, which the previous set has",
        ),
        (server(big=tables(public__t=9000), d0=tables(), d1=tables(log__t=990)), "database d0 went from 100 to 0 rows"),
        (server(big=tables(public__t=9000), d0=tables(public__t=49), d1=tables(log__t=990)), "d0 went from 100 to 49"),
        (
            server(big=tables(public__t=9000), d0=tables(public__t=100), d1=tables(public__t=900, log__t=100)),
            "schema log of database d1 went from 990 to 100 rows",
        ),
        (server(1 << 18, **BEFORE.facts["databases"]), "went from 1048576 to 262144 bytes"),
    ],
)
def test_part_of_a_server_that_shrank_is_named_with_how_to_accept_it(now, words):
    with pytest.raises(SourceError, match=f"{words}.*--accept-drop db"):
        drops.check(SPEC, now, BEFORE)
    reported = drops.check(SourceSpec("db", "postgresql", max_drop_percent=100), now, BEFORE)
    assert bool(reported) == ("bytes" not in words)


def test_every_part_that_shrank_is_named():
    now = server(big=tables(public__t=9000), d1=tables(public__t=0, log__t=0))
    with pytest.raises(
        SourceError, match=r"lacks database d0, which the previous set has; database d1 went from 1000 to 0 rows"
    ):
        drops.check(SPEC, now, BEFORE)


def test_small_parts_may_shrink_and_large_empty_tables_are_reported():
    before = server(
        q=tables(public__jobs=60, public__done=40), big=tables(public__t=9000, public__u=2000), e=tables(public__t=0)
    )
    now = server(q=tables(public__jobs=1, public__done=50), big=tables(public__t=9000, public__u=0), e=tables())
    assert drops.check(SPEC, now, before) == ["table public.u of database big went from 2000 rows to none"]


def test_database_that_is_no_longer_configured_is_reported_without_a_drop():
    spec = SourceSpec("db", "postgresql", databases=("d0", "d1"), max_drop_percent=50)
    now = server(1000, d0=tables(public__t=100), d1=tables(public__t=10, log__t=990))
    before = server(1000, big={**tables(public__t=9000), "path": "big"}, **now.facts["databases"])
    before = dataclasses.replace(before, artefacts=(*now.artefacts, Artefact("big", 1 << 30, "")))
    assert drops.check(spec, now, before) == ["database big was in the previous set and is no longer configured"]


def test_previous_copy_of_a_restore_is_not_compared():
    aside = "big_before_20260102-030405"
    assert pgdrops.is_aside(aside)
    assert not any(map(pgdrops.is_aside, ("big", "big_before", "year_before_2026", f"{aside}_x")))
    before = server(**{aside: tables(public__t=90_000), "big": tables(public__t=5000)})
    assert drops.check(SPEC, server(big=tables(public__t=5000)), before) == []


def test_numbered_database_of_redis_is_compared_by_itself():
    def redis(**keys):
        keyspace = {name[1:]: [count, 0] for name, count in keys.items()}
        return Source("r", "redis", (), sum(keys.values()), {"keyspace": keyspace})

    spec = SourceSpec("r", "redis", max_drop_percent=50)
    with pytest.raises(SourceError, match="database 1 went from 100 to 0 keys"):
        drops.check(spec, redis(d0=5000), redis(d0=5000, d1=100))
    reported = drops.check(SourceSpec("r", "redis", max_drop_percent=100), redis(d0=5000), redis(d0=5000, d1=100))
    assert reported == ["database 1 went from 100 to 0 keys"]


def test_files_truncated_to_zero_bytes_are_a_drop(site):
    for number in range(20):
        with open(os.path.join(site.files, f"f{number}"), "wb") as file:
            file.write(os.urandom(20_000))
    assert site.day()["error"] == ""
    for number in range(20):
        os.truncate(os.path.join(site.files, f"f{number}"), 0)
    report = site.day()
    assert report["exit_code"] == 4
    assert "bytes: more than 50 % less" in report["error"]
    assert run.backup(site.context(), accept_drop=["data"])["error"] == ""


def two(site, *names):
    """A context with the named directories of data and certs."""
    places = {"data": site.files, "certs": os.path.join(site.base, "x", "certs")}
    return site.context(sources=[{"name": name, "kind": "directory", "path": places[name]} for name in names])


@pytest.fixture
def certs(site):
    place = os.path.join(site.base, "x", "certs")
    os.makedirs(place)
    with open(os.path.join(place, "key"), "w", encoding="utf-8") as file:
        file.write("1")
    return place


def test_added_source_is_reported_until_a_set_holds_it(site, certs):
    assert run.backup(two(site, "data"))["error"] == ""
    found = status.status(two(site, "data", "certs"))
    assert found["notes"] == ["source certs (directory) is in no set yet: the next backup includes it"]
    report = restore.restore(two(site, "data", "certs"), restore.Request(), confirm="unit")
    assert report["error"] == ""
    assert report["warnings"] == ["set 1 holds no source 'certs': it stays as it is"]
    assert run.backup(two(site, "data", "certs"))["error"] == ""
    assert status.status(two(site, "data", "certs"))["notes"] == []


def test_removed_source_is_reported_once_and_the_others_are_restored(site, certs):
    assert run.backup(two(site, "data", "certs"))["error"] == ""
    assert restore.restore(two(site, "data"), restore.Request())["warnings"] == [
        "source 'certs' is in set 1 and not in the backup configuration (any more): it is not restored. "
        "To restore it, add it there again"
    ]
    first = run.backup(two(site, "data"))
    assert "source certs (directory) is in set 1 and no longer configured" in first["warnings"][0]
    assert "pin 1" in first["warnings"][0]
    assert run.backup(two(site, "data"))["warnings"] == []


def test_restore_that_fails_midway_reports_done_steps_and_copies(site, certs, capsys):
    config = os.path.join(site.base, "unit.json")
    assert run.backup(two(site, "data", "certs"))["error"] == ""
    # The directory of the second source is missing.
    shutil.rmtree(os.path.dirname(certs))
    with open(os.path.dirname(certs), "w", encoding="utf-8"):
        pass
    with open(config, "w", encoding="utf-8") as file:
        declared = two(site, "data", "certs").config
        sources = [{"name": each.name, "kind": each.kind, "path": each.path} for each in declared.sources]
        place = {"engine": "files", "path": declared.repository.path}
        key = declared.authentication_file
        whole = {"stack": "unit", "state_dir": declared.state_dir, "reserve_mib": 0, "authentication_file": key}
        json.dump({**whole, "repository": place, "sources": sources}, file)
    assert cli.main(["--config", config, "restore", "--yes", "unit"]) != 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("done: ") and f"directory {site.files}:" in line]
    assert [line for line in lines if line.startswith("not done: ") and "certs" in line]
    assert not [line for line in lines if line.startswith("would:")]
    assert [line for line in lines if line.startswith(f"kept: {site.files}.before-")]


def test_source_with_a_changed_kind_is_refused_by_name(site):
    site.day()
    context = site.context(sources=[{"name": "data", "kind": "compose", "files": ["/etc/hostname"]}])
    with pytest.raises(RestoreRefused, match="source 'data' is directory in set 1 and compose in the backup"):
        restore.restore(context, restore.Request(), confirm="unit")


def redis_source(count: int) -> Source:
    return Source("s", "redis", (), count, {})


def test_empty_source_and_drops_are_refused():
    spec = SourceSpec("s", "redis", max_drop_percent=50)
    with pytest.raises(SourceError, match="is empty"):
        drops.check(spec, redis_source(0), None)
    with pytest.raises(SourceError, match="from 100 to 49"):
        drops.check(spec, redis_source(49), redis_source(100))
    drops.check(spec, redis_source(50), redis_source(100))
    drops.check(SourceSpec("s", "redis", allow_empty=True), redis_source(0), redis_source(100))
