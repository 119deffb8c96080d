# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of a plan about data: unmounted databases, moved and hidden data, renamed projects, other formats."""

from __future__ import annotations

import json
import pathlib
import typing as t

import compose_facts
import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.data.check import DataChecks
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan, resources
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.engine.resources import Volume

NEW_IMAGE = "sha256:" + "b" * 64


def postgres(major: int, home: str = "", volume: str = "/var/lib/postgresql") -> dict[str, t.Any]:
    """The configuration of an image in the manner of PostgreSQL's."""
    env = [f"PG_MAJOR={major}", f"PGDATA={home or f'/var/lib/postgresql/{major}/docker'}"]
    return {"Env": env, "Entrypoint": ["entry"], "Cmd": ["postgres"], "Volumes": {volume: {}}}


REDIS = {"Entrypoint": ["entry"], "Cmd": ["redis-server"], "WorkingDir": "/data", "Volumes": {"/data": {}}}


class Volumes(Engine):
    """An engine with volumes, and a list of the files that a container wrote."""

    name = "docker"

    def __init__(self, volumes: t.Sequence[Volume], changed: t.Sequence[str]) -> None:
        self._volumes = list(volumes)
        self._changed = changed

    def all_volumes(self) -> list[Volume]:
        return self._volumes

    def changes(self, container: str) -> list[dict[str, t.Any]]:
        return [{"Path": path, "Kind": 1} for path in self._changed]


