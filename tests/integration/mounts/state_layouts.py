# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layouts of data in real servers: where the rows go, where the mount is, and the verdict that must name it.

All layouts are services of one stack, so that one proof, one ``down`` and one ``up`` serve them all.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import subprocess
import time
import typing as t

ROWS = 1000
READY = {
    "pg15": ("psql", "-XqAt", "-U", "postgres", "-c", "SELECT 1"),
    "pg17": ("psql", "-XqAt", "-U", "postgres", "-c", "SELECT 1"),
    "redis": ("redis-cli", "ping"),
    # The server of the first start knows no password.
    "mariadb": ("sh", "-c", "grep -q mariadbd /proc/1/comm && mariadb -uroot -psecret -e 'SELECT 1'"),
}
_PG = "/var/lib/postgresql/data"
_SQLITE = (
    "import os,sqlite3,time; os.makedirs(os.environ['STATE_DIR'], exist_ok=True); "
    "c = sqlite3.connect(os.environ['STATE_DIR'] + '/app.db'); c.execute('CREATE TABLE IF NOT EXISTS t (a)'); "
    "c.commit(); time.sleep(100000)"
)
_OPEN = "import sqlite3,os; c = sqlite3.connect(os.environ['STATE_DIR'] + '/app.db'); "


@dataclasses.dataclass(frozen=True)
class Server:
    """A program with data, and how rows are written to it and counted in it."""

    image: str
    home: str
    write: tuple[str, ...]
    count: tuple[str, ...]
    environment: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    command: tuple[str, ...] = ()


def servers(images: t.Callable[[str], str], python: str) -> dict[str, Server]:
    """The servers by name. ``images`` gives the image of a part, ``python`` is the one of an application."""
    psql = ("psql", "-XqAt", "-U", "postgres", "-c")
    maria = ("mariadb", "-uroot", "-psecret", "-NBe")
    table = f"CREATE TABLE rows AS SELECT generate_series(1, {ROWS}) n; CHECKPOINT"
    found = {
        "pg15": Server(images("pg15"), _PG, (*psql, table), (*psql, "SELECT count(*) FROM rows")),
        "pg17": Server(images("pg17"), f"{_PG}/17/docker", (*psql, table), (*psql, "SELECT count(*) FROM rows")),
        "redis": Server(
            images("redis8"),
            "/data",
            ("redis-cli", "set", "rows", str(ROWS)),
            ("redis-cli", "get", "rows"),
            command=("redis-server", "--dir", "/data", "--appendonly", "yes", "--appendfsync", "always"),
        ),
        "mariadb": Server(
            images("mariadb11"),
            "/var/lib/mysql",
            (*maria, "USE app; CREATE TABLE rows_ (n INT); INSERT INTO rows_ SELECT seq FROM seq_1_to_1000"),
            (*maria, "SELECT COUNT(*) FROM app.rows_"),
            {"MARIADB_ROOT_PASSWORD": "secret", "MARIADB_DATABASE": "app"},
        ),
        "sqlite": Server(
            python,
            "/app/state",
            ("python3", "-c", f"{_OPEN}c.executemany('INSERT INTO t VALUES (?)', [(1,)] * {ROWS}); c.commit()"),
            ("python3", "-c", f"{_OPEN}print(c.execute('SELECT count(*) FROM t').fetchone()[0])"),
            {"STATE_DIR": "/app/state"},
            ("python3", "-c", _SQLITE),
        ),
        "app": Server(
            python,
            "/app/data",
            ("sh", "-c", f"seq {ROWS} >$DATA_DIR/rows"),
            ("sh", "-c", "cat $DATA_DIR/rows 2>&1 | grep -c '^[0-9]' || true"),
            {"DATA_DIR": "/app/data"},
            ("sh", "-c", "mkdir -p $DATA_DIR; sleep 100000"),
        ),
    }
    for name in ("pg15", "pg17"):
        env = {"POSTGRES_PASSWORD": "secret", "PGDATA": found[name].home}
        found[name] = dataclasses.replace(found[name], environment=env)
    return found


