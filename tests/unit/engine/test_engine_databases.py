# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images are databases."""

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.engine import databases

YES = [
    "postgres",
    "postgres:15",
    "docker.io/library/redis:7",
    "registry.lan:5000/team/postgres@sha256:00",
    "valkey/valkey:8-alpine",
    "bitnami/postgresql:16",
    "timescale/timescaledb-ha:pg16",
    "mongo:7",
    "redis/redis-stack",
    "localhost/Postgres",
]
NO = [
    "nginx",
    "",
    "oliver006/redis_exporter:v1",
    "quay.io/prometheuscommunity/postgres-exporter",
    "mongo-express",
    "redis/redisinsight",
    "phpmyadmin",
    "postgres.lan:5000/app",
    "ghcr.io/redis/app",
]


@pytest.mark.parametrize(("image", "expected"), [(name, True) for name in YES] + [(name, False) for name in NO])
def test_database_is_known_by_the_last_part_of_its_image_s_name(image: str, expected: bool):
    assert databases.is_database(image) is expected
