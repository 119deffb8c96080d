"""Containers and disks that want to mislead or hold up: the verifier neither follows, nor waits, nor writes."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import pathlib
import subprocess
import sys
import time
import typing as t
from dataclasses import replace

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, NotFound, PodmanCli
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container, Mount
from mounts_lab import Lab, command, proof


class Recorded(Engine):
    """An engine with answers from the test: real containers, seen too late or described wrongly."""

    name = "docker"

    def __init__(self, *answers: t.Sequence[Container]) -> None:
        self._answers = [list(answer) for answer in answers]

    def containers(self, project: str | None = None, names: t.Sequence[str] = ()) -> list[Container]:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if names and not answer:
            raise NotFound("no such container")
        return answer

    def image(self, reference: str) -> dict[str, t.Any] | None:
        return None


def only(result: dict[str, t.Any]) -> dict[str, t.Any]:
    (report,) = result["containers"]
    (row,) = report["mounts"]
    return row


@pytest.mark.parametrize("link", ["/proc/1/root{}", "/proc/self/root{}", "/../../..{}", "{}"])
def test_link_in_the_container_never_leads_out_of_it(lab: Lab, link: str) -> None:
    """The destination is replaced by a link to the source's own path on the host: followed, it would seem right."""
    data = lab.directory("data")
    name = lab.run("-v", f"{data}:/data")
    lab.inside(name, "umount", "/data")
    lab.inside(name, "rm", "-rf", "/data")
    lab.inside(name, "ln", "-s", link.format(data), "/data")
    row = lab.verdict(name)
    assert row["verdict"] in ("unmounted_inside", "unverifiable"), row
    assert os.listdir(data) == []


def test_probe_never_writes_outside_of_the_container(lab: Lab) -> None:
    """A link of the container leads to a directory of the host, and the engine is made to say that it is mounted."""
    name = lab.run("-v", f"{lab.directory('data')}:/data")
    target = lab.directory("target")
    lab.inside(name, "ln", "-s", f"/proc/1/root{target}", "/out")
    (container,) = lab.engine.containers(names=[name])
    liar = replace(container, mounts=(Mount("bind", str(target), "/out", True),))
    before = os.stat(target).st_mtime_ns
    row = only(proof(Recorded([liar])))
    assert row["verdict"] != "ok", row
    assert os.stat(target).st_mtime_ns == before
    assert os.listdir(target) == []


@pytest.mark.parametrize("kind", ["fifo", "socket", "device"])
def test_special_files_are_proven_and_never_opened(lab: Lab, kind: str) -> None:
    path = lab.folder / kind
    if kind == "fifo":
        os.mkfifo(path)  # opening it would block forever: it has no other end
    elif kind == "device":
        os.mknod(path, 0o20600, os.makedev(10, 130))  # /dev/watchdog: opening it starts the countdown to a reset
    else:
        command(sys.executable, "-c", f"import socket; socket.socket(socket.AF_UNIX).bind({str(path)!r})")
    name = lab.run("-v", f"{path}:/special")
    began = time.monotonic()
    assert lab.verdict(name, "/special")["verdict"] == "ok"
    assert time.monotonic() - began < 5
    path.rename(lab.folder / "old")
    path.touch()
    assert lab.verdict(name, "/special")["verdict"] == "stale_file"


def test_destination_that_became_a_fifo(lab: Lab) -> None:
    data = lab.directory("data")
    name = lab.run("-v", f"{data}:/data")
    lab.inside(name, "umount", "/data")
    lab.inside(name, "rm", "-rf", "/data")
    lab.inside(name, "mkfifo", "/data")
    assert lab.verdict(name)["verdict"] == "unmounted_inside"


def test_pid_that_belongs_to_somebody_else_by_now(lab: Lab) -> None:
    """The engine's first answer is old: its pid is that of a process of the host."""
    data = lab.directory("data")
    name = lab.run("-v", f"{data}:/data")
    (real,) = lab.engine.containers(names=[name])
    with subprocess.Popen(["sleep", "100"]) as stranger:
        try:
            old = replace(real, pid=stranger.pid)
            row = only(proof(Recorded([old], [real])))
            assert row["verdict"] == "ok", row  # checked again, and found the right one
            row = only(proof(Recorded([old])))
            assert row["verdict"] == "unverifiable", row  # the engine insists: then nothing is proven
        finally:
            stranger.kill()


