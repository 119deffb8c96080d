# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes messages from the other machines and keeps them.

POST /sync with a JSON object stores it as one file below ``knowledge/inbox`` of the workspace; the answer 201 means
that it is on the disk. A list under ``messages`` counts as that many messages. GET /status returns the counts, which
survive restarts.

Environment: ``PORT`` (9876; 0 takes a free one), ``WORKSPACE`` (/app), ``MAX_BYTES`` of one request (10485760).
"""

from __future__ import annotations

import datetime
import errno
import json
import pathlib
import threading
import time
import typing as t
import uuid

from service import JsonHandler, Server, log, make_directory, number, workspace, write_durably

COUNTS = ("total_syncs", "successful_syncs", "failed_syncs", "total_messages")


class BadMessage(Exception):
    """The body is not what POST /sync takes."""


def parse(body: bytes) -> dict[str, t.Any]:
    """The JSON object in ``body``. Raises :class:`BadMessage`."""

    def refuse(word: str) -> t.Any:
        raise BadMessage(f"the body is not JSON: {word} is not a JSON value")

    try:
        message = json.loads(body.decode("utf-8"), parse_constant=refuse)
    except UnicodeDecodeError as error:
        raise BadMessage(f"the body is not UTF-8: byte {error.start}") from error
    except RecursionError as error:
        raise BadMessage("the body is nested too deeply") from error
    except ValueError as error:
        raise BadMessage(f"the body is not JSON: {error}") from error
    if not isinstance(message, dict):
        raise BadMessage(f"the body must be a JSON object, not {type(message).__name__}")
    if not isinstance(message.get("messages", []), list):
        raise BadMessage("'messages' must be a list")
    return message


class Inbox:
    """The stored messages and their counts, in ``directory``. One writer at a time."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.writing = threading.Lock()
        make_directory(directory, 0o750)
        self._file = directory / ".stats.json"
        self._counts: dict[str, t.Any] = dict.fromkeys(COUNTS, 0)
        self._counts["last_sync"] = None
        self._load()

    def _load(self) -> None:
        try:
            saved = json.loads(self._file.read_text())
            self._counts.update({name: int(saved[name]) for name in COUNTS}, last_sync=saved["last_sync"])
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, TypeError) as error:
            stored = sum(1 for unused in self.directory.glob("*/*.json"))
            log(f"{self._file} is not readable ({error}); counting the {stored} stored messages instead")
            self._counts.update(total_syncs=stored, successful_syncs=stored, total_messages=stored)

    def store(self, message: dict[str, t.Any]) -> str:
        """Put ``message`` on the disk and return its name. Raises OSError when that failed, having counted it."""
        now = datetime.datetime.now(datetime.timezone.utc)
        name = f"{now:%Y-%m-%d}/{now:%H%M%S}-{uuid.uuid4().hex}.json"
        kept = {"id": name, "received_at": now.isoformat(), "message": message}
        with self.writing:
            path = self.directory / name
            try:
                make_directory(path.parent, 0o750)
                write_durably(path, json.dumps(kept).encode() + b"\n")
            except OSError:
                self._count(failed_syncs=1)
                raise
            self._counts["last_sync"] = kept["received_at"]
            self._count(successful_syncs=1, total_messages=len(message.get("messages", [None])))
        return name

    def failed(self) -> None:
        """Count a sync that was refused."""
        with self.writing:
            self._count(failed_syncs=1)

    def _count(self, **more: int) -> None:
        self._counts["total_syncs"] += 1
        for name, value in more.items():
            self._counts[name] += value
        try:
            write_durably(self._file, json.dumps(self._counts).encode())
        except OSError as error:
            log(f"the counts could not be saved: {error}")

    def stats(self) -> dict[str, t.Any]:
        """The counts, and ``success_rate`` in percent."""
        counts = dict(self._counts)
        total, good = counts["total_syncs"], counts["successful_syncs"]
        last = counts.pop("last_sync")
        messages = counts.pop("total_messages")
        rate = round(100.0 * good / total, 2) if total else 0.0
        return {**counts, "success_rate": rate, "total_messages": messages, "last_sync": last}


class Handler(JsonHandler):
    inbox: Inbox
    began = time.monotonic()
    max_bytes = 10 * 1024 * 1024

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/status":
            self.refuse(404, f"no {self.path} here; there are GET /status and POST /sync")
            return
        uptime = round(time.monotonic() - self.began, 2)
        self.answer(
            200,
            {
                "server": "running",
                "port": self.server.server_address[1],
                "stats": {"uptime_seconds": uptime, **self.inbox.stats()},
                "notifier": "disabled",
            },
        )

    def do_POST(self) -> None:
        if self.path.partition("?")[0] != "/sync":
            self.refuse(404, f"no {self.path} here; there are GET /status and POST /sync")
            return
        refusal = self._wrong_headers()
        if refusal:
            self._failed(*refusal)
            return
        length = int(self.headers["Content-Length"])
        try:
            body = self.rfile.read(length)
        except TimeoutError:
            body = b""
        if len(body) < length:
            self._failed(400, f"the body ended after {len(body)} of {length} bytes")
            return
        try:
            name = self.inbox.store(parse(body))
        except BadMessage as error:
            self._failed(400, str(error))
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            self.refuse(507 if full else 500, f"the message could not be stored: {error.strerror}")
        else:
            self.answer(201, {"stored": name})

    def _wrong_headers(self) -> tuple[int, str] | None:
        kind = self.headers.get_content_type() if self.headers.get("Content-Type") else ""
        if kind != "application/json":
            return 415, f"Content-Type must be application/json, not {kind or 'missing'}"
        length = self.headers.get("Content-Length")
        if length is None:
            return 411, "Content-Length is missing"
        if not (length.isascii() and length.isdigit()):
            return 400, "Content-Length must be a whole number"
        if int(length) > self.max_bytes:
            return 413, f"the body has {length} bytes; at most {self.max_bytes} are taken"
        return None

    def _failed(self, status: int, reason: str) -> None:
        self.inbox.failed()
        self.refuse(status, reason)


if __name__ == "__main__":
    Handler.inbox = Inbox(workspace() / "knowledge" / "inbox")
    Handler.max_bytes = number("MAX_BYTES", Handler.max_bytes)
    Server(("", number("PORT", 9876, least=0)), Handler).run()
    # Finish the current write: its sender has no answer yet.
    Handler.inbox.writing.acquire(timeout=0.5)
