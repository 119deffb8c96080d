# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened to observer, once more: provoked with the real stack and a real registry, named, fixed.

One stack serves all tests of this file: each breaks the healthy stack, and leaves it healthy.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
import shutil

import pytest
import yaml
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import freeze
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import discover
from ansible_collections.onebox.stack.plugins.module_utils.mounts import verify
from onebox_testbed import ports
from real_stack import STACKS, RealStack, ask, eventually

GOOD, BAD, NEWER = "build-20260129-090000", "build-20260130-090000", "build-20260202-170000"
SERVICES = {"observer", "postgres", "prometheus", "review"}
KEPT = dict.fromkeys(SERVICES, ("keep", ()))


@pytest.fixture(scope="module")
def home(make_module_lab, registry, standin_images) -> RealStack:
    """observer with a good and a bad build in the registry, deployed."""
    stack = make_module_lab("docker+2.40", RealStack)
    images = {name: standin_images[name] for name in ("postgres", "prometheus")}
    secrets = stack.directory("observer/secrets", 999, 0o700)
    stack.take(
        "observer",
        images,
        OBSERVER_IMAGE=f"{registry}/{stack.project}/observer",
        IMAGE_TAG=GOOD,
        OBSERVER_HOURS="00:00-24:00",
        OBSERVER_DAYS="mon-sun",
        OBSERVER_INTERVAL="0.2",
        OBSERVER_DATA_DIR=stack.directory("observer/data", 999),
        OBSERVER_LOG_DIR=stack.directory("observer/logs", 999),
        OBSERVER_POSTGRES_DIR=stack.directory("observer/postgres", 999, 0o700),
        OBSERVER_SECRETS_DIR=secrets,
        REVIEW_DATA_DIR=stack.directory("review/data", 999),
        PROMETHEUS_DATA_DIR=stack.directory("prometheus/data", 65534),
        **{name: str(ports.claim()) for name in ("OBSERVER_PORT", "REVIEW_PORT", "PROMETHEUS_PORT")},
    )
    password = os.path.join(secrets, "db_password")
    with open(password, "w", encoding="ascii") as stream:
        stream.write("canary-observer-pw")
    os.chown(password, 999, 999)
    os.chmod(password, 0o400)
    _publish(stack)
    stack.deploy()
    return stack


def _publish(stack: RealStack) -> None:
    """Build and push as the workflow does, and leave nothing here but what the registry has."""
    stack.write()
    checkout = stack.root / "checkout"
    shutil.copytree(STACKS / "observer", checkout, ignore=shutil.ignore_patterns("__pycache__"))
    collector = checkout / "app" / "observer" / "collector.py"
    text = collector.read_text()
    sick = text.replace(
        "def main() -> None:\n", 'def main() -> None:\n    raise SystemExit("no route to the exchange")\n'
    )
    image = stack.variables["OBSERVER_IMAGE"]
    for tag, program in ((GOOD, text), (BAD, sick), (NEWER, text)):
        collector.write_text(program)
        where = ["-f", str(checkout / "infra/docker/Dockerfile"), str(checkout)]
        stack.backend.cli("build", "-q", "--build-arg", f"BUILD={tag}", "-t", f"{image}:{tag}", *where)
        stack.backend.cli("push", "-q", f"{image}:{tag}")
        stack.backend.cli("rmi", "-f", f"{image}:{tag}")


@pytest.fixture
def observer(home: RealStack):
    """The healthy stack; healthy again after the test, with the files it was deployed from."""
    files = {path: path.read_bytes() for path in home.folder.rglob("*") if path.is_file() and path.name != ".env"}
    variables, names = dict(home.variables), list(home.files)
    assert home.rows() == KEPT
    yield home
    home.at(0).variables, home.files = variables, names
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
    home.deploy(adopt=True)


def refused(stack: RealStack, **options) -> set[str]:
    """Deploy, which must be refused before anything is touched; the codes of all that is wrong."""
    before = stack.states()
    stack.write()
    with pytest.raises(BadStack) as caught:
        stack.stack(**options).converge()
    assert stack.states() == before
    return {problem.code for problem in caught.value.problems}