@dataclasses.dataclass(frozen=True)
class Layout:
    """One layout.

    Attributes:
        server: name of the server.
        what: bind, named, anonymous, displaced (the mount is next to the data), tmpfs or layer.
        mount: where the mount is; "" for none.
        home: the data directory, if it is not that of the server.
        verdict: the expected verdict for the data on Docker.
    """

    server: str
    what: str
    verdict: str
    mount: str = ""
    home: str = ""

    @property
    def name(self) -> str:
        return f"{self.server}-{self.what}"

    def verdict_on(self, engine: str) -> str:
        """The expected verdict. podman-compose gives a declared volume without a name one that stays the same."""
        if engine == "podman" and self.what == "anonymous":
            return "persistent"
        return "lost_at_recreate" if engine == "podman" and self.verdict == "lost_at_down" else self.verdict


def _of(server: str, home: str, elsewhere: str, *, volume: bool) -> list[Layout]:
    """The layouts of one server. ``volume``: its image declares a VOLUME at or above the data."""
    lost = "lost_at_down" if volume else "lost_at_recreate"
    return [
        Layout(server, "bind", "persistent", home),
        Layout(server, "named", "persistent", home),
        Layout(server, "tmpfs", "lost_at_recreate", home),
        Layout(server, "anonymous", "lost_at_down", home),
        Layout(server, "none", lost),
        Layout(server, "displaced", lost, elsewhere),
    ]


LAYOUTS = [
    *_of("pg15", _PG, "/var/lib/postgresql/15", volume=True),
    *_of("pg17", _PG, f"{_PG}/data", volume=True),
    Layout("pg17", "layer", "lost_at_recreate", _PG, "/pgdata"),
    *_of("redis", "/data", "/var/lib/redis", volume=True),
    *_of("mariadb", "/var/lib/mysql", "/var/lib/mariadb", volume=True),
    *_of("sqlite", "/app/state", "/app/data", volume=False),
    *_of("app", "/app/data", "/data", volume=False),
]


