"""Expected mounts compared with existing ones; engines that create sources; containers that do not run."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import NotFound, SocketEngine
from mounts_lab import Lab, proof


def expect(row: dict[str, t.Any], verdict: str, fix: str) -> str:
    assert (row["verdict"], row["fix"]) == (verdict, fix), row
    return str(row["message"])


def test_expected_mount_that_is_missing(lab: Lab) -> None:
    data, other = lab.directory("data"), lab.directory("other")
    name = lab.run("-v", f"{data}:/data")
    result = lab.proof(
        name,
        expected=[
            {"container": name, "source": str(data), "destination": "/data"},
            {"container": name, "source": str(other), "destination": "/app/logs"},
        ],
    )
    assert not result["ok"]
    expect(result["containers"][0]["mounts"][1], "missing", "recreate")
    (missing,) = result["missing_mounts"]
    assert (missing["container"], missing["source"], missing["destination"]) == (name, str(other), "/app/logs")
    again = lab.run(
        "-v", f"{data}:/data", "-v", f"{other}:/app/logs"
    )  # the fix, done: created again from the right file
    expected = [{"container": again, "source": str(other), "destination": "/app/logs"}]
    expect(lab.verdict(again, "/app/logs", expected=expected), "ok", "none")


def test_expected_service_without_a_container(lab: Lab) -> None:
    name = lab.run("-v", f"{lab.directory('data')}:/data")
    result = lab.proof(name, expected=[{"service": "worker", "source": "/srv/x", "destination": "/x"}])
    assert not result["ok"]
    assert result["missing_mounts"][0]["service"] == "worker"


def test_wrong_source_names_lookalike_directories(lab: Lab) -> None:
    deployed, sibling = lab.directory("app/data"), lab.directory("app-data/data")
    name = lab.run("-v", f"{sibling}:/data")
    message = expect(
        lab.verdict(name, expected=[{"container": name, "source": str(deployed), "destination": "/data"}]),
        "wrong_source",
        "recreate",
    )
    assert "look-alike directories" in message
    assert str(deployed) in message
    assert str(sibling) in message


def test_another_path_to_the_same_directory_is_right(lab: Lab) -> None:
    data = lab.directory("data")
    (lab.folder / "link").symlink_to("data")
    name = lab.run("-v", f"{data}:/data")
    expected = [{"container": name, "source": f"{lab.folder}/link/", "destination": "/data/"}]
    expect(lab.verdict(name, expected=expected), "ok", "none")


def test_expected_mode_differs(lab: Lab) -> None:
    data = lab.directory("data")
    name = lab.run("-v", f"{data}:/data")
    expected = [{"container": name, "source": str(data), "destination": "/data", "read_only": True}]
    expect(lab.verdict(name, expected=expected), "ro_rw_mismatch", "recreate")


def test_empty_directory_to_write_to_is_fine_though_the_image_has_files_there(lab: Lab) -> None:
    name = lab.run("-v", f"{lab.directory('site')}:/shipped")
    expect(lab.verdict(name, "/shipped"), "ok", "none")


def test_directory_that_must_not_be_empty(lab: Lab) -> None:
    data = lab.directory("data")
    name = lab.run("-v", f"{data}:/data")
    expected = [{"container": name, "source": str(data), "destination": "/data", "not_empty": True}]
    expect(lab.verdict(name, expected=expected), "empty_unexpected", "edit_compose")
    (data / "journal").touch()
    expect(lab.verdict(name, expected=expected), "ok", "none")


def test_empty_directory_that_hides_files_of_the_image(lab: Lab) -> None:
    data = lab.directory("site")
    name = lab.run("-v", f"{data}:/shipped:ro")
    assert "image" in expect(lab.verdict(name, "/shipped"), "empty_unexpected", "edit_compose")
    (data / "index.html").touch()
    expect(lab.verdict(name, "/shipped"), "ok", "none")


def test_missing_source_is_made_by_docker_at_start(docker_lab: Lab) -> None:
    lab = docker_lab
    name = lab.run("-v", f"{lab.folder}/typo:/data")
    expect(lab.verdict(name), "auto_created", "edit_compose")
    # Removed while the container is stopped, it is created again at the next start.
    lab.cli("stop", "-t", "0", name)
    os.rmdir(lab.folder / "typo")
    lab.cli("start", name)
    expect(lab.verdict(name), "auto_created", "edit_compose")
    # A directory created manually while the container runs, and then the restart that the stale mount needs.
    os.rmdir(lab.folder / "typo")
    lab.directory("typo")
    lab.restart(name)
    expect(lab.verdict(name), "ok", "none")


def test_missing_file_becomes_a_directory_on_docker(docker_lab: Lab) -> None:
    name = docker_lab.run("-v", f"{docker_lab.folder}/app.yml:/etc/app.yml")
    expect(docker_lab.verdict(name, "/etc/app.yml"), "type_mismatch", "recreate")


@pytest.fixture
def podman_api(podman_lab: Lab, tmp_path: pathlib.Path) -> t.Iterator[tuple[Lab, str]]:
    """Podman's API on a socket of its own: only there does Podman make up missing sources."""
    path = tmp_path / "podman.sock"
    service = subprocess.Popen(["podman", "system", "service", "--time", "0", f"unix://{path}"])
    try:
        podman_lab.until(path.exists)
        yield podman_lab, str(path)
    finally:
        service.send_signal(signal.SIGTERM)
        service.wait(20)


