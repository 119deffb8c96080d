# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploy a stack to a real Swarm of one node: plan, health gate, rollback, refusals, removal."""

import datetime
import http.server
import json
import pathlib
import re
import threading

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, ComposeError
from compose_lab import Lab
from role_box import Box
from swarm_lab import swarm

SWARM = {"target": "swarm", "engine": "docker"}
HEALTHY = {"test": ["CMD", "test", "-e", "/tmp/ok"], "interval": "1s", "retries": 2}
IMAGE = "{{.Spec.TaskTemplate.ContainerSpec.Image}}"
WRITER = "touch /tmp/ok; while :; do date >/data/beat; sleep 1; done"


# Images in Docker's own store, and in that of containerd.
STORES = pytest.mark.parametrize("lab", ["docker28", "docker28c"], indirect=True)


@pytest.fixture
def lab(request, make_lab, tmp_path_factory):
    engine = getattr(request, "param", "docker28")
    lab = make_lab(f"{engine}+2.40")
    with swarm(request.getfixturevalue(f"{engine}_engine"), tmp_path_factory.mktemp("swarm")) as nodes:
        lab.nodes = nodes
        lab.services = {
            "db": lab.service(
                WRITER,
                healthcheck=HEALTHY,
                restart="always",
                volumes=["data:/data"],
                secrets=["key"],
                configs=["level"],
                init=True,
            ),
            "web": lab.service("touch /tmp/ok; sleep 1000", restart="always", environment={"LEVEL": "${LEVEL}"}),
        }
        lab.top = {
            "volumes": {"data": {}},
            "secrets": {"key": {"file": "./key"}},
            "configs": {"level": {"file": "./level"}},
        }
        (lab.folder / "level").write_text("info")
        (lab.folder / "key").write_text("first secret")
        yield lab
        nodes.docker("stack", "rm", lab.project)
        label = f"label=com.docker.stack.namespace={lab.project}"
        nodes.until(lambda: not nodes.docker("ps", "-aq", "--filter", label).stdout.strip())
    lab.backend.cli("volume", "rm", "-f", f"{lab.project}_data", check=False)


def _tasks(lab: Lab, service: str) -> list[str]:
    return [row["container"] for row in lab.nodes.tasks(f"{lab.project}_{service}") if row["state"] == "running"]


def _exec(lab: Lab, service: str, *words: str) -> str:
    return lab.backend.cli("exec", _tasks(lab, service)[0], *words)


def _kept(lab: Lab, kind: str) -> int:
    """The number of secrets or configs of the stack in the Swarm."""
    label = f"label=com.docker.stack.namespace={lab.project}"
    return len(lab.nodes.docker(kind, "ls", "-q", "--filter", label).stdout.split())


def test_deploy_to_swarm_plans_and_changes_only_what_differs(lab: Lab):
    label = f"com.docker.stack.namespace={lab.project}"
    by_hand = lab.nodes.docker("secret", "create", "--label", label, f"{lab.project}_by_hand", str(lab.folder / "key"))
    assert by_hand.returncode == 0, by_hand.stderr
    first = lab.deploy(**SWARM)
    assert [(row["service"], row["action"]) for row in first["plan"]] == [("db", "create"), ("web", "create")]
    assert {row["service"] for row in first["health"]} == {"db", "web"}
    assert all(row["ok"] and row["state"] == "running" for row in first["health"])
    # Secrets and the volume of db, and nothing of web, which has no mount.
    assert first["mounts"]["summary"]["checked"] == first["mounts"]["summary"]["ok"] >= 1
    assert _exec(lab, "db", "cat", "/run/secrets/key") == "first secret"
    before = _tasks(lab, "db"), _tasks(lab, "web")

    again = lab.deploy(**SWARM)
    assert not again["changed"]
    assert [row["action"] for row in again["plan"]] == ["keep", "keep"]

    lab.variables["LEVEL"] = "debug"
    assert lab.plan(**SWARM) == {"db": ("keep", ()), "web": ("recreate", ("env_changed",))}
    changed = lab.deploy(**SWARM)
    assert changed["changed"]
    assert _tasks(lab, "db") == before[0]
    assert _tasks(lab, "web") != before[1]
    assert _exec(lab, "web", "sh", "-c", "echo $LEVEL") == "debug"

    (lab.folder / "key").write_text("second secret")
    (lab.folder / "level").write_text("debug")
    assert lab.plan(**SWARM)["db"] == ("recreate", ("config_changed", "secret_changed"))
    lab.deploy(**SWARM)
    assert _exec(lab, "db", "cat", "/run/secrets/key") == "second secret"
    # The secret that somebody created by hand stays.
    assert (_kept(lab, "secret"), _kept(lab, "config")) == (2, 1)


