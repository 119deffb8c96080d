"""97layer as its owner brings it up, by podman-compose and by docker compose, on the public image's name.

Only names and ports differ from the compose file as it stands, so that a running 97layer is not in the way.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import time
import urllib.request

import pytest
from examples_runner import run_examples
from onebox_testbed import ports

ROOT = pathlib.Path(__file__).resolve().parents[3]
STACK = ROOT / "stacks" / "97layer"
PROJECT = f"obx-dirs-97layer-{os.getpid()}"


class Running:
    """The stack, with its workspace in a directory whose name has a space."""

    def __init__(self, place: pathlib.Path, engine, tool) -> None:
        self.engine, self.tool, self.place = engine, tool, place
        self.workspace = place / "97layer OS"
        shutil.copytree(STACK / "app", self.workspace, ignore=shutil.ignore_patterns("__pycache__"))
        self.status, self.receiver = ports.claim(), ports.claim()
        text = (STACK / "compose.yml").read_text()
        for old, new in (
            ("name: 97layer\n", f"name: {PROJECT}\n"),
            ("container_name: 97layer-", f"container_name: {PROJECT}-"),
            ("8081:8888", f"127.0.0.1:{self.status}:8888"),
            ("9876:9876", f"127.0.0.1:{self.receiver}:9876"),
        ):
            assert old in text
            text = text.replace(old, new)
        (place / "compose.yml").write_text(text)

    def compose(self, *words: str, workspace: bool = True) -> subprocess.CompletedProcess:
        env = {**self.tool.environ, "LAYER97_SNAPSHOT_INTERVAL": "1"}
        env.pop("LAYER97_WORKSPACE", None)
        if workspace:
            env["LAYER97_WORKSPACE"] = str(self.workspace)
        return subprocess.run(
            [*self.tool.argv, "-f", "compose.yml", *words],
            env=env,
            cwd=self.place,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def get(self, port: int, path: str = "/status", body: bytes | None = None) -> dict:
        """The answer, waited for up to 20 seconds."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}", body, {"Content-Type": "application/json"} if body else {}
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        deadline = time.monotonic() + 20
        while True:
            try:
                with direct.open(request, timeout=5) as answer:
                    return json.load(answer)
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def healthy(self, service: str) -> bool:
        """What the healthcheck of the compose file says, run by the engine."""
        name = f"{PROJECT}-{service}"
        if self.engine.name == "podman":
            return self.engine.run("healthcheck", "run", name, check=False).returncode == 0
        return self.engine.run("inspect", "-f", "{{.State.Health.Status}}", name).stdout.strip() == "healthy"

    def wait(self, condition) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, self.compose("logs").stdout
            time.sleep(0.2)


@pytest.fixture(params=["podman", "docker"])
def stack(request, tmp_path, python_image):
    names = {"podman": ("podman_engine", "podman_compose"), "docker": ("docker_engine", "compose_v2")}[request.param]
    made = Running(tmp_path, *(request.getfixturevalue(name) for name in names))
    with contextlib.ExitStack() as undo:
        undo.callback(made.compose, "down", "-t", "5")
        yield made


def test_up_healthy_answering_and_ended_at_once(stack):
    up = stack.compose("up", "-d")
    assert up.returncode == 0, up.stderr
    assert stack.get(stack.status)["environment"] == "MACBOOK"
    assert [row["name"] for row in stack.get(stack.status)["processes"]][:1] == ["python3"]
    assert stack.get(stack.receiver)["port"] == 9876
    for service in ("snapshot", "gcp-mgmt", "receiver"):
        stack.wait(lambda one=service: stack.healthy(one))
    stored = stack.get(stack.receiver, "/sync", b'{"messages": ["a", "b"]}')["stored"]
    message = stack.workspace / "knowledge" / "inbox" / stored
    assert json.loads(message.read_text())["message"] == {"messages": ["a", "b"]}
    stack.wait(lambda: len(list((stack.workspace / ".snapshots").glob("*.json"))) >= 2)
    assert list(stack.workspace.rglob("__pycache__")) == []
    names = [f"{PROJECT}-{service}" for service in ("snapshot", "gcp-mgmt", "receiver")]
    for name in names:
        began = time.monotonic()
        stack.engine.run("stop", "-t", "10", name)
        assert time.monotonic() - began < 5, f"{name} had to be killed"
        assert stack.engine.run("inspect", "-f", "{{.State.ExitCode}}", name).stdout.strip() == "0"
    stack.engine.run("start", f"{PROJECT}-receiver")
    assert stack.get(stack.receiver)["stats"]["total_messages"] == 2


def test_without_a_workspace_it_says_so(stack):
    done = stack.compose("up", "-d", workspace=False)
    assert done.returncode != 0
    assert "LAYER97_WORKSPACE" in done.stdout + done.stderr
    assert stack.engine.run("ps", "-aq", "--filter", f"name={PROJECT}").stdout == ""


def test_report_of_a_stack_that_runs(stack, tmp_path):
    assert stack.compose("up", "-d").returncode == 0
    stack.get(stack.status)
    options = f"    project: {PROJECT}\n    engine: {stack.engine.name}\n    state_dir: {tmp_path}/state"
    if stack.engine.name == "docker":
        options += f"\n    socket: {stack.engine.socket}"
    rows = run_examples(
        "stack_report",
        replace={"    project: 97layer": options},
        variables={"compose_stack_result": {"changed": True}},
        environment=stack.engine.env,
    )
    report, again = rows["Report on a run"], rows["Show the last report again"]
    assert not report["changed"]
    assert report["report"] == again["report"]
    assert report["text"] == again["text"]
    services = report["report"]["services"]
    assert [row["service"] for row in services] == ["gcp-mgmt", "receiver", "snapshot"]
    for row in services:
        assert row["state"] == "running"
        assert 1_000_000 < row["memory_bytes"] < 200_000_000
        assert row["cpu_percent"] >= 0
    assert services[0]["ports"] == [f"127.0.0.1:{stack.status}->8888"]
    assert (tmp_path / "state" / PROJECT / "report.json").stat().st_mode & 0o777 == 0o600
    assert len(report["text"].splitlines()) <= 30
