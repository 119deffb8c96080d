"""Where a database server keeps its data, by its image, variables and command."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state.servers import Home, server_of

POSTGRES = {
    "Env": ["PGDATA=/var/lib/postgresql/18/docker", "PG_MAJOR=18"],
    "Entrypoint": ["docker-entrypoint.sh"],
    "Cmd": ["postgres"],
    "Volumes": {"/var/lib/postgresql": {}},
}
REDIS = {
    "Env": [],
    "Entrypoint": ["docker-entrypoint.sh"],
    "Cmd": ["redis-server"],
    "Volumes": {"/data": {}},
    "WorkingDir": "/data",
}
MYSQL = {"Entrypoint": ["docker-entrypoint.sh"], "Cmd": ["mysqld"], "Volumes": {"/var/lib/mysql": {}}}


def home(
    image: str, config: dict[str, t.Any], env: dict[str, str] | None = None, command: tuple[str, ...] | None = None
) -> Home | None:
    return server_of(image, config, env or {}, None, command).home()


@pytest.mark.parametrize(
    ("image", "config", "env", "command", "wanted"),
    [
        ("postgres:18", POSTGRES, {}, None, ("postgresql", "/var/lib/postgresql/18/docker", "variable PGDATA")),
        ("postgres:18", POSTGRES, {"PGDATA": "/d/x/"}, None, ("postgresql", "/d/x", "variable PGDATA")),
        ("registry:5000/my/db@sha256:1", POSTGRES, {}, None, ("postgresql", "/var/lib/postgresql/18/docker", "")),
        ("postgres:18", POSTGRES, {}, ("postgres", "-D", "/e"), ("postgresql", "/e", "setting D")),
        ("postgres:18", POSTGRES, {}, ("-c", "fsync=off"), ("postgresql", "/var/lib/postgresql/18/docker", "")),
        (
            "app",
            POSTGRES,
            {},
            ("sh", "-c", "exec postgres -c a=b"),
            ("postgresql", "/var/lib/postgresql/18/docker", ""),
        ),
        ("redis:7", REDIS, {}, None, ("redis", "/data", "data_directory")),
        ("redis:7", REDIS, {}, ("redis-server", "--dir", "/x"), ("redis", "/x", "setting dir")),
        ("mariadb:11", MYSQL, {}, None, ("mysql", "/var/lib/mysql", "data_directory")),
        ("mariadb:11", MYSQL, {}, ("mariadbd", "--datadir=/y"), ("mysql", "/y", "setting datadir")),
        ("mongo:7", {"Cmd": ["mongod"]}, {}, ("mongod", "--dbpath", "/m"), ("mongodb", "/m", "setting dbpath")),
    ],
)
def test_home_of_a_server_is_found(
    image: str,
    config: dict[str, t.Any],
    env: dict[str, str],
    command: tuple[str, ...] | None,
    wanted: tuple[str, str, str],
) -> None:
    found = home(image, config, env, command)
    assert found is not None
    assert found.database == wanted[0]
    assert found.path.startswith(wanted[1])
    assert wanted[2] in found.evidence


@pytest.mark.parametrize(
    ("image", "command"),
    [
        ("postgres:18", ("psql", "-h", "db")),
        ("postgres:18", ("sh", "-c", "pg_dump -h db >/backup/x")),
        ("prodrigestivill/postgres-backup-local", None),
        ("prometheuscommunity/postgres-exporter", ("--web",)),
    ],
)
def test_client_in_a_database_image_has_no_home(image: str, command: tuple[str, ...] | None) -> None:
    config = {**POSTGRES, "Cmd": []} if command is None or command[0] == "--web" else POSTGRES
    if "exporter" in image:
        config = {"Cmd": []}
    assert home(image, config, {}, command) is None


@pytest.mark.parametrize(
    ("command", "keeps"),
    [
        (("redis-server",), None),
        (("redis-server", "--appendonly", "yes"), True),
        (("redis-server", "--save", "60", "1"), True),
        (("sh", "-c", 'exec valkey-server --appendonly yes --requirepass "$SECRET"'), True),
        (("sh", "-c", "exec redis-server --save ''"), False),
        (("redis-server", "--save", "", "--appendonly", "no"), False),
        (("redis-server", "--save", '""', "--appendonly", "yes"), True),
    ],
)
def test_redis_settings_decide_whether_it_keeps_data(command: tuple[str, ...], keeps: bool | None) -> None:
    found = home("redis:7", REDIS, {}, command)
    assert found is not None
    assert found.keeps is keeps