def test_unhealthy_service_on_swarm_restores_the_last_release(lab: Lab):
    good = lab.deploy(**SWARM)["last_good"]
    (lab.folder / "key").write_text("second secret")
    lab.services["web"]["command"] = ["sh", "-c", "echo no route >&2; exit 5"]
    lab.services["added"] = lab.service(restart="always")
    lab.write()
    result = lab.stack(**SWARM, wait_timeout=90.0).converge()
    assert result["failed"]
    assert result["rolled_back"], result["msg"]
    # Swarm pauses an update whose first task ends. The health gate can see the task before that.
    assert re.search(r"service web (was not updated: update paused|runs 0 of 1 replicas)", result["msg"]), result["msg"]
    assert "no route" in result["msg"]
    assert result["last_good"]["number"] == good["number"]
    assert _exec(lab, "db", "cat", "/run/secrets/key") == "first secret"
    assert (lab.folder / "key").read_text() == "first secret"
    assert (_kept(lab, "secret"), _kept(lab, "config")) == (1, 1)
    assert len(_tasks(lab, "web")) == 1
    names = lab.nodes.docker("service", "ls", "--format", "{{.Name}}").stdout.split()
    assert f"{lab.project}_added" not in names


def test_change_by_others_on_swarm_is_reported_and_restored(lab: Lab):
    lab.deploy(**SWARM)
    assert lab.nodes.docker("service", "scale", "--detach=true", f"{lab.project}_web=0").returncode == 0
    seen = lab.info(**SWARM)
    assert {row["service"]: row["action"] for row in seen["plan"]} == {"db": "keep", "web": "recreate"}
    assert any("service web was changed by others" in text for text in seen["warnings"])
    lab.deploy(**SWARM)
    lab.nodes.until(lambda: len(_tasks(lab, "web")) == 1)


def test_request_goes_back_to_the_release_before(lab: Lab):
    lab.deploy(**SWARM)
    lab.variables["LEVEL"] = "debug"
    lab.deploy(**SWARM)
    result = lab.stack(**SWARM, state="rolled_back").converge()
    assert not result.get("failed"), result.get("msg")
    assert result["rolled_back"]
    assert _exec(lab, "web", "sh", "-c", "echo $LEVEL") == "info"


def test_data_of_a_lost_node_is_not_started_empty(lab: Lab):
    lab.deploy(**SWARM)
    # The host is installed again: the same name, another node, and no data.
    elsewhere = "xf1pnoqzlt6wkzj2l5wwq1a8v"
    pin = lab.nodes.spec(f"{lab.project}_db")["Placement"]["Constraints"][0]
    words = ("--detach=true", "--constraint-rm", pin, "--constraint-add", f"node.id=={elsewhere}")
    assert lab.nodes.docker("service", "update", *words, f"{lab.project}_db").returncode == 0
    with pytest.raises(BadStack, match=f"data lies on the node {elsewhere}, which has left the Swarm"):
        lab.stack(**SWARM).converge()
    lab.deploy(**SWARM, adopt=True)
    assert pin in lab.nodes.spec(f"{lab.project}_db")["Placement"]["Constraints"]


