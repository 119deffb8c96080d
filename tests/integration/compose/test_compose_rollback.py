# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollback after a failed deploy and on request: a release is restored with its files and images."""

import datetime
import json
import pathlib

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from compose_lab import Lab

TWO = pytest.mark.parametrize("lab", ["docker+2.40", "podman-compose"], indirect=True)
SICK = {"test": ["CMD", "false"], "interval": "1s", "retries": 1}


def _build(lab: Lab, text: str, tag: str) -> None:
    context = lab.folder / "ctx"
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text(f"FROM {lab.backend.image}\nCOPY app /app\n")
    (context / "app").write_text(text)
    lab.variables["TAG"] = tag


def _app(lab: Lab) -> str:
    identity = lab.containers()["web"][0].id
    return lab.backend.cli("exec", identity, "cat", "/app")


@TWO
def test_bad_build_is_rolled_back(lab: Lab):
    image = f"localhost/{lab.project}:${{TAG}}"
    _build(lab, "good", "build-20261120-090000")
    lab.services["web"] = lab.service(image=image, build="./ctx")
    lab.services["other"] = lab.service()
    good = lab.deploy()["last_good"]
    other = lab.containers()["other"][0].id
    files = (lab.folder / "compose.yml").read_text(), (lab.folder / ".env").read_text()

    _build(lab, "bad", "build-20261121-090000")
    lab.services["web"] = lab.service("echo no route >&2; exit 5", image=image, build="./ctx", restart="always")
    lab.write()
    result = lab.stack(revision="abc123").converge()
    assert result["failed"] is True
    assert result["rolled_back"] is True
    assert "no route" in result["rollback_reason"]
    assert "is healthy again" in result["msg"]
    assert result["last_good"]["number"] == good["number"]
    assert _app(lab) == "good"
    assert lab.containers()["other"][0].id == other
    assert ((lab.folder / "compose.yml").read_text(), (lab.folder / ".env").read_text()) == files

    entry = json.loads(pathlib.Path(result["history_file"]).read_text().splitlines()[-1])
    assert (entry["ok"], entry["rolled_back"], entry["revision"], entry["user"]) == (False, True, "abc123", "tester")
    assert entry["plan"]["web"][0] in ("rebuild", "recreate")


@TWO
def test_image_survives_under_the_same_tag(lab: Lab):
    _build(lab, "good", "1")
    lab.services["web"] = lab.service(image=f"localhost/{lab.project}:1", build="./ctx")
    lab.deploy()
    _build(lab, "bad", "1")
    lab.services["web"]["healthcheck"] = SICK
    lab.write()
    result = lab.stack().converge()
    assert result["rolled_back"] is True
    assert _app(lab) == "good"


@pytest.mark.parametrize("lab", ["podman-compose"], indirect=True)
def test_rollback_gives_added_services_their_own_grace_period(lab: Lab):
    commands: list[list[str]] = []

    def run(argv, **keys):
        commands.append(list(argv))
        return process.run(argv, **keys)

    lab.services["web"] = lab.service()
    lab.deploy()
    lab.services["added"] = {**lab.service("trap 'exit 0' TERM; sleep 1000 & wait"), "stop_grace_period": "17s"}
    lab.services["web"]["healthcheck"] = SICK
    lab.world_run = run
    lab.write()
    result = lab.stack().converge()
    assert result["rolled_back"] is True, result["msg"]
    stopped = [words[:4] for words in commands if words[:2] == ["podman", "stop"]]
    assert ["podman", "stop", "--time", "17"] in stopped


@TWO
def test_by_hand_and_only_n_are_kept(lab: Lab):
    for level in ("one", "two", "three", "four"):
        lab.services["web"] = lab.service(environment={"LEVEL": level})
        lab.deploy(keep=3)

    def level() -> str:
        return dict(row.split("=", 1) for row in lab.containers()["web"][0].env)["LEVEL"]

    back = {"state": "rolled_back"}
    assert lab.stack(**back).preview()["changed"] is True
    for expected in ("three", "two"):
        result = lab.stack(**back).converge()
        assert (result["rolled_back"], result["changed"]) == (True, True)
        assert level() == expected
        assert all(row == ("keep", ()) for row in _plan_as_it_is(lab).values())
    with pytest.raises(ComposeError, match="no earlier release"):
        lab.stack(**back).converge()


@TWO
def test_service_of_only_the_failed_deploy_is_removed(lab: Lab):
    lab.services["web"] = lab.service()
    lab.deploy()
    lab.services["web"] = lab.service(healthcheck=SICK)
    lab.services["added"] = lab.service()
    lab.write()
    result = lab.stack().converge()
    assert result["rolled_back"] is True
    assert set(lab.containers()) == {"web"}


