# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Postgres and Redis: connected once both answer, with the tables in place."""

from __future__ import annotations

import asyncio
import logging
import typing as t

import asyncpg
import redis.asyncio
import redis.exceptions

from coinpilot.settings import Settings

log = logging.getLogger(__name__)
# Any of the services may come first; the lock lets one of them make the tables while the others wait.
_SCHEMA_LOCK = 0x636F696E
_SCHEMA = """
CREATE TABLE IF NOT EXISTS prices (
    symbol text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    price numeric(20, 4) NOT NULL CHECK (price > 0),
    PRIMARY KEY (symbol, at)
);
CREATE TABLE IF NOT EXISTS positions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    symbol text NOT NULL,
    amount numeric(20, 8) NOT NULL CHECK (amount > 0),
    entry numeric(20, 4) NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now(),
    exit numeric(20, 4),
    closed_at timestamptz,
    CHECK ((exit IS NULL) = (closed_at IS NULL))
);
CREATE UNIQUE INDEX IF NOT EXISTS one_open_position ON positions (symbol) WHERE closed_at IS NULL;
CREATE TABLE IF NOT EXISTS daily_risk_state (
    day date PRIMARY KEY DEFAULT current_date,
    buy_count integer NOT NULL DEFAULT 0,
    sell_count integer NOT NULL DEFAULT 0
);
"""
FAILURES = (OSError, asyncio.TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, redis.exceptions.RedisError)


class Stores:
    """The two stores. Use :func:`connect`."""

    def __init__(self, sql: asyncpg.Pool, cache: redis.asyncio.Redis) -> None:
        self.sql = sql
        self.cache = cache

    async def ping(self) -> None:
        """Raise one of :data:`FAILURES` unless both answer."""
        await self.sql.fetchval("SELECT 1", timeout=3)
        await self.cache.ping()

    async def close(self) -> None:
        self.sql.terminate()
        await self.cache.close()


async def connect(settings: Settings) -> Stores:
    """Wait for both stores; a service that came before them is not a failed one."""
    told = ""
    while True:
        try:
            return await _connect(settings)
        except FAILURES as error:
            if str(error) != told:
                told = str(error)
                log.warning("waiting for the stores: %s", error)
            await asyncio.sleep(min(1.0, settings.interval))


async def _connect(settings: Settings) -> Stores:
    options: dict[str, t.Any] = {"min_size": 1, "max_size": 3, "timeout": 5, "command_timeout": 10}
    sql = await asyncpg.create_pool(**settings.postgres, **options)
    cache = redis.asyncio.Redis(
        **settings.redis, decode_responses=True, socket_timeout=5, socket_connect_timeout=5, health_check_interval=30
    )
    stores = Stores(sql, cache)
    try:
        await stores.ping()
        async with sql.acquire() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _SCHEMA_LOCK)
            await connection.execute(_SCHEMA)
    except BaseException:
        await stores.close()
        raise
    return stores
