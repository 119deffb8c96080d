# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""End real processes with the command lines of a hung machine, and query an API over a real socket."""

from __future__ import annotations

import contextlib
import http.server
import os
import pathlib
import socketserver
import subprocess
import sys
import threading
import time
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import ps
from ansible_collections.onebox.stack.plugins.module_utils.vm.errors import MachineError
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import apply, health, model, recover
from recorded import data, world

SLEEPER = "import signal, sys, time; {ignore}print(flush=True); time.sleep(60)"


@pytest.fixture
def start() -> t.Iterator[t.Callable[..., subprocess.Popen[bytes]]]:
    """Start a process whose command line contains the given words, and end it after the test."""
    began: list[subprocess.Popen[bytes]] = []

    def begin(*words: str, stubborn: bool = False) -> subprocess.Popen[bytes]:
        ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN); " if stubborn else ""
        argv = [sys.executable, "-c", SLEEPER.format(ignore=ignore), *words]
        one = subprocess.Popen(argv, stdout=subprocess.PIPE)
        assert one.stdout is not None
        one.stdout.readline()
        began.append(one)
        threading.Thread(target=one.wait, daemon=True).start()
        return one

    yield begin
    for one in began:
        one.kill()
        one.wait()
        assert one.stdout is not None
        one.stdout.close()


def machine(tmp_path: pathlib.Path, name: str = "97layerOS") -> model.ConfigFile:
    config = data("5.4.2", "config-97layerOS.json")
    config["Name"] = name
    config["ImagePath"]["Path"] = str(tmp_path / f"{name}-amd64.qcow2")
    config["QEMUHypervisor"]["QEMUPidPath"]["Path"] = str(tmp_path / "podman" / f"{name}_vm.pid")
    return model.parse_config(config, "qemu", str(tmp_path / f"{name}.json"), 0.0)


def test_only_processes_of_the_machine_are_ended(tmp_path: pathlib.Path, start: t.Any) -> None:
    runtime = tmp_path / "podman"
    runtime.mkdir()
    config = machine(tmp_path)
    for name in ("97layerOS-api.sock", "virtiofschar0", "virtiofschar0.pid", "gvproxy.pid"):
        (runtime / name).touch()
    (runtime / "second-api.sock").touch()
    vm = start("-drive", f"if=virtio,file={config.image_path}", "-pidfile", f"{runtime}/97layerOS_vm.pid")
    proxy = start("-forward-sock", f"{runtime}/97layerOS-api.sock", stubborn=True)
    shares = start("--socket-path", f"{runtime}/virtiofschar0")
    others = [
        start("-drive", f"file={tmp_path}/97layerOS-amd64.qcow2.bak"),
        start("-forward-sock", f"{runtime}/97layerOS2-api.sock"),
        start("-pidfile", f"{runtime}/x97layerOS_vm.pid"),
        start("97layerOS"),
    ]
    ended = recover.end(config, str(runtime), world=world(), timeout=2.0)
    assert len(ended) == 3
    assert [one.wait(5) is not None for one in (vm, proxy, shares)] == [True] * 3
    assert [one.poll() for one in others] == [None] * 4
    assert sorted(os.listdir(runtime)) == ["second-api.sock"]


def test_processes_of_other_users_and_our_ancestors_are_kept(tmp_path: pathlib.Path) -> None:
    config = machine(tmp_path)
    line = f"vm {config.image_path}"
    found = [
        ps.Process(10, 1, 501, line),
        ps.Process(11, 1, 502, line),
        ps.Process(12, 1, 501, line),
    ]
    assert [one.pid for one in recover.belonging(config, "/r/podman", found, 501, {12})] == [10]


def test_process_that_cannot_be_ended_is_named(tmp_path: pathlib.Path, start: t.Any) -> None:
    (tmp_path / "podman").mkdir()
    config = machine(tmp_path)
    stuck = start(config.image_path)
    with pytest.raises(MachineError, match=f"process {stuck.pid} of the machine 97layerOS"):
        recover.end(config, str(tmp_path / "podman"), world=world(), kill=lambda pid, number: None, timeout=0.2)


def test_image_of_the_machine_is_never_removed(tmp_path: pathlib.Path) -> None:
    config = machine(tmp_path)
    pathlib.Path(config.image_path).touch()
    assert recover.end(config, str(tmp_path), world=world(), timeout=0.2) == []
    assert os.path.exists(config.image_path)


class Api(http.server.BaseHTTPRequestHandler):
    """Answers like the API of podman 5.8.6 in a guest whose clock is a minute behind (with recorded headers)."""

    status = 200

    def version_string(self) -> str:
        return "Libpod/5.8.6 (linux)"

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(int(time.time()) - 60)

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: t.Any) -> None:
        return


@contextlib.contextmanager
def serve(path: pathlib.Path, handler: type[Api]) -> t.Iterator[None]:
    server = socketserver.UnixStreamServer(str(path), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_health_requires_an_answer_of_the_api(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "api.sock"
    assert health.ping("", timeout=30, world=world()) == health.DEAD
    assert health.ping(str(path), timeout=30, world=world()) == health.DEAD
    with serve(path, Api):
        alive = health.ping(str(path), timeout=30, world=world())
    assert (alive.ok, alive.server) == (True, "5.8.6")
    assert alive.drift is not None
    assert -62 < alive.drift < -58
    assert health.ping(str(path), timeout=30, world=world()) == health.DEAD


def test_api_that_accepts_without_an_answer_is_unhealthy(tmp_path: pathlib.Path) -> None:
    import socket

    silent = socket.socket(socket.AF_UNIX)
    silent.bind(str(tmp_path / "api.sock"))
    silent.listen(1)
    began = time.monotonic()
    assert health.ping(str(tmp_path / "api.sock"), timeout=0.2, world=world()) == health.DEAD
    assert time.monotonic() - began < 2
    silent.close()


def test_second_run_on_the_same_machine_is_refused(tmp_path: pathlib.Path) -> None:
    with apply.alone(str(tmp_path / "podman"), "m", 1.0, world()):
        with (
            pytest.raises(MachineError, match="another run is changing the machine m"),
            apply.alone(str(tmp_path / "podman"), "m", 0.3, world()),
        ):
            raise AssertionError("two at once")
        with apply.alone(str(tmp_path / "podman"), "other", 0.1, world()):
            pass
    with apply.alone(str(tmp_path / "podman"), "m", 0.1, world()):
        pass
