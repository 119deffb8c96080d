# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start stacks by podman-compose and by quadlets, and print what ``podman inspect`` reports. Runs on a systemd host.

All images are one that stays and is healthy: the containers are compared, not their programs.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers import find
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Target
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import environment
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import locate
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import resources
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import discover
from ansible_collections.onebox.stack.plugins.module_utils.engine.project_containers import project_containers

TOOLS = ("podman-compose", "quadlet")
STAY = "localhost/stay:latest"
# It ends at once when it is stopped.
ENTRYPOINT = """ENTRYPOINT ["sh", "-c", "trap 'exit 0' TERM INT; sleep 100000 & wait"]"""
# Programs of healthchecks.
HEALTHY = ("pg_isready", "redis-cli", "python", "python3", "curl", "wget")


def build_image() -> None:
    """Make the image that stays from the tiny one."""
    with tempfile.TemporaryDirectory() as folder:
        for name in HEALTHY:
            path = pathlib.Path(folder) / name
            path.write_text("#!/bin/sh\n")
            path.chmod(0o755)
        podman("create", "--replace", "--name", "stay", "localhost/onebox-testbed/tiny:latest", "sh")
        podman("cp", f"{folder}/.", "stay:/bin")
    podman("commit", "-q", "--change", ENTRYPOINT, "stay", STAY)
    podman("rm", "stay")


def podman(*words: str) -> bytes:
    """The output of a command of Podman."""
    return subprocess.run(["podman", *words], check=True, capture_output=True, timeout=120).stdout


class Stack:
    """One stack, and the means to start it."""

    def __init__(self, folder: pathlib.Path, world: World) -> None:
        self.world = world
        self.engine = discover.find("podman", world=world)
        self.project = re.sub("[^a-z0-9]", "", folder.name.lower())
        self.folder = folder
        self.env = environment.clean(world.environ)

    def start(self, kind: str) -> dict[str, dict]:
        """The ``podman inspect`` of each service that a tool started. It is removed again."""
        tool = find.find(kind, self.engine, self.env, self.world)
        source, model = self._resolved(tool)
        for service in model.services.values():
            name = service.image if "/" in service.image else f"localhost/{service.image}"
            podman("tag", STAY, name)
            for bind in service.binds:
                if not os.path.exists(bind.source):
                    os.makedirs(bind.source)
            for ref in service.files:
                if ref.kind == "external" and self.engine.secret(ref.value) is None:
                    words = ["podman", "secret", "create", ref.value, "-"]
                    subprocess.run(words, input=b"secret", check=True, capture_output=True)
        for body in resources.declared(model, "network").values():
            if body.get("external"):
                podman("network", "create", "--ignore", body["name"])
        tool = tool.with_env(model.placeholders)
        commands = tool.on(Target(self.engine, self.project, source, self.world))
        commands.up(list(model.services), ())

        def running() -> bool:
            found = project_containers(self.engine, self.project)
            return len(found) == len(model.services) and all(
                row.running and row.health in ("", "healthy") for row in found
            )

        assert self.world.wait_until(running, 60), f"{kind}: {project_containers(self.engine, self.project)}"
        found = project_containers(self.engine, self.project)
        text = podman("inspect", *(row.id for row in found))
        commands.down({row.id: row.service for row in found})
        assert project_containers(self.engine, self.project) == []
        return {row["Config"]["Labels"]["com.docker.compose.service"]: row for row in json.loads(text)}

    def _resolved(self, tool):
        """The model. Variables and files that the stack lacks get values first."""
        for _attempt in range(20):
            source = locate(self.project, str(self.folder), (), None, ())
            try:
                model = tool.resolve(source, self.world)
            except BadStack as error:
                unset = {each.where for each in error.problems if each.code == "unset_variable"}
                if not unset:
                    raise
            else:
                unset = {*model.unset, *(each.where for each in model.problems)}
                if not unset:
                    return source, self._with_files(model)
            with (self.folder / ".env").open("a") as stream:
                for name in sorted(unset):
                    word = name.lower()
                    place = re.search("dir|path|data|base|workspace", word)
                    stream.write(f"{name}={f'/srv/{word}' if place else f'value-of-{word}'}\n")
        raise AssertionError(f"{self.folder} cannot be resolved")

    def _with_files(self, model):
        for service in model.services.values():
            paths = [ref.value for ref in service.files if ref.kind == "file"]
            for path in [*paths, *(path for path, required in service.env_files if required)]:
                if not os.path.exists(path):
                    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
                    pathlib.Path(path).write_text("LEVEL=info\n")
        return model


def main() -> None:
    """Print a line for each stack: its name, and what each tool made, or why it cannot."""
    build_image()
    world = World.real()
    for folder in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        row: dict = {"stack": folder.name}
        try:
            stack = Stack(folder, world)
            row["made"] = {kind: stack.start(kind) for kind in TOOLS}
        except Exception as error:  # noqa: BLE001 (the test shows it)
            row["error"] = f"{type(error).__name__}: {error}"
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
