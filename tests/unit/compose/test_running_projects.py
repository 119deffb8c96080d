# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compose projects of a host are found by labels and files, and their facts are reported."""

from __future__ import annotations

import base64
import dataclasses
import json
import pathlib
import typing as t
import zlib

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.running import bundle, facts, projects
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container, parse_inspect


class Paper(Engine):
    """An engine whose containers are rows."""

    name, version, socket = "docker", "28.0.0", "/nowhere"

    def __init__(self, *containers: Container) -> None:
        self._containers = list(containers)

    def containers(self, project: str | None = None, names: t.Sequence[str] = ()) -> list[Container]:
        return self._containers


def container(
    project: str = "wiki",
    service: str = "web",
    *,
    folder: str = "",
    image: str = "acme/web",
    restart: str = "always",
    binds: t.Mapping[str, str] | None = None,
    volumes: t.Mapping[str, str] | None = None,
    ports: t.Mapping[str, str] | None = None,
    labels: t.Mapping[str, str] | None = None,
    env: t.Sequence[str] = (),
    created: str = "2026-11-01T00:00:00Z",
) -> Container:
    """A running container as the engine shows it. Sources that end in ``:ro`` are read-only."""
    mounts: list[dict[str, t.Any]] = []
    for source, target in (binds or {}).items():
        mounts.append({"Type": "bind", "Source": source, "Destination": target.partition(":")[0]})
        mounts[-1]["RW"] = not target.endswith(":ro")
    for name, target in (volumes or {}).items():
        mounts.append({"Type": "volume", "Name": name, "Source": f"/nowhere/{name}", "Destination": target, "RW": True})
    known = {"com.docker.compose.project": project, "com.docker.compose.service": service} if project else {}
    if folder:
        known["com.docker.compose.project.working_dir"] = folder
    bindings = {
        inside: [{"HostIp": out.rpartition(":")[0], "HostPort": out.rpartition(":")[2]}]
        for inside, out in (ports or {}).items()
    }
    return parse_inspect(
        {
            "Id": f"{project}-{service}",
            "Name": f"/{project}-{service}-1",
            "Created": created,
            "State": {"Status": "running", "Pid": 7},
            "Config": {"Labels": {**known, **(labels or {})}, "Image": image, "Env": list(env)},
            "HostConfig": {"RestartPolicy": {"Name": restart}, "PortBindings": bindings},
            "Mounts": mounts,
        }
    )


def only(*containers: Container) -> projects.Project:
    found, _other = projects.of_engine(Paper(*containers))
    return found[0]


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    made = tmp_path / "wiki"
    made.mkdir()
    (made / "compose.yml").write_text("services: {}\n")
    return made


def test_projects_are_grouped_and_others_are_named(folder: pathlib.Path) -> None:
    engine = Paper(container("wiki", folder=str(folder)), container("shop"), container("", "alone"))
    found, other = projects.of_engine(engine)
    assert [each.name for each in found] == ["shop", "wiki"]
    assert [each.name for each in other] == ["-alone-1"]
    assert (found[1].folder, found[1].files, found[1].env_file) == (str(folder), ("compose.yml",), ".env")
    assert (found[0].folder, found[0].files) == ("", ())


@pytest.mark.parametrize(
    ("working_dir", "labels", "tool"),
    [
        ("/srv/wiki", {"com.docker.compose.version": "2.40.3"}, "docker compose 2.40.3"),
        (
            "/srv/wiki",
            {"io.podman.compose.version": "1.6.0", "com.docker.compose.version": "2"},
            "podman-compose 1.6.0",
        ),
        ("/srv/wiki", {"io.podman.compose.project": "wiki"}, "podman-compose"),
        ("/srv/wiki", {}, "docker compose"),
        ("/data/compose/3", {"com.docker.compose.version": "2.20.0"}, "Portainer"),
        ("/data/coolify/services/ab12", {}, "Coolify"),
        ("/elsewhere", {"coolify.managed": "true"}, "Coolify"),
        ("/var/stacks/wiki", {}, "Dockge"),
    ],
)
def test_tool_is_named(working_dir: str, labels: dict[str, str], tool: str) -> None:
    dockge = container("dockge", "app", image="louislam/dockge:1", env=["DOCKGE_STACKS_DIR=/var/stacks"])
    found, _other = projects.of_engine(Paper(container(folder=working_dir, labels=labels), dockge))
    assert found[1].tool == tool