def test_two_targets_never_run_one_stack(lab: Lab):
    lab.deploy()
    with pytest.raises(BadStack, match="the compose stack still has containers on this host"):
        lab.stack(**SWARM).converge()
    assert lab.stack(state="absent").converge()["changed"]
    lab.deploy(**SWARM)
    with pytest.raises(BadStack, match="Swarm runs it on this host"):
        lab.stack().converge()
    assert lab.stack(**SWARM, state="absent").converge()["changed"]
    assert not lab.stack(**SWARM, state="absent").converge()["changed"]
    # The way back: the volume kept its data.
    lab.deploy()
    (db,) = lab.containers()["db"]
    assert lab.backend.cli("exec", db.id, "cat", "/data/beat")


def test_role_reports_replicas_nodes_and_proofs_and_verify_proves_them_again(lab: Lab, tmp_path: pathlib.Path):
    box = Box(lab, tmp_path)
    state = str(tmp_path / "state")
    box.variables |= {"compose_stack_target": "swarm", "compose_stack_nodes": ["box"], "onebox_state_dir": state}
    lab.write()
    roles = ["onebox.stack.compose_stack", "onebox.stack.report"]
    play = tmp_path / "site.json"
    play.write_text(json.dumps([{"name": "Run", "hosts": "all", "gather_facts": False, "roles": roles}]))
    said = box.run(playbook=str(play))
    name = lab.nodes.docker("info", "--format", "{{.Name}}").stdout.strip()
    assert "2 of 2 services healthy" in said
    assert re.search(r"SERVICE +STATE +HEALTH +REPLICAS +NODES", said)
    assert re.search(rf"db +running +healthy +1 of 1 +{re.escape(name)}", said)
    assert re.search(r"/data +db on box", said)
    # A container of a Swarm has no label with the directory of the compose file.
    assert "mounts proven in 2 containers" in box.run(playbook="playbooks/verify.yml")
    lab.nodes.docker("service", "scale", "--detach=true", f"{lab.project}_web=2")
    lab.nodes.until(lambda: len(_tasks(lab, "web")) == 2)
    pin = ("--detach=true", "--constraint-add", "node.id==xf1pnoqzlt6wkzj2l5wwq1a8v")
    assert lab.nodes.docker("service", "update", *pin, f"{lab.project}_db").returncode == 0
    lab.nodes.until(lambda: not _tasks(lab, "db"))
    assert "service db runs 0 of 1 replicas" in box.run(playbook="playbooks/verify.yml", expect=2)


def test_host_without_a_swarm_is_refused(make_lab, docker28_engine):
    lab = make_lab("docker28+2.40")
    lab.services = {"web": lab.service()}
    lab.write()
    with pytest.raises(BadStack, match="this host does not manage a Swarm"):
        lab.stack(**SWARM).converge()
    assert not pathlib.Path(lab.root / "state" / lab.project / "compose.json").exists()


def _image(lab: Lab, service: str) -> str:
    done = lab.nodes.docker("service", "inspect", "--format", IMAGE, f"{lab.project}_{service}")
    return done.stdout.strip()


def _named(lab: Lab) -> set[str]:
    """The names of the stack's images for all nodes, without those of releases."""
    words = ("--filter", f"reference=localhost/onebox/{lab.project}/*", "--format", "{{.Repository}}:{{.Tag}}")
    return {name for name in lab.nodes.docker("image", "ls", *words).stdout.split() if ":good-" not in name}


@pytest.fixture
def built(lab: Lab) -> Lab:
    """The stack with a service whose image no registry has."""
    context = lab.folder / "ctx"
    context.mkdir()
    (context / "Dockerfile").write_text(f"FROM {lab.backend.image}\nCOPY page /page\n")
    (context / "page").write_text("first")
    command = ["sh", "-c", "touch /tmp/ok; sleep 1000"]
    build = {"context": "./ctx", "network": "none"}
    lab.services = {
        "api": {**lab.service(), "image": f"localhost/{lab.project}-api:latest", "build": build, "command": command}
    }
    lab.top = {}
    return lab


