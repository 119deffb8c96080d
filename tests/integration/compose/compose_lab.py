# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack of tiny services on a real engine, which tests change and inspect again."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import subprocess
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import declaration
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.compose.stack import Stack
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.boot import Host
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import discover

_LISTINGS = 5


@dataclasses.dataclass(frozen=True)
class Backend:
    """An engine and the compose tool that drives it."""

    name: str
    engine: str
    socket: str | None
    provider: str
    provider_path: str
    environ: dict[str, str]
    image: str

    @property
    def docker_compose(self) -> bool:
        return self.provider == "docker-compose"

    def cli(self, *words: str, check: bool = True) -> str:
        """Run the engine's own command line."""
        argv = [self.engine, *words]
        if self.engine == "podman" and self.socket:
            argv = ["podman", *words]
        for _attempt in range(_LISTINGS):
            result = subprocess.run(argv, env=self.environ, capture_output=True, text=True, check=False)
            # Podman's list of images fails when another test removes an image at that moment.
            if "image not known" not in result.stderr or words[0] != "images":
                break
        assert not check or result.returncode == 0, f"{argv}: {result.stderr}"
        return result.stdout.strip()


@dataclasses.dataclass
class Lab:
    """One stack: its files in ``folder``, its data in ``data``, both with odd characters in their paths."""

    backend: Backend
    project: str
    root: pathlib.Path
    services: dict = dataclasses.field(default_factory=dict)
    top: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder = self.root / "stäck 'one'"
        self.data = self.root / "dä ta"
        self.folder.mkdir()
        self.data.mkdir()
        self.world_run = process.run
        self.variables = {"DATA": str(self.data), "LEVEL": "info"}

    def service(self, command: str = "sleep 1000", **keys) -> dict:
        """A service that ends at once when it is stopped."""
        return {
            "image": self.backend.image,
            "command": ["sh", "-c", command],
            "stop_grace_period": "0s",
            **keys,
        }

    def write(self) -> None:
        """Write the compose file (JSON is YAML) and the environment file."""
        body = {"services": self.services, **self.top}
        (self.folder / "compose.yml").write_text(json.dumps(body, indent=1), encoding="utf-8")
        env = self.folder / ".env"
        env.write_text("".join(f"{key}='{value}'\n" for key, value in self.variables.items()), encoding="utf-8")
        env.chmod(0o600)

    def stack(self, **changes) -> Stack:
        rules = declaration.Rules(tuple(changes.pop("required_env", ())), tuple(changes.pop("public_ports", ())))
        request = Request(
            **{
                "name": self.project,
                "project_dir": str(self.folder),
                "rules": rules,
                "engine": self.backend.engine,
                "socket": self.backend.socket,
                "provider": self.backend.provider,
                "provider_path": self.backend.provider_path,
                "wait_timeout": 30.0,
                "settle": 0.3,
                "state_dir": str(self.root / "state"),
                **changes,
            }
        )
        systemd = Host(process.run, str(self.root / "no-systemd"), str(self.root / "units"), False, "")
        return Stack(request, self.world(), systemd)

    def world(self) -> World:
        environ = self.backend.environ
        home = environ.get("HOME", "/")
        return dataclasses.replace(World.real(), run=self.world_run, environ=environ, home=home, user="tester")

    def deploy(self, **changes) -> dict:
        """Write and converge; the result, which must not be a failure."""
        self.write()
        result = self.stack(**changes).converge()
        assert not result.get("failed"), result["msg"]
        return result

    def info(self, **changes) -> dict:
        return self.stack(**changes).info()

    def plan(self, **changes) -> dict[str, tuple[str, tuple[str, ...]]]:
        """service -> (action, reasons); the stack must have no problems."""
        self.write()
        result = self.info(**changes)
        assert result["problems"] == []
        return {row["service"]: (row["action"], tuple(row["reasons"])) for row in result["plan"]}

    def containers(self) -> dict[str, list]:
        world = dataclasses.replace(World.real(), environ=self.backend.environ)
        engine = discover.find(self.backend.engine, self.backend.socket, world=world)
        found: dict[str, list] = {}
        for row in engine.containers(project=self.project):
            found.setdefault(row.service, []).append(row)
        return found

    def states(self) -> dict[str, dict[str, str]]:
        """service -> {container id: started at}, of running containers and of ended ones."""
        return {
            name: {row.id: row.started_at if row.running else row.status for row in rows}
            for name, rows in self.containers().items()
        }

    def bare(self, *words: str, check: bool = True) -> subprocess.CompletedProcess:
        """The compose tool itself, as a user would call it."""
        env = dict(self.backend.environ)
        argv = [self.backend.provider_path]
        if self.backend.docker_compose:
            argv += ["--project-directory", str(self.folder)]
            env["DOCKER_HOST"] = f"unix://{self.backend.socket}"
        else:
            argv += ["--in-pod=false"]
        argv += ["-p", self.project, "-f", str(self.folder / "compose.yml"), "--env-file", str(self.folder / ".env")]
        result = subprocess.run([*argv, *words], env=env, capture_output=True, text=True, cwd=self.folder, check=False)
        assert not check or result.returncode == 0, result.stderr
        return result

    def clean(self) -> None:
        """Leave nothing behind, whatever state the test left."""
        label = f"label=com.docker.compose.project={self.project}"
        ids = self.backend.cli("ps", "-aq", "--filter", label).split()
        force = ["rm", "-f"] if self.backend.engine == "docker" else ["rm", "-f", "-t", "0"]
        if ids:
            # Those that share another's namespace must go first, in whatever order that is.
            self.backend.cli(*force, *ids, check=False)
            left = self.backend.cli("ps", "-aq", "--filter", label).split()
            if left:
                self.backend.cli(*force, *left)
        named = self.backend.cli("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
        ours = [
            name
            for name in named
            if f"{self.project}-" in name or f"{self.project}:" in name or f"{self.project}/" in name
        ]
        if ours:
            self.backend.cli("rmi", "-f", *ours, check=False)
        for kind in ("network", "volume"):
            for name in self.backend.cli(kind, "ls", "-q", "--filter", label).split():
                self.backend.cli(kind, "rm", name, check=False)


def effect(before: dict, after: dict) -> dict[str, str]:
    """What really happened to each service between two :meth:`Lab.states`, in the plan's words."""
    happened = {}
    for name in sorted({*before, *after}):
        was, now = before.get(name, {}), after.get(name, {})
        if not now:
            happened[name] = "remove_orphan"
        elif not was:
            happened[name] = "create"
        elif set(was) - set(now):
            happened[name] = "recreate"
        elif set(now) - set(was):
            happened[name] = "create"
        elif was == now:
            happened[name] = "keep"
        else:
            ended = any(was[key] in ("exited", "created", "paused", "stopped") for key in was)
            happened[name] = "start" if ended else "restart"
    return happened


def refused(lab: Lab, **changes) -> dict[str, str]:
    """code -> message of the refusal; no container was made."""
    with pytest.raises(BadStack) as caught:
        lab.stack(**changes).converge()
    assert lab.containers() == {}
    return {problem.code: f"{problem.where}: {problem.message}" for problem in caught.value.problems}


def wait_for(condition, seconds: float = 10.0) -> None:
    """Wait until ``condition()`` is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def environ_of(env: dict[str, str]) -> dict[str, str]:
    """This process's environment with ``env`` in it."""
    return {**os.environ, **env}
