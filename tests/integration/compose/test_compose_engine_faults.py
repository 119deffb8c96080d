# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine ends during a deploy, its disk is full, a service is healthy only for a moment.

No healthy container is lost, and the next run converges. Each test has its own real engine, which it may kill.
"""

import concurrent.futures
import contextlib
import dataclasses
import pathlib
import signal
import subprocess
import tempfile
import threading

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError
from compose_lab import Lab
from own_docker import OwnDocker, left_of

TWO = pytest.mark.parametrize("lab", ["docker+2.40", "podman-compose"], indirect=True)


@pytest.fixture
def place():
    with tempfile.TemporaryDirectory(prefix="obx-own-docker-", dir="/var/tmp") as root:
        yield pathlib.Path(root)


@pytest.fixture
def own(place: pathlib.Path, make_backend):
    """An engine of our own with the tiny image."""
    engine = OwnDocker(place, make_backend("docker+2.26").environ)
    engine.start()
    engine.load_tiny()
    yield engine
    engine.clean()
    assert left_of(place) == []


@pytest.fixture
def lab_on(make_backend, tmp_path: pathlib.Path):
    def make(engine: OwnDocker) -> Lab:
        backend = dataclasses.replace(make_backend("docker+2.26"), socket=engine.socket, environ=engine.environ)
        return Lab(backend, "obx-own", tmp_path)

    return make


def _steady_and_web(lab: Lab, level: str) -> None:
    lab.services["steady"] = lab.service(volumes=["${DATA}:/data"], restart="always")
    lab.services["web"] = lab.service(environment={"LEVEL": level}, restart="always")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["restarted", "killed"])
@pytest.mark.parametrize("word", ["config", "up"])
def test_engine_restart_during_a_deploy_loses_nothing(own: OwnDocker, lab_on, number: int, word: str):
    lab = lab_on(own)
    _steady_and_web(lab, "one")
    lab.deploy()
    steady = lab.containers()["steady"][0].id
    _steady_and_web(lab, "two")
    lab.services["new"] = lab.service()
    lab.write()
    restarted = threading.Event()

    def restart() -> None:
        own.stop(number)
        own.start()
        restarted.set()

    def run(argv, **options):
        if word in argv and not threads:
            threads.append(threading.Thread(target=restart))
            threads[0].start()
        return process.run(argv, **options)

    threads: list[threading.Thread] = []
    lab.world_run = run
    # It is raised when nothing was changed yet; a failure after the first change is a result.
    with contextlib.suppress(EngineError):
        lab.stack().converge()
    assert restarted.wait(90)
    threads[0].join()

    lab.world_run = process.run
    result = lab.stack().converge()
    assert not result.get("failed"), result["msg"]
    now = lab.containers()
    assert now["steady"][0].id == steady
    assert "LEVEL=two" in now["web"][0].env
    assert all(rows[0].running for rows in now.values())
    assert {row["action"] for row in lab.info()["plan"]} == {"keep"}


def test_full_disk_during_a_build_keeps_the_running_stack(place: pathlib.Path, make_backend, lab_on):
    store = place / "data"
    store.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(store)], check=True)
    own = OwnDocker(place, make_backend("docker+2.26").environ)
    try:
        own.start()
        own.load_tiny()
        lab = lab_on(own)
        context = lab.folder / "ctx"
        context.mkdir()
        (context / "Dockerfile").write_text(f"FROM {lab.backend.image}\nRUN echo one >/app\n")
        lab.services["web"] = lab.service(image="localhost/obx-own:1", build={"context": "./ctx", "network": "none"})
        lab.deploy()
        before = lab.states()

        (context / "Dockerfile").write_text(
            f"FROM {lab.backend.image}\nRUN dd if=/dev/zero of=/big bs=1M count=200 && echo two >/app\n"
        )
        lab.write()
        result = lab.stack().converge()
        assert result["failed"] is True
        assert "No space left on device" in result["msg"]
        assert lab.states() == before

        (context / "Dockerfile").write_text(f"FROM {lab.backend.image}\nRUN echo two >/app\n")
        lab.deploy()
        assert own.cli("exec", lab.containers()["web"][0].id, "cat", "/app") == "two"
    finally:
        own.clean()
    assert left_of(place) == []


@TWO
def test_service_that_is_healthy_for_a_moment_fails(lab: Lab):
    lab.services["steady"] = lab.service()
    lab.services["web"] = lab.service(environment={"LEVEL": "one"})
    lab.deploy()
    steady, web = (lab.containers()[name][0] for name in ("steady", "web"))
    check = {"test": ["CMD", "test", "-e", "/tmp/up"], "interval": "1s", "retries": 1, "start_period": "10s"}
    # Its first healthcheck, after a second, succeeds; half a second later it is gone.
    lab.services["web"] = lab.service(
        "touch /tmp/up; sleep 1.6; echo lost the database; exit 7", healthcheck=check, restart="on-failure"
    )
    lab.write()
    result = lab.stack().converge()
    assert result["failed"] is True
    assert result["rolled_back"] is True
    assert "service web" in result["rollback_reason"]
    now = lab.containers()
    assert "LEVEL=one" in now["web"][0].env
    assert now["web"][0].id != web.id
    assert (now["steady"][0].id, now["steady"][0].started_at) == (steady.id, steady.started_at)
    assert {row["action"] for row in lab.info()["plan"]} == {"keep"}


@TWO
def test_service_that_flaps_fails(lab: Lab):
    lab.services["steady"] = lab.service()
    lab.services["web"] = lab.service(environment={"LEVEL": "one"})
    lab.deploy()
    steady = lab.containers()["steady"][0]
    lab.services["web"] = lab.service("echo cannot bind; sleep 0.2; exit 1", restart="always")
    lab.write()
    result = lab.stack().converge()
    assert result["rolled_back"] is True
    assert "cannot bind" in result["rollback_reason"]
    now = lab.containers()
    assert "LEVEL=one" in now["web"][0].env
    assert (now["steady"][0].id, now["steady"][0].started_at) == (steady.id, steady.started_at)


@TWO
def test_two_deploys_at_once_both_succeed(lab: Lab):
    lab.services["web"] = lab.service()
    lab.services["steady"] = lab.service(volumes=["${DATA}:/data"])
    lab.write()
    stacks = [lab.stack() for _unused in range(2)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = [job.result() for job in [pool.submit(stack.converge) for stack in stacks]]
    assert [result.get("failed") for result in results] == [None, None]
    assert sorted(result["changed"] for result in results) == [False, True]
    assert {name: len(rows) for name, rows in lab.containers().items()} == {"web": 1, "steady": 1}
    assert max(result["timings_ms"]["lock"] for result in results) > 100