@STORES
def test_image_of_the_compose_file_is_built_and_replaced_when_its_context_changes(built: Lab):
    lab = built
    assert lab.plan(**SWARM) == {"api": ("rebuild", ("missing",))}
    first = lab.deploy(**SWARM, keep=1)
    (image,) = first["node_images"]
    assert image["reference"].startswith(f"localhost/onebox/{lab.project}/{lab.project}-api:")
    assert image["reference"].endswith(image["id"][7:19])
    assert _image(lab, "api") == image["reference"]
    assert _exec(lab, "api", "cat", "/page") == "first"

    again = lab.deploy(**SWARM, keep=1)
    assert not again["changed"]
    assert again["node_images"] == [image]

    (lab.folder / "ctx" / "page").write_text("second")
    assert lab.plan(**SWARM) == {"api": ("rebuild", ("build_context_changed",))}
    changed = lab.deploy(**SWARM, keep=2)
    assert _exec(lab, "api", "cat", "/page") == "second"
    # The earlier release can be restored on all nodes.
    assert set(changed["node_images_kept"]) == _named(lab) == {image["reference"], _image(lab, "api")}

    back = lab.stack(**SWARM, state="rolled_back").converge()
    assert not back.get("failed"), back.get("msg")
    assert _image(lab, "api") == image["reference"]
    assert _exec(lab, "api", "cat", "/page") == "first"

    (lab.folder / "ctx" / "page").write_text("third")
    lab.deploy(**SWARM, keep=1)
    assert _named(lab) == {_image(lab, "api")}
    lab.stack(**SWARM, state="absent").converge()
    assert _named(lab) == set()


@STORES
def test_deploy_waits_for_the_images_of_other_nodes(built: Lab):
    lab = built
    # It uses the image that the other service builds.
    lab.services["beat"] = {**lab.service(), "image": lab.services["api"]["image"]}
    lab.write()
    held = lab.stack(**SWARM, hold_for_images=True).converge()
    assert held["held"]
    assert _named(lab) == {row["reference"] for row in held["node_images"]}
    assert lab.nodes.docker("service", "ls", "-q").stdout == ""
    assert lab.deploy(**SWARM)["changed"]
    # Nothing changes, so the deploy does not wait.
    again = lab.deploy(**SWARM, hold_for_images=True)
    assert ("held" in again, again["changed"]) == (False, False)

    (lab.folder / "ctx" / "page").write_text("second")
    held = lab.stack(**SWARM, hold_for_images=True).converge()
    assert held["held"]
    assert _image(lab, "api") == again["node_images"][0]["reference"]
    lab.deploy(**SWARM)
    held = lab.stack(**SWARM, state="rolled_back", hold_for_images=True).converge()
    assert (held["held"], held["node_images"]) == (True, again["node_images"])
    assert _exec(lab, "api", "cat", "/page") == "second"


def test_image_of_a_service_on_this_node_is_not_for_other_nodes(built: Lab):
    lab = built
    lab.services["api"]["volumes"] = ["data:/data"]
    lab.top = {"volumes": {"data": {}}}
    lab.write()
    result = lab.deploy(**SWARM, hold_for_images=True)
    assert result["node_images"] == []
    assert result["node_images_kept"] == [_image(lab, "api")]


def test_failed_build_leaves_the_stack(built: Lab):
    lab = built
    lab.deploy(**SWARM)
    before = _tasks(lab, "api")
    (lab.folder / "ctx" / "Dockerfile").write_text(f"FROM {lab.backend.image}\nCOPY missing /page\n")
    with pytest.raises(ComposeError, match="was not touched: .*build api"):
        lab.stack(**SWARM).converge()
    assert _tasks(lab, "api") == before


