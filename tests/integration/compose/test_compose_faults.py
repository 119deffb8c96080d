# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input and faults: each a clear error, and nothing changed; and a clean run afterwards."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.core import lock
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError
from compose_lab import Lab, refused
from onebox_testbed import ports

TWO = pytest.mark.parametrize("lab", ["docker+2.40", "podman-compose"], indirect=True)
ROOT = pathlib.Path(__file__).resolve().parents[3]


@TWO
def test_no_compose_file(lab: Lab):
    assert "compose.yml" in refused(lab)["no_compose_file"]


@TWO
def test_invalid_yaml_is_refused(lab: Lab):
    (lab.folder / "compose.yml").write_text("services: {web: [")
    assert "compose.yml" in refused(lab)["not_yaml"]


@TWO
def test_file_without_a_mapping_is_refused(lab: Lab):
    (lab.folder / "compose.yml").write_text("just text\n")
    assert set(refused(lab)) <= {"not_compose", "refused"}


@TWO
def test_every_unset_variable_is_named(lab: Lab):
    lab.services["web"] = lab.service(environment={"A": "${NOBODY}", "B": "${SET_THIS}", "C": "${WITH:-default}"})
    lab.write()
    with pytest.raises(BadStack) as caught:
        lab.stack().converge()
    assert sorted(problem.where for problem in caught.value.problems) == ["NOBODY", "SET_THIS"]


@TWO
def test_required_variable_is_reported_with_the_text_of_its_file(lab: Lab):
    # Also where it makes the image's name one no engine takes.
    lab.services["web"] = lab.service(
        environment={"A": "${NOBODY:?the name of somebody}"}, image="localhost/web:${NOBODY:?the name of somebody}"
    )
    lab.write()
    assert "the name of somebody" in refused(lab)["unset_variable"]


@TWO
def test_environment_of_the_caller_is_ignored(lab: Lab):
    lab.backend.environ["NOBODY"] = "from a shell"
    lab.services["web"] = lab.service(environment={"A": "${NOBODY}"})
    lab.write()
    assert "NOBODY" in refused(lab)["unset_variable"]


@TWO
def test_bad_sources_all_at_once(lab: Lab):
    (lab.folder / "inside").mkdir()
    lab.services["web"] = lab.service(
        volumes=["./relative.conf:/a", f"{lab.folder}/inside:/b", "${DATA}/nowhere:/c", "../dä ta:/d"]
    )
    lab.write()
    found = refused(lab)
    assert set(found) == {"relative_source", "source_in_deploy_dir", "no_source", "not_shipped"}
    assert not (lab.data / "nowhere").exists()
    assert not (lab.folder / "relative.conf").exists()