class Case:
    """A stack of one service, its host, and its image."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.service: dict[str, t.Any] = {"image": "postgres:18"}
        self.top: dict[str, t.Any] = {}
        self.config: dict[str, t.Any] = postgres(18)
        self.before: dict[str, t.Any] = {}
        self.containers: list[Container] = []
        self.volumes: list[Volume] = []
        self.projects: dict[str, dict[str, str]] = {}
        self.changed: t.Sequence[str] = ()

    def directory(self, name: str, **files: str) -> str:
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            (path / file).write_text(text)
        return str(path)

    def volume(self, name: str, key: str = "data", project: str = "shop", **files: str) -> Volume:
        labels = {"com.docker.compose.project": project, "com.docker.compose.volume": key}
        made = Volume(name, "local", {}, labels, self.directory(f"volumes/{name}", **files))
        self.volumes.append(made)
        return made

    def running(self, *mounts: tuple[str, str, str], **changes: t.Any) -> None:
        """A present container with mounts: kind, source or name of a volume, destination."""
        rows = [
            {
                "Type": kind,
                "Name": source if kind == "volume" else "",
                "Source": next((one.mountpoint for one in self.volumes if one.name == source), source),
                "Destination": destination,
                "RW": True,
            }
            for kind, source, destination in mounts
        ]
        env = self.before.get("Env", ["PATH=/bin"])
        made = compose_facts.container(
            "db",
            Mounts=rows,
            Config__Env=env,
            Config__Cmd=self.before.get("Cmd"),
            Config__Entrypoint=self.before.get("Entrypoint"),
            Config__Image=changes.pop("image", self.service["image"]),
            **changes,
        )
        self.containers.append(made)

    def checks(self) -> DataChecks:
        model = compose_facts.model_of({"db": self.service}, **self.top)
        wanted = [body["name"] for body in resources.declared(model, "volume").values()]
        known = {one.name: one for one in self.volumes}
        facts = plan.Facts(
            self.containers,
            {
                self.service["image"]: {"Id": NEW_IMAGE, "Config": self.config},
                compose_facts.IMAGE_ID: {"Id": compose_facts.IMAGE_ID, "Config": self.before},
            },
            outside=resources.Found(volumes={name: known.get(name) for name in wanted}),
            names={f"c{number}": labels for number, labels in enumerate(self.projects.values())},
        )
        driver = compose_facts.driver("docker-compose", (2, 40, 3))
        self.rows = plan.make(model, facts, driver=driver, remove_orphans=False)
        return DataChecks(model, facts, self.rows, Volumes(self.volumes, self.changed), World.real(), local=True)

    def problems(self) -> list[Problem]:
        return self.checks().problems(lambda path: path)

    def warnings(self) -> list[str]:
        return self.checks().warnings(str(self.folder / "state"), [])


@pytest.fixture
def case(tmp_path: pathlib.Path) -> Case:
    return Case(tmp_path)


def test_first_deploy_of_a_database_next_to_its_mount_is_refused(case: Case) -> None:
    case.service["volumes"] = ["data:/var/lib/postgresql/data"]
    (problem,) = case.problems()
    assert problem.code == "data_not_mounted"
    assert "/var/lib/postgresql/18/docker (PGDATA)" in problem.message
    assert "The mount at /var/lib/postgresql/data would stay empty" in problem.message


@pytest.mark.parametrize(
    "service",
    [
        {"volumes": ["data:/var/lib/postgresql"]},
        {"volumes": ["/srv/pg:/var/lib/postgresql/18/docker"]},
        {"tmpfs": ["/var/lib/postgresql:size=1g"]},
        {"volumes": [{"type": "tmpfs", "target": "/var/lib/postgresql"}]},
        {"volumes_from": ["other"]},
        {"command": ["psql", "-h", "db"]},
        {"environment": {"PGDATA": "/elsewhere"}, "volumes": ["data:/elsewhere"]},
    ],
)
def test_declared_data_directory_is_not_refused(case: Case, service: dict[str, t.Any]) -> None:
    case.service.update(service)
    assert case.problems() == []


def test_image_that_moves_its_data_directory_off_the_mount_is_refused(case: Case) -> None:
    case.before = postgres(17, "/var/lib/postgresql/data", "/var/lib/postgresql/data")
    case.volume("shop_data", PG_VERSION="17\n")
    case.service["volumes"] = ["data:/var/lib/postgresql/data"]
    case.running(("volume", "shop_data", "/var/lib/postgresql/data"), image="postgres:17")
    assert [problem.code for problem in case.problems()] == ["data_not_mounted"]


def test_unmounted_data_of_a_present_container_is_not_refused_again(case: Case) -> None:
    case.before = case.config
    case.running()
    assert case.problems() == []


def test_redis_without_a_mount_is_refused_only_if_it_persists(case: Case) -> None:
    case.config, case.service = REDIS, {"image": "redis:7"}
    assert case.problems() == []
    assert "its image keeps data in /data" in case.warnings()[0]
    case.service["command"] = ["redis-server", "--appendonly", "yes"]
    assert [problem.code for problem in case.problems()] == ["data_not_mounted"]
    assert case.warnings() == []


def app(case: Case, *volumes: str) -> None:
    case.config, case.before = {}, {}
    case.service = {"image": "app:2", "volumes": list(volumes)}


def test_volume_swapped_for_an_empty_directory_is_refused(case: Case) -> None:
    app(case, f"{case.directory('new')}:/data")
    case.volume("shop_data", rows="1000")
    case.running(("volume", "shop_data", "/data"))
    (problem,) = case.problems()
    assert (problem.code, problem.where) == ("data_moved", "service db, /data")
    assert f"cp -a {case.folder}/volumes/shop_data/. {case.folder}/new/" in problem.message
    assert "data_moved" in case.rows[0].reasons


def test_directory_swapped_for_a_volume_that_does_not_exist_names_how_to_create_it(case: Case) -> None:
    app(case, "data:/data")
    case.running(("bind", case.directory("old", rows="1"), "/data"))
    (problem,) = case.problems()
    assert "docker volume create --label com.docker.compose.project=shop" in problem.message
    assert "$(docker volume inspect -f '{{.Mountpoint}}' shop_data)" in problem.message


@pytest.mark.parametrize(
    ("old", "new"),
    [({"rows": "1"}, {"rows": "1"}), ({}, {}), ({}, {"rows": "1"})],
    ids=["copied", "both empty", "old empty"],
)
def test_move_that_leaves_no_data_behind_is_not_refused(case: Case, old: dict[str, str], new: dict[str, str]) -> None:
    app(case, f"{case.directory('new', **new)}:/data")
    case.running(("bind", case.directory("old", **old), "/data"))
    assert case.problems() == []


def test_same_directory_under_another_name_is_not_refused(case: Case) -> None:
    old = case.directory("old", rows="1")
    (case.folder / "link").symlink_to(old)
    app(case, f"{case.folder}/link:/data")
    case.running(("bind", old, "/data"))
    assert case.problems() == []


def test_new_mount_over_files_of_the_container_is_refused(case: Case) -> None:
    app(case, f"{case.directory('new')}:/data")
    case.directory("upper/data", rows="1")
    case.running(GraphDriver__Data__UpperDir=str(case.folder / "upper"))
    (problem,) = case.problems()
    assert problem.code == "data_hidden"
    assert f"`docker cp -a shop-db-1:/data/. {case.folder}/new/`" in problem.message


@pytest.mark.parametrize(
    ("changed", "codes"),
    [(["/data", "/data/rows"], ["data_hidden"]), (["/other", "/other/rows"], []), ([], [])],
    ids=["there", "elsewhere", "none"],
)
def test_files_of_a_container_whose_storage_has_no_directory_are_found(case: Case, changed, codes) -> None:
    app(case, f"{case.directory('new')}:/data")
    case.running(GraphDriver__Data=None)
    case.changed = changed
    assert [problem.code for problem in case.problems()] == codes


def test_database_that_would_start_in_another_directory_is_refused(case: Case) -> None:
    case.before = postgres(17)
    case.volume("shop_data")
    case.directory("volumes/shop_data/17/docker", PG_VERSION="17\n")
    case.service["volumes"] = ["data:/var/lib/postgresql"]
    case.running(("volume", "shop_data", "/var/lib/postgresql"), image="postgres:17")
    (problem,) = case.problems()
    assert problem.code == "data_moved"
    assert "/var/lib/postgresql/17/docker" in problem.message


def test_renamed_project_is_warned_of_the_volume_with_its_data(case: Case) -> None:
    app(case, "data:/data")
    case.volume("former_data", project="former", rows="12000")
    (warning,) = case.warnings()
    assert "former_data of project former" in warning
    assert "`name: former_data` and `external: true` below volumes.data" in warning


@pytest.mark.parametrize("why", ["has containers", "was deployed from elsewhere", "has another key", "is empty"])
def test_volume_of_another_stack_is_not_mistaken_for_a_renamed_one(case: Case, why: str) -> None:
    app(case, "data:/data")
    files = {} if why == "is empty" else {"rows": "1"}
    case.volume("other_data", key="cache" if why == "has another key" else "data", project="other", **files)
    if why == "has containers":
        case.projects["x"] = {"com.docker.compose.project": "other"}
    if why == "was deployed from elsewhere":
        record = {"project": "other", "project_dir": "/opt/other"}
        case.directory("state/other", **{"compose.json": json.dumps(record)})
    assert case.warnings() == []


def upgraded(case: Case, config: dict[str, t.Any], service: dict[str, t.Any], target: str, **files: str) -> list[str]:
    case.config, case.service = config, {**service, "volumes": [f"{case.directory('old', **files)}:{target}"]}
    return [problem.message for problem in case.problems() if problem.code == "data_format"]


def test_postgresql_on_data_of_another_major_is_refused(case: Case) -> None:
    new = postgres(17, "/d", "/d")
    (message,) = upgraded(case, new, {"image": "postgres:17"}, "/d", PG_VERSION="15\n")
    assert "data of PostgreSQL 15" in message
    assert "playbooks/restore.yml" in message
    assert upgraded(case, new, {"image": "postgres:17"}, "/d", PG_VERSION="17\n") == []


def test_appendonly_over_a_snapshot_is_refused(case: Case) -> None:
    append = {"image": "redis:7", "command": ["redis-server", "--appendonly", "yes"]}
    (message,) = upgraded(case, REDIS, append, "/data", **{"dump.rdb": "REDIS"})
    assert "`appendonly yes` makes Redis ignore it" in message
    assert upgraded(case, REDIS, {"image": "redis:7"}, "/data") == []
    case.directory("old/appendonlydir")
    assert upgraded(case, REDIS, append, "/data") == []


def test_appendonly_in_a_mounted_file_is_read(case: Case) -> None:
    conf = case.directory("conf", **{"redis.conf": "# appendonly no\nappendonly yes\ndbfilename kept.rdb\n"})
    old = case.directory("old", **{"kept.rdb": "REDIS"})
    case.config = REDIS
    case.service = {
        "image": "redis:7",
        "command": ["redis-server", "/etc/redis/redis.conf"],
        "volumes": [f"{conf}:/etc/redis:ro", f"{old}:/data"],
    }
    assert [problem.code for problem in case.problems()] == ["data_format"]


@pytest.mark.parametrize(
    ("image", "files", "said"),
    [
        ("mariadb:10.11", {"mariadb_upgrade_info": "11.4.2-MariaDB"}, "data of version 11.4.2"),
        ("mariadb:11.4", {"mariadb_upgrade_info": "10.11.6-MariaDB"}, ""),
        ("mariadb:11", {"mariadb_upgrade_info": "11.4.2-MariaDB"}, ""),
        ("mariadb:11.4", {"mysql.ibd": ""}, "MySQL 8, which MariaDB does not read"),
        ("mysql:8.0", {"mysql_upgrade_info": "10.11.6-MariaDB"}, "MariaDB 10.11.6, which MySQL does not read"),
        ("mysql:8.4", {"mysql.ibd": ""}, ""),
    ],
)
def test_mysql_on_data_it_does_not_read_is_refused(case: Case, image: str, files: dict[str, str], said: str) -> None:
    config = {"Entrypoint": ["entry"], "Cmd": ["mysqld"], "Volumes": {"/var/lib/mysql": {}}}
    found = upgraded(case, config, {"image": image}, "/var/lib/mysql", **files)
    assert len(found) == bool(said)
    assert said in "".join(found)