def journal(stack: RealStack) -> dict:
    return ask(stack.variables["REVIEW_PORT"], "/summary")


def collects(stack: RealStack) -> None:
    """New ticks arrive on the host and in the database."""
    before = journal(stack)["journal"]
    eventually(lambda: journal(stack).get("journal", 0) > before, True)

    # Counted from here on: a collector that was killed between the two keeps one tick more in the journal for good.
    def both_grow_alike() -> bool:
        first = journal(stack)
        eventually(lambda: journal(stack).get("journal", 0) > first["journal"], True)
        then = journal(stack)
        return then["journal"] - first["journal"] == then["database"] - first["database"]

    eventually(both_grow_alike, True)


def test_two_apps_from_the_registry_collect_to_the_host(observer):
    collects(observer)
    assert ask(observer.variables["OBSERVER_PORT"], "/version") == {"build": GOOD}
    (image,) = {rows[0].image_id for name, rows in observer.containers().items() if name in ("observer", "review")}
    assert "canary-observer-pw" not in observer.backend.cli("image", "inspect", image)
    eventually(lambda: targets(observer), {"observer": "up", "review": "up"})


def targets(stack: RealStack) -> dict[str, str]:
    found = ask(stack.variables["PROMETHEUS_PORT"], "/api/v1/targets")
    return {row["labels"]["job"]: row["health"] for row in found["data"]["activeTargets"]}


def test_relative_source_is_refused(observer):
    file = observer.folder / "compose.yml"
    start = (text := file.read_text()).index("${OBSERVER_DATA_DIR:?")
    file.write_text(text[:start] + "../observer/data" + text[text.index("}", start) + 1 :])
    assert "relative_source" in refused(observer)


def test_run_by_hand_from_another_directory(observer, tmp_path):
    # The deploy of those days: the same compose file, somewhere else, with a path relative to there.
    text = (observer.folder / "compose.yml").read_text()
    for name in ("data", "logs"):
        start = text.index(f"${{OBSERVER_{'DATA' if name == 'data' else 'LOG'}_DIR:?")
        text = text.replace(text[start : text.index("}", start) + 1], f"../observer/{name}")
    elsewhere = tmp_path / "observer-deploy"
    shutil.copytree(observer.folder, elsewhere)
    (elsewhere / "compose.yml").write_text(text)
    kept = journal(observer)["journal"]
    argv = ["-p", observer.project, "--env-file", str(elsewhere / ".env")]
    files = [word for name in observer.files for word in ("-f", str(elsewhere / name))]
    observer.backend.cli("compose", *argv, *files, "up", "-d", "--no-deps", "observer", check=False)
    # The directory was made on the spot, empty, and belongs to root.
    assert os.listdir(tmp_path / "observer") != []
    assert observer.rows() == {"": ("refused", ("foreign_project_dir",))}
    assert refused(observer) == {"foreign_project_dir"}
    report = proof(observer)
    assert not report["ok"]
    found = {row["verdict"] for row in mounts_of(report, "observer")} - {"ok"}
    assert found <= {"wrong_source", "auto_created", "not_writable"}
    observer.deploy(adopt=True)
    assert proof(observer)["ok"]
    collects(observer)
    assert journal(observer)["journal"] > kept


def proof(stack: RealStack, **options) -> dict:
    """The proof of the mounts the compose file declares."""
    world = dataclasses.replace(World.real(), environ=stack.backend.environ)
    engine = discover.find(stack.backend.engine, stack.backend.socket, world=world)
    wanted = [
        {"service": "observer", "source": stack.variables["OBSERVER_DATA_DIR"], "destination": "/app/data"},
        {"service": "observer", "source": stack.variables["OBSERVER_LOG_DIR"], "destination": "/app/logs"},
    ]
    check = verify.Check(project=stack.project, expected=wanted, **options)
    return verify.verify(engine, check, world=world)


def mounts_of(report: dict, service: str) -> list[dict]:
    return [row for each in report["containers"] if each["service"] == service for row in each["mounts"]]