@TWO
def test_one_gets_back_from_a_file_that_cannot_be_read(lab: Lab):
    lab.services["web"] = lab.service()
    lab.deploy()
    (lab.folder / "compose.yml").write_text("services: [what\n")
    with pytest.raises(BadStack):
        lab.stack().converge()
    assert lab.stack(state="rolled_back").preview()["changed"] is True
    assert lab.stack(state="rolled_back").converge()["rolled_back"] is True
    assert all(row == ("keep", ()) for row in _plan_as_it_is(lab).values())


@TWO
def test_release_that_is_unhealthy_by_now_is_replaced_again(lab: Lab):
    (lab.data / "flag").write_text("there")
    flag = f"{lab.data}/flag"
    lab.services["web"] = lab.service("cat /flag && sleep 1000", volumes=[f"{flag}:/flag:ro"])
    lab.deploy()
    lab.services["web"] = lab.service()
    lab.deploy()
    (lab.data / "flag").unlink()
    (lab.data / "flag").mkdir()
    result = lab.stack(state="rolled_back").converge()
    assert (result["failed"], result["rolled_back"]) == (True, False)
    assert "was restored, and is healthy again" in result["msg"]
    assert lab.containers()["web"][0].running
    assert all(row == ("keep", ()) for row in _plan_as_it_is(lab).values())


@TWO
def test_ended_orphan_does_not_fail_a_deploy(lab: Lab):
    lab.services.update(web=lab.service(), old=lab.service(volumes=["${DATA}:/data"]))
    lab.deploy()
    del lab.services["old"]
    lab.backend.cli("stop", "-t", "0", lab.containers()["old"][0].id)
    lab.services["web"]["environment"] = {"A": "1"}
    assert lab.deploy()["orphans"] == ["old"]


def _plan_as_it_is(lab: Lab) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {row["service"]: (row["action"], tuple(row["reasons"])) for row in lab.info()["plan"]}


@TWO
def test_without_an_earlier_state_it_stays_for_inspection(lab: Lab):
    lab.services["web"] = lab.service(healthcheck=SICK)
    lab.write()
    result = lab.stack().converge()
    assert (result["failed"], result["rolled_back"]) == (True, False)
    assert "no earlier release" in result["msg"]
    assert lab.containers()["web"][0].running


def test_url_that_does_not_answer_is_a_failed_deploy(make_lab):
    lab = make_lab("docker+2.40")
    lab.services["web"] = lab.service(environment={"LEVEL": "one"})
    lab.deploy()
    lab.services["web"] = lab.service(environment={"LEVEL": "two"})
    lab.write()
    result = lab.stack(http_checks=({"url": "http://127.0.0.1:9/"},), wait_timeout=2.0).converge()
    assert "does not answer" in result["msg"]


def test_freeze_refuses_every_state(make_lab):
    lab = make_lab("docker+2.40")
    lab.services["web"] = lab.service()
    lab.deploy()
    now = datetime.datetime.now(datetime.timezone.utc)
    window = {
        "start": (now - datetime.timedelta(minutes=5)).strftime("%H:%M"),
        "end": (now + datetime.timedelta(minutes=5)).strftime("%H:%M"),
        "timezone": "UTC",
    }
    frozen = {"freeze": (window,)}
    assert lab.deploy(**frozen)["changed"] is False
    lab.services["web"]["environment"] = {"A": "1"}
    lab.write()
    before = lab.states()
    with pytest.raises(ComposeError, match="must not be changed until"):
        lab.stack(**frozen).converge()
    assert lab.states() == before
    assert lab.info(**frozen)["plan"][0]["action"] == "recreate"
    for state in ("present", "stopped", "absent"):
        with pytest.raises(ComposeError, match=r"must not be changed until .*web"):
            lab.stack(state=state, **frozen).preview()
    for state in ("stopped", "absent"):
        with pytest.raises(ComposeError, match="must not be changed until"):
            lab.stack(state=state, **frozen).converge()
    assert lab.states() == before
    assert lab.deploy(force=True, **frozen)["changed"] is True


@TWO
def test_secrets_are_nowhere_but_where_they_belong(lab: Lab):
    lab.variables["DB_PASSWORD"] = "hunter22"
    lab.services["web"] = lab.service(
        "echo connecting with hunter22; exit 1", environment={"DB_PASSWORD": "${DB_PASSWORD}"}, restart="always"
    )
    lab.write()
    result = lab.stack().converge()
    assert result["failed"]
    lab.variables["DB_PASSWORD"] = "hunter33"
    lab.write()
    shown = json.dumps([result, lab.info()])
    written = [path.read_text() for path in (lab.root / "state").rglob("*") if path.is_file()]
    for secret in ("hunter22", "hunter33"):
        assert secret not in shown
        assert not any(secret in text for text in written)


def test_refused_stack_is_not_in_the_history(make_lab):
    lab = make_lab("docker+2.40")
    lab.services["web"] = lab.service(environment={"A": "${NOBODY}"})
    lab.write()
    with pytest.raises(BadStack):
        lab.stack().converge()
    assert lab.info()["history"] == []
