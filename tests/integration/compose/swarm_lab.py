# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Swarm of one node on an engine of the tests, for as long as a test module."""

from __future__ import annotations

import contextlib
import json
import pathlib
import subprocess
import time
import typing as t

import yaml

SECONDS = 90


class Swarm:
    """``docker stack`` on an engine that is a Swarm.

    Args:
        engine: an engine of the tests with ``environ``.
        root: a directory for stack files.
    """

    def __init__(self, engine: t.Any, root: pathlib.Path) -> None:
        self._engine = engine
        self.root = root

    def docker(self, *words: str) -> subprocess.CompletedProcess:
        """Run a docker command in the directory of the stack files."""
        return subprocess.run(
            ["docker", *words], env=self._engine.environ, cwd=self.root, capture_output=True, text=True, check=False
        )

    def write(self, document: t.Mapping[str, t.Any], name: str = "stack.yml") -> pathlib.Path:
        """Write a stack file."""
        path = self.root / name
        path.write_text(yaml.safe_dump(dict(document), sort_keys=False))
        return path

    def config(self, document: t.Mapping[str, t.Any]) -> subprocess.CompletedProcess:
        """What ``docker stack config`` says to a stack file."""
        return self.docker("stack", "config", "-c", str(self.write(document)))

    def deploy(self, document: t.Mapping[str, t.Any], stack: str) -> subprocess.CompletedProcess:
        """Deploy a stack and do not wait for its tasks."""
        return self.docker("stack", "deploy", "--detach=true", "-c", str(self.write(document)), stack)

    def spec(self, service: str) -> dict[str, t.Any]:
        """The part of a service that decides how its containers run."""
        done = self.docker("service", "inspect", service)
        assert done.returncode == 0, done.stderr
        spec = json.loads(done.stdout)[0]["Spec"]
        found = {**spec["TaskTemplate"], "Endpoint": spec.get("EndpointSpec"), "Mode": spec["Mode"]}
        found["Networks"] = [{**row, "Aliases": []} for row in found.get("Networks") or ()]
        return found

    def tasks(self, service: str) -> list[dict[str, str]]:
        """State, error and container of each task, newest first."""
        ids = self.docker("service", "ps", "-q", "--no-trunc", service).stdout.split()
        rows = json.loads(self.docker("inspect", "--type", "task", *ids).stdout) if ids else []
        return [
            {
                "state": row["Status"]["State"],
                "error": row["Status"].get("Err", ""),
                "container": row["Status"].get("ContainerStatus", {}).get("ContainerID", ""),
            }
            for row in rows
        ]

    def until(self, condition: t.Callable[[], t.Any]) -> t.Any:
        """Wait until ``condition`` returns something, and return that."""
        deadline = time.monotonic() + SECONDS
        while True:
            found = condition()
            if found:
                return found
            assert time.monotonic() < deadline, self.docker("service", "ls").stdout
            time.sleep(0.2)

    def remove(self, stack: str) -> None:
        """Remove a stack, and wait until its containers are gone."""
        self.docker("stack", "rm", stack)
        label = f"label=com.docker.stack.namespace={stack}"
        self.until(lambda: not self.docker("ps", "-aq", "--filter", label).stdout.strip())


@contextlib.contextmanager
def swarm(engine: t.Any, root: pathlib.Path) -> t.Iterator[Swarm]:
    """Turn an engine into a Swarm of one node, and back."""
    lab = Swarm(engine, root)
    begun = lab.docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377")
    assert begun.returncode == 0, begun.stderr
    try:
        yield lab
    finally:
        left = lab.docker("swarm", "leave", "--force")
        assert left.returncode == 0, left.stderr
        for network in ("docker_gwbridge", "ingress"):
            lab.docker("network", "rm", network)