@TWO
def test_everything_at_once(lab: Lab):
    """Also what the tools themselves stop at: the first variable that is required, the first env_file."""
    (lab.folder / "ctx" / "docker").mkdir(parents=True)
    (lab.folder / "ctx" / "docker" / "Dockerfile").write_text("FROM scratch\n")
    (lab.folder / "ctx" / "docker" / ".dockerignore").write_text("x\n")
    (lab.folder / "inside").mkdir()
    lab.top["secrets"] = {"password": {"file": "./password"}}
    lab.services.update(
        web=lab.service(
            environment={"A": "${ONE:?}", "B": "${TWO:?the second}", "C": "${THREE}"},
            env_file=["gone.env", "also-gone.env"],
            ports=["8080:80"],
            volumes=["${DATA}/nowhere:/a", "./migrations:/b:ro", "../relative:/c", f"{lab.folder}/inside:/d"],
            secrets=["password"],
        ),
        other=lab.service(ports=["8080:80"], env_file=["other.env"]),
        built=lab.service(image="localhost/obx-built:1", build="./nothing"),
        plain=lab.service(image="localhost/obx-plain:1", build="./inside"),
        outside=lab.service(
            image="localhost/obx-outside:1", build={"context": "./inside", "dockerfile": "../compose.yml"}
        ),
        beside=lab.service(
            image="localhost/obx-beside:1", build={"context": "./ctx", "dockerfile": "docker/Dockerfile"}
        ),
    )
    lab.write()
    (lab.folder / ".env").chmod(0o644)
    with pytest.raises(BadStack) as caught:
        lab.stack(required_env=("REDIS_HOST",)).converge()
    said = [(problem.code, problem.where, problem.message) for problem in caught.value.problems]
    assert sorted(where for code, where, _message in said if code == "unset_variable") == ["ONE", "THREE", "TWO"]
    assert any("the second" in message for _code, where, message in said if where == "TWO")
    missing = " ".join(message for code, _where, message in said if code == "no_env_file")
    assert all(name in missing for name in ("/gone.env", "/also-gone.env", "/other.env"))
    assert {code for code, _where, _message in said} == {
        "unset_variable",
        "required_env",
        "env_file_mode",
        "no_env_file",
        "no_source",
        "not_shipped",
        "relative_source",
        "source_in_deploy_dir",
        "public_port",
        "port_twice",
        "no_context",
        "no_dockerfile",
        "dockerfile_outside",
        "dockerignore_elsewhere",
    }
    assert "variable-that-is-not-set" not in str(caught.value)
    assert lab.containers() == {}


@TWO
def test_port_of_a_process_is_refused(lab: Lab):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        lab.services["web"] = lab.service(ports=[f"127.0.0.1:{number}:80"])
        lab.write()
        assert f"(pid {os.getpid()})" in refused(lab)["port_taken"]


def test_port_of_another_stack_is_refused(make_lab):
    number = ports.claim()
    first, second = make_lab("docker+2.40"), make_lab("docker+2.40")
    first.services["web"] = first.service("exec httpd -f -p 80", ports=[f"127.0.0.1:{number}:80"])
    first.deploy()
    second.services["web"] = second.service(ports=[f"127.0.0.1:{number}:80"])
    second.write()
    assert f"of stack {first.project}" in refused(second)["port_taken"]
    assert all(row == ("keep", ()) for row in first.plan().values())


@TWO
def test_two_stacks_with_one_name(lab: Lab, tmp_path: pathlib.Path):
    lab.services["web"] = lab.service()
    lab.deploy()
    before = lab.states()
    other = tmp_path / "other"
    other.mkdir()
    for name in ("compose.yml", ".env"):
        (other / name).write_bytes((lab.folder / name).read_bytes())
    (other / ".env").chmod(0o600)
    with pytest.raises(BadStack, match="were deployed from"):
        lab.stack(project_dir=str(other)).converge()
    with pytest.raises(BadStack, match="were deployed from"):
        lab.stack(project_dir=str(other), state="absent").converge()
    assert lab.states() == before


@TWO
def test_moved_project_is_adopted_on_request(lab: Lab, tmp_path: pathlib.Path):
    (lab.folder / "conf").write_text("one")
    lab.services["web"] = lab.service(volumes=["./conf:/etc/conf:ro"])
    lab.deploy()
    lab.folder = lab.folder.rename(tmp_path / "moved")
    lab.write()
    row = lab.info(adopt=True)["plan"][0]
    assert (row["action"], row["reasons"]) == ("recreate", ["source_moved"])
    lab.deploy(adopt=True)
    assert lab.containers()["web"][0].mounts[0].source == str(lab.folder / "conf")


@TWO
def test_unhealthy_service_fails_with_its_last_lines_and_keeps_its_data(lab: Lab):
    lab.services["db"] = lab.service("echo kept >/data/file; sleep 1000", volumes=["${DATA}:/data"])
    lab.deploy()
    lab.services["db"] = lab.service(
        "echo cannot open the journal; sleep 1000",
        volumes=["${DATA}:/data"],
        healthcheck={"test": ["CMD", "false"], "interval": "1s", "retries": 1},
    )
    lab.services["fine"] = lab.service()
    lab.write()
    result = lab.stack().converge()
    assert result["failed"] is True
    assert result["changed"] is True
    assert "service db its healthcheck fails" in result["msg"]
    assert "cannot open the journal" in result["msg"]
    assert "service fine" not in result["msg"]
    assert (lab.data / "file").read_text() == "kept\n"


