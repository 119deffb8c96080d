# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dashboard: what the bot does, on one page, and as JSON at /api/status."""

from __future__ import annotations

import html
import os
import typing as t

from aiohttp import web

from coinpilot import service, settings
from coinpilot.stores import FAILURES, Stores

PORT = 8501
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="10">
<title>coinpilot</title>
<style>body{{font-family:sans-serif;margin:2em}}td,th{{padding:.3em 1em;text-align:right}}.bad{{color:#b00}}</style>
</head>
<body><h1>coinpilot</h1>{warning}
<table><tr><th>symbol</th><th>price</th><th>open</th></tr>{rows}</table>
<p>{active} open, {closed} closed, {prices} prices in the database.</p></body></html>
"""
NO_STATUS = (
    "The bot has left no status in Redis for {symbols}. Is it running, and are its REDIS_HOST and REDIS_PORT those of "
    "this page? docker compose logs bot"
)


async def status(stores: Stores, symbols: t.Sequence[str]) -> dict[str, t.Any]:
    """What both stores hold now."""
    found = {symbol: await stores.cache.hgetall(f"bot:status:{symbol}") for symbol in symbols}
    row = await stores.sql.fetchrow(
        "SELECT (SELECT count(*) FROM positions WHERE closed_at IS NULL) AS active,"
        " (SELECT count(*) FROM positions WHERE closed_at IS NOT NULL) AS closed,"
        " (SELECT count(*) FROM prices) AS prices"
    )
    return {"symbols": found, "missing": [symbol for symbol, values in found.items() if not values], **dict(row)}


def page(found: t.Mapping[str, t.Any]) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(symbol)}</td><td>{html.escape(values.get('price', '-'))}</td>"
        f"<td>{html.escape(values.get('holding', '-'))}</td></tr>"
        for symbol, values in found["symbols"].items()
    )
    missing = ", ".join(found["missing"])
    warning = f'<p class="bad">{html.escape(NO_STATUS.format(symbols=missing))}</p>' if missing else ""
    counts = {key: found[key] for key in ("active", "closed", "prices")}
    return PAGE.format(warning=warning, rows=rows, **counts)


def application(stores: t.Callable[[], Stores | None], symbols: t.Sequence[str]) -> web.Application:
    async def look() -> dict[str, t.Any]:
        there = stores()
        if there is None:
            raise web.HTTPServiceUnavailable(text="waiting for Postgres and Redis")
        try:
            return await status(there, symbols)
        except FAILURES as error:
            raise web.HTTPServiceUnavailable(text=f"{type(error).__name__}: {error}") from error

    async def index(_request: web.Request) -> web.Response:
        return web.Response(text=page(await look()), content_type="text/html")

    async def as_json(_request: web.Request) -> web.Response:
        return web.json_response(await look())

    async def healthz(_request: web.Request) -> web.Response:
        await look()
        return web.json_response({"ok": True})

    app = web.Application()
    app.router.add_get("/", index)
    app.router.add_get("/api/status", as_json)
    app.router.add_get("/healthz", healthz)
    return app


def main() -> None:
    wanted = settings.or_exit(settings.common, os.environ)
    running = service.Service(wanted)
    running.serve(application(lambda: running.stores, wanted.symbols), PORT)


if __name__ == "__main__":
    main()
