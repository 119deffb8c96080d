# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release is what ran, and health is checked: on real engines."""

from __future__ import annotations

import json
import os

import pytest
from compose_lab import Lab, effect, wait_for

TWO = pytest.mark.parametrize("lab", ["docker+2.40", "podman-compose"], indirect=True)
# Reads its configuration once, as most programs do.
READS_ONCE = "cp /etc/app.yaml /loaded; sleep 1000"


def _check(condition: str) -> dict:
    return {"test": ["CMD-SHELL", condition], "interval": "1s", "timeout": "2s", "retries": 2}


def _loaded(lab: Lab, path: str = "/loaded") -> str:
    return lab.backend.cli("exec", lab.containers()["app"][0].id, "cat", path)


def _kept(lab: Lab) -> list[str]:
    return sorted(path.read_text() for path in (lab.root / "state").rglob("good/*/files/app.yaml"))


def _replace(lab: Lab, text: str) -> None:
    """A new file under the old name, as an editor and git write it."""
    scratch = lab.folder / "new"
    scratch.write_text(text)
    os.replace(scratch, lab.folder / "app.yaml")


@pytest.mark.parametrize("how", ["in place", "replaced"])
@TWO
def test_bad_file_is_rolled_back_and_its_process_restarted(lab: Lab, how: str):
    lab.services["app"] = lab.service(
        READS_ONCE, volumes=["./app.yaml:/etc/app.yaml:ro"], healthcheck=_check("grep -q good /loaded")
    )
    lab.services["other"] = lab.service()
    (lab.folder / "app.yaml").write_text("good")
    lab.deploy()
    states = lab.states()
    assert not lab.deploy()["changed"]
    if how == "replaced":
        _replace(lab, "bad")
    else:
        (lab.folder / "app.yaml").write_text("bad")
    result = lab.stack().converge()
    assert result["rolled_back"] is True, result["msg"]
    assert _loaded(lab) == "good"
    assert _kept(lab) == ["good"]
    assert effect(states, lab.states()) == {"app": "restart", "other": "keep"}
    assert not lab.deploy()["changed"]


@TWO
def test_configuration_that_no_process_read_is_not_restored(lab: Lab):
    lab.services["app"] = lab.service(
        READS_ONCE,
        volumes=["./app.yaml:/etc/app.yaml:ro"],
        healthcheck=_check('grep -q good /loaded && test -z "$$SICK"'),
    )
    (lab.folder / "app.yaml").write_text("good")
    lab.deploy()
    (lab.folder / "app.yaml").write_text("bad")
    lab.write()
    lab.stack().converge()
    lab.services["app"]["environment"] = {"SICK": "yes"}
    (lab.folder / "app.yaml").write_text("good and new")
    lab.write()
    result = lab.stack().converge()
    assert result["rolled_back"] is True, result["msg"]
    assert _loaded(lab) == "good"
    assert _kept(lab) == ["good"]


@TWO
def test_changed_directory_restarts_only_without_a_reload_label(lab: Lab):
    (lab.folder / "conf").mkdir()
    (lab.folder / "conf" / "a").write_text("one")
    command = "cp /conf/a /loaded; sleep 1000"
    lab.services["app"] = lab.service(command, volumes=["./conf:/conf:ro"])
    lab.services["self"] = lab.service(command, volumes=["./conf:/conf:ro"], labels={"onebox.reload": "self"})
    lab.deploy()
    states = lab.states()
    (lab.folder / "conf" / "a").write_text("two")
    assert lab.plan() == {"app": ("restart", ("code_bind_changed",)), "self": ("keep", ())}
    lab.deploy()
    assert _loaded(lab) == "two"
    assert effect(states, lab.states()) == {"app": "restart", "self": "keep"}
    # The engine starts it again by itself: then it has read what is there.
    (lab.folder / "conf" / "a").write_text("three")
    lab.backend.cli("restart", lab.containers()["app"][0].id)
    assert lab.plan() == {"app": ("keep", ()), "self": ("keep", ())}


@TWO
def test_older_release_is_tried_when_the_newest_does_not_get_healthy(lab: Lab):
    data = lab.data / "broken"
    data.mkdir()
    # The second version needs something that has gone by the time it is gone back to.
    lab.services["app"] = lab.service(volumes=["${DATA}/broken:/data"], healthcheck=_check("true"))
    lab.deploy()
    lab.services["app"]["healthcheck"] = _check("test ! -e /data/gone")
    lab.deploy()
    (data / "gone").write_text("")
    lab.services["app"]["healthcheck"] = _check("false")
    lab.write()
    result = lab.stack().converge()
    assert result["rolled_back"] is True, result["msg"]
    assert result["last_good"]["number"] == 1
    assert "also failed" in result["msg"]
    assert "is healthy again" in result["msg"]


