# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack on a real Swarm of one node, as the mount proof, the backups and the watch know it."""

import contextlib
import importlib.util
import json
import pathlib
import sqlite3
import subprocess

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import automatic, configuration, rehearse, restore
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup import run as backups
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import RestoreRefused
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import SocketEngine
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verify import Check, verify
from ansible_collections.onebox.stack.plugins.module_utils.watch import config as watch_config
from ansible_collections.onebox.stack.plugins.module_utils.watch import run as watch
from swarm_lab import swarm

STACK = "obxknown"
QUICK = {"restart_policy": {"delay": "1s"}, "update_config": {"order": "stop-first"}}
WRITER = """
import sqlite3, time
base = sqlite3.connect('/bound/app.db', isolation_level=None, timeout=60)
base.execute('PRAGMA journal_mode = WAL')
base.execute('CREATE TABLE IF NOT EXISTS pairs (n INTEGER PRIMARY KEY, a)')
while True:
    base.execute('BEGIN IMMEDIATE')
    base.execute('INSERT INTO pairs (a) VALUES (1)')
    base.execute('INSERT INTO pairs (a) VALUES (-1)')
    base.execute('COMMIT')
    time.sleep(0.01)
"""
ELSEWHERE = "node.id==xf1pnoqzlt6wkzj2l5wwq1a8v"


