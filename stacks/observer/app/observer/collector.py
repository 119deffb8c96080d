"""The first app: while the market is open, a tick a strategy and interval, to a journal and to PostgreSQL.

The ticks are made up; what matters here is that each is on disk and in the database before the next one is made.
"""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import random

import database
import web

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
STRATEGIES = ("scalp", "swing")


class Market:
    """When to collect, by the local time of the container (TZ)."""

    def __init__(self, days: str, hours: str) -> None:
        first, _dash, last = days.partition("-")
        self._days = range(DAYS.index(first), DAYS.index(last or first) + 1)
        self._from, _dash, self._to = hours.partition("-")

    def is_open(self, now: datetime.datetime) -> bool:
        return now.weekday() in self._days and self._from <= f"{now:%H:%M}" < self._to


class Collector:
    """Makes ticks and keeps them; ``trouble`` says why the last one could not be kept."""

    def __init__(self, data: pathlib.Path, logs: pathlib.Path) -> None:
        self._data = data
        self._logs = logs
        self._connection: database.Connection | None = None
        self.ticks = 0
        self.trouble = "nothing was tried yet"

    def probe(self) -> None:
        """See that both places can be written to, also outside of the market's hours."""
        try:
            self._run("SELECT 1")
            for folder in (self._data, self._logs):
                if not os.access(folder, os.W_OK):
                    raise OSError(f"{folder} cannot be written to")
            self.trouble = ""
        except (OSError, database.DatabaseError) as error:
            self._failed(error)

    def tick(self, now: datetime.datetime) -> None:
        for strategy in STRATEGIES:
            row = {
                "at": now.isoformat(),
                "strategy": strategy,
                "symbol": "005930",
                "price": random.randint(70000, 80000),
            }
            try:
                folder = self._data / strategy
                folder.mkdir(exist_ok=True)
                with open(folder / f"{now:%Y%m%d}.jsonl", "a", encoding="utf-8") as stream:
                    stream.write(json.dumps(row) + "\n")
                    stream.flush()
                    os.fsync(stream.fileno())
                self._run(
                    "INSERT INTO ticks VALUES ($1::timestamptz, $2, $3, $4::int)",
                    *(row["at"], strategy, row["symbol"], row["price"]),
                )
                self.ticks += 1
                self.trouble = ""
            except (OSError, database.DatabaseError) as error:
                self._failed(error)

    def _run(self, statement: str, *values: str | int) -> None:
        self._connection = self._connection or database.connect()
        self._connection.run(statement, *values)

    def _failed(self, error: Exception) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self.trouble != str(error):
            print(f"cannot keep ticks: {error}", flush=True)
        self.trouble = str(error)


def main() -> None:
    told = web.until_told()
    market = Market(os.environ.get("OBSERVER_DAYS", "mon-fri"), os.environ.get("OBSERVER_HOURS", "09:00-15:30"))
    collector = Collector(pathlib.Path(os.environ["OBSERVER_DATA"]), pathlib.Path(os.environ["OBSERVER_LOGS"]))

    def health() -> web.Page:
        body = {"ok": not collector.trouble, "trouble": collector.trouble, "ticks": collector.ticks}
        return web.Page(503 if collector.trouble else 200, {**body, "open": market.is_open(datetime.datetime.now())})

    def metrics() -> web.Page:
        is_open = market.is_open(datetime.datetime.now())
        values = {
            "observer_ticks_total": collector.ticks,
            "observer_market_open": is_open,
            "observer_ok": health().status == 200,
        }
        return web.Page(200, web.metrics({name: float(value) for name, value in values.items()}))

    web.serve({"/health": health, "/metrics": metrics})
    interval = float(os.environ.get("OBSERVER_INTERVAL", "1"))
    while not told.is_set():
        now = datetime.datetime.now().astimezone()
        if market.is_open(now):
            collector.tick(now)
        else:
            collector.probe()
        told.wait(interval)


if __name__ == "__main__":
    main()
