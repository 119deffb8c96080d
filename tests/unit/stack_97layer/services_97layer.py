"""The services of 97layer as real processes on loopback ports the kernel chose, with a workspace of their own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import typing as t

import pytest

CODE = pathlib.Path(__file__).resolve().parents[3] / "stacks" / "97layer" / "app" / "execution"


class Service:
    """One running service. ``lines`` is what it printed so far."""

    def __init__(self, script: str, environment: dict[str, str]) -> None:
        clean = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(CODE / script)],
            env={**clean, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self.port = 0

    def wait_line(self, pattern: str) -> re.Match[str]:
        """Read until a line matches; the test's own time limit is the process ending."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            found = re.search(pattern, line)
            if found:
                return found
        raise AssertionError(f"ended without {pattern!r}: {''.join(self.lines)}")

    def stop(self) -> tuple[int, float]:
        """SIGTERM; exit code and the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=10)
        return code, time.monotonic() - began

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, t.Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            assert answer.headers["Content-Type"] == "application/json"
            return answer.status, json.loads(answer.read())


@pytest.fixture
def start(tmp_path):
    """Start a service on a free port with the workspace ``tmp_path``; all are killed at the end."""
    started: list[Service] = []

    def begin(script: str, listens: bool = True, **environment: str) -> Service:
        given = {"WORKSPACE": str(tmp_path), **environment}
        service = Service(script, given)
        started.append(service)
        if listens:
            service.port = int(service.wait_line(r"listening on port (\d+)").group(1))
        return service

    yield begin
    for service in started:
        service.process.kill()
        service.process.wait()
        service.process.stdout.close()
