# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch against real engines: faults are injected into a stack of real containers, and each is named."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import time
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.mounts import promised
from ansible_collections.onebox.stack.plugins.module_utils.watch import cli, config, run

PROJECT = f"obx-watch-{os.getpid()}"
UNHEALTHY = ("--health-cmd", "cat /data/healthy", "--health-interval", "1s", "--health-retries", "1")


@pytest.fixture(params=["docker", "podman"])
def engine(request: pytest.FixtureRequest) -> t.Any:
    return request.getfixturevalue(f"{request.param}_engine")


class Stack:
    """Containers of a project, the promise of its deploy, and the watch's configuration."""

    def __init__(self, engine: t.Any, image: str, folder: pathlib.Path) -> None:
        self.engine, self.image, self.folder = engine, image, folder
        self.data = folder / "data"
        # Not with the mode 0755: so soon before the container, that would be a directory that the engine created.
        self.data.mkdir(mode=0o750)
        (self.data / "healthy").write_text("yes\n")
        self.names: list[str] = []

    def start(self, service: str, *options: str, command: str = "sleep 600") -> str:
        name = f"{PROJECT}-{service}-1"
        labels = [f"com.docker.compose.project={PROJECT}", f"com.docker.compose.service={service}"]
        words = [word for label in labels for word in ("--label", label)]
        self.names.append(name)
        self.engine.run("run", "-d", "--name", name, *words, *options, self.image, "sh", "-c", command)
        return name

    def promise(self, *services: str) -> None:
        mounts = (promised.Mount("web", "/data", str(self.data), "bind", False, "dir"),)
        made = promised.Promise({name: promised.Service(1, False) for name in services}, mounts)
        promised.save(str(self.folder / PROJECT / "promised.json"), made)

    def config(self, **stack: t.Any) -> config.Config:
        row = {"name": PROJECT, "engine": self.engine.name, "socket": self.engine.socket, "state_dir": str(self.folder)}
        return config.parse(
            {
                "version": 1,
                "name": "demo",
                "state_dir": str(self.folder / "watch"),
                "paths": [str(self.folder)],
                "stacks": [{**row, **stack}],
                "clock": False,
                "units": [],
            }
        )

    def codes(self, **stack: t.Any) -> dict[str, dict[str, t.Any]]:
        """Findings of now by code, without those of the timer, which does not run here, and of the log's limit."""
        if self.engine.name == "podman" and self.names:
            # Podman runs checks by systemd's timers, which a machine without systemd does not have.
            self.engine.run("healthcheck", "run", self.names[0], check=False)
        found = run.check_now(self.config(**stack), World.real())
        return {row["code"]: row for row in found["findings"] if row["code"] not in ("watch_silent", "log_unbounded")}

    def until(self, code: str) -> dict[str, t.Any]:
        """The finding, as soon as the engine knows of it."""
        assert World.real().wait_until(lambda: code in self.codes(), 60.0, 0.5), self.codes()
        return self.codes()[code]


@pytest.fixture
def stack(engine: t.Any, tiny_image: str, tmp_path: pathlib.Path) -> t.Iterator[Stack]:
    made = Stack(engine, tiny_image, tmp_path)
    yield made
    for name in made.names:
        engine.run("rm", "-f", name, check=False)


@pytest.fixture
def web(stack: Stack) -> Stack:
    stack.start("web", "-v", f"{stack.data}:/data", *UNHEALTHY)
    stack.promise("web")
    assert World.real().wait_until(lambda: stack.codes() == {}, 60.0, 0.5), stack.codes()
    return stack


def test_unhealthy_service_is_named_with_its_output(web: Stack) -> None:
    (web.data / "healthy").unlink()
    row = web.until("unhealthy")
    assert row["fix"] == f"{web.engine.name} logs --tail 50 {PROJECT}-web-1"
    assert "No such file" in row["what"] or "can't open" in row["what"]


def test_removed_container_is_missing(web: Stack) -> None:
    web.start("db")
    web.promise("web", "db")
    assert web.codes() == {}
    web.engine.run("rm", "-f", f"{PROJECT}-db-1")
    assert web.codes()["service_missing"]["where"] == f"{PROJECT}/db"


def test_container_that_was_killed_has_exited(web: Stack) -> None:
    web.engine.run("kill", f"{PROJECT}-web-1")
    assert "exit code 137" in web.until("service_exited")["what"]


