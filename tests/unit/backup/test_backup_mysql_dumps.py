# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dumps of MySQL and MariaDB, part by part, and their facts in a manifest."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.facts_validators import VALIDATORS
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.mysql import dump
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.schema import Malformed

# As mariadb-dump 10.11 writes it, shortened.
DUMP = b"""\
-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: localhost    Database: coin
-- ------------------------------------------------------
--
-- Table structure for table `a``b`
--

CREATE TABLE `a``b` (`v` int(11));

--
-- Dumping data for table `a``b`
--

set autocommit=0;
INSERT INTO `a``b` VALUES (1);
INSERT INTO `a``b` VALUES (2);
commit;
DELIMITER ;;
/*!50003 CREATE*/ /*!50003 TRIGGER t BEFORE INSERT ON `a``b` FOR EACH ROW BEGIN
-- Dumping data for table `c`
INSERT INTO `c` VALUES (9);
END */;;
DELIMITER ;

--
-- Dumping routines for database 'coin'
--
-- Dump completed
"""


@pytest.fixture
def parts(tmp_path):
    def read(data):
        path = tmp_path / "dump.sql"
        path.write_bytes(data)
        return dump.parts(str(path))

    return read


def test_rows_and_objects_of_a_dump_are_counted_apart(parts):
    found = parts(DUMP)
    assert {name: row[0] for name, row in found.tables.items()} == {"`a``b`": 2}
    assert list(found.objects) == ["Table structure `a``b`", "Dumping data `a``b`", "Dumping routines 'coin'"]


@pytest.mark.parametrize("at", [100, len(DUMP) // 2, len(DUMP) - 20])
def test_cut_dump_is_refused(parts, at):
    with pytest.raises(SourceError, match="ends in the middle"):
        parts(DUMP[:at])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"VALUES (2)", b"VALUES (3)", "rows of table `a``b` differ"),
        (b"INSERT INTO `a``b` VALUES (2);\n", b"", "table `a``b` has 1 rows instead of 2"),
        (b"int(11)", b"int(12)", "Table structure `a``b` differs"),
        (b"VALUES (9)", b"VALUES (8)", "Dumping data `a``b` differs"),
        (b"-- Dumping routines for database 'coin'\n--\n", b"", "Dumping routines 'coin' differs"),
        (b"for table `a``b`", b"for table `d`", "table `a``b` is missing"),
        (b"commit;", b"commit; ", "Dumping data `a``b` differs"),
    ],
)
def test_each_change_of_a_dump_is_named(parts, old, new, words):
    good = parts(DUMP)
    assert dump.differences(good, parts(DUMP), "coin") == []
    assert f"coin: {words}" in dump.differences(good, parts(DUMP.replace(old, new)), "coin")


def test_version_and_time_of_a_dump_do_not_count(parts):
    other = DUMP.replace(b"10.11.19", b"10.11.20").replace(b"completed", b"completed on 2026-11-29")
    assert dump.differences(parts(DUMP), parts(other), "coin") == []


def test_another_version_is_compared_by_rows_only(parts):
    other = parts(DUMP.replace(b"int(11)", b"int"))
    assert dump.differences(parts(DUMP), other, "coin", words=False) == []


FACTS = {
    "version": "10.11.19-MariaDB",
    "image": {"image": "mariadb:10.11", "image_id": "sha256:1", "digests": []},
    "lower_case": 0,
    "users": {"'app'@'%'": ["CREATE USER `app`@`%`", "GRANT USAGE ON *.* TO `app`@`%`"]},
    "databases": {
        "coin": {
            "path": "mysql/db/0.sql",
            "create": "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
            "tables": {"`t`": [1, "0" * 64]},
            "objects": {"Table structure `t`": "0" * 64},
        }
    },
    "not_compared": ["x"],
}


@pytest.mark.parametrize(
    ("way", "value", "words"),
    [
        (("lower_case",), 3, "not a whole number"),
        (("users",), {"x": ["DROP DATABASE coin"]}, "not a statement about an account"),
        (("users",), {"x": "CREATE USER x"}, "not a list"),
        (("databases",), {"a/b": {}}, "not the name of a database"),
        (("databases", "coin", "path"), "../x", "leaves its directory"),
        (("databases", "coin", "path"), "other.sql", "not a file of this source"),
        (("databases", "coin", "create"), "CHARACTER SET x COLLATE y; DROP DATABASE z", "not a character set"),
        (("databases", "coin", "tables"), {"t": [1]}, "not a number of rows and a SHA-256"),
        (("databases", "coin", "tables"), {"t": [-1, "0" * 64]}, "not a whole number"),
        (("databases", "coin", "objects"), {"t": "0"}, "not a SHA-256"),
        (("not_compared",), "all", "not a list"),
    ],
)
def test_each_fact_that_is_not_as_a_backup_takes_it_is_refused(way, value, words):
    files = {"mysql/db/0.sql": "0" * 64}
    VALIDATORS["mysql"](FACTS, files, "facts")
    found = copy.deepcopy(FACTS)
    inner = found
    for key in way[:-1]:
        inner = inner[key]
    inner[way[-1]] = value
    with pytest.raises(Malformed, match=words):
        VALIDATORS["mysql"](found, files, "facts")