def test_pid_of_another_container(lab: Lab) -> None:
    """Both mount the same directory, so the wrong process would seem right."""
    data = lab.directory("data")
    one, two = (lab.engine.containers(names=[lab.run("-v", f"{data}:/data")])[0] for _index in range(2))
    row = only(proof(Recorded([replace(one, pid=two.pid, started_at="2001-01-01T00:00:00Z")])))
    assert row["verdict"] == "unverifiable", row


def test_container_that_dies_between_list_and_proof(lab: Lab) -> None:
    data = lab.directory("data")
    name = lab.run("-v", f"{data}:/data")
    before = lab.engine.containers(names=[name])
    lab.cli("kill", name)
    lab.until(lambda: not pathlib.Path(f"/proc/{before[0].pid}").exists())
    lab.until(lambda: not lab.engine.containers(names=[name])[0].running)
    after = lab.engine.containers(names=[name])
    assert only(proof(Recorded(before, after)))["verdict"] == "not_running"
    assert only(proof(Recorded(before, [])))["verdict"] == "not_running"


def test_container_restarted_between_list_and_proof(lab: Lab) -> None:
    data = lab.directory("data")
    name = lab.run("-v", f"{data}:/data")
    before = lab.engine.containers(names=[name])
    lab.restart(name)
    assert only(proof(Recorded(before, lab.engine.containers(names=[name]))))["verdict"] == "ok"


def test_unprivileged_caller_is_warned_and_no_mount_is_ok(lab: Lab) -> None:
    """What another user may not see is unverifiable. Run in a child that has given up being root."""
    data = lab.directory("data")
    name = lab.run("-v", f"{data}:/data")
    containers = lab.engine.containers(names=[name])
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            row = only(proof(Recorded(containers)))
            code = 0 if row["verdict"] == "unverifiable" and "root" in row["message"] else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture
def dead_share(tmp_path: pathlib.Path) -> t.Iterator[pathlib.Path]:
    """A FUSE mount whose server never answers: like a network share whose server is gone, every access to it hangs."""
    point = tmp_path / "share"
    point.mkdir()
    server = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={server},rootmode=40000,user_id=0,group_id=0".encode()
    assert libc.mount(b"obx-mounts", os.fsencode(point), b"fuse", 0, options) == 0, os.strerror(ctypes.get_errno())
    yield point
    os.close(server)  # ends the connection and with it every waiting access
    libc.umount2(os.fsencode(point), 2)


def test_dead_share_holds_up_neither_the_check_nor_the_other_containers(lab: Lab, dead_share: pathlib.Path) -> None:
    data = lab.directory("data")
    containers = [lab.engine.containers(names=[lab.run("-v", f"{data}:/data")])[0] for _index in range(3)]
    containers[1] = replace(containers[1], mounts=(Mount("bind", f"{dead_share}/journal", "/data", True),))
    began = time.monotonic()
    result = proof(Recorded(containers), seconds=0.5)
    assert time.monotonic() - began < 5
    verdicts = [report["mounts"][0]["verdict"] for report in result["containers"]]
    assert verdicts == ["ok", "unverifiable", "ok"], result["table"]
    assert not result["ok"]
    assert result["summary"] == {"checked": 3, "ok": 2, "failed": 0, "unverifiable": 1}


def test_engine_that_restarts_in_between(docker_lab: Lab) -> None:
    """A connection the engine has closed is opened again."""
    name = docker_lab.run("-v", f"{docker_lab.directory('data')}:/data")
    assert docker_lab.proof(name)["ok"]
    docker_lab.engine._connection.sock.close()  # type: ignore[attr-defined]
    assert docker_lab.proof(name)["ok"]


@pytest.mark.parametrize("lab", ["podman"], indirect=True)
def test_containers_that_are_removed_after_each_list_are_left_out(lab: Lab) -> None:
    """On a busy host, each list may name a container that the inspection no longer finds."""
    real = World.real()
    kept = lab.create()

    def run(argv: t.Sequence[str], **options: t.Any) -> t.Any:
        if "ps" not in argv:
            return real.run(argv, **options)
        removed = lab.create()
        answer = real.run(argv, **options)
        lab.cli("rm", "-f", removed)
        return answer

    engine = PodmanCli(dataclasses.replace(real, run=run))
    assert kept in [container.name for container in engine.containers()]
    with pytest.raises(NotFound):
        engine.containers(names=[kept, "obx-mounts-removed"])