@TWO
def test_service_that_ends_is_explained(lab: Lab):
    lab.services["web"] = lab.service("echo no such table >&2; exit 3", restart="on-failure")
    lab.write()
    result = lab.stack().converge()
    assert "service web" in result["msg"]
    assert "exit code 3" in result["msg"]
    assert "no such table" in result["msg"]


@TWO
def test_dependencies_are_awaited_and_a_failed_one_stops_the_rest(lab: Lab):
    lab.services["migrate"] = lab.service("sleep 1; echo migrating; exit 4", restart="no")
    lab.services["api"] = lab.service(depends_on={"migrate": {"condition": "service_completed_successfully"}})
    lab.write()
    result = lab.stack().converge()
    assert "migrate" in result["msg"]
    assert not any(row.running for row in lab.containers().get("api", ()))
    lab.services["migrate"] = lab.service("sleep 1; exit 0", restart="no")
    lab.deploy()
    api, migrate = lab.containers()["api"][0], lab.containers()["migrate"][0]
    assert api.running
    assert api.started_at > migrate.finished_at


@TWO
def test_missing_image_stops_nothing(lab: Lab):
    lab.services["web"] = lab.service()
    lab.deploy()
    before = lab.states()
    lab.services["web"]["image"] = "localhost:1/nobody/has-this:1"
    lab.write()
    result = lab.stack().converge()
    assert "nobody/has-this" in result["msg"]
    assert lab.states() == before
    assert result["changed"] is False


def test_unknown_engine_is_refused(make_lab):
    lab = make_lab("docker+2.40")
    lab.services["web"] = lab.service()
    lab.write()
    for call in (lambda stack: stack.converge(), lambda stack: stack.preview(tolerate_missing=True)):
        with pytest.raises(EngineError, match="engine must be one of"):
            call(lab.stack(engine="lxc"))


@pytest.fixture
def dead_socket(tmp_path: pathlib.Path) -> str:
    """A socket whose engine is gone."""
    place = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as was:
        was.bind(str(place))
    return str(place)


def test_dead_engine_is_reported(make_lab, dead_socket: str):
    lab = make_lab("docker+2.40")
    lab.services["web"] = lab.service()
    lab.write()
    with pytest.raises(EngineError, match="installed but not running"):
        lab.stack(socket=dead_socket).converge()


@TWO
def test_check_mode_without_an_engine(lab: Lab, dead_socket: str):
    lab.services["web"] = lab.service()
    lab.write()
    result = lab.stack(socket=dead_socket).preview(tolerate_missing=True)
    assert [(row["service"], row["action"]) for row in result["plan"]] == [("web", "create")]
    assert result["changed"] is True
    assert "continues without" in result["warnings"][0]


def test_check_mode_without_anything(make_lab, dead_socket: str):
    lab = make_lab("docker+2.40")
    lab.services["web"] = lab.service()
    lab.write()
    result = lab.stack(socket=dead_socket, provider_path="/nowhere/docker-compose").preview(tolerate_missing=True)
    assert (result["plan"], result["changed"]) == ([], True)
    assert any("no compose tool" in warning for warning in result["warnings"])


@TWO
def test_check_mode_before_the_files_are_there(lab: Lab, tmp_path: pathlib.Path):
    result = lab.stack(project_dir=str(tmp_path / "not yet")).preview(tolerate_missing=True)
    assert (result["plan"], result["changed"]) == ([], True)
    assert "does not exist yet" in result["warnings"][0]


@TWO
def test_check_mode_changes_nothing(lab: Lab):
    lab.services["web"] = lab.service()
    lab.write()
    assert lab.stack().preview(tolerate_missing=True)["changed"] is True
    assert lab.containers() == {}
    assert not (lab.root / "state").exists()