class StateStack:
    """All layouts as one stack of the engine's compose tool.

    Args:
        project: its name.
        folder: for the compose file and the bound directories.
        compose: the compose tool's command.
        engine: the engine's command.
        environ: the environment of both.
        known: the servers.
        layouts: the layouts.
    """

    def __init__(
        self,
        project: str,
        folder: pathlib.Path,
        compose: t.Sequence[str],
        known: t.Mapping[str, Server],
        engine: t.Sequence[str],
        environ: t.Mapping[str, str],
        layouts: t.Sequence[Layout] = tuple(LAYOUTS),
    ) -> None:
        self._engine = [*engine]
        self.layouts = layouts
        self._environ = dict(environ)
        self.project = project
        self.folder = folder
        self._argv = [*compose, "-p", project, "-f", str(folder / "compose.yml")]
        self._servers = known
        self._compose = {"services": {}, "volumes": {}}
        for layout in layouts:
            self._compose["services"][layout.name] = self._service(layout)
        (folder / "compose.yml").write_text(json.dumps(self._compose))

    def _service(self, layout: Layout) -> dict[str, t.Any]:
        server = self._servers[layout.server]
        environment = dict(server.environment)
        if layout.home:
            environment["PGDATA"] = layout.home
        made: dict[str, t.Any] = {
            "image": server.image,
            "environment": environment,
            "network_mode": "none",
            "stop_grace_period": "10s" if layout.server in READY else "1s",
        }
        if server.command:
            # Otherwise Compose would replace the variable itself.
            made["command"] = [word.replace("$", "$$") for word in server.command]
        if layout.what == "tmpfs":
            made["tmpfs"] = [layout.mount]
        elif layout.what == "anonymous":
            made["volumes"] = [layout.mount]
        elif layout.what == "bind":
            source = self.folder / layout.name
            source.mkdir(mode=0o777)
            source.chmod(0o777)
            made["volumes"] = [f"{source}:{layout.mount}"]
        elif layout.mount:
            self._compose["volumes"][layout.name] = {}
            made["volumes"] = [f"{layout.name}:{layout.mount}"]
        return made

    def home(self, layout: Layout) -> str:
        """The data directory of a layout."""
        return layout.home or self._servers[layout.server].home

    def run(self, *words: str, check: bool = True) -> str:
        """Run the compose tool."""
        done = subprocess.run(
            [*self._argv, *words], capture_output=True, text=True, timeout=900, check=False, env=self._environ
        )
        if check and done.returncode:
            raise AssertionError(f"{words} failed: {done.stderr}")
        return done.stdout.strip()

    def write(self) -> None:
        """Write the rows of each layout, as soon as its server answers."""
        for layout in self.layouts:
            ready = READY.get(layout.server)
            if ready:
                self._until(layout, ready)
            self._until(layout, self._servers[layout.server].write)

    def rows(self) -> dict[str, int]:
        """The number of rows of each layout."""
        found = {}
        for layout in self.layouts:
            ready = READY.get(layout.server)
            if ready:
                self._until(layout, ready)
            count = self._exec(layout, self._servers[layout.server].count).stdout.strip()
            found[layout.name] = int(count) if count.isdigit() else 0
        return found

    def _exec(self, layout: Layout, words: t.Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a program in the container of a layout. The compose tool needs seconds for it."""
        mark = "_" if self._engine[-1] == "podman" else "-"
        argv = [*self._engine, "exec", f"{self.project}{mark}{layout.name}{mark}1", *words]
        return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, env=self._environ)

    def _until(self, layout: Layout, words: t.Sequence[str], seconds: float = 300.0) -> None:
        deadline = time.monotonic() + seconds
        while True:
            done = self._exec(layout, words)
            if done.returncode == 0:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"{layout.name}: {words} failed for {seconds:.0f} s: {done.stderr}")
            time.sleep(0.5)

    def close(self) -> None:
        """Remove everything, also the volumes without a name."""
        self.run("down", "-v", "-t", "0", "--remove-orphans", check=False)


def judge(
    stack: StateStack, report: t.Mapping[str, t.Any], before: t.Mapping[str, int], after: t.Mapping[str, int], name: str
) -> list[str]:
    """Compare the verdicts with the lost rows, and print both. Returns the contradictions.

    Args:
        report: the result of the proof before ``down``.
        before, after: the rows of each layout.
        name: that of the engine.
    """
    engine = "podman" if name.startswith("podman") else name
    wrong, record = [], []
    for layout in stack.layouts:
        home = stack.home(layout)
        places = [row for row in report["data_places"] if row["service"] == layout.name]
        data = [row for row in places if row["path"] == home or home.startswith(row["path"].rstrip("/") + "/")]
        verdicts = {max(data, key=lambda row: len(row["path"]))["verdict"]} if data else set()
        lost = before[layout.name] - after[layout.name]
        record.append((layout.name, ", ".join(sorted(verdicts)) or "-", lost))
        if before[layout.name] != ROWS:
            wrong.append(f"{layout.name}: has {before[layout.name]} rows before")
        expected = layout.verdict_on(engine)
        if verdicts != {expected}:
            wrong.append(f"{layout.name}: {verdicts} and not {expected}: {places}")
        if bool(lost) != (expected != "persistent"):
            wrong.append(f"{layout.name}: lost {lost} rows, verdict {verdicts}")
        risky = any(row["at_risk"] for row in places)
        if risky != (expected != "persistent" and layout.what != "tmpfs"):
            wrong.append(f"{layout.name}: at risk is {risky}: {places}")
    _print(name, record)
    return wrong


def _print(engine: str, record: list[tuple[str, str, int]]) -> None:
    print(f"\n{engine + ': layout':26} {'named before as':20} {'rows lost by plain down; up'}")
    for name, found, lost in record:
        print(f"{name:26} {found:20} {lost}")
    named = sum(1 for _name, found, lost in record if lost and "lost" in found)
    losing = sum(1 for row in record if row[2])
    total = sum(row[2] for row in record)
    print(f"{engine}: {len(record)} layouts, {losing} lose {total} rows, {named} of them are named before")
