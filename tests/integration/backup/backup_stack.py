# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small stack with real PostgreSQL 15 and Redis 7 on a real Docker, named obx-backup-…, with its backups."""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import secrets
import sqlite3
import subprocess
import time
import typing as t

ROOT = pathlib.Path(__file__).resolve().parents[3]
PASSWORD = "pg-" + secrets.token_hex(8)
REDIS_PASSWORD = "redis-" + secrets.token_hex(8)


def load(name: str) -> t.Any:
    """A module of tests/testbed/backup: images, restic, offsite."""
    spec = importlib.util.spec_from_file_location(f"obx_backup_{name}", ROOT / f"tests/testbed/backup/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def restic_programs(suite: str = "trixie") -> pathlib.Path:
    """The directory with restic and its REST server from a Debian suite."""
    return pathlib.Path(load("restic").ensure(suite))


def docker(*words: str, check: bool = True, text: str | None = None, program: str = "docker") -> str:
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False, input=text)
    if check and done.returncode != 0:
        raise AssertionError(f"{program} {' '.join(words)}: {done.stderr}")
    return done.stdout.strip()


class Stack:
    """The running stack, and helpers to change it."""

    def __init__(
        self, name: str, base: pathlib.Path, parts: tuple[str, str] = ("pg15", "redis7"), engine: str = "docker"
    ) -> None:
        self.parts = parts
        self.engine = engine
        self.tool = "valkey" if parts[1].startswith("valkey") else "redis"
        self.name = name
        self.base = base
        self.db = f"{name}-db"
        self.cache = f"{name}-cache"
        self.files = base / "srv" / "up loads ü"
        self.state = base / "state"
        self.repo = base / "repo"

    def do(self, *words: str, check: bool = True, text: str | None = None) -> str:
        return docker(*words, check=check, text=text, program=self.engine)

    def sql(self, text: str, database: str = "coin") -> str:
        words = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "coin", "-d", database]
        return self.do("exec", "-i", self.db, *words, text=text)

    def redis(self, *words: str, check: bool = True) -> str:
        argv = ["exec", "-e", f"REDISCLI_AUTH={REDIS_PASSWORD}", self.cache, f"{self.tool}-cli", *words]
        return self.do(*argv, check=check)

    def start(self, images: t.Any) -> None:
        label = ["--label", f"com.docker.compose.project={self.name}", "--label"]
        self.images = {
            "db": images.ensure(self.parts[0], self.engine),
            "cache": images.ensure(self.parts[1], self.engine),
        }
        self.do(
            "run", "-d", "--network", "none", "--name", self.db, *label, "com.docker.compose.service=db",
            "-e", f"POSTGRES_PASSWORD={PASSWORD}", "-e", "POSTGRES_USER=coin", "-e", "POSTGRES_DB=coin",
            self.images["db"],
        )  # fmt: skip
        self.do(
            "run", "-d", "--network", "none", "--name", self.cache, *label, "com.docker.compose.service=cache",
            "-e", f"CACHE_SECRET={REDIS_PASSWORD}", self.images["cache"],
            f"{self.tool}-server", "--dir", "/data", "--appendonly", "yes", "--requirepass", REDIS_PASSWORD,
            "--repl-diskless-sync-delay", "0",
        )  # fmt: skip
        deadline = time.monotonic() + 240  # initdb waits for the disk, which may be busy
        ready = [self.engine, "exec", self.db, "pg_isready", "-q", "-h", "127.0.0.1"]
        while subprocess.run(ready, capture_output=True, check=False).returncode != 0:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        while self.redis("PING", check=False) != "PONG":
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def stop(self) -> None:
        self.do("rm", "-f", "-v", self.db, self.cache, check=False)

    def fill(self) -> None:
        """Data with edge cases of backups: odd names, big text, sequences, roles, views, large objects."""
        self.sql(pathlib.Path(__file__).with_name("stack.sql").read_text(encoding="utf-8"))
        lines = "".join(f"SET key:{n} value{n}\r\n" for n in range(5000)) + 'LPUSH "li st" a b "c\\nd"\r\n'
        password = f"REDISCLI_AUTH={REDIS_PASSWORD}"
        self.do("exec", "-i", "-e", password, self.cache, f"{self.tool}-cli", text=lines)
        self.redis("-n", "3", "HSET", "hash", "f", "v")
        self.files.mkdir(parents=True)
        (self.files / "a file").write_bytes(os.urandom(300_000))
        (self.files / "-dash").write_text("x", encoding="utf-8")
        (self.files / "new\nline").write_text("y", encoding="utf-8")
        with open(os.fsencode(self.files) + b"/bytes\xff", "wb") as file:
            file.write(b"z")
        (self.files / "sub").mkdir(mode=0o750)
        (self.files / "sub" / "ro").write_text("r", encoding="utf-8")
        os.chmod(self.files / "sub" / "ro", 0o440)
        os.chown(self.files / "sub" / "ro", 1234, 4321)
        os.symlink("/etc/hostname", self.files / "link")
        (self.files / "cache").mkdir()
        (self.files / "cache" / "skip").write_text("no", encoding="utf-8")
        base = sqlite3.connect(self.files / "app.db")
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("CREATE TABLE t (a)")
        base.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(1000)])
        base.commit()
        self.sqlite = base  # kept open: the rows are in the -wal file only
        (self.base / "compose.yml").write_text("services: {}\n", encoding="utf-8")
        (self.base / ".env").write_text("SECRET=s3cret\n", encoding="utf-8")

    def configured(self, **more: t.Any) -> dict[str, t.Any]:
        files = str(self.files)
        return {
            "stack": self.name,
            "state_dir": str(self.state),
            "repository": {"engine": "files", "path": str(self.repo)},
            "container_engine": self.engine,
            "reserve_mib": 1,
            "timeout": 300,
            "sources": [
                {"name": "db", "kind": "postgresql", "service": "db"},
                {"name": "cache", "kind": "redis", "service": "cache", "password_variable": "CACHE_SECRET"},
                {"name": "uploads", "kind": "directory", "path": files, "sqlite": ["*.db"], "exclude": ["cache"]},
                {"name": "stack", "kind": "compose", "files": [f"{self.base}/compose.yml", f"{self.base}/.env"]},
            ],
            "metrics_file": str(self.base / "metrics" / "onebox.prom"),
            **more,
        }

    def config(self, **more: t.Any) -> str:
        path = self.base / "backup.json"
        path.write_text(json.dumps(self.configured(**more)), encoding="utf-8")
        return str(path)