def test_another_compose_file_without_volumes(observer):
    # "docker inspect shows no Binds": as found on the server.
    other = observer.folder / "docker-compose.server.yml"
    service = {"image": f"{observer.variables['OBSERVER_IMAGE']}:{GOOD}", "command": ["sleep", "1000"]}
    other.write_text(yaml.safe_dump({"services": {"observer": service}}))
    argv = ["--project-directory", str(observer.folder), "-p", observer.project, "-f", str(other)]
    observer.backend.cli("compose", *argv, "up", "-d", "observer")
    other.unlink()
    entry = observer.containers()["observer"][0]
    assert entry.running
    assert entry.raw["Mounts"] == []
    report = proof(observer)
    assert {row["destination"] for row in report["missing_mounts"]} == {"/app/data", "/app/logs"}
    info = observer.info()
    (row,) = [row for row in info["plan"] if row["service"] == "observer"]
    assert row["action"] == "recreate"
    assert {"mounts./app/data", "mounts./app/logs"} <= set(row["diff"])
    observer.deploy()
    assert proof(observer)["ok"]
    collects(observer)


def test_directories_in_the_deploy_directory_are_refused(observer):
    (observer.folder / "data").mkdir()
    observer.variables["OBSERVER_DATA_DIR"] = str(observer.folder / "data")
    # The new directory is empty, and the previous one has the data.
    assert refused(observer) == {"source_in_deploy_dir", "data_moved"}
    (observer.folder / "data").rmdir()


def test_missing_directories_are_refused(observer):
    observer.variables["OBSERVER_DATA_DIR"] = str(observer.data / "observer/date")
    assert refused(observer) == {"no_source", "data_moved"}
    assert not (observer.data / "observer/date").exists()


def test_missing_file_of_the_deploy_is_refused(observer):
    # migrations and monitoring, both at once, and the password.
    shutil.rmtree(observer.folder / "migrations")
    shutil.rmtree(observer.folder / "monitoring")
    observer.variables["OBSERVER_SECRETS_DIR"] = str(observer.data)
    observer.write()
    with pytest.raises(BadStack) as caught:
        observer.stack().converge()
    text = str(caught.value)
    assert all(name in text for name in ("/migrations", "/monitoring", "/db_password"))


def test_missing_file_in_the_list_of_the_deploy_is_refused(observer):
    observer.files = ["docker-compose.server.yml"]
    assert refused(observer) == {"no_compose_file"}


def test_missing_dockerfile_of_the_workflow_is_refused(observer):
    observer.files.append("compose.build.yml")
    assert "" not in observer.rows()
    build = observer.folder / "compose.build.yml"
    build.write_text(build.read_text().replace("infra/docker/Dockerfile", "./Dockerfile"))
    assert refused(observer) == {"no_dockerfile"}


def test_ineffective_dockerignore_is_refused(observer):
    observer.files.append("compose.build.yml")
    shutil.copy(observer.folder / ".dockerignore", observer.folder / "infra" / "docker" / ".dockerignore")
    assert refused(observer) == {"dockerignore_elsewhere"}


@pytest.mark.parametrize("name", ["IMAGE_TAG", "OBSERVER_LOG_DIR"])
def test_variable_without_a_value_is_refused(observer, name):
    observer.variables[name] = ""
    observer.write()
    with pytest.raises(BadStack) as caught:
        observer.stack().converge()
    assert name in str(caught.value)


def test_bad_build_is_rolled_back_to_the_last_good_tag(observer):
    before = journal(observer)["journal"]
    observer.variables["IMAGE_TAG"] = BAD
    observer.write()
    result = observer.stack(revision="bad").converge()
    assert (result["failed"], result["rolled_back"]) == (True, True)
    assert "no route to the exchange" in result["msg"]
    assert f'IMAGE_TAG="{GOOD}"' in (observer.folder / ".env").read_text()
    assert ask(observer.variables["OBSERVER_PORT"], "/version") == {"build": GOOD}
    assert observer.info()["history"][-1]["revision"] == "bad"
    collects(observer)
    assert journal(observer)["journal"] > before