@TWO
def test_stopped_and_absent_leave_data_and_volumes(lab: Lab):
    lab.services["db"] = lab.service("echo kept >/data/file; sleep 1000", volumes=["${DATA}:/data", "named:/named"])
    lab.top["volumes"] = {"named": {}}
    lab.deploy()
    assert lab.stack(state="stopped").preview()["changed"] is True
    assert lab.stack(state="stopped").converge()["changed"] is True
    assert lab.stack(state="stopped").converge()["changed"] is False
    assert not lab.containers()["db"][0].running
    assert lab.stack(state="absent").converge()["changed"] is True
    assert lab.stack(state="absent").converge()["changed"] is False
    assert lab.containers() == {}
    assert lab.backend.cli("volume", "ls", "-q", "--filter", f"label=com.docker.compose.project={lab.project}")
    assert (lab.data / "file").read_text() == "kept\n"


HOLDER = """
    import dataclasses, sys, time
    sys.path[:0] = {paths!r}
    import conftest
    from ansible_collections.onebox.stack.plugins.module_utils.core import lock
    from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
    with lock.held({path!r}, purpose="state present", timeout=5, world=dataclasses.replace(World.real(), user="anna")):
        print("held", flush=True)
        time.sleep(60)
"""


def test_two_runs_at_once(make_lab):
    lab = make_lab("docker+2.40")
    lab.services["web"] = lab.service()
    lab.write()
    place = str(lab.root / "state" / lab.project / "lock")
    os.makedirs(os.path.dirname(place))
    code = textwrap.dedent(HOLDER).format(paths=[str(ROOT / "tests")], path=place)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(lock.LockHeld, match=f"process {other.pid} of user anna"):
            lab.stack(lock_timeout=0.3).converge()
        assert lab.containers() == {}
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert lab.stack(lock_timeout=5).converge()["changed"] is True
    assert lock.holder(place) == {}


RUN = """
    import sys
    sys.path[:0] = {paths!r}
    import conftest
    from compose_lab import Backend, Lab
    import pathlib
    lab = Lab.__new__(Lab)
    lab.__dict__.update({state!r})
    lab.backend = Backend(**{backend!r})
    from ansible_collections.onebox.stack.plugins.module_utils.core import process
    lab.world_run = process.run
    lab.root, lab.folder, lab.data = map(pathlib.Path, {places!r})
    lab.stack().converge()
"""


@TWO
@pytest.mark.parametrize("seconds", [0.3, 0.7, 1.1, 1.6])
def test_run_after_a_killed_run_converges(lab: Lab, seconds: float):
    for name in ("one", "two", "three"):
        lab.services[name] = lab.service(volumes=["${DATA}:/data"])
    lab.write()
    code = textwrap.dedent(RUN).format(
        paths=[str(ROOT / "tests"), str(pathlib.Path(__file__).parent)],
        state={"project": lab.project},
        backend=vars(lab.backend),
        places=[str(lab.root), str(lab.folder), str(lab.data)],
    )
    run = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL, start_new_session=True)
    time.sleep(seconds)  # the moment is what is tested: somewhere in the middle
    os.killpg(run.pid, signal.SIGKILL)
    assert run.wait() in (-signal.SIGKILL, 0)  # and not ended by an error of its own
    result = lab.stack().converge()
    assert not result.get("failed"), result["msg"]
    assert {name: len(rows) for name, rows in lab.containers().items()} == {"one": 1, "two": 1, "three": 1}
    assert all(row == ("keep", ()) for row in lab.plan().values())


def test_missing_provider_is_reported(make_lab):
    lab = make_lab("docker+2.40")
    lab.services["web"] = lab.service()
    lab.write()
    with pytest.raises(ComposeError, match="no compose tool for docker"):
        lab.stack(provider_path="/nowhere/docker-compose").converge()
