"""The data map: the paths that containers persist data to, and whether they would be lost."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import parse_inspect
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.groups import Member
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state import messages, survey, writers
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state.place import Place

POSTGRES = {
    "Env": ["PGDATA=/srv/pg/18/data"],
    "Entrypoint": ["entry"],
    "Cmd": ["postgres"],
    "Volumes": {"/srv/pg": {}},
}


class Paper(Engine):
    """An engine with one image."""

    name = "docker"

    def __init__(self, config: dict[str, t.Any]) -> None:
        self._config = config
        self.asked = 0
        self.changed: list[str] | None = None

    def image(self, reference: str) -> dict[str, t.Any] | None:
        self.asked += 1
        return {"Config": self._config}

    def changes(self, container: str) -> list[dict[str, t.Any]]:
        if self.changed is None:
            raise EngineError("no list")
        return [{"Path": path, "Kind": 1} for path in self.changed]


class Case:
    """A container with mounts in a folder of the test."""

    def __init__(self, folder: pathlib.Path, config: dict[str, t.Any]) -> None:
        self.folder = folder
        self.config = config
        self.upper: pathlib.Path | None = self.directory("upper")
        self.mounts: list[dict[str, t.Any]] = []
        self.tmpfs: dict[str, str] = {}
        self.labels: dict[str, str] = {}
        self.image = "postgres:18"
        self.env: list[str] = []
        self.written: dict[str, t.Any] = {}
        self.changed: list[str] | None = None
        self.pid = 0

    def directory(self, name: str, *files: str) -> pathlib.Path:
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        for file in files:
            (path / file).parent.mkdir(parents=True, exist_ok=True)
            (path / file).write_text("data")
        return path

    def mount(self, kind: str, destination: str, *files: str, name: str = "", read_write: bool = True) -> None:
        source = self.directory(f"mount{len(self.mounts)}", *files)
        row = {"Type": kind, "Source": str(source), "Destination": destination, "RW": read_write, "Name": name}
        self.mounts.append(row)

    def rows(self, local: bool = True) -> list[Place]:
        container = parse_inspect(
            {
                "Id": "c" * 64,
                "Name": "/db",
                "Image": "sha256:1",
                "State": {"Status": "running", "Pid": self.pid} if self.pid else {"Status": "exited"},
                "Config": {
                    "Image": self.image,
                    "Env": [*self.config.get("Env", ()), *self.env],
                    "Cmd": self.config.get("Cmd"),
                    "Entrypoint": self.config.get("Entrypoint"),
                    "Labels": {"com.docker.compose.service": "db", **self.labels},
                    "WorkingDir": self.config.get("WorkingDir", ""),
                },
                "HostConfig": {"Tmpfs": self.tmpfs},
                "Mounts": self.mounts,
                "GraphDriver": {"Data": {"UpperDir": str(self.upper)} if self.upper else None},
            }
        )
        proven = frozenset(row["Destination"] for row in self.mounts)
        seen = [survey.Seen(container, self.written, proven)]
        engine = Paper(self.config)
        engine.changed = self.changed
        return survey.look(engine, seen, [], 5.0, local=local, world=World.real())


@pytest.fixture
def case(tmp_path: pathlib.Path) -> Case:
    return Case(tmp_path, POSTGRES)


def brief(rows: t.Sequence[Place]) -> list[tuple[str, str, str, bool]]:
    return [(row.path, row.lies, row.verdict, row.fails) for row in rows]


def test_database_in_an_anonymous_volume_next_to_an_empty_mount_fails(case: Case) -> None:
    case.mount("volume", "/srv/pg", "18/data/PG_VERSION", "18/data/base/1", name="a" * 64)
    case.mount("bind", "/srv/pg/data")
    rows = case.rows()
    assert brief(rows) == [
        ("/srv/pg/18/data", "anonymous", "lost_at_down", True),
        ("/srv/pg/data", "bind", "declared_unused", False),
    ]
    assert (rows[0].files, rows[0].bytes, rows[0].database) == (2, 8, "postgresql")
    assert "docker cp -a db:/srv/pg/. DIRECTORY/" in rows[0].message
    assert "the data goes to /srv/pg/18/data" in rows[1].message
    assert messages.headline(rows) == (", but data at 1 path on no declared mount would be lost (db: /srv/pg/18/data)")


@pytest.mark.parametrize(("kind", "name"), [("bind", ""), ("volume", "stack_data")])
def test_database_on_a_declared_mount_is_persistent(case: Case, kind: str, name: str) -> None:
    case.mount(kind, "/srv/pg", "18/data/PG_VERSION", name=name)
    rows = case.rows()
    assert brief(rows) == [("/srv/pg/18/data", kind, "persistent", False)]
    assert (rows[0].destination, rows[0].volume, rows[0].message) == ("/srv/pg", name, "")
    assert messages.headline(rows) == ""


def test_database_in_the_container_itself_fails(case: Case) -> None:
    case.config = {**POSTGRES, "Volumes": {}}
    case.directory("upper", "srv/pg/18/data/base/1")
    (row,) = case.rows()
    assert brief([row]) == [("/srv/pg/18/data", "layer", "lost_at_recreate", True)]
    assert row.files == 1


def test_podman_compose_loses_anonymous_volumes_when_it_recreates(case: Case) -> None:
    case.labels = {"io.podman.compose.version": "1.6.0"}
    case.mount("volume", "/srv/pg", "18/data/PG_VERSION", name="a" * 64)
    assert case.rows()[0].verdict == "lost_at_recreate"


def test_declared_tmpfs_is_intended(case: Case) -> None:
    case.tmpfs = {"/srv/pg": ""}
    (row,) = case.rows()
    assert brief([row]) == [("/srv/pg/18/data", "tmpfs", "lost_at_recreate", False)]
    assert not row.at_risk


def test_running_server_shows_its_directory_against_its_variable(case: Case) -> None:
    case.mount("volume", "/srv/pg", "18/data/PG_VERSION", name="stack_data")
    case.written = {"homes": {"/elsewhere/data": "postgres"}, "open": {"/elsewhere/data/base/1": 3}}
    rows = {row.path: row for row in case.rows()}
    assert rows["/elsewhere/data"].fails
    assert rows["/elsewhere/data"].lies == "layer"


def test_open_files_outside_mounts_are_found_without_logs(case: Case) -> None:
    case.config = {}
    case.written = {"homes": {}, "open": {"/app/state/a": 1, "/var/log/nginx": 1, "/tmp/x": 1, "/": 1}}
    rows = case.rows()
    assert brief(rows) == [("/app/state", "layer", "lost_at_recreate", False)]
    assert rows[0].at_risk


def test_anonymous_volume_without_files_is_not_at_risk(case: Case) -> None:
    case.image, case.config = "app", {"Volumes": {"/config": {}}}
    case.mount("volume", "/config", name="b" * 64)
    (row,) = case.rows()
    assert (row.verdict, row.files, row.at_risk) == ("lost_at_down", 0, False)


def test_redis_without_persistence_is_named_and_intended(case: Case) -> None:
    case.config = {"Entrypoint": ["e"], "Cmd": ["redis-server", "--save", ""], "WorkingDir": "/data"}
    (row,) = case.rows()
    assert brief([row]) == [("", "memory", "lost_at_recreate", False)]


@pytest.mark.parametrize(("words", "fails"), [([], False), (["--appendonly", "yes"], True)])
def test_redis_fails_only_with_a_setting_that_persists(case: Case, words: list[str], fails: bool) -> None:
    case.config = {"Cmd": ["redis-server", *words], "WorkingDir": "/data", "Volumes": {"/data": {}}}
    case.mount("volume", "/data", name="c" * 64)
    (row,) = case.rows()
    assert (row.at_risk, row.fails) == (True, fails)


def test_variable_names_a_data_directory_without_a_mount(case: Case) -> None:
    case.config = {"Env": ["HOME_DIR=/image"]}
    case.env = ["DATA_DIR=/app/data", "CACHE_DIR=/tmp/cache"]
    rows = case.rows()
    assert [(row.path, row.evidence, row.at_risk) for row in rows] == [("/app/data", ("variable DATA_DIR",), True)]


def test_link_in_the_layer_is_not_followed_to_the_host(case: Case, tmp_path: pathlib.Path) -> None:
    case.config = {}
    case.env = ["DATA_DIR=/app/data"]
    outside = case.directory("outside", "secret", "more")
    (case.upper / "app").mkdir()
    (case.upper / "app/data").symlink_to(outside)
    (row,) = case.rows()
    assert row.files == 0


def test_containers_of_another_host_are_not_read(case: Case) -> None:
    case.mount("volume", "/srv/pg", "18/data/PG_VERSION", name="a" * 64)
    (row,) = case.rows(local=False)
    assert (row.fails, row.files, row.bytes) == (True, None, None)


def test_open_files_and_the_directory_of_a_server_are_read_from_proc(tmp_path: pathlib.Path) -> None:
    (tmp_path / "kept").mkdir()
    program = (
        "import sys; files = [open(name, mode) for name, mode in "
        "(('kept/data', 'w'), ('kept/app.log', 'w'), ('/etc/hostname', 'r'))]; print(1, flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        child.stdout.readline()
        member = t.cast(Member, Process(child.pid, "postgres"))
        assert writers.by([member]) == {
            "open": {os.path.realpath(tmp_path / "kept"): 1},
            "homes": {os.path.realpath(tmp_path): "postgres"},
        }
    finally:
        child.communicate()
    assert writers.by([member]) == {"open": {}, "homes": {}}


class Process(t.NamedTuple):
    """The parts of a member that are read."""

    pid: int
    name: str


def test_variable_on_a_declared_tmpfs_is_intended(case: Case) -> None:
    case.image, case.config, case.tmpfs, case.env = "app", {}, {"/app/data": ""}, ["DATA_DIR=/app/data"]
    (row,) = case.rows()
    assert (row.lies, row.verdict, row.at_risk) == ("tmpfs", "lost_at_recreate", False)


# The process of the test stands for that of the container: its root has this directory, with files.
SHIPPED = "/usr/lib"


@pytest.mark.parametrize(
    ("changed", "files"),
    [(["/usr", SHIPPED, f"{SHIPPED}/rows"], 1), (None, None)],
    ids=["listed by the engine", "unknown"],
)
def test_data_in_a_container_whose_storage_has_no_directory_is_reported(case: Case, changed, files) -> None:
    case.config, case.upper, case.changed = {}, None, changed
    case.env, case.pid = [f"DATA_DIR={SHIPPED}"], os.getpid()
    (row,) = case.rows()
    assert (row.lies, row.verdict, row.at_risk, row.source) == ("layer", "lost_at_recreate", True, "")
    assert (row.files, row.bytes) == (files, None)


def test_directory_of_the_image_without_changes_is_not_data_on_any_storage(case: Case) -> None:
    case.config, case.upper, case.changed = {}, None, ["/app", "/app/rows"]
    case.env, case.pid = [f"DATA_DIR={SHIPPED}"], os.getpid()
    assert case.rows() == []