def test_rejected_version_is_replaced_by_the_release_before_it(lab: Lab):
    good = lab.deploy(**SWARM)
    assert good["released"]
    assert not lab.deploy(**SWARM)["released"]
    lab.variables["LEVEL"] = "debug"
    lab.services["added"] = lab.service(restart="always")
    assert lab.deploy(**SWARM)["released"]
    result = lab.stack(**SWARM, state="rolled_back", rejection="the mount on b is wrong").converge()
    assert result["failed"]
    assert result["rolled_back"]
    expected = r"the mount on b is wrong\nThe stack was rolled back to the release of \S+, and is healthy again\."
    assert re.fullmatch(expected, result["msg"])
    assert result["last_good"]["number"] == good["last_good"]["number"]
    assert {row["service"] for row in result["health"]} == {"db", "web"}
    assert _exec(lab, "web", "sh", "-c", "echo $LEVEL") == "info"
    names = lab.nodes.docker("service", "ls", "--format", "{{.Name}}").stdout.split()
    assert f"{lab.project}_added" not in names
    with pytest.raises(ComposeError, match="no earlier release to roll back to"):
        lab.stack(**SWARM, state="rolled_back").converge()


@pytest.mark.parametrize(
    ("rollback", "reason"), [(True, "has no earlier release"), (False, "compose_stack_rollback is false")]
)
def test_rejected_version_that_stays_is_not_a_release(lab: Lab, rollback: bool, reason: str):
    lab.deploy(**SWARM)
    result = lab.stack(**SWARM, state="rolled_back", rejection="wrong mount", rollback=rollback).converge()
    assert (result["failed"], result["rolled_back"], result["last_good"]) == (True, False, {})
    assert result["msg"].startswith("wrong mount\n")
    assert reason in result["msg"]
    assert _exec(lab, "web", "sh", "-c", "echo $LEVEL") == "info"
    assert lab.deploy(**SWARM)["released"]


class _Targets(http.server.BaseHTTPRequestHandler):
    """The page of a Prometheus with one target."""

    health = "up"

    def do_GET(self):
        scraped = datetime.datetime.now(datetime.timezone.utc).isoformat()
        labels = {"job": "web", "instance": "web:8080"}
        target = {"labels": labels, "health": self.health, "lastScrape": scraped, "lastError": "refused"}
        body = json.dumps({"status": "success", "data": {"activeTargets": [target]}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words):
        pass


@pytest.fixture
def prometheus() -> str:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Targets)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_deploy_whose_target_prometheus_does_not_reach_is_rolled_back(lab: Lab, prometheus: str, monkeypatch):
    checks = [{"url": prometheus, "jobs": ["web"]}]
    first = lab.deploy(**SWARM, prometheus_checks=checks)
    assert [(row["instance"], row["ok"]) for row in first["targets"]] == [("web:8080", True)]
    monkeypatch.setattr(_Targets, "health", "down")
    lab.variables["LEVEL"] = "debug"
    lab.write()
    result = lab.stack(**SWARM, prometheus_checks=checks, wait_timeout=20.0).converge()
    assert "Prometheus does not reach it" in result["msg"]
    assert _exec(lab, "web", "sh", "-c", "echo $LEVEL") == "info"


def test_check_of_a_port_that_swarm_does_not_publish_is_refused(lab: Lab):
    lab.services["web"]["ports"] = ["127.0.0.1:8080:8080"]
    lab.write()
    checks = [{"url": "http://127.0.0.1:8080/health"}]
    with pytest.raises(BadStack, match="a Swarm does not publish port 8080 of service web on 127.0.0.1"):
        lab.stack(**SWARM, http_checks=checks).converge()
    assert lab.nodes.docker("service", "ls", "-q").stdout == ""
    lab.deploy(**SWARM)
