# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of a Redis set, and of a restored Redis: each is found by the rehearsal, or reported by the backup."""

from __future__ import annotations

import contextlib
import shutil
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import rehearse
from databases import IMAGES, ServerStack, docker

CODE = "#!lua name=lib\nredis.register_function('one', function() return 1 end)"
FILL = [
    "SET balance 100",
    "SET later x",
    "PEXPIREAT later 4102444800000",
    "RPUSH list a b",
    "SADD set a b",
    "HSET hash f v",
    "ZADD zset 1 a 2 b",
    "XADD stream 1-1 f v",
    "XADD stream 2-1 f w",
    "XGROUP CREATE stream group 0",
    "XREADGROUP GROUP group consumer COUNT 1 STREAMS stream >",
]
# Changes of the data, each on an unchanged copy.
CHANGES = {
    "value of a string": ["SET", "balance", "1"],
    "expiry earlier": ["PEXPIREAT", "later", "4102444700000"],
    "expiry gone": ["PERSIST", "later"],
    "expiry more": ["PEXPIREAT", "balance", "4102444800000"],
    "order of a list": ["LSET", "list", "0", "b"],
    "member of a set": ["SADD", "set", "c"],
    "field of a hash": ["HSET", "hash", "f", "w"],
    "score of a sorted set": ["ZADD", "zset", "3", "a"],
    "entry of a stream": ["XADD", "stream", "3-1", "f", "x"],
    "entry of a stream gone": ["XDEL", "stream", "1-1"],
    "group of a stream": ["XGROUP", "CREATE", "stream", "other", "0"],
    "position of a group": ["XGROUP", "SETID", "stream", "group", "2-1"],
    "what a consumer has not acknowledged": ["XACK", "stream", "group", "1-1"],
    "key in another database": ["MOVE", "balance", "3"],
    "key renamed": ["RENAME", "balance", "debt"],
    "function changed": ["FUNCTION", "LOAD", "REPLACE", CODE.replace("return 1", "return 2")],
    "function more": ["FUNCTION", "LOAD", CODE.replace("name=lib", "name=other").replace("'one'", "'two'")],
    "function gone": ["FUNCTION", "DELETE", "lib"],
}
USERS = ["ACL", "SETUSER", "app", "on", ">pw", "~*", "+@read"]


@pytest.fixture(scope="module")
def srv(tmp_path_factory):
    with ServerStack(tmp_path_factory.mktemp("redis")) as srv:
        words = ["--appendonly", "yes", "--repl-diskless-sync-delay", "0", "--databases", "20"]
        srv.redis("redis-server", "--dir", "/data", *words)
        for line in FILL:
            srv.redis_cli(*line.split())
        srv.redis_cli("FUNCTION", "LOAD", CODE)
        # A number of databases that a server without settings does not have.
        srv.redis_cli("-n", "19", "SET", "far", "away")
        yield srv


def test_users_are_named_by_the_backup(srv):
    assert srv.backup()["warnings"] == []
    srv.redis_cli(*USERS)
    (warning,) = srv.backup()["warnings"]
    assert "ACL users are in no set (app)" in warning
    report = srv.rehearse()
    assert report["error"] == ""
    assert "users and passwords (ACL)" in report["sources"][0]["found"]["not_compared"]
    restored = srv.restore()
    assert restored["error"] == ""
    (said,) = restored["warnings"]
    assert "ACL users app are not in" in said


@pytest.mark.parametrize("expires", [True, False], ids=["keys that expire", "no key that expires"])
def test_each_change_of_a_restored_redis_is_found(srv, tally, expires):
    if not expires:
        srv.redis_cli("PERSIST", "later")
    assert srv.backup()["error"] == ""
    seen = {}
    with srv.fetched() as (context, chosen, source, staged):
        for name, change in CHANGES.items():
            if name in ("expiry earlier", "expiry gone") and not expires:
                continue
            try:
                rehearse.check_source(
                    context,
                    context.store,
                    chosen,
                    source,
                    str(staged),
                    "",
                    lambda server, words=change: server.ask(*words),
                )
                seen[name] = False
            except rehearse.MismatchError:
                seen[name] = True
        rehearse.check_source(context, context.store, chosen, source, str(staged), "")
    missed = [name for name, found in seen.items() if not found]
    assert missed == []
    tally("changes of a restored Redis that the second look finds", len(seen), len(missed))


@contextlib.contextmanager
def altered(container, good, rdb, change):
    """Load the RDB ``good`` in a running container, change it, and save it to ``rdb``."""
    docker("exec", container, "rm", "-f", "/tmp/dump.rdb")
    docker("cp", str(good), f"{container}:/tmp/dump.rdb")
    words = ["redis-server", "--dir", "/tmp", "--save", "", "--appendonly", "no", "--databases", "20"]
    docker("exec", "-d", container, *words)
    deadline = time.monotonic() + 60
    while docker("exec", container, "redis-cli", "PING", check=False) != "PONG":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    docker("exec", container, "redis-cli", *change)
    docker("exec", container, "redis-cli", "SAVE")
    docker("cp", f"{container}:/tmp/dump.rdb", str(rdb))
    docker("exec", container, "redis-cli", "SHUTDOWN", "NOSAVE", check=False)
    yield


def test_each_change_of_a_dump_behind_its_checksum_is_found(srv, tally):
    assert srv.backup()["error"] == ""
    found = 0
    container = srv.start("spare", IMAGES.ensure("redis7"), "infinity", args=["--entrypoint", "sleep"])
    with srv.fetched() as (context, chosen, source, staged):
        rdb = staged / source.facts["path"]
        good = rdb.with_suffix(".good")
        shutil.copyfile(rdb, good)
        for change in CHANGES.values():
            with altered(container, good, rdb, change), pytest.raises(rehearse.MismatchError):
                rehearse.check_source(context, context.store, chosen, source, str(staged), "")
            found += 1
    tally("changes of a Redis dump behind its checksum", found, 0)


def test_functions_and_high_databases_are_restored(srv):
    assert srv.backup()["error"] == ""
    assert srv.rehearse()["error"] == ""
    srv.redis_cli("FLUSHALL")
    report = srv.restore()
    assert report["error"] == ""
    assert srv.redis_cli("FCALL", "one", "0") == "1"
    assert srv.redis_cli("-n", "19", "GET", "far") == "away"
    assert srv.redis_cli("PEXPIRETIME", "later") in ("4102444800000", "-1")
