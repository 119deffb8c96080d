# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collector: a price for each symbol at each step, into Postgres for good and into Redis for who needs the latest.

The prices are invented, a random walk that continues after the last price. This sample needs no exchange or key.
"""

from __future__ import annotations

import os
import random
import typing as t
from decimal import Decimal

from aiohttp import web

from coinpilot import service, settings
from coinpilot.stores import Stores

PORT = 8001
KEEP = "7 days"
START = Decimal(100_000)
# The largest step, as a part of the price.
STEP = 0.01


class Collector:
    """Makes prices. ``chance`` is a number between 0 and 1, a new one at each call."""

    def __init__(self, symbols: t.Sequence[str], chance: t.Callable[[], float] = random.random) -> None:
        self._symbols = symbols
        self._chance = chance

    def next_price(self, price: Decimal) -> Decimal:
        change = Decimal(1 + STEP * (2 * self._chance() - 1))
        return max(Decimal("0.0001"), (price * change).quantize(Decimal("0.0001")))

    async def step(self, stores: Stores) -> None:
        for symbol in self._symbols:
            last = await stores.sql.fetchval(
                "SELECT price FROM prices WHERE symbol = $1 ORDER BY at DESC LIMIT 1", symbol
            )
            price = self.next_price(last or START)
            await stores.sql.execute("INSERT INTO prices (symbol, price) VALUES ($1, $2)", symbol, price)
            await stores.cache.set(f"price:{symbol}", str(price))
        await stores.sql.execute("DELETE FROM prices WHERE at < now() - CAST($1::text AS interval)", KEEP)


def main() -> None:
    wanted = settings.or_exit(settings.common, os.environ)
    loop = service.Loop(Collector(wanted.symbols).step, wanted.interval)
    service.Service(wanted, loop).serve(web.Application(), PORT)


if __name__ == "__main__":
    main()