class Known:
    """A stack on a Swarm, and what the collection finds of it."""

    def __init__(self, nodes, engine, image, root):
        self.nodes, self.engine, self.root = nodes, engine, root
        self.data = root / "bound"
        # Not with the mode 0755: so soon before the container, that would be a directory that the engine created.
        self.data.mkdir(mode=0o750)
        self.services = {
            "app": self.service(image, volumes=[f"{self.data}:/bound", "data:/data"]),
            "web": self.service(image),
        }

    @staticmethod
    def service(image, command=("sleep", "100000"), **keys):
        run = {"command": list(command)} if command else {}
        return {"image": image, **run, "init": True, "deploy": QUICK, **keys}

    def deploy(self):
        done = self.nodes.deploy({"services": self.services, "volumes": {"data": {}}}, STACK)
        assert done.returncode == 0, done.stderr
        for name in self.services:
            self.running(name)

    def running(self, service):
        """The container of a service that runs."""
        rows = self.nodes.until(
            lambda: [row for row in self.nodes.tasks(f"{STACK}_{service}") if row["state"] == "running"]
        )
        return rows[0]["container"]

    def update(self, *words):
        done = self.nodes.docker("service", "update", "--detach=true", *words)
        assert done.returncode == 0, done.stderr

    def scale(self, service, count):
        assert self.nodes.docker("service", "scale", "--detach=true", f"{STACK}_{service}={count}").returncode == 0
        self.nodes.until(lambda: len(self.containers(service)) == count)

    def containers(self, service):
        label = f"label=com.docker.swarm.service.name={STACK}_{service}"
        return self.nodes.docker("ps", "-q", "--no-trunc", "--filter", label).stdout.split()

    def replace(self, service):
        """Replace the task of a service. The container of the previous one stays, stopped."""
        before = self.running(service)
        self.update("--force", f"{STACK}_{service}")
        self.nodes.until(lambda: self.containers(service) not in ([], [before]))
        return before

    def exec(self, service, *words):
        done = self.nodes.docker("exec", self.running(service), *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def verify(self, **keys):
        check = Check(project=STACK, promised=str(self.root / "promised.json"), working_dir="/opt/onebox/x", **keys)
        return verify(SocketEngine(self.engine.socket), check, world=World.real())

    def backup(self, *sources):
        config = self.root / "backup.json"
        declared = {
            "stack": STACK,
            "state_dir": str(self.root / "state"),
            "repository": {"engine": "files", "path": str(self.root / "repo")},
            "container_engine": "docker",
            "socket": self.engine.socket,
            "reserve_mib": 1,
            "timeout": 120,
            "sources": list(sources),
        }
        config.write_text(json.dumps(declared))
        return contexts.make(configuration.read(str(config)), World.real())

    def findings(self, notes):
        """Findings by code of a run of the watch's timer, which keeps ``notes``."""
        declared = {
            "version": 1,
            "name": "demo",
            "state_dir": str(self.root / "watch"),
            "paths": [str(self.root)],
            "stacks": [{"name": STACK, "engine": "docker", "socket": self.engine.socket, "state_dir": str(self.root)}],
            "clock": False,
            "units": [],
        }
        found, outcome = watch.check(watch_config.parse(declared), World.real(), notes)
        assert found["stacks"][0]["live"].get("error") is None, found["stacks"][0]["live"]
        return {row["code"]: row for row in [*outcome.active, *outcome.pending]}


@pytest.fixture(scope="module")
def nodes(docker28_engine, tmp_path_factory):
    with swarm(docker28_engine, tmp_path_factory.mktemp("swarm")) as made:
        yield made


@pytest.fixture
def stack(nodes, docker28_engine, tiny_image, tmp_path):
    made = Known(nodes, docker28_engine, tiny_image, tmp_path)
    yield made
    nodes.remove(STACK)
    nodes.until(lambda: nodes.docker("volume", "rm", "-f", f"{STACK}_data").returncode == 0)


@pytest.fixture
def give(docker28_engine):
    """Copies an image of the testbed to the engine, and returns its name."""

    def copy(image):
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
            subprocess.run(["docker", "load", "-q"], stdin=saved.stdout, env=docker28_engine.environ, check=True)
        return image

    return copy


@pytest.fixture(scope="session")
def mariadb():
    """The image with MariaDB of the tests of backups."""
    path = pathlib.Path(__file__).resolve().parents[2] / "testbed/backup/images.py"
    spec = importlib.util.spec_from_file_location("obx_backup_images", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ensure("mariadb11")


def test_proof_covers_the_running_tasks_alone(stack):
    stack.deploy()
    stack.replace("app")
    stack.replace("web")
    found = stack.verify()
    assert found["ok"], found["table"]
    assert sorted(row["service"] for row in found["containers"]) == ["app", "web"]
    assert {row["destination"] for each in found["containers"] for row in each["mounts"]} == {"/bound", "/data"}
    stack.data.rename(stack.root / "away")
    stack.data.mkdir(mode=0o750)
    found = stack.verify()
    assert not found["ok"]
    assert f"docker service update --force {STACK}_app" in "\n".join(found["table"])


def test_service_without_its_replicas_is_not_proven(stack):
    stack.deploy()
    stack.update("--constraint-add", ELSEWHERE, f"{STACK}_app")
    stack.nodes.until(lambda: not stack.containers("app"))
    found = stack.verify()
    assert not found["ok"]
    assert "service app runs 0 of 1 replicas" in "\n".join(found["table"])
    assert "no suitable node" in "\n".join(found["table"])
    assert stack.verify(names=[stack.running("web")])["missing_mounts"] == []


def test_stack_that_no_node_runs_is_not_proven(stack):
    stack.deploy()
    stack.nodes.remove(STACK)
    found = stack.verify()
    assert not found["ok"]
    assert "is the stack up?" in found["message"]


def test_volume_is_backed_up_and_restored_when_nothing_runs_on_it(stack):
    stack.deploy()
    stack.exec("app", "sh", "-c", "echo first >/data/row")
    stack.replace("app")
    source = {"name": "data", "kind": "volume", "volume": "data"}
    report = backups.backup(stack.backup(source))
    assert report["error"] == ""
    assert not any("not backed up" in line for line in report["warnings"])
    assert rehearse.rehearse(stack.backup(source))["error"] == ""
    stack.exec("app", "sh", "-c", "echo second >/data/row")
    with pytest.raises(RestoreRefused, match=f"docker service scale {STACK}_app=0"):
        restore.preview(stack.backup(source), restore.Request(), "")
    with pytest.raises(RestoreRefused):
        restore.restore(stack.backup(source), restore.Request(), confirm=STACK)
    assert stack.exec("app", "cat", "/data/row") == "second\n"
    stack.scale("app", 0)
    report = restore.restore(stack.backup(source), restore.Request(), confirm=STACK)
    assert report["error"] == ""
    stack.scale("app", 1)
    assert stack.exec("app", "cat", "/data/row") == "first\n"


def test_directory_is_restored_when_nothing_runs_on_it(stack):
    stack.deploy()
    stack.exec("app", "sh", "-c", "echo first >/bound/row")
    source = {"name": "files", "kind": "directory", "path": str(stack.data)}
    assert backups.backup(stack.backup(source))["error"] == ""
    with pytest.raises(RestoreRefused, match=f"docker service scale {STACK}_app=0"):
        restore.restore(stack.backup(source), restore.Request(), confirm=STACK)
    into = restore.Request(into=str(stack.root / "elsewhere"))
    assert restore.restore(stack.backup(source), into, confirm=STACK)["error"] == ""
    stack.exec("app", "sh", "-c", "echo second >/bound/row")
    stack.scale("app", 0)
    assert restore.restore(stack.backup(source), restore.Request(), confirm=STACK)["error"] == ""
    stack.scale("app", 1)
    assert stack.exec("app", "cat", "/bound/row") == "first\n"


def test_sources_are_found_by_themselves(stack):
    stack.deploy()
    stack.replace("app")
    stack.exec("app", "sh", "-c", "echo first >/data/row; echo first >/bound/row")
    found = automatic.sources(STACK, "docker", stack.engine.socket, "", World.real())
    assert {(row["kind"], row.get("volume") or row.get("path")) for row in found.sources} == {
        ("volume", "data"),
        ("directory", str(stack.data)),
    }
    assert any("compose files" in line for line in found.not_backed_up)


def test_postgresql_is_backed_up_rehearsed_and_restored_into_the_running_task(stack, standin_images, give):
    environment = {"POSTGRES_PASSWORD": "secret", "POSTGRES_USER": "coin", "POSTGRES_DB": "coin"}
    data = ["data:/var/lib/postgresql/data"]
    stack.services["db"] = stack.service(give(standin_images["postgres"]), (), environment=environment, volumes=data)
    stack.services["app"] = stack.service(stack.services["web"]["image"])
    stack.deploy()

    def ready():
        words = ("exec", stack.running("db"), "pg_isready", "-q", "-h", "127.0.0.1")
        return stack.nodes.docker(*words).returncode == 0

    def sql(text):
        return stack.exec("db", "psql", "-XqAt", "-U", "coin", "-d", "coin", "-c", text).strip()

    stack.nodes.until(ready)
    sql("create table paid (n int); insert into paid values (1), (2)")
    stack.replace("db")
    stack.nodes.until(ready)
    source = {"name": "db", "kind": "postgresql", "service": "db"}
    report = backups.backup(stack.backup(source))
    assert report["error"] == ""
    assert rehearse.rehearse(stack.backup(source))["error"] == ""
    sql("delete from paid")
    report = restore.restore(stack.backup(source), restore.Request(), confirm=STACK)
    assert report["error"] == ""
    assert sql("select count(*) from paid") == "2"


def test_mysql_is_backed_up_rehearsed_and_restored_into_the_running_task(stack, mariadb, give):
    environment = {"MYSQL_ROOT_PASSWORD": "secret", "MYSQL_DATABASE": "coin"}
    stack.services["db"] = stack.service(give(mariadb), (), environment=environment, volumes=["data:/var/lib/mysql"])
    stack.services["app"] = stack.service(stack.services["web"]["image"])
    stack.deploy()

    def client(text):
        words = ("-e", "MYSQL_PWD=secret", stack.running("db"), "mariadb", "-uroot", "-N", "-B", "coin", "-e", text)
        return stack.nodes.docker("exec", *words)

    def sql(text):
        done = client(text)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    stack.nodes.until(lambda: client("SELECT 1").stdout)
    sql("CREATE TABLE paid (n INT PRIMARY KEY); INSERT INTO paid VALUES (1), (2)")
    stack.replace("db")
    stack.nodes.until(lambda: client("SELECT 1").stdout)
    source = {"name": "db", "kind": "mysql", "service": "db"}
    report = backups.backup(stack.backup(source))
    assert report["error"] == ""
    assert report["sources"][0]["count"] == 2
    assert not any("not backed up" in line for line in report["warnings"])
    assert rehearse.rehearse(stack.backup(source))["error"] == ""
    sql("DELETE FROM paid")
    task = stack.running("db")
    report = restore.restore(stack.backup(source), restore.Request(), confirm=STACK)
    assert report["error"] == ""
    assert sql("SELECT COUNT(*) FROM paid") == "2"
    assert stack.running("db") == task


def test_sqlite_is_backed_up_while_a_task_writes_and_restored_when_none_runs(stack, python_image, give):
    command = ("python3", "-c", WRITER)
    stack.services["app"] = stack.service(give(python_image), command, volumes=[f"{stack.data}:/bound"])
    stack.deploy()
    path = stack.data / "app.db"

    def rows(database=path):
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=60)) as base:
            return base.execute("SELECT count(*), sum(a) FROM pairs").fetchone()

    def written(count):
        with contextlib.suppress(sqlite3.Error):
            return rows()[0] >= count

    stack.nodes.until(lambda: written(20))
    source = {"name": "app", "kind": "sqlite", "path": str(path)}
    report = backups.backup(stack.backup(source))
    assert report["error"] == ""
    taken = report["sources"][0]["count"]
    assert (taken >= 20, taken % 2) == (True, 0)
    assert not any("not backed up" in line for line in report["warnings"])
    assert rehearse.rehearse(stack.backup(source))["error"] == ""
    stack.nodes.until(lambda: written(taken + 20))
    with pytest.raises(RestoreRefused, match=f"docker service scale {STACK}_app=0"):
        restore.preview(stack.backup(source), restore.Request(), "")
    with pytest.raises(RestoreRefused, match=f"docker service scale {STACK}_app=0"):
        restore.restore(stack.backup(source), restore.Request(), confirm=STACK)
    into = restore.Request(into=str(stack.root / "elsewhere"))
    assert restore.restore(stack.backup(source), into, confirm=STACK)["error"] == ""
    assert rows(stack.root / "elsewhere/app/app.db") == (taken, 0)
    stack.scale("app", 0)
    report = restore.restore(stack.backup(source), restore.Request(), confirm=STACK)
    assert report["error"] == ""
    assert rows() == (taken, 0)
    stack.scale("app", 1)
    stack.nodes.until(lambda: written(taken + 2))