def test_marker_of_a_deploy_names_this_collection(folder: pathlib.Path) -> None:
    (folder / ".onebox-stack").write_text("wiki\n")
    assert only(container(folder=str(folder))).tool == "onebox.stack"


def test_directory_in_the_container_of_a_tool_is_found_on_the_host(tmp_path: pathlib.Path) -> None:
    (tmp_path / "compose/3").mkdir(parents=True)
    (tmp_path / "compose/3/docker-compose.yml").write_text("services: {}\n")
    portainer = container("", "portainer", binds={str(tmp_path): "/data"})
    found = only(container(folder="/data/compose/3"), portainer)
    assert (found.working_dir, found.folder) == ("/data/compose/3", f"{tmp_path}/compose/3")
    assert found.files == ("docker-compose.yml",)


def test_labels_of_the_newest_container_count(folder: pathlib.Path) -> None:
    old = container(service="a", folder="/gone", created="2026-01-01T00:00:00Z")
    assert only(old, container(service="b", folder=str(folder))).working_dir == str(folder)


def test_compose_files_without_containers_are_listed(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/docker-compose.yaml").write_text("services: {}\n")
    (tmp_path / "notes").mkdir()
    searched = (f"{tmp_path}/*",)
    assert projects.folders_without_containers([str(folder)], searched) == [f"{tmp_path}/shop"]


def test_data_is_listed_with_owner_and_without_the_system(folder: pathlib.Path) -> None:
    (folder / "data").mkdir(mode=0o750)
    binds = {f"{folder}/data": "/data", "/var/run/docker.sock": "/sock", f"{folder}/gone": "/gone:ro"}
    rows = facts.data(only(container(binds=binds, volumes={"wiki_db": "/db", "a" * 64: "/cache"})))
    assert [(row["path"], row["kind"], row["exists"], row["mode"]) for row in rows] == [
        ("/nowhere/" + "a" * 64, "anonymous", False, ""),
        ("/nowhere/wiki_db", "volume", False, ""),
        (f"{folder}/data", "bind", True, "0750"),
        (f"{folder}/gone", "bind", False, ""),
    ]


def test_ports_of_other_machines_are_listed_without_loopback() -> None:
    ports = {"80/tcp": "0.0.0.0:8080", "53/udp": "192.0.2.1:53", "9000/tcp": "127.0.0.1:9000", "1/tcp": "::1:1"}
    assert facts.public(only(container(ports=ports))) == [
        "service web: 53/udp on 192.0.2.1",
        "service web: 8080/tcp on every address",
    ]


def test_data_without_a_backup_is_listed(tmp_path: pathlib.Path) -> None:
    world = dataclasses.replace(World.real(), uid=1000, home=str(tmp_path))
    found = only(
        container(binds={"/srv/wiki": "/data", "/srv/conf": "/conf:ro"}),
        container(service="db", image="postgres:16", volumes={"wiki_db": "/db"}),
    )
    lines = facts.not_backed_up(found, facts.data(found), world)
    assert lines == [
        "service db runs postgres:16: its data is not backed up as a database",
        "/srv/wiki of service web",
    ]
    config = tmp_path / ".config/onebox/backup/wiki.json"
    config.parent.mkdir(parents=True)
    config.write_text(json.dumps({"sources": [{"service": "db"}, {"path": "/srv"}]}))
    assert facts.not_backed_up(found, facts.data(found), world) == []


def booted(tmp_path: pathlib.Path, enabled: t.Collection[str], *, root: bool = True) -> facts.Boot:
    (tmp_path / "systemd").mkdir(exist_ok=True)

    def run(argv: t.Sequence[str], **_options: t.Any) -> process.Result:
        states = [
            "enabled" if unit in enabled else "disabled" for unit in argv if unit.endswith((".service", ".socket"))
        ]
        return process.Result(tuple(argv), 0, "\n".join(states) + "\n", "", 0.0)

    world = dataclasses.replace(World.real(), run=run, uid=0 if root else 1000, user="root", account="anna")
    return facts.Boot(world, str(tmp_path / "systemd"), str(tmp_path / "linger"))


@pytest.mark.parametrize(
    ("engine", "restart", "enabled", "starts", "said"),
    [
        ("docker", "always", ["docker.service"], "yes", "all its running services start again"),
        ("docker", "unless-stopped", ["docker.socket"], "yes", ""),
        ("docker", "always", [], "no", "docker.service is not enabled: web"),
        ("docker", "no", ["docker.service"], "no", "restart policy no: web"),
        ("docker", "on-failure", ["docker.service"], "no", "restart policy on-failure: web"),
        ("podman", "always", [], "no", "podman-restart.service is not enabled"),
        ("podman", "always", ["podman-restart.service"], "yes", ""),
        ("podman", "unless-stopped", ["podman-restart.service"], "no", "only containers with restart policy always"),
        ("podman", "no", ["onebox-wiki.service"], "yes", ""),
    ],
)
def test_effect_of_a_reboot(
    tmp_path: pathlib.Path, engine: str, restart: str, enabled: list[str], starts: str, said: str
) -> None:
    project = dataclasses.replace(only(container(restart=restart)), engine=engine)
    found = booted(tmp_path, enabled).of(project)
    assert found["starts"] == starts
    assert said in found["message"]


def test_services_of_a_user_need_lingering(tmp_path: pathlib.Path) -> None:
    project = dataclasses.replace(only(container()), engine="podman")
    boot = booted(tmp_path, ["podman-restart.service"], root=False)
    assert "loginctl enable-linger anna" in boot.of(project)["message"]
    (tmp_path / "linger").mkdir()
    (tmp_path / "linger/anna").touch()
    assert boot.of(project)["starts"] == "yes"


def test_host_without_systemd_is_not_known(tmp_path: pathlib.Path) -> None:
    assert facts.Boot(World.real(), str(tmp_path / "none")).of(only(container()))["starts"] == "unknown"


def test_bundle_has_the_files_without_data(folder: pathlib.Path) -> None:
    for name in ("data", "conf", ".git"):
        (folder / name).mkdir()
        (folder / name / "file").write_text(name)
    (folder / "conf/link").symlink_to("file")
    (folder / ".env").write_text("A=1\n")
    (folder / ".env").chmod(0o640)
    project = only(container(folder=str(folder), binds={f"{folder}/data": "/data", f"{folder}/conf": "/conf:ro"}))
    text, left = bundle.pack(project, facts.data(project))
    found = {each.path: each for each in bundle.unpack(text)}
    assert sorted(found) == [".env", "compose.yml", "conf/file"]
    assert (found[".env"].content, found[".env"].mode) == (b"A=1\n", 0o640)
    assert left == {"data": "data: containers write to it", "conf/link": "a symbolic link"}


def test_bundle_of_a_directory_that_is_not_here_is_refused() -> None:
    with pytest.raises(ComposeError, match=r"not on this host \(/gone\)"):
        bundle.pack(only(container(folder="/gone")), [])


@pytest.mark.parametrize("path", ["/etc/passwd", "../up", "a/../../up", "a//b"])
def test_bundle_with_a_path_that_leads_out_is_refused(path: str) -> None:
    rows = json.dumps({path: [0o644, base64.b64encode(b"x").decode()]})
    with pytest.raises(ComposeError, match="leads out"):
        bundle.unpack(base64.b64encode(zlib.compress(rows.encode())).decode())


@pytest.mark.parametrize("text", ["no base64!", base64.b64encode(b"no zlib").decode()])
def test_text_that_is_not_a_bundle_is_refused(text: str) -> None:
    with pytest.raises(ComposeError, match="not a bundle"):
        bundle.unpack(text)
