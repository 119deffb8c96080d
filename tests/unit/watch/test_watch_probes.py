# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to the outside: bounded, and with real files, processes and TLS servers."""

from __future__ import annotations

import json
import os
import pathlib
import ssl
import subprocess
import threading
import time
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup.state import State
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import history
from ansible_collections.onebox.stack.plugins.module_utils.core.process import Result
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import parse_inspect
from ansible_collections.onebox.stack.plugins.module_utils.watch.config import Stack
from ansible_collections.onebox.stack.plugins.module_utils.watch.probe import host, records
from ansible_collections.onebox.stack.plugins.module_utils.watch.probe import stack as stack_probe
from ansible_collections.onebox.stack.plugins.module_utils.watch.probe.bounded import Bounded

WORLD = World.real()


def hang() -> dict[str, t.Any]:
    time.sleep(60)
    return {}


def test_probe_that_hangs_becomes_an_error_in_time() -> None:
    began = time.monotonic()
    bounded = Bounded(30, WORLD)
    found = bounded.ask("mounts shop", hang, 0.6)
    assert found["hung"] is True
    assert "no answer within" in found["error"]
    assert bounded.cut_short == ["mounts shop"]
    assert time.monotonic() - began < 20


def test_probes_after_the_budget_are_not_made() -> None:
    bounded = Bounded(0.0, WORLD)
    assert "used up" in bounded.ask("disk /", lambda: {"total": 1}, 5)["error"]


def test_probe_that_fails_says_why() -> None:
    def fail() -> dict[str, t.Any]:
        raise FileNotFoundError(2, "No such file", "/x")

    assert Bounded(5, WORLD).ask("x", fail, 5) == {"error": "[Errno 2] No such file: '/x'"}
    assert Bounded(5, WORLD).ask("x", lambda: {"total": 1}, 5) == {"total": 1}


def test_room_of_a_real_filesystem(tmp_path: pathlib.Path) -> None:
    found = host.disk(str(tmp_path))
    assert 0 < found["free"] <= found["total"]
    assert host.disk(str(tmp_path / "none")) == {"path": str(tmp_path / "none"), "error": "No such file or directory"}


def test_clock_of_this_host_is_known() -> None:
    assert host.clock(WORLD).get("synchronised") in (True, False, None)


UNITS = """\
onebox-backup-shop-backup.service loaded failed failed Back up shop
onebox-backup-shop-backup.timer   loaded inactive dead Back up shop
onebox-verify-shop.service        loaded inactive dead Prove the mounts
onebox-verify-shop.timer          loaded active waiting Prove the mounts
onebox-gone.service               not-found inactive dead onebox-gone.service
"""
ENABLED = "onebox-backup-shop-backup.timer enabled enabled\nonebox-verify-shop.timer enabled enabled\n\n"


def test_failed_units_and_stopped_timers_are_found() -> None:
    assert host.parse_units(UNITS, ENABLED) == {
        "failed": ["onebox-backup-shop-backup.service"],
        "stopped": ["onebox-backup-shop-backup.timer"],
        "seen": 5,
    }