def test_redis_is_backed_up_and_its_restore_is_refused_before_the_first_source(stack, standin_images, give):
    command = ("redis-server", "--dir", "/data")
    stack.services["cache"] = stack.service(give(standin_images["redis"]), command, volumes=["data:/data"])
    stack.services["app"] = stack.service(stack.services["web"]["image"])
    stack.deploy()
    stack.nodes.until(lambda: "PONG" in stack.nodes.docker("exec", stack.running("cache"), "redis-cli", "ping").stdout)
    stack.exec("cache", "redis-cli", "set", "a", "1")
    source = {"name": "cache", "kind": "redis", "service": "cache"}
    assert backups.backup(stack.backup(source))["error"] == ""
    assert rehearse.rehearse(stack.backup(source))["error"] == ""
    stack.exec("cache", "redis-cli", "set", "a", "2")
    with pytest.raises(RestoreRefused, match="compose_stack_target: host"):
        restore.restore(stack.backup(source), restore.Request(), confirm=STACK)
    assert stack.exec("cache", "redis-cli", "get", "a") == "2\n"


def test_backup_of_a_service_that_runs_nowhere_names_the_reason(stack):
    stack.deploy()
    stack.update("--constraint-add", ELSEWHERE, f"{STACK}_app")
    stack.nodes.until(lambda: not stack.containers("app"))
    report = backups.backup(stack.backup({"name": "db", "kind": "postgresql", "service": "app"}))
    assert "runs on no node of the Swarm (0 of 1 replicas" in report["error"]
    assert ELSEWHERE.partition("==")[2] in report["error"]
    # The node lost the volume, which the container of the previous task has.
    label = f"label=com.docker.swarm.service.name={STACK}_app"
    stack.nodes.docker("rm", "-f", *stack.nodes.docker("ps", "-aq", "--filter", label).stdout.split())
    stack.nodes.until(lambda: stack.nodes.docker("volume", "rm", "-f", f"{STACK}_data").returncode == 0)
    report = backups.backup(stack.backup({"name": "data", "kind": "volume", "volume": "data"}))
    assert "service app uses it and runs on no node of the Swarm" in report["error"]