def test_last_good_tag_survives_a_prune_of_its_name(observer, registry_control):
    image = observer.variables["OBSERVER_IMAGE"]
    observer.variables["IMAGE_TAG"] = NEWER
    observer.deploy()
    assert ask(observer.variables["OBSERVER_PORT"], "/version") == {"build": NEWER}
    observer.backend.cli("rmi", "-f", f"{image}:{GOOD}")
    registry_control.stop()
    try:
        result = observer.stack(state="rolled_back").converge()
    finally:
        registry_control.start()
    assert result["rolled_back"] is True
    assert ask(observer.variables["OBSERVER_PORT"], "/version") == {"build": GOOD}


@pytest.mark.parametrize("down", [False, True], ids=["a tag nobody pushed", "the registry is down"])
def test_build_that_cannot_be_pulled_loses_no_healthy_service(observer, registry_control, down):
    before = observer.states()
    observer.variables["IMAGE_TAG"] = "build-20260131-090000"
    observer.write()
    if down:
        registry_control.stop()
    try:
        result = observer.stack().converge()
    finally:
        registry_control.start()
    assert result["failed"]
    assert "build-20260131-090000" in result["msg"] or "refused" in result["msg"]
    assert observer.states() == before


def test_files_written_outside_of_every_mount_are_found(observer):
    # The journal's place came from a variable, and nothing was mounted there.
    file = observer.folder / "compose.yml"
    file.write_text(file.read_text().replace("OBSERVER_DATA: /app/data", "OBSERVER_DATA: /app/review", 1))
    observer.deploy()
    eventually(lambda: bool(lost(observer)), True)
    assert all(row["container"].endswith("observer-1") for row in lost(observer))


def lost(stack: RealStack) -> list[dict]:
    return [row for row in proof(stack, ephemeral=True)["ephemeral_writes"] if "/app/review" in row["path"]]


def test_secret_that_the_apps_cannot_read_is_refused(observer):
    place = os.path.join(observer.variables["OBSERVER_SECRETS_DIR"], "db_password")
    os.chown(place, 0, 0)
    world = dataclasses.replace(World.real(), environ=observer.backend.environ)
    engine = discover.find("docker", observer.backend.socket, world=world)
    found = verify.verify(engine, verify.Check(project=observer.project), world=world)
    os.chown(place, 999, 999)
    rows = [row for each in found["containers"] for row in each["mounts"] if row["source"] == place]
    assert {row["verdict"] for row in rows} == {"not_readable"}


def test_directory_replaced_under_the_running_app_is_found(observer):
    place = observer.data / "observer" / "logs"
    place.rename(place.with_name("logs.old"))
    observer.directory("observer/logs", 999)
    ids = observer.ids()
    assert observer.rows()["observer"] == ("restart", ("stale_mount",))
    observer.deploy()
    assert observer.ids() == ids
    assert proof(observer)["ok"]


SEOUL = datetime.timezone(datetime.timedelta(hours=9))


@pytest.mark.parametrize(
    ("moment", "frozen"),
    [
        ("2026-11-23 08:59", False),  # a Monday
        ("2026-11-23 09:00", True),
        ("2026-11-27 15:29", True),
        ("2026-11-27 15:30", False),
        ("2026-11-28 10:00", False),  # a Saturday
    ],
)
def test_nothing_is_changed_while_the_market_is_open(observer, moment, frozen):
    values = yaml.safe_load((STACKS.parent / "inventories/host_vars/observer-vm.yml").read_text())
    assert values["compose_stack_freeze"] == ["{{ observer_market }}"]
    windows = [values["observer_market"]]
    epoch = datetime.datetime.strptime(moment, "%Y-%m-%d %H:%M").replace(tzinfo=SEOUL).timestamp()
    assert bool(freeze.until(windows, epoch)) is frozen
    if frozen:
        observer.variables["OBSERVER_INTERVAL"] = "0.3"
        observer.write()
        before = observer.states()
        with pytest.raises(ComposeError, match="must not be changed until"):
            observer.at(epoch).stack(freeze=tuple(windows)).converge()
        assert observer.states() == before
        # Inspection is allowed.
        assert observer.at(epoch).rows(freeze=tuple(windows))["observer"][0] == "recreate"