def test_timer_that_is_enabled_and_not_loaded_is_stopped() -> None:
    assert host.parse_units("", ENABLED)["stopped"] == ["onebox-backup-shop-backup.timer", "onebox-verify-shop.timer"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[tuple[int, str]]:
    """A TLS server for localhost whose certificate ends in 10 days: its port and its authority's file."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "10", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    import socket

    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            try:
                raw, _address = listener.accept()
                context.wrap_socket(raw, server_side=True).close()
            except OSError:
                continue

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1], str(certificate)
    done.set()
    listener.close()


def test_end_of_a_certificate_is_read_from_the_server(server: tuple[int, str]) -> None:
    port, authority = server
    found = host.certificate("localhost", port, authority)
    assert found["expires"] == pytest.approx(time.time() + 10 * 86400, abs=3600)


def test_certificate_of_an_unknown_authority_is_not_valid(server: tuple[int, str]) -> None:
    assert "self-signed" in host.certificate("localhost", server[0])["certificate_error"]


def test_certificate_of_another_host_is_not_valid(server: tuple[int, str]) -> None:
    assert "mismatch" in host.certificate("127.0.0.1", *server)["certificate_error"]


def test_server_that_does_not_listen_has_no_certificate() -> None:
    assert host.certificate("localhost", 1) == {}


@pytest.fixture
def declared(tmp_path: pathlib.Path) -> Stack:
    path = tmp_path / "shop.json"
    body = {"state_dir": str(tmp_path / "state"), "max_age_hours": 26, "offsite": {"path": "sftp:x"}}
    path.write_text(json.dumps(body))
    return Stack("shop", state_dir=str(tmp_path), backup=str(path))


def test_notes_of_the_backup_runner_are_read(declared: Stack, tmp_path: pathlib.Path) -> None:
    """Written by the runner's own class, so that both mean the same files."""
    state = State(str(tmp_path / "state"))
    state.prepare()
    state.committed(7, "local")
    state.write("last-backup", {"ended": 100.0, "error": "", "offsite": {"lag": 2, "error": "no route"}})
    state.write("last-rehearsal-local", {"at": 90.0, "ok": False, "error": "set 7 (local) differs after its restore"})
    state.add_evidence("local", 6, {"at": 80.0, "ok": True})
    state.add_evidence("local", 7, {"at": 90.0, "ok": False})
    state.add_evidence("offsite", 5, {"at": 70.0, "ok": True})
    state.write("last-check", {"at": 95.0, "error": "pack 3f is damaged"})
    found = records.backup(declared)
    assert found["committed"] == pytest.approx(time.time(), abs=60)
    assert (found["seq"], found["last_run"], found["max_age_hours"]) == (7, {"at": 100.0, "error": ""}, 26)
    assert found["offsite"] == {"lag": 2, "error": "no route", "at": 100.0}
    assert found["check_error"] == "pack 3f is damaged"
    local = found["rehearsals"]["local"]
    assert [(run["seq"], run["ok"]) for run in local["runs"]] == [(6, True), (7, False)]
    assert local["last"]["error"] == "set 7 (local) differs after its restore"
    assert [run["seq"] for run in found["rehearsals"]["offsite"]["runs"]] == [5]


def test_backup_that_never_ran_has_no_data(declared: Stack) -> None:
    found = records.backup(declared)
    assert (found["last_run"], found["committed"], found["offsite"]["lag"]) == ({}, 0.0, None)


def test_missing_declaration_is_an_error() -> None:
    assert "no backup declaration" in records.backup(Stack("shop", backup="/none.json"))["error"]


def test_history_that_deploys_write_is_read(declared: Stack) -> None:
    history.append(declared.folder, {"at": "2026-11-29T03:15:00Z", "ok": True})
    with open(os.path.join(declared.folder, "history.jsonl"), "a") as stream:
        stream.write("{damaged\n3\n")
    assert records.history(declared) == [{"at": "2026-11-29T03:15:00Z", "ok": True}]


def answer(stdout: str, stderr: str = "") -> World:
    return World(**{**vars(WORLD), "run": lambda argv, **options: Result(tuple(argv), 0, stdout, stderr, 0.1)})


def test_plan_keeps_only_what_a_deploy_would_change() -> None:
    rows = [{"service": "a", "action": "keep", "reasons": [], "diff": {}}, {"service": "b", "action": "recreate"}]
    found = records.plan(Stack("shop", plan=("p",)), answer(json.dumps({"plan": rows, "problems": []})))
    assert [row["service"] for row in found["rows"]] == ["b"]


@pytest.mark.parametrize("text", ["", "{", '{"failed": true, "msg": "no compose tool"}', "[]"])
def test_plan_that_is_none_is_an_error(text: str) -> None:
    assert records.plan(Stack("shop", plan=("p",)), answer(text))["error"]


def test_launch_state_is_read(tmp_path: pathlib.Path) -> None:
    (tmp_path / "vm.json").write_text(json.dumps({"name": "vm", "attempts": 9, "ended": "LimitExceeded"}))
    found = records.launch(str(tmp_path / "vm.json"))
    assert (found["attempts"], found["ended"], found["captured"]) == (9, "LimitExceeded", False)


INSPECT = {
    "Id": "c0",
    "Name": "/shop-web-1",
    "Created": "2026-11-28T10:00:00.123456789Z",
    "RestartCount": 2,
    "LogPath": "/var/lib/docker/containers/c0/c0-json.log",
    "State": {
        "Status": "running",
        "Pid": 0,
        "Health": {"Status": "unhealthy", "Log": [{"Output": "old"}, {"Output": "connection refused\n"}]},
    },
    "Config": {"Labels": {"com.docker.compose.service": "web"}},
    "HostConfig": {"LogConfig": {"Type": "json-file", "Config": {}}, "RestartPolicy": {"Name": "always"}},
}


@pytest.mark.parametrize(
    ("log", "bounded"),
    [
        ({"Type": "json-file", "Config": {}}, False),
        ({"Type": "json-file", "Config": {"max-size": "10m"}}, True),
        ({"Type": "json-file", "Config": {"max-size": "-1"}}, False),
        ({"Type": "journald", "Config": {}}, True),
        ({"Type": "local", "Config": {}}, True),
    ],
)
def test_container_is_reduced_to_facts(log: dict[str, t.Any], bounded: bool) -> None:
    container = parse_inspect({**INSPECT, "HostConfig": {**INSPECT["HostConfig"], "LogConfig": log}})  # type: ignore[dict-item]
    found = stack_probe._container(container, 5.0)
    assert (found["service"], found["health"], found["health_output"]) == ("web", "unhealthy", "connection refused")
    assert found["log"]["bounded"] is bounded
    assert (found["restarts"], found["policy"], found["image_created"]) == (2, "always", 5.0)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="only Linux has /proc")
@pytest.mark.parametrize(("limit", "bounded"), [("1048576", True), ("-1", False), ("", False)])
def test_log_of_podman_is_bounded_by_the_limit_of_the_process_that_writes_it(limit: str, bounded: bool) -> None:
    """Podman's API reports none. Here a shell with conmon's arguments is the parent of the container's process."""
    words = ["--log-size-max", limit] if limit else []
    script = "sleep 60 & echo $!; wait"
    with subprocess.Popen(["sh", "-c", script, "conmon", *words], stdout=subprocess.PIPE, text=True) as conmon:
        assert conmon.stdout is not None
        pid = int(conmon.stdout.readline())
        made = {"Id": "a", "State": {"Pid": pid}, "HostConfig": {"LogConfig": {"Type": "json-file", "Config": None}}}
        log = stack_probe.log(parse_inspect(made))
        os.kill(pid, 9)
    assert log["bounded"] is bounded