def test_watch_does_not_report_containers_of_previous_tasks(stack):
    notes = {}
    stack.deploy()
    stack.findings(notes)
    stack.replace("app")
    stack.replace("web")
    assert set(stack.findings(notes)) == {"log_unbounded"}


def test_watch_reports_crash_loop_and_missing_replicas(stack, tiny_image):
    stack.services["bad"] = stack.service(tiny_image, ("sh", "-c", "exit 3"))
    done = stack.nodes.deploy({"services": stack.services, "volumes": {"data": {}}}, STACK)
    assert done.returncode == 0, done.stderr
    stack.running("app")
    notes = {}
    stack.nodes.until(lambda: "crash_loop" in stack.findings(notes))
    found = stack.findings(notes)
    assert "containers of service bad ended within an hour (exit code 3)" in found["crash_loop"]["what"]
    assert found["crash_loop"]["fix"].startswith(f"docker logs --tail 50 {STACK}_bad.1.")
    assert found["service_missing"]["where"] == f"{STACK}/bad"
    assert found["service_missing"]["fix"] == f"docker service ps --no-trunc {STACK}_bad"


def test_watch_reports_a_mount_that_no_longer_is_the_directory(stack):
    stack.deploy()
    stack.data.rename(stack.root / "away")
    stack.data.mkdir(mode=0o750)
    row = stack.findings({})["mount_broken"]
    assert row["where"] == f"{STACK}/app:/bound"
    assert row["fix"] == f"docker service update --force {STACK}_app"


def test_watch_reports_a_paused_container(stack):
    stack.deploy()
    stack.nodes.docker("pause", stack.running("web"))
    assert stack.findings({})["service_paused"]["where"] == f"{STACK}/web"
    stack.nodes.docker("unpause", stack.running("web"))
