"""What a deploy promised, sources that do not answer, and sources at which an earlier check still hangs."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container, parse_inspect
from ansible_collections.onebox.stack.plugins.module_utils.mounts import after, facts, hung, promised, sources
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import subprocess_pool
from ansible_collections.onebox.stack.plugins.module_utils.mounts.model import CheckError, Declared
from ansible_collections.onebox.stack.plugins.module_utils.mounts.promised import Disk, Mount, Promise, Service

WORLD = World.real()
DISK = Disk("/srv", "ext4", "12ab")
MOUNT = Mount("web", "/data", "/srv/data", "bind", False, "dir", DISK)
PROMISE = Promise({"web": Service(2, False), "job": Service(1, True)}, (MOUNT,))


def test_promise_comes_back_as_it_was_written_and_is_written_once(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "stack" / "promised.json")
    assert promised.load(path) is None
    assert promised.save(path, PROMISE)
    assert promised.load(path) == PROMISE
    assert not promised.save(path, PROMISE)
    assert os.stat(path).st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"services": {"web": 1}, "mounts": []}', '{"services": {}, "mounts": [{}]}', "[" * 3000],
    ids=["empty", "list", "cut", "service", "mount", "deep"],
)
def test_damaged_promise_is_an_error_that_says_what_to_do(tmp_path: pathlib.Path, text: str) -> None:
    path = tmp_path / "promised.json"
    path.write_text(text)
    with pytest.raises(CheckError, match=rf"promised\.json.*type `rm {path}`, and deploy"):
        promised.load(str(path))
    # To take the stack down is possible, and leaves the evidence.
    promised.keep_memory(str(path))
    assert path.read_text() == text


def test_stack_that_was_taken_down_promises_nothing_and_remembers_its_sources(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "promised.json")
    promised.keep_memory(path)
    assert not os.path.exists(path)
    promised.save(path, PROMISE)
    promised.keep_memory(path)
    left = promised.load(path)
    assert left is not None
    assert not left.services
    assert left.expected() == []
    assert left.mount("web", "/data/") == MOUNT


@pytest.mark.parametrize(
    ("now", "differs"),
    [
        (DISK, False),
        (Disk("/srv", "ext4", "ffff"), True),  # another disk
        (Disk("/", "ext4", "12ab"), True),  # not mounted
        (Disk("/srv/data", "ext4", "9"), True),  # one mounted over it
        (Disk("/srv", "ext4", ""), False),  # nothing is known
        (Disk(), False),
    ],
)
def test_another_file_system_is_noticed(now: Disk, differs: bool) -> None:
    assert DISK.differs(now) == differs


def test_memory_is_another_file_system_after_each_boot() -> None:
    assert not Disk("/run/x", "tmpfs", "1").differs(Disk("/run/x", "tmpfs", "2"))


def container(service: str, status: str = "running", exit_code: int = 0) -> Container:
    return parse_inspect(
        {
            "Id": service,
            "Name": f"/{service}",
            "State": {"Status": status, "Pid": 7 if status == "running" else 0, "ExitCode": exit_code},
            "Config": {"Labels": {"com.docker.compose.service": service}},
        }
    )


@pytest.mark.parametrize(
    ("containers", "lacking"),
    [
        ([container("web"), container("web"), container("job", "exited")], []),
        ([container("web"), container("job", "exited")], ["web"]),
        ([container("web"), container("web")], ["job"]),
        ([container("web"), container("web"), container("job", "exited", 1)], ["job"]),
        ([container("web"), container("web", "exited"), container("job")], ["web"]),
        ([], ["web", "job"]),
    ],
)
def test_services_with_too_few_containers_are_named(containers: list[Container], lacking: list[str]) -> None:
    rows = after.lacking(PROMISE, containers)
    assert [row["service"] for row in rows] == lacking
    assert all("Deploy the stack again" in row["message"] for row in rows)


def test_source_that_is_missing_and_one_that_is_there(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").touch()
    found = sources.look([str(tmp_path), str(tmp_path / "file"), str(tmp_path / "none")], WORLD)
    assert [(found[path].kind, bool(found[path].error)) for path in sorted(found)] == [
        ("dir", False),
        ("file", False),
        ("", True),
    ]
    assert found[str(tmp_path)].disk.point
    assert sources.look(["/proc"], WORLD)["/proc"].disk == Disk()


def test_source_that_hangs_costs_its_time_and_not_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    usual = facts.HostView.look

    def look(view: facts.HostView, source: str) -> facts.Host:
        if source.endswith("hangs"):
            signal.pause()
        return usual(view, source)

    monkeypatch.setattr(facts.HostView, "look", look)
    monkeypatch.setattr(sources, "_SECONDS", 0.3)
    found = sources.look([str(tmp_path), "/hangs"], WORLD)
    assert found["/hangs"].hangs
    assert found[str(tmp_path)].kind == "dir"


def test_error_of_the_child_is_reported_as_an_error() -> None:
    def work(number: int) -> int:
        if number == 1:
            raise PermissionError("not yours")
        return number

    first, second, third = subprocess_pool.each(work, range(3), 5, WORLD)
    assert (first, third) == (0, 2)
    assert second == subprocess_pool.Failure("PermissionError: not yours")


def test_source_is_left_alone_while_the_process_of_an_earlier_check_waits_for_it(tmp_path: pathlib.Path) -> None:
    world = dataclasses.replace(WORLD, uid=1000, environ={"XDG_RUNTIME_DIR": str(tmp_path)})
    words = [sys.executable, "-c", "import time; time.sleep(100)"]
    with subprocess.Popen(words) as process:
        memory = hung.Memory(world)
        memory.remember("/mnt/nas", process.pid)
        again = hung.Memory(world)
        assert again.knows("/mnt/nas")
        assert not again.knows("/mnt/other")
        said = again.finding(Declared("docker", "web", "bind", "/mnt/nas", "/data", True), 10)
        assert f"process {process.pid}" in said.message
        assert said.verdict == "unverifiable"
        process.kill()
    assert not hung.Memory(world).knows("/mnt/nas")


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"/mnt/nas": "x"}', '{"/mnt/nas": [1]}', json.dumps({"/mnt/nas": [1, 0]})]
)
def test_damaged_memory_of_hanging_sources_counts_as_none(tmp_path: pathlib.Path, text: str) -> None:
    (tmp_path / "onebox").mkdir()
    (tmp_path / "onebox" / "mounts-hung.json").write_text(text)
    world = dataclasses.replace(WORLD, uid=1000, environ={"XDG_RUNTIME_DIR": str(tmp_path)})
    assert not hung.Memory(world).knows("/mnt/nas")


def test_process_that_ended_is_not_remembered(tmp_path: pathlib.Path) -> None:
    world = dataclasses.replace(WORLD, uid=1000, environ={"XDG_RUNTIME_DIR": str(tmp_path)})
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    hung.Memory(world).remember("/mnt/nas", done.pid)
    assert not os.path.exists(tmp_path / "onebox")
