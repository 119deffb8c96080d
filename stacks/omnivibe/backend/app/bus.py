"""Just enough of Redis's protocol (RESP) for a queue, and what all processes do with it."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
import typing as t

from . import RELEASE

QUEUE = "jobs"
# Seconds after which a process that said nothing counts as gone.
PATIENCE = 20


class BusError(Exception):
    """Redis refused, or cannot be reached."""


class Bus:
    """One connection, opened on demand and again after a failure."""

    def __init__(self) -> None:
        self._address = (os.environ.get("REDIS_HOST") or "redis", int(os.environ.get("REDIS_PORT") or "6379"))
        self._stream: t.Any = None

    def __call__(self, *words: str | int) -> t.Any:
        """Run one command and return its answer."""
        try:
            if self._stream is None:
                self._stream = socket.create_connection(self._address, timeout=15).makefile("rwb")
            parts = [str(word).encode() for word in words]
            self._stream.write(
                b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
            )
            self._stream.flush()
            return self._answer()
        except OSError as error:
            self._stream = None
            raise BusError(f"{self._address[0]}:{self._address[1]}: {error}") from error

    def _answer(self) -> t.Any:
        line = self._stream.readline()
        if not line.endswith(b"\r\n"):
            self._stream = None
            raise BusError("Redis closed the connection")
        kind, text = line[:1], line[1:-2].decode()
        if kind == b"-":
            raise BusError(text)
        if kind == b":":
            return int(text)
        if kind == b"$":
            return None if int(text) < 0 else self._stream.read(int(text) + 2)[:-2].decode()
        if kind == b"*":
            return None if int(text) < 0 else [self._answer() for _unused in range(int(text))]
        return text


class Process:
    """The state that a process of the backend publishes until it stops."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.told = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_unused: self.told.set())
        threading.Thread(target=self._beat, daemon=True).start()
        print(f"{name} runs release {RELEASE}", flush=True)

    def _beat(self) -> None:
        bus = Bus()
        while True:
            try:
                bus("SET", f"alive:{self.name}", RELEASE, "EX", PATIENCE)
                time.sleep(2)
            except BusError as error:
                print(f"{self.name}: {error}", flush=True)
                time.sleep(1)
