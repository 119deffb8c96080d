# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Output of redis-check-rdb (recorded from Redis 7.0.15 and 8.0.2), of Redis and of restic."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    SourceError,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis import server as redis
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import restic_backup

GOOD_RDB = """[offset 196] Checksum OK
[offset 196] \\o/ RDB looks OK! \\o/
[info] 5002 keys read
[info] 10 expires
[info] 2 already expired
"""


def test_output_of_redis_check_rdb_is_counted():
    assert redis.checked(GOOD_RDB) == {"keys": 5002, "expires": 10, "expired": 2}
    assert redis.durable_keys(redis.checked(GOOD_RDB)) == 4992


@pytest.mark.parametrize("said", ["", "--- RDB ERROR DETECTED ---", "[info] 3 keys read\n", "RDB looks OK"])
def test_rdb_without_a_good_report_is_refused(said):
    with pytest.raises(SourceError):
        redis.checked(said)


def test_keyspace_is_read_with_and_without_ttl():
    info = {"db0": "keys=5,expires=1,avg_ttl=3", "db3": "keys=2,expires=0,avg_ttl=0,subexpiry=0", "role": "master"}
    assert redis.keyspace(info) == {"0": [5, 1], "3": [2, 0]}


def test_output_of_restic_is_read_for_its_summary():
    text = '{"message_type":"error"}\nnot json\n{"message_type":"summary","snapshot_id":"abc"}\n'
    assert restic_backup.summary(text)["snapshot_id"] == "abc"
    assert restic_backup.summary("") == {}
