# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bot: trades on paper by one rule, keeps positions in Postgres and its status in Redis, notifies n8n of each sale.

It buys one unit when the price is above the mean of the last prices, and sells it when it is below.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
import typing as t
from decimal import Decimal

import aiohttp
import prometheus_client
from aiohttp import web
from prometheus_client import Counter, Gauge

from coinpilot import service, settings
from coinpilot.stores import Stores

log = logging.getLogger(__name__)
PORT = 8000
AMOUNT = Decimal(1)
LOOK_BACK = 12
# Long enough for a slow step, short enough that the status of a dead bot goes away.
STATUS_STEPS = 6


class Metrics:
    """What Prometheus scrapes from port 8000."""

    def __init__(self, registry: prometheus_client.CollectorRegistry) -> None:
        self.active = Gauge("coinpilot_active_positions", "Positions that are open", registry=registry)
        self.pnl = Gauge("coinpilot_total_pnl", "Profit and loss, realised and open", registry=registry)
        self.step = Gauge("coinpilot_last_step_timestamp_seconds", "When the bot last did a step", registry=registry)
        self.trades = Counter("coinpilot_trades_total", "Trades on paper", ["side"], registry=registry)
        self.failures = Counter("coinpilot_webhook_failures_total", "Calls of n8n that failed", registry=registry)
        for side in ("buy", "sell"):
            self.trades.labels(side)


Tell = t.Callable[[t.Mapping[str, t.Any]], t.Awaitable[None]]


class Bot:
    """One step checks every symbol. ``tell`` receives each sale and never raises."""

    def __init__(self, wanted: settings.BotSettings, metrics: Metrics, tell: Tell) -> None:
        self._wanted = wanted
        self._metrics = metrics
        self._tell = tell

    async def step(self, stores: Stores) -> None:
        for symbol in self._wanted.symbols:
            await self._trade(stores, symbol)
        await self._measure(stores)

    async def _trade(self, stores: Stores, symbol: str) -> None:
        latest = await stores.cache.get(f"price:{symbol}")
        if latest is None:
            return  # the collector has not been here yet
        price = Decimal(latest)
        mean = await stores.sql.fetchval(
            "SELECT avg(price) FROM (SELECT price FROM prices WHERE symbol = $1 ORDER BY at DESC LIMIT $2) AS last",
            symbol,
            LOOK_BACK,
        )
        opened = await stores.sql.fetchrow("SELECT * FROM positions WHERE symbol = $1 AND closed_at IS NULL", symbol)
        if opened is None and mean is not None and price > mean:
            await self._buy(stores, symbol, price)
        elif opened is not None and mean is not None and price < mean:
            await self._sell(stores, opened, price)
        holding = await stores.sql.fetchval(
            "SELECT count(*) FROM positions WHERE symbol = $1 AND closed_at IS NULL", symbol
        )
        status = {"price": str(price), "holding": int(holding), "at": str(int(time.time()))}
        key = f"bot:status:{symbol}"
        await stores.cache.hset(key, mapping=status)
        await stores.cache.expire(key, int(STATUS_STEPS * self._wanted.interval) + 5)

    async def _buy(self, stores: Stores, symbol: str, price: Decimal) -> None:
        async with stores.sql.acquire() as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO positions (symbol, amount, entry) VALUES ($1, $2, $3)", symbol, AMOUNT, price
            )
            await connection.execute(
                "INSERT INTO daily_risk_state (buy_count) VALUES (1)"
                " ON CONFLICT (day) DO UPDATE SET buy_count = daily_risk_state.buy_count + 1"
            )
        self._metrics.trades.labels("buy").inc()
        log.info("bought %s at %s", symbol, price)

    async def _sell(self, stores: Stores, position: t.Mapping[str, t.Any], price: Decimal) -> None:
        async with stores.sql.acquire() as connection, connection.transaction():
            await connection.execute(
                "UPDATE positions SET exit = $2, closed_at = now() WHERE id = $1", position["id"], price
            )
            await connection.execute(
                "INSERT INTO daily_risk_state (sell_count) VALUES (1)"
                " ON CONFLICT (day) DO UPDATE SET sell_count = daily_risk_state.sell_count + 1"
            )
        self._metrics.trades.labels("sell").inc()
        gain = (price - position["entry"]) * position["amount"]
        log.info("sold %s at %s, gained %s", position["symbol"], price, gain)
        await self._tell({"event": "sold", "symbol": position["symbol"], "price": str(price), "gain": str(gain)})

    async def _measure(self, stores: Stores) -> None:
        row = await stores.sql.fetchrow(
            """
            SELECT count(*) FILTER (WHERE p.closed_at IS NULL) AS active,
                   coalesce(sum((coalesce(p.exit, last.price, p.entry) - p.entry) * p.amount), 0) AS pnl
            FROM positions AS p
            LEFT JOIN LATERAL (
                SELECT price FROM prices WHERE symbol = p.symbol ORDER BY at DESC LIMIT 1
            ) AS last ON p.closed_at IS NULL
            """
        )
        self._metrics.active.set(row["active"])
        self._metrics.pnl.set(float(row["pnl"]))
        self._metrics.step.set(time.time())


class Webhook:
    """Calls n8n. A call that fails is counted and logged; trading continues."""

    def __init__(self, url: str, secret: str, metrics: Metrics) -> None:
        self._url = f"{url}/webhook/coinpilot"
        self._headers = {"X-Coinpilot-Secret": secret}
        self._metrics = metrics

    async def tell(self, event: t.Mapping[str, t.Any]) -> None:
        limit = aiohttp.ClientTimeout(total=5)
        try:
            async with (
                aiohttp.ClientSession(timeout=limit, headers=self._headers) as session,
                session.post(self._url, json=dict(event)) as answer,
            ):
                answer.raise_for_status()
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            self._metrics.failures.inc()
            log.warning("n8n was not notified: %s", error)


def application(registry: prometheus_client.CollectorRegistry) -> web.Application:
    async def metrics(_request: web.Request) -> web.Response:
        body = prometheus_client.generate_latest(registry)
        return web.Response(body=body, headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    return app


def main() -> None:
    wanted = settings.or_exit(settings.bot, os.environ)
    registry = prometheus_client.CollectorRegistry()
    metrics = Metrics(registry)
    bot = Bot(wanted, metrics, Webhook(wanted.n8n_url, wanted.webhook_secret, metrics).tell)
    service.Service(wanted, service.Loop(bot.step, wanted.interval)).serve(application(registry), PORT)


if __name__ == "__main__":
    main()
