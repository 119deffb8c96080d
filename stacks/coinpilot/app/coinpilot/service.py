# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared code of the three services: a repeated step, and an HTTP server with its state."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
import typing as t

from aiohttp import web

from coinpilot.settings import Settings
from coinpilot.stores import FAILURES, Stores, connect

log = logging.getLogger(__name__)


class Loop:
    """Calls ``step`` every ``interval`` seconds, and continues after a failure of a store.

    Attributes:
        last: time of the last success, in seconds since 1970; 0 before the first.
    """

    def __init__(self, step: t.Callable[[Stores], t.Awaitable[None]], interval: float) -> None:
        self._step = step
        self._interval = interval
        self.last = 0.0
        self.problem = "has not done its first step yet"

    async def run(self, stores: Stores) -> None:
        while True:
            try:
                await self._step(stores)
            except FAILURES as error:
                problem = f"{type(error).__name__}: {error}"
                if problem != self.problem:
                    log.warning("this step failed, the next is tried in %g s: %s", self._interval, problem)
                self.problem = problem
            else:
                self.last, self.problem = time.time(), ""
            await asyncio.sleep(self._interval)

    async def healthz(self, _request: web.Request) -> web.Response:
        age = time.time() - self.last
        if age > 3 * self._interval + 5:
            return web.json_response({"ok": False, "problem": self.problem or "hangs in a step"}, status=503)
        return web.json_response({"ok": True, "age_seconds": round(age, 2)})


class Service:
    """One service: connects, runs its loop if it has one, and answers on a port until SIGTERM.

    Attributes:
        stores: None until both have answered once.
    """

    def __init__(self, settings: Settings, loop: Loop | None = None) -> None:
        self._settings = settings
        self._loop = loop
        self._fault: BaseException | None = None
        self.stores: Stores | None = None

    async def _work(self) -> None:
        self.stores = await connect(self._settings)
        if self._loop is not None:
            await self._loop.run(self.stores)

    async def _background(self, _app: web.Application) -> t.AsyncIterator[None]:
        task = asyncio.create_task(self._work())
        task.add_done_callback(self._ended)
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if self.stores is not None:
            await self.stores.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        # A fault in the program itself must end it: the engine then restarts it, and counts the restart.
        self._fault = None if task.cancelled() else task.exception()
        if self._fault is not None:
            log.error("ends because of a fault of its own", exc_info=self._fault)
            raise web.GracefulExit

    def serve(self, app: web.Application, port: int) -> None:
        """Run until SIGTERM."""
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
        if self._loop is not None:
            app.router.add_get("/healthz", self._loop.healthz)
        app.cleanup_ctx.append(self._background)
        web.run_app(app, port=port, access_log=None, print=None)
        sys.exit(1 if self._fault else 0)
