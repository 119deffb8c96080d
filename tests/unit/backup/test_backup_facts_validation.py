# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of databases in a manifest have the types and bounds with which a rehearsal uses them."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.facts_validators import VALIDATORS
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.schema import Malformed

DIGEST = "0" * 64
IMAGE = {"image": "postgres:17", "image_id": "sha256:1", "digests": []}
SEQUENCE = '["public", "s"]'
TABLES = {'["public", "t"]': [5, "77"]}
POSTGRESQL: dict[str, t.Any] = {
    "version": "17.2",
    "user": "postgres",
    "image": IMAGE,
    "preload": [""],
    "initdb_args": "",
    "settings": {
        "carried": {"shared_preload_libraries": "", "pgaudit.log": "all"},
        "in_data_directory": {"work_mem": ["4MB", True], "x.y": [None, False]},
    },
    "catalogue": {"roles": {"role coin": {"rolsuper": True, "rolconnlimit": -1, "rolvaliduntil": None}}},
    "not_compared": ["planner statistics"],
    "databases": {
        "coin": {
            "path": "pg/db/coin.dump",
            "tables": TABLES,
            "config_tables": TABLES,
            "views": TABLES,
            "extensions": {"plpgsql": "1.0"},
            "extension_updates": {"plpgsql": "1.1"},
            "large_objects": [0, "0"],
            "sequences_before": {SEQUENCE: [-(1 << 63), True, False]},
            "sequences_after": {SEQUENCE: [1, False, True]},
            "entries": [["TABLE public.t", DIGEST], ["x" * 200, DIGEST]],
            "catalogue": {"database": {"properties": {"owner": "coin", "privileges": ["coin CONNECT", None]}}},
        }
    },
}
REDIS: dict[str, t.Any] = {
    "version": "8.1.1",
    "config": {},
    "keyspace": {},
    "path": "redis/cache.rdb",
    "keys": 0,
    "expires": 0,
    "image": IMAGE,
    "functions": {"library": DIGEST},
    "modules": [["/opt/../lib/module.so"], ["/opt/other.so", "WORD"]],
    "acl_users": ["app"],
    "not_compared": ["users and passwords (ACL)"],
}
FILES = {"pg/db/coin.dump": DIGEST, "redis/cache.rdb": DIGEST}


def changed(facts, way, value):
    found = copy.deepcopy(facts)
    inner = found
    for key in way[:-1]:
        inner = inner[key]
    inner[way[-1]] = value
    return found


@pytest.mark.parametrize(("kind", "facts"), [("postgresql", POSTGRESQL), ("redis", REDIS)])
def test_facts_of_a_backup_are_accepted(kind, facts):
    VALIDATORS[kind](facts, FILES, "facts")


INSIDE = ("databases", "coin")


@pytest.mark.parametrize(
    ("way", "value", "words"),
    [
        (("settings",), [], "facts.settings is not a mapping"),
        (("settings",), {"carried": {}}, "in_data_directory is missing"),
        (("settings", "carried"), {"x.y": 1}, "not a text"),
        (("settings", "carried"), {"-x": "1"}, "not the name of a setting"),
        (("settings", "carried"), {"x=y": "1"}, "not the name of a setting"),
        (("settings", "carried"), {"x" * 1025: "1"}, "not the name of a setting"),
        (("settings", "in_data_directory"), {"x": ["1"]}, "not a value and whether"),
        (("settings", "in_data_directory"), {"x": ["1", 1]}, "not a value and whether"),
        (("settings", "in_data_directory"), {"x": [1, True]}, "not a text"),
        (("catalogue",), {"roles": []}, "not a mapping"),
        (("catalogue",), {"roles": {"role x": None}}, "not a mapping"),
        (("catalogue",), {"roles": {"role x": {"a": {"b": 1}}}}, "not an attribute of the catalog"),
        (("not_compared",), "all", "not a list"),
        (("not_compared",), [1], "not a text"),
        ((*INSIDE, "catalogue"), {"database": {"properties": {"a": [["x"]]}}}, "not an attribute of the catalog"),
        ((*INSIDE, "extension_updates"), {"x": None}, "not a text"),
        ((*INSIDE, "extension_updates"), ["x"], "not a mapping"),
        ((*INSIDE, "entries"), {}, "entries is not a list"),
        ((*INSIDE, "entries"), [["x"]], r"entries\[0\] is not the name of an object and its digest"),
        ((*INSIDE, "entries"), [["x", DIGEST, ""]], "not the name of an object and its digest"),
        ((*INSIDE, "entries"), [["x", "0"]], "not a SHA-256"),
        ((*INSIDE, "entries"), [[1, DIGEST]], "not a text"),
        ((*INSIDE, "entries"), [["x" * 201, DIGEST]], "at most 200 characters"),
        ((*INSIDE, "entries"), None, "entries is missing, and so is schema"),
        ((*INSIDE, "views"), {"v": [1, "1"]}, "not schema and name"),
        ((*INSIDE, "sequences_after"), {SEQUENCE: [1]}, "not a value, whether it was used"),
        ((*INSIDE, "sequences_after"), {SEQUENCE: [1, 0, False]}, "not a value, whether it was used"),
        ((*INSIDE, "sequences_after"), {SEQUENCE: [None, False, False]}, "not a whole number"),
        ((*INSIDE, "sequences_after"), {SEQUENCE: [True, False, False]}, "not a whole number"),
        ((*INSIDE, "sequences_after"), {SEQUENCE: [1, True, False, True]}, "not a value, whether it was used"),
    ],
)
def test_malformed_fact_of_postgresql_is_refused(way, value, words):
    with pytest.raises(Malformed, match=words):
        VALIDATORS["postgresql"](changed(POSTGRESQL, way, value), FILES, "facts")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("functions", ["x"], "facts.functions is not a mapping"),
        ("functions", {"x": "0"}, "not a SHA-256"),
        ("functions", {"x": None}, "not a text"),
        ("modules", {}, "facts.modules is not a list"),
        ("modules", ["/opt/module.so"], "not a list"),
        ("modules", [[]], "not the path of a module"),
        ("modules", [["module.so"]], "not an absolute path"),
        ("modules", [["--save"]], "not an absolute path"),
        ("modules", [["/opt/module.so", "--enable-debug-command"]], "does not begin with a dash"),
        ("modules", [[1]], "not a text"),
        ("acl_users", "app", "facts.acl_users is not a list"),
        ("acl_users", [["app"]], "not a text"),
        ("not_compared", [None], "not a text"),
    ],
)
def test_malformed_fact_of_redis_is_refused(key, value, words):
    with pytest.raises(Malformed, match=words):
        VALIDATORS["redis"](changed(REDIS, (key,), value), FILES, "facts")


@pytest.mark.parametrize("value", [[None, False], [10, True]])
def test_sequences_and_schema_of_the_first_release_are_accepted(value):
    old = {key: POSTGRESQL["databases"]["coin"][key] for key in ("path", "tables", "extensions", "large_objects")}
    old.update(sequences_before={SEQUENCE: value}, sequences_after={SEQUENCE: value}, schema=["CREATE TABLE t;"])
    kept = ("version", "user", "image", "preload", "initdb_args")
    facts = {**{key: POSTGRESQL[key] for key in kept}, "databases": {"coin": old}}
    VALIDATORS["postgresql"](facts, FILES, "facts")