@pytest.mark.parametrize(("source", "verdict"), [("typo", "auto_created"), ("app.yml", "type_mismatch")])
def test_missing_source_is_made_by_podmans_api(podman_api: tuple[Lab, str], source: str, verdict: str) -> None:
    lab, path = podman_api
    name = lab.create_by_api(path, "-v", f"{lab.folder}/{source}:/etc/{source}")
    lab.cli("start", name)
    assert lab.verdict(name, f"/etc/{source}")["verdict"] == verdict
    (report,) = proof(SocketEngine(path), names=[name])["containers"]
    assert report["mounts"][0]["verdict"] == verdict, report


def test_expected_file_that_is_a_directory(lab: Lab) -> None:
    data = lab.directory("conf")
    name = lab.run("-v", f"{data}:/data")
    expected = [{"container": name, "source": str(data), "destination": "/data", "type": "file"}]
    expect(lab.verdict(name, expected=expected), "type_mismatch", "recreate")


def test_mounts_taken_from_another_container_and_by_the_mount_option(lab: Lab) -> None:
    data = lab.directory("data")
    first = lab.run("--mount", f"type=bind,source={data},target=/data")
    second = lab.run("--volumes-from", first)
    for name in (first, second):
        expect(lab.verdict(name), "ok", "none")
    data.rename(lab.folder / "old")
    lab.directory("data")
    for name in (first, second):
        expect(lab.verdict(name), "stale_renamed", "restart")


@pytest.mark.parametrize("odd", ["with space", "back\\slash", "new\nline", "ünï‑cødé", "tab\tand'quote", "esc\x1b[31m"])
def test_odd_names_are_proven(lab: Lab, odd: str) -> None:
    data = lab.directory(odd)
    quoted = str(data).replace('"', '""')
    name = lab.run("--mount", f'type=bind,"source={quoted}",target=/data')
    expect(lab.verdict(name), "ok", "none")
    data.rename(lab.folder / "moved")
    lab.directory(odd)
    message = expect(lab.verdict(name), "stale_renamed", "restart")
    assert message.isprintable()
    json.dumps(lab.proof(name)).encode("utf-8")


def test_container_that_does_not_run(lab: Lab) -> None:
    data = lab.directory("data")
    created = lab.create("-v", f"{data}:/data")
    expect(lab.verdict(created), "not_running", "restart")
    ended = lab.run("-v", f"{data}:/data", argv=("/bin/sh", "-c", "exit 3"), wait=False)
    lab.until(lambda: lab.cli("inspect", "-f", "{{.State.Status}}", ended) == "exited")
    assert "exit code 3" in expect(lab.verdict(ended), "not_running", "restart")
    assert not lab.proof(ended)["ok"]
    assert f"{lab.name} start {created}" in lab.verdict(created)["message"]
    lab.cli("start", created)  # the fix, done
    lab.until(lambda: lab.comm(created) == "sleep")
    expect(lab.verdict(created), "ok", "none")


def test_finished_one_shot_is_accepted_by_name(lab: Lab) -> None:
    name = lab.run("-v", f"{lab.directory('data')}:/data", argv=("/bin/sh", "-c", "exit 0"), wait=False)
    lab.until(lambda: lab.cli("inspect", "-f", "{{.State.Status}}", name) == "exited")
    assert not lab.proof(name)["ok"]
    assert lab.proof(name, one_shots=[name])["ok"]


def test_paused_container_is_reported_as_paused(docker_lab: Lab) -> None:
    """Docker only: Podman needs a cgroup v2 freezer or systemd for pausing."""
    name = docker_lab.run("-v", f"{docker_lab.directory('data')}:/data")
    docker_lab.cli("pause", name)
    assert "unpause" in expect(docker_lab.verdict(name), "paused", "none")
    docker_lab.cli("unpause", name)


def test_container_that_keeps_restarting(docker_lab: Lab) -> None:
    """Docker only: it has a state for it; Podman restarts at once and shows running or exited."""
    data = docker_lab.directory("data")
    name = docker_lab.run("-v", f"{data}:/data", "--restart", "always", argv=("/bin/sh", "-c", "exit 1"), wait=False)
    docker_lab.until(lambda: docker_lab.cli("inspect", "-f", "{{.State.Status}}", name) == "restarting")
    row = docker_lab.verdict(name)
    assert row["verdict"] in ("not_running", "unverifiable"), row
    assert row["verdict"] != "ok"


def test_unknown_container_is_an_error_that_names_it(lab: Lab) -> None:
    with pytest.raises(NotFound, match="obx-mounts-nobody"):
        lab.proof("obx-mounts-nobody")


def test_project_without_containers_is_not_ok(lab: Lab) -> None:
    result = proof(lab.engine, project="obx-mounts-none")
    assert not result["ok"]
    assert "obx-mounts-none" in result["message"]


def test_project_and_service_are_found_by_label(lab: Lab) -> None:
    data = lab.directory("data")
    project = f"obx-mounts-{os.getpid()}"
    labels = ("--label", f"com.docker.compose.project={project}", "--label", "com.docker.compose.service=web")
    name = lab.run("-v", f"{data}:/data", *labels)
    result = proof(
        lab.engine, project=project, expected=[{"service": "web", "source": str(data), "destination": "/data"}]
    )
    assert result["ok"], result["table"]
    assert [one["name"] for one in result["containers"]] == [name]
    assert result["containers"][0]["service"] == "web"
