"""An engine that is killed and comes back while its containers run and are checked repeatedly."""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import ps
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError, SocketEngine
from ansible_collections.onebox.stack.plugins.module_utils.mounts import cli
from mounts_lab import Lab, command, proof


class Daemon:
    """A Docker of the test's own, which leaves its containers alone when it ends (live-restore)."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.socket = str(folder / "d.sock")
        self._words = [
            # In a network of its own: with --bridge=none it deletes docker0, which another Docker here may be using.
            *("unshare", "--net", "dockerd"),
            *("--live-restore", "--bridge=none", "--iptables=false", "--ip6tables=false"),
            *("--data-root", str(folder / "data"), "--exec-root", str(folder / "run")),
            *("--pidfile", str(folder / "d.pid"), "--host", f"unix://{self.socket}"),
        ]
        self._folder = folder
        self._log = folder / "d.log"
        self.process: t.Any = None

    def start(self) -> None:
        # It gives its containerd 15 seconds, which a busy machine may not have: once more, then.
        for _time in range(3):
            with open(self._log, "ab") as log:
                self.process = subprocess.Popen(self._words, stdout=log, stderr=log, start_new_session=True)
            Lab.until(lambda: self.answers() or self.process.poll() is not None, 60)
            if self.process.poll() is None:
                return
        raise AssertionError(self._log.read_text()[-2000:])

    def answers(self) -> bool:
        with contextlib.suppress(EngineError):
            return bool(SocketEngine(self.socket).version)
        return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(20)

    def cli(self, *words: str) -> str:
        return command("docker", *words, env=dict(os.environ, DOCKER_HOST=f"unix://{self.socket}"))

    def stop(self) -> None:
        if self.process.poll() is None:
            with contextlib.suppress(AssertionError):
                self.cli("rm", "-f", "-v", *self.cli("ps", "-aq").split())
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
        # Remains of a killed or failed daemon: its containerd and the processes of that.
        for process in ps.listing(World.real()):
            if str(self._folder) in process.command:
                for pid in (*children(process.pid), process.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@pytest.fixture
def daemon() -> t.Iterator[Daemon]:
    # Short, for the path of a socket has at most 107 characters.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="obx-d-", dir="/var/tmp"))
    one = Daemon(folder)
    try:
        one.start()
        yield one
    finally:
        one.stop()
        for mounted in reversed([line.split()[1] for line in pathlib.Path("/proc/mounts").read_text().splitlines()]):
            if mounted.startswith(f"{folder}/"):
                command("umount", "-l", mounted, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def test_checks_continue_while_the_engine_is_killed_and_started(daemon: Daemon, docker_lab: Lab) -> None:
    """Each answer is correct or an error with a fix. None is a wrong verdict."""
    daemon.cli("import", str(image(docker_lab)), "obx-mounts-own:1")
    names = [f"obx-mounts-own-{number}" for number in range(4)]
    for name in names:
        source = docker_lab.directory(name)
        options = ("--network", "none", "-v", f"{source}:/data")
        daemon.cli("run", "-d", "--name", name, *options, "obx-mounts-own:1", "/bin/sleep", "100000")
    (docker_lab.folder / names[3]).rename(docker_lab.folder / "moved")
    docker_lab.directory(names[3])
    kept = SocketEngine(daemon.socket)  # a connection that is older than the engine
    told: list[str] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            for engine in (lambda: kept, lambda: SocketEngine(daemon.socket)):
                try:
                    found = proof(engine(), names=names)
                except EngineError as error:
                    told.append(f"error: {error}")
                    continue
                told.append(" ".join(row["verdict"] for one in found["containers"] for row in one["mounts"]))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _time in range(2):
            seen = len(told)
            daemon.kill()
            docker_lab.until(lambda seen=seen: any(one.startswith("error") for one in told[seen:]))
            daemon.start()
            seen = len(told)
            docker_lab.until(lambda seen=seen: "ok ok ok stale_renamed" in told[seen:])
    finally:
        stop.set()
        looking.join(30)
    errors = {one for one in told if one.startswith("error")}
    assert set(told) - errors == {"ok ok ok stale_renamed"}
    assert all(re.search("start it|start the engine|does not answer", one) for one in errors), errors


def test_missing_engine_is_not_a_success_for_a_monitor(tmp_path: pathlib.Path) -> None:
    """Exit code 2, the metric at 0, and a message with the fix."""
    metrics = tmp_path / "m.prom"
    out = io.StringIO()
    code = cli.main(["--socket", str(tmp_path / "none.sock"), "--json", "--textfile", str(metrics)], out)
    assert code == cli.UNKNOWN
    assert 'onebox_mounts_ok{stack=""} 0' in metrics.read_text()
    assert out.getvalue() == ""


def image(lab: Lab) -> pathlib.Path:
    """The test image's files as an archive."""
    name = lab.create()
    archive = lab.folder / "image.tar"
    lab.cli("export", "-o", archive, name)
    return archive
