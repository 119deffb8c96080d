# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single database servers on a real Docker, and backups of them, for attacks on what a rehearsal compares."""

from __future__ import annotations

import contextlib
import json
import pathlib
import secrets
import subprocess
import time
import typing as t

import backup_stack
from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration, rehearse, restore, run
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from backup_stack import docker

IMAGES = backup_stack.load("images")


class ServerStack:
    """A stack of throwaway servers, removed at the end of the block."""

    def __init__(self, base: pathlib.Path) -> None:
        self.name = f"obx-backup-{secrets.token_hex(3)}"
        self.base = base
        self.made: list[str] = []
        self.sources: list[dict[str, t.Any]] = []

    def __enter__(self) -> ServerStack:
        return self

    def __exit__(self, *why: object) -> None:
        for container in self.made:
            docker("rm", "-f", "-v", container, check=False)

    def start(self, service: str, image: str, *command: str, args: t.Sequence[str] = ()) -> str:
        """Run a container as compose would label it; one of that service is removed with its volumes."""
        name = f"{self.name}-{service}"
        docker("rm", "-f", "-v", name, check=False)
        self.made.append(name)
        labels = ["--label", f"com.docker.compose.project={self.name}", "--label"]
        labels.append(f"com.docker.compose.service={service}")
        docker("run", "-d", "--network", "none", "--name", name, *labels, *args, image, *command)
        return name

    def postgres(self, *command: str, part: str = "pg15", image: str = "", args: t.Sequence[str] = ()) -> None:
        """A PostgreSQL as service db, with the user and database coin."""
        env = ["-e", "POSTGRES_PASSWORD=of-the-test", "-e", "POSTGRES_USER=coin", "-e", "POSTGRES_DB=coin"]
        self.start("db", image or IMAGES.ensure(part), *command, args=[*env, *args])
        self.wait("db", "pg_isready", "-q", "-h", "127.0.0.1")
        self.sources = [{"name": "db", "kind": "postgresql", "service": "db"}]

    def redis(self, *command: str, part: str = "redis7") -> None:
        """A Redis as service cache."""
        self.start("cache", IMAGES.ensure(part), *command)
        self.wait("cache", "sh", "-c", "redis-cli ping 2>/dev/null | grep -q PONG || valkey-cli ping | grep -q PONG")
        self.sources = [{"name": "cache", "kind": "redis", "service": "cache"}]

    def wait(self, service: str, *words: str) -> None:
        deadline = time.monotonic() + 240
        ready = ["docker", "exec", f"{self.name}-{service}", *words]
        while subprocess.run(ready, capture_output=True, check=False).returncode != 0:
            assert time.monotonic() < deadline, f"{service} does not start"
            time.sleep(0.1)

    def sql(self, text: str, database: str = "coin") -> str:
        words = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "coin", "-d", database]
        return docker("exec", "-i", f"{self.name}-db", *words, text=text)

    def redis_cli(self, *words: str, text: str | None = None) -> str:
        return docker("exec", "-i", f"{self.name}-cache", "redis-cli", *words, text=text)

    def context(self) -> contexts.Context:
        path = self.base / "backup.json"
        data = {
            "stack": self.name,
            "state_dir": str(self.base / "state"),
            "repository": {"engine": "files", "path": str(self.base / "repo")},
            "container_engine": "docker",
            "reserve_mib": 1,
            "timeout": 300,
            "sources": self.sources,
        }
        path.write_text(json.dumps(data), encoding="utf-8")
        return contexts.make(configuration.read(str(path)), World.real())

    def backup(self, **more: t.Any) -> dict[str, t.Any]:
        return run.backup(self.context(), **more)

    def rehearse(self) -> dict[str, t.Any]:
        return rehearse.rehearse(self.context())

    def restore(self, **more: t.Any) -> dict[str, t.Any]:
        return restore.restore(self.context(), restore.Request(**more), confirm=self.name)

    @contextlib.contextmanager
    def fetched(self) -> t.Iterator[tuple[contexts.Context, t.Any, t.Any, pathlib.Path]]:
        """The newest set, fetched: the context, the set, its first source and where its files are."""
        context = self.context()
        chosen = context.store.sets()[-1]
        staged = self.base / f"staged-{secrets.token_hex(3)}"
        staged.mkdir(mode=0o700)
        context.store.fetch(chosen, str(staged))
        yield context, chosen, chosen.understood().sources[0], staged