def test_paused_container_is_named(web: Stack) -> None:
    web.engine.run("pause", f"{PROJECT}-web-1")
    row = web.until("service_paused")
    assert row["fix"] == f"{web.engine.name} unpause {PROJECT}-web-1"
    web.engine.run("unpause", f"{PROJECT}-web-1")


def test_replaced_directory_is_a_broken_mount(web: Stack) -> None:
    shutil.rmtree(web.data)
    web.data.mkdir()
    (web.data / "healthy").write_text("yes\n")
    row = web.until("mount_broken")
    assert "stale_deleted" in row["what"]
    assert row["fix"] == f"{web.engine.name} restart {PROJECT}-web-1"


def test_data_in_a_volume_without_a_name_is_reported_and_its_command_saves_the_data(web: Stack) -> None:
    name = web.start("db", "-v", "/var/lib/shop", command="exec 3>>/var/lib/shop/orders; echo 1 >&3; sleep 600")
    web.promise("web", "db")
    row = web.until("data_at_risk")
    assert row["where"] == f"{PROJECT}/db:/var/lib/shop"
    assert "volume without a name" in row["what"]
    assert row["severity"] == "warning"
    command, _hash, then = row["fix"].partition("  # ")
    assert then == "then mount DIRECTORY at /var/lib/shop in the compose file"
    saved = web.folder / "saved"
    command = command.replace("DIRECTORY/", f"{saved}/").replace(f"stop {name}", f"stop -t 0 {name}")
    done = subprocess.run(["sh", "-c", command], env=web.engine.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (saved / "orders").read_text() == "1\n"
    web.engine.run("rm", "-f", "-v", name)


def test_data_in_the_container_itself_is_reported(web: Stack) -> None:
    web.start("files", command="mkdir -p /app/exports; exec 3>>/app/exports/x; sleep 600")
    web.promise("web", "files")
    row = web.until("data_at_risk")
    assert row["where"].startswith(f"{PROJECT}/files:/app")
    assert "in the container itself" in row["what"]


def test_container_that_no_deploy_declared_is_named(web: Stack) -> None:
    name = web.start("debug")
    row = web.codes()["drift_undeclared"]
    assert row["fix"].split("  # ")[0] == f"{web.engine.name} rm -f {name}"
    web.promise("web", "debug")
    assert web.codes() == {}


def test_crash_loop_is_named_by_the_timers_runs(web: Stack) -> None:
    web.start("loop", "--restart", "always", command="exit 3")
    web.promise("web", "loop")
    world, found = World.real(), web.config()
    codes: set[str] = set()

    def seen() -> bool:
        document, _failure = cli.once(found, world)
        codes.update(row["code"] for row in document["findings"])
        return "crash_loop" in codes

    assert world.wait_until(seen, 90.0, 2.0), codes


def test_unhealthy_service_is_restarted_and_recorded(web: Stack) -> None:
    """The limit of time is passed by the notes, as if it had been unhealthy for long."""
    (web.data / "healthy").unlink()
    web.until("unhealthy")
    world = World.real()
    later = World(**{**vars(world), "epoch": lambda: time.time() + 900})
    found = web.config(restart={"services": ["web"], "after": 600, "most": 1})
    cli.once(found, world)
    cli.once(found, world)
    before = web.engine.run("inspect", "-f", "{{.State.StartedAt}}", f"{PROJECT}-web-1").stdout
    cli.once(found, later)
    after = web.engine.run("inspect", "-f", "{{.State.StartedAt}}", f"{PROJECT}-web-1").stdout
    assert before != after
    history = (web.folder / PROJECT / "history.jsonl").read_text()
    assert '"user": "onebox-watch"' in history
    assert '"restart", "unhealthy"' in history


def test_engine_that_accepts_and_never_answers_is_a_finding_in_time(stack: Stack) -> None:
    path = str(stack.folder / "hung.sock")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(path)
        listener.listen(8)
        began = time.monotonic()
        codes = stack.codes(socket=path)
    assert "stack_no_data" in codes
    assert time.monotonic() - began < 60


def test_engine_that_is_gone_is_a_finding(stack: Stack) -> None:
    assert "engine_no_answer" in stack.codes(socket=str(stack.folder / "none.sock"))
