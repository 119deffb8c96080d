"""gcp-mgmt and receiver, run for real on loopback."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import os
import signal
import socket
import subprocess
import sys

import pytest
from services_97layer import CODE

JSON = {"Content-Type": "application/json"}


def post(service, body: bytes, headers: dict[str, str] | None = None):
    return service.request("POST", "/sync", body, JSON if headers is None else headers)


def stored(tmp_path) -> list:
    return sorted((tmp_path / "knowledge" / "inbox").glob("*/*.json"))


def raw_request(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


def test_status_of_the_host_works_without_ps(start, tmp_path):
    service = start("gcp_management_server.py", PORT="0", ENVIRONMENT="TEST", PATH="/nonexistent")
    code, answer = service.request("GET", "/status")
    assert code == 200
    assert answer["server"] == "running"
    assert answer["environment"] == "TEST"
    assert 0 < answer["memory"]["available_bytes"] <= answer["memory"]["total_bytes"]
    assert answer["workspace"]["path"] == str(tmp_path)
    assert answer["workspace"]["free_bytes"] > 0
    assert answer["uptime_seconds"] > 0
    own = [row for row in answer["processes"] if row["pid"] == service.process.pid]
    assert own
    assert own[0]["memory_bytes"] > 1_000_000


def test_process_names_with_parentheses_and_spaces(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(CODE))
    import gcp_management_server

    directory = tmp_path / "7"
    directory.mkdir()
    (directory / "stat").write_text("7 (a ) (b) S 1 " + " ".join(["0"] * 9) + " 150 50 " + " ".join(["0"] * 8) + " 3 0")
    (tmp_path / "8").mkdir()  # ended meanwhile
    row = gcp_management_server.processes(tmp_path)
    assert [(one["name"], one["state"], one["pid"]) for one in row] == [("a ) (b", "S", 7)]
    assert row[0]["cpu_seconds"] == 200 / os.sysconf("SC_CLK_TCK")
    assert row[0]["memory_bytes"] == 3 * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("script", ["gcp_management_server.py", "mac_realtime_receiver.py"])
def test_everything_else_is_an_error_in_json(start, script):
    service = start(script, PORT="0")
    assert service.request("GET", "/")[0] == 404
    assert "GET /status" in service.request("GET", "/elsewhere?x=1")[1]["error"]
    assert service.request("DELETE", "/status")[0] == 501
    assert raw_request(service.port, b"nonsense\r\n\r\n").startswith(b'{"error"')
    assert service.request("GET", "/status?verbose=1")[0] == 200


@pytest.mark.parametrize("script", ["gcp_management_server.py", "mac_realtime_receiver.py"])
def test_sigterm_ends_within_a_second_also_with_an_open_connection(start, script):
    service = start(script, PORT="0")
    with socket.create_connection(("127.0.0.1", service.port)):
        code, seconds = service.stop()
    assert code == 0
    assert seconds < 5, "an engine kills after 10 s"


def test_receiver_status_has_exactly_these_keys(start):
    service = start("mac_realtime_receiver.py", PORT="0")
    code, answer = service.request("GET", "/status")
    assert code == 200
    uptime = answer["stats"].pop("uptime_seconds")
    assert uptime >= 0
    assert answer == {
        "server": "running",
        "port": service.port,
        "stats": {
            "total_syncs": 0,
            "successful_syncs": 0,
            "failed_syncs": 0,
            "success_rate": 0.0,
            "total_messages": 0,
            "last_sync": None,
        },
        "notifier": "disabled",
    }


def test_message_is_stored_as_it_was_sent(start, tmp_path):
    service = start("mac_realtime_receiver.py", PORT="0")
    message = {"from": "맥북", "messages": [{"n": 1}, "둘"], "odd": "\ud800 \x00"}
    code, answer = post(service, json.dumps(message).encode())
    assert code == 201
    (path,) = stored(tmp_path)
    assert str(path).endswith(answer["stored"])
    assert json.loads(path.read_bytes())["message"] == message
    stats = service.request("GET", "/status")[1]["stats"]
    assert (stats["successful_syncs"], stats["total_messages"], stats["success_rate"]) == (1, 2, 100.0)
    assert stats["last_sync"] == json.loads(path.read_bytes())["received_at"]


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        (b"{", JSON, 400, "not JSON"),
        (b"", JSON, 400, "not JSON"),
        (b"[1]", JSON, 400, "must be a JSON object, not list"),
        (b"null", JSON, 400, "must be a JSON object"),
        (b'{"a": NaN}', JSON, 400, "NaN"),
        (b'{"messages": 3}', JSON, 400, "'messages' must be a list"),
        (b'{"a": "\xff"}', JSON, 400, "not UTF-8"),
        (b'{"a":' * 100_000, JSON, 400, "nested too deeply"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "text/plain"),
        (b"{}", {}, 415, "missing"),
        (b"{}", {**JSON, "Content-Length": "-2"}, 400, "whole number"),
        (b"{}", {**JSON, "Content-Length": "²"}, 400, "whole number"),
        (b"x" * 2_000_001, JSON, 413, "at most 2000000"),
    ],
)
def test_bad_input_is_refused_and_counted(start, tmp_path, body, headers, status, says):
    service = start("mac_realtime_receiver.py", PORT="0", MAX_BYTES="2000000")
    words = [f"{name}: {value}" for name, value in {"Content-Length": str(len(body)), **headers}.items()]
    head = "POST /sync HTTP/1.1\r\nHost: x\r\n" + "\r\n".join(words) + "\r\n\r\n"
    # Of the body that is too large only the announcement is sent: it must be refused before it is read.
    answer = raw_request(service.port, head.encode("latin-1") + (b"" if status == 413 else body))
    first, unused, rest = answer.partition(b"\r\n")
    assert int(first.split()[1]) == status
    assert says in json.loads(rest.partition(b"\r\n\r\n")[2])["error"]
    assert stored(tmp_path) == []
    stats = service.request("GET", "/status")[1]["stats"]
    assert (stats["failed_syncs"], stats["total_syncs"], stats["success_rate"]) == (1, 1, 0.0)


def test_no_length_and_a_body_that_ends_early(start, tmp_path):
    service = start("mac_realtime_receiver.py", PORT="0")
    head = b"POST /sync HTTP/1.1\r\nContent-Type: application/json\r\n"
    assert b" 411 " in raw_request(service.port, head + b"\r\n{}")
    assert b"after 3 of 10 bytes" in raw_request(service.port, head + b"Content-Length: 10\r\n\r\n{}\n")
    assert stored(tmp_path) == []


def test_counts_survive_a_restart_even_a_hard_one(start, tmp_path):
    service = start("mac_realtime_receiver.py", PORT="0")
    post(service, b"{}")
    post(service, b"[]")
    before = service.request("GET", "/status")[1]["stats"]
    service.process.send_signal(signal.SIGKILL)
    service.process.wait()
    after = start("mac_realtime_receiver.py", PORT="0").request("GET", "/status")[1]["stats"]
    for stats in (before, after):
        stats.pop("uptime_seconds")
    assert before == after
    assert after["total_syncs"] == 2


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"total_syncs": "x"}'])
def test_unreadable_counts_start_again(start, tmp_path, broken):
    service = start("mac_realtime_receiver.py", PORT="0")
    post(service, b"{}")
    service.stop()
    (tmp_path / "knowledge/inbox/.stats.json").write_bytes(broken)
    stats = start("mac_realtime_receiver.py", PORT="0").request("GET", "/status")[1]["stats"]
    assert stats["successful_syncs"] == 1


def test_two_hundred_messages_at_once_are_all_kept_once(start, tmp_path):
    service = start("mac_realtime_receiver.py", PORT="0")
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda n: post(service, json.dumps({"n": n}).encode()), range(200)))
    assert {code for code, unused in answers} == {201}
    assert len({answer["stored"] for unused, answer in answers}) == 200
    assert sorted(json.loads(path.read_bytes())["message"]["n"] for path in stored(tmp_path)) == list(range(200))
    assert service.request("GET", "/status")[1]["stats"]["total_messages"] == 200


def test_message_answered_201_survives_sigterm(start, tmp_path):
    service = start("mac_realtime_receiver.py", PORT="0")
    kept: list[str] = []

    def send(n: int) -> None:
        try:
            code, answer = post(service, json.dumps({"n": n}).encode())
        except (OSError, http.client.HTTPException):
            return  # it has ended: nothing was promised
        if code == 201:
            kept.append(answer["stored"])
        if len(kept) == 20:
            service.process.send_signal(signal.SIGTERM)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(300)))
    assert service.process.wait(timeout=5) == 0
    assert len(kept) >= 20
    for name in kept:
        json.loads((tmp_path / "knowledge" / "inbox" / name).read_bytes())
    assert not list((tmp_path / "knowledge").rglob(".tmp-*"))


def test_unwritable_workspace_is_a_clear_end(start, tmp_path):
    service = start("mac_realtime_receiver.py", listens=False, WORKSPACE=str(tmp_path / "gone"))
    service.wait_line("is not a directory: is it mounted")
    assert service.process.wait(timeout=5) == 1
    service = start("mac_realtime_receiver.py", listens=False, PORT="http")
    service.wait_line("PORT must be a whole number from 0 on, not 'http'")


def test_healthcheck_goes_past_proxies(start):
    service = start("gcp_management_server.py", PORT="0")
    check = [sys.executable, str(CODE / "service.py")]
    environment = {"http_proxy": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1"}
    url = f"http://127.0.0.1:{service.port}"
    assert subprocess.run([*check, f"{url}/status"], env=environment, check=False).returncode == 0
    assert subprocess.run([*check, f"{url}/other"], env=environment, check=False, stderr=-1).returncode == 1
    service.stop()
    assert subprocess.run([*check, f"{url}/status"], env=environment, check=False, stderr=-1).returncode == 1
