"""oci_capacity_launch as a user runs it: ansible-playbook, the real SDK, and the simulated cloud on loopback."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import typing as t

import pytest

pytest.importorskip("oci.base_client", reason="Oracle's SDK is not installed (requirements-oci.txt)")

import yaml
from ansible_collections.onebox.stack.plugins.module_utils.oci import options
from oci_server import Server
from oci_signature import TestAccount
from oci_simulation import KEY
from oci_world import COMPARTMENT, IMAGE, SUBNET

ROOT = pathlib.Path(__file__).resolve().parents[3]


class Play:
    """Runs one task and returns its result as data."""

    def __init__(self, folder: pathlib.Path, server: Server, account: TestAccount) -> None:
        self.folder = folder
        self.state = folder / "state.json"
        self.args: dict[str, t.Any] = {
            "name": "coinpilot-ins",
            "compartment_id": COMPARTMENT,
            "subnet_id": SUBNET,
            "image_id": IMAGE,
            "ssh_public_key": KEY,
            "config_file": str(account.config_file),
            "endpoint": server.endpoint,
            "state_file": str(self.state),
            "capacity_interval": 0.5,
            "throttle_base": 0.5,
            "throttle_max": 1,
            "jitter_max": 0,
            "interval_floor": 0.5,
        }

    def start(self, *words: str, **changes: t.Any) -> subprocess.Popen[str]:
        return self.start_tasks([self.task("", changes, ignore=False)], *words)

    def task(self, number: int | str, changes: dict[str, t.Any], ignore: bool = True) -> list[dict[str, t.Any]]:
        """The launch, and a task that writes its result as JSON."""
        args = {key: value for key, value in {**self.args, **changes}.items() if value is not None}
        return [
            {
                "name": "Launch",
                "onebox.stack.oci_capacity_launch": args,
                "register": "launch",
                "ignore_errors": ignore,
            },
            {
                "name": "Keep the result",
                "ansible.builtin.copy": {
                    "content": "{{ launch | to_json }}",
                    "dest": str(self.folder / f"result{number}.json"),
                    "mode": "0600",
                },
                "check_mode": False,
            },
        ]

    def start_tasks(self, tasks: list[list[dict[str, t.Any]]], *words: str) -> subprocess.Popen[str]:
        play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": sum(tasks, [])}
        path = self.folder / "play.yml"
        path.write_text(yaml.safe_dump([play]))
        environ = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        command = [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), str(path), *words]
        return subprocess.Popen(
            command, cwd=ROOT, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def run(self, *words: str, **changes: t.Any) -> tuple[int, str, dict[str, t.Any]]:
        (self.folder / "result.json").unlink(missing_ok=True)
        process = self.start(*words, **changes)
        out, unused = process.communicate(timeout=90)
        result = self.folder / "result.json"
        return process.returncode, out, json.loads(result.read_text()) if result.exists() else {}


@pytest.fixture
def play(tmp_path: pathlib.Path, server: Server, account: TestAccount) -> Play:
    return Play(tmp_path, server, account)


def wait_until(condition: t.Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.02)


def test_check_launch_repeat_and_terminate(play: Play, server: Server) -> None:
    server.world.script[:] = ["cap", "cap-console-text", "429:1", "reset-after-create"]
    code, out, result = play.run("--check", "--diff", user_data="top secret")
    assert code == 0
    assert server.posts() == 0
    assert result["changed"]
    assert result["request"]["shapeConfig"] == {"ocpus": 2, "memoryInGBs": 12}
    assert '"memoryInGBs": 12' in out
    assert not play.state.exists()

    code, out, result = play.run()
    assert code == 0, out
    assert result["changed"]
    assert result["captured"]
    assert result["attempts"] == 4 == server.posts()
    assert result["instance"]["public_ip"] == "203.0.113.10"
    assert re.search(r"attempt 1: requesting 2 OCPU / 12 GB in Uocm:AP-CHUNCHEON-1-AD-1\n", out)
    assert "out of capacity; " in out
    assert "too many requests; next request at " in out
    assert "outcome unknown" in out
    assert len(server.world.instances) == 1

    for words in ((), ("--check",)):
        code, out, result = play.run(*words)
        assert (code, result["changed"], result["captured"]) == (0, False, True)
    assert server.posts() == 4

    (one,) = server.world.alive()
    for words, confirm in (((), ""), ((), "coinpilot-ins"), (("--check",), ""), (("--check",), "coinpilot-ins")):
        code, out, result = play.run(*words, state="absent", confirm=confirm)
        assert code == 2
        assert "Nothing was done" in out
        assert f"set confirm: {one.id} (with the role: oci_instance_confirm: {one.id})" in out
    assert server.world.alive() == [one]
    assert play.state.exists()
    code, out, result = play.run("--check", state="absent", confirm=one.id)
    assert (code, result["changed"], len(server.world.alive())) == (0, True, 1)
    code, out, result = play.run(state="absent", confirm=one.id)
    assert (code, result["changed"]) == (0, True)
    assert server.world.alive() == []
    assert not play.state.exists()
    for confirm in (one.id, "coinpilot-ins"):
        code, out, result = play.run(state="absent", confirm=confirm)
        assert (code, result["changed"]) == (0, False)


def test_name_terminates_an_instance_that_never_ran(play: Play, server: Server) -> None:
    server.world.boot_seconds = 3600
    process = play.start()
    wait_until(lambda: play.state.exists() and json.loads(play.state.read_text())["instance"] is not None)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    (one,) = server.world.alive()
    code, out, result = play.run("--check", state="absent")
    assert code == 2
    assert "set confirm: coinpilot-ins (with the role: oci_instance_confirm: coinpilot-ins)" in out
    code, out, result = play.run("--check", state="absent", confirm="coinpilot-ins")
    assert (code, result["changed"], server.world.alive()) == (0, True, [one])
    code, out, result = play.run(state="absent", confirm="coinpilot-ins")
    assert (code, result["changed"], server.world.alive()) == (0, True, [])
    assert not play.state.exists()


def test_confirm_with_an_ocid_terminates_only_that_instance(play: Play, server: Server) -> None:
    code, out, result = play.run()
    assert code == 0, out
    first = result["instance"]["id"]
    body = server.world.instances[first].body
    second = server.world._create(body, "ok", 0).id
    wait_until(lambda: server.world.status(server.world.instances[second]) == "RUNNING")
    # The second instance is reported on every run, and neither is terminated.
    code, out, result = play.run()
    assert (code, result["captured"], result["instance"]["id"]) == (0, True, first)
    assert second in out
    assert f"confirm: {second}" in " ".join(result["warnings"])
    assert len(server.world.alive()) == 2

    code, out, result = play.run(state="absent", confirm=second)
    assert (code, result["changed"], result["instance"]["id"]) == (0, True, first)
    assert play.state.exists()
    assert [one.id for one in server.world.alive()] == [first]
    # Without its state file the instance needs its OCID, too.
    play.state.unlink()
    code, out, result = play.run(state="absent", confirm="coinpilot-ins")
    assert code == 2
    assert f"for example confirm: {first}" in result.get("msg", out)
    code, out, result = play.run(state="absent", confirm="everything")
    assert code == 2
    assert "confirm must be coinpilot-ins or an instance's OCID" in out
    assert [one.id for one in server.world.alive()] == [first]
    code, out, result = play.run(state="absent", confirm=first)
    assert (code, server.world.alive()) == (0, [])


def test_ticks_after_a_final_answer_send_no_request(play: Play, server: Server) -> None:
    server.world.script[:] = ["cap", "cap"]
    server.world.otherwise = "404-auth"
    tasks = [play.task(number, {"mode": "tick", "capacity_interval": 0.5}) for number in range(6)]
    process = play.start_tasks([[*task, {"ansible.builtin.pause": {"seconds": 1}}] for task in tasks])
    out, unused = process.communicate(timeout=120)
    assert process.returncode == 0, out
    assert server.posts() == 3
    last = json.loads((play.folder / "result5.json").read_text())
    assert last["ended"]
    assert "this tick sent nothing" in last["msg"]
    assert "may have been restricted" in last["msg"]


def test_tick_without_capacity_sends_one_request(play: Play, server: Server) -> None:
    server.world.script[:] = ["cap", "429"]
    code, out, result = play.run(mode="tick", capacity_interval=3600)
    assert (code, result["captured"], result["changed"], result["attempts"]) == (0, False, False, 1)
    assert result["last_error"] == {
        "status": 500,
        "code": "InternalError",
        "message": "Out of host capacity.",
        "opc_request_id": "FAKE/REQUEST",
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", result["next_attempt_at"])
    code, out, again = play.run(mode="tick", capacity_interval=3600)
    assert again["next_attempt_at"] == result["next_attempt_at"]
    assert server.posts() == 1


def test_max_duration_reached_fails_with_the_full_result(play: Play, server: Server) -> None:
    server.world.script[:] = ["cap"]
    process = play.start_tasks([play.task("", {"max_duration": 5, "capacity_interval": 3600})])
    process.communicate(timeout=90)
    result = json.loads((play.folder / "result.json").read_text())
    assert (result["failed"], result["captured"], result["changed"], result["attempts"]) == (True, False, False, 1)
    assert result["last_error"]["message"] == "Out of host capacity."
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", result["next_attempt_at"])
    says = f"after max_duration (5 s). Nothing is lost: the same command continues from {play.state}; mode tick"
    assert says in result["msg"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_launch_is_resumed_by_the_next_run(play: Play, server: Server, number: signal.Signals) -> None:
    server.world.script[:] = ["cap"]
    process = play.start(capacity_interval=5)
    wait_until(lambda: play.state.exists() and json.loads(play.state.read_text())["why"] == "capacity")
    process.send_signal(number)
    out, unused = process.communicate(timeout=20)
    assert process.returncode != 0
    saved = json.loads(play.state.read_text())
    assert saved["pending"] is None
    assert saved["attempts"] == 1
    code, out, result = play.run(capacity_interval=5)
    assert (code, result["captured"], result["attempts"]) == (0, True, 2)
    assert len(server.world.instances) == 1


def test_kill_during_the_request_is_followed_by_adoption(play: Play, server: Server) -> None:
    server.world.script[:] = ["slow"]
    server.late = 20
    process = play.start()
    wait_until(lambda: bool(server.world.instances))
    worker = json.loads(play.state.read_text())
    assert worker["pending"] is not None
    for child in children(process.pid):
        os.kill(child, signal.SIGKILL)
    process.kill()
    process.communicate(timeout=20)
    code, out, result = play.run()
    assert (code, result["captured"], result["changed"]) == (0, True, True)
    assert len(server.world.instances) == 1
    assert server.posts() == 1  # found in the list: the request was not repeated


def children(parent: int) -> list[int]:
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            child = int(entry.parent.name)
            found += [*children(child), child]
    return found


def test_second_launcher_is_refused_while_the_first_runs(play: Play, server: Server) -> None:
    server.world.otherwise = "cap"
    first = play.start(capacity_interval=60)
    wait_until(lambda: play.state.exists() and json.loads(play.state.read_text())["why"] == "capacity")
    code, out, unused = play.run()
    first.terminate()
    first.communicate(timeout=20)
    assert code == 2
    assert "another launcher (process" in out
    assert server.posts() == 1


def test_final_answer_has_fix_and_request_id(play: Play, server: Server) -> None:
    server.world.script[:] = ["404-auth"]
    code, out, unused = play.run()
    assert code == 2
    assert "subnet_id is a subnet (not a VCN)" in out
    assert "FAKE/REQUEST" in out
    assert "Traceback" not in out


BAD = [
    ({"surprise": 1}, "surprise"),
    ({"mode": "sometimes"}, "mode"),
    ({"subnet_id": None}, "subnet_id"),
    ({"subnet_id": "ocid1.vcn.oc1.x.y"}, "subnet_id is the OCID of a vcn"),
    ({"ocpus": 4}, "4 OCPU requested, 2 are free"),
    ({"interval_floor": 1, "endpoint": None}, "interval_floor must be at least 300"),
    ({"config_file": "/nowhere"}, "/nowhere does not exist"),
    ({"endpoint": "gopher://x"}, "endpoint must be"),
    ({"discord_webhook": "discord"}, "discord_webhook must begin with https://"),
    ({"max_attempts": -1}, "max_attempts must be 0"),
    ({"name": "../up", "state_file": None}, "name must be"),
]


def test_invalid_options_are_named_in_the_error(play: Play, server: Server) -> None:
    """Each is an error that names the option. All are in one run, because Ansible starts slowly."""
    tasks = [play.task(number, changes) for number, (changes, unused) in enumerate(BAD)]
    process = play.start_tasks(tasks)
    out, unused = process.communicate(timeout=120)
    assert process.returncode == 0, out
    for number, (changes, says) in enumerate(BAD):
        result = json.loads((play.folder / f"result{number}.json").read_text())
        assert result["failed"], changes
        assert says in result["msg"], changes
    assert "Traceback" not in out
    assert server.posts() == 0


def test_unreachable_webhook_does_not_fail_the_launch_and_stays_secret(play: Play, server: Server) -> None:
    secret = "http://127.0.0.1:9/api/webhooks/1/very-secret-token"
    code, out, result = play.run("-vvv", discord_webhook=secret)
    assert code == 0
    assert result["captured"]
    assert "was not sent" in out
    assert "very-secret-token" not in out
    assert "very-secret-token" not in play.state.read_text()


def test_missing_sdk_is_reported_with_the_install_command(
    play: Play, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = play.folder / "blocked" / "oci"
    blocked.mkdir(parents=True)
    (blocked / "__init__.py").write_text("raise ImportError('blocked for this test')")
    monkeypatch.setenv("PYTHONPATH", f"{blocked.parent}:{os.environ.get('PYTHONPATH', '')}")
    code, out, unused = play.run()
    assert code == 2
    assert "pip install -r requirements-oci.txt" in out
    assert "Traceback" not in out


@pytest.mark.parametrize("name", ["LAUNCH", "PREFLIGHT", "NETWORK"])
def test_documentation_agrees_with_the_options(name: str) -> None:
    module = {"LAUNCH": "oci_capacity_launch", "PREFLIGHT": "oci_preflight", "NETWORK": "oci_network"}[name]
    environ = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    command = [str(pathlib.Path(sys.executable).parent / "ansible-doc"), "-j", f"onebox.stack.{module}"]
    shown = json.loads(subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, check=True).stdout)
    documented = shown[f"onebox.stack.{module}"]["doc"]["options"]
    spec: options.ArgumentSpec = getattr(options, name)
    assert set(documented) == set(spec)
    for option, row in spec.items():
        for key in ("type", "default", "choices", "elements", "required"):
            assert documented[option].get(key, False if key == "required" else None) == row.get(
                key, False if key == "required" else None
            ), f"{option}.{key}"