@TWO
def test_data_that_the_failed_version_may_have_changed_is_named(lab: Lab):
    data = lab.data / "d"
    data.mkdir()
    lab.services["app"] = lab.service("sleep 1000", volumes=["${DATA}/d:/data", "stored:/stored"])
    lab.services["app"]["healthcheck"] = _check("true")
    lab.services["other"] = lab.service(volumes=["${DATA}:/all"])
    lab.top["volumes"] = {"stored": {}}
    lab.deploy()
    lab.services["app"] = lab.service("echo 2 >/data/schema; sleep 1000", volumes=lab.services["app"]["volumes"])
    lab.services["app"]["healthcheck"] = _check("false")
    lab.write()
    result = lab.stack().converge()
    assert result["rolled_back"] is True
    assert (data / "schema").read_text() == "2\n"
    assert [(row["service"], row["destination"]) for row in result["data_written"]] == [
        ("app", "/data"),
        ("app", "/stored"),
    ]
    assert f"may have changed data in {data}" in result["msg"]
    assert "stays as that version left it" in result["msg"]


@TWO
def test_crash_loop_between_two_inspections_is_unhealthy_in_the_next_run(lab: Lab):
    # It lives long enough for the first deploy, also on a slow host.
    first = "test -e /tmp/again && sleep 2 || { touch /tmp/again; sleep 20; }; echo no broker; exit 1"
    lab.services["app"] = lab.service(first, restart="always")
    lab.services["old"] = lab.service("sleep 1000", restart="always")
    lab.deploy(settle=1.0)
    identity = lab.containers()["app"][0].id
    wait_for(lambda: lab.containers()["app"][0].restart_count >= 3, 60)
    seen = lab.info()
    assert any("app: its container ended and was restarted" in each for each in seen["warnings"]), seen["warnings"]
    assert not any("old: its container" in each for each in seen["warnings"])
    result = lab.stack(settle=1.0).converge()
    assert "keeps restarting" in result["msg"]
    assert "no broker" in result["msg"]
    assert lab.containers()["app"][0].id == identity


@TWO
def test_one_restart_long_ago_is_reported_and_no_failure(lab: Lab):
    command = "test -e /tmp/again || { touch /tmp/again; sleep 2; exit 1; }; sleep 1000"
    lab.services["app"] = lab.service(command, restart="always")
    lab.deploy(settle=0.5)
    wait_for(lambda: lab.containers()["app"][0].restart_count >= 1, 30)
    result = lab.deploy(settle=0.5)
    assert any("restarted once since the last run" in each for each in result["warnings"]), result["warnings"]
    assert not any("restarted" in each for each in lab.deploy(settle=0.5)["warnings"])


@TWO
def test_published_port_is_awaited(lab: Lab):
    lab.services["app"] = lab.service("sleep 4; exec httpd -f -p 8000", ports=["127.0.0.1::8000"])
    lab.services["quiet"] = lab.service()
    result = lab.deploy()
    rows = {row["service"]: row for row in result["health"]}
    assert rows["app"]["evidence"] == "port"
    assert rows["app"]["seconds"] >= 3
    assert (rows["quiet"]["evidence"], rows["quiet"]["message"]) == ("none", "running, not checked further")
    assert {row["service"]: row["evidence"] for row in lab.info()["health"]} == {"app": "port", "quiet": "none"}


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("sleep 1000", "nothing in it listens on port 8000"),
        ("exec httpd -f -p 127.0.0.1:8000", "only on its own 127.0.0.1"),
    ],
)
@TWO
def test_published_port_that_does_not_listen_is_unhealthy(lab: Lab, command: str, said: str):
    lab.services["app"] = lab.service(command, ports=["127.0.0.1::8000"])
    lab.write()
    result = lab.stack(wait_timeout=4.0).converge()
    assert said in result["msg"]


@TWO
def test_url_that_answers_is_evidence(lab: Lab):
    command = "mkdir /w; echo ok >/w/index.html; exec httpd -f -p 8000 -h /w"
    lab.services["app"] = lab.service(command, ports=["127.0.0.1:18231:8000"])
    result = lab.deploy(http_checks=({"url": "http://127.0.0.1:18231/", "status": 200},))
    assert [row["evidence"] for row in result["health"]] == ["http"]


@TWO
def test_logs_without_a_bound_are_named_once(lab: Lab):
    driver = "json-file" if lab.backend.engine == "docker" else "k8s-file"
    lab.services["app"] = lab.service(logging={"driver": driver})
    lab.services["more"] = lab.service(logging={"driver": driver, "options": {"max-size": "10m"}})
    lab.services["also"] = lab.service(logging={"driver": driver})
    lab.write()
    for result in (lab.info(), lab.deploy(), lab.info()):
        found = [each for each in result["warnings"] if each.startswith("logging: ")]
        assert len(found) == 1, json.dumps(result["warnings"])
        assert "logs of also, app, so" in found[0]
        assert "max-size: 10m" in found[0]


@TWO
def test_keys_without_effect_are_named(lab: Lab):
    lab.services["app"] = lab.service(deploy={"update_config": {"order": "start-first"}, "labels": {"a": "b"}})
    lab.services["other"] = lab.service(deploy={"resources": {"limits": {"memory": "100M"}}})
    lab.write()
    found = [each for each in lab.info()["warnings"] if "has no effect" in each]
    assert [each.split(":")[0] for each in found] == ["service app, deploy.update_config", "service app, deploy.labels"]
