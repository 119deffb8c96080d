"""The role oci_instance through playbooks/launch.yml, against the simulated cloud, from the launch to the termination.

The login is not tested here, because the simulation does not start hosts. A ``uname`` and
tests/testbed/mac/fake_launchctl.py simulate a Mac. test_oci_timer.py has a real systemd.
"""

from __future__ import annotations

import base64
import json
import os
import pathlib
import plistlib
import stat
import subprocess
import sys
import typing as t

import pytest

pytest.importorskip("oci.base_client", reason="Oracle's SDK is not installed (requirements-oci.txt)")

import yaml
from oci_server import Server
from oci_signature import TestAccount
from oci_world import COMPARTMENT

ROOT = pathlib.Path(__file__).resolve().parents[3]


class Site:
    """An inventory with one OCI host and another host."""

    def __init__(self, folder: pathlib.Path, server: Server, account: TestAccount) -> None:
        self.folder = folder
        self.inventories = folder / "inventories"
        self.inventories.mkdir()
        self.values: dict[str, t.Any] = {
            "ansible_user": "ubuntu",
            "ansible_become": True,
            "onebox_stack": "coinpilot",
            "compose_stack_source": "",
            "oci_instance_name": "coinpilot-ins",
            "oci_instance_compartment_id": COMPARTMENT,
            "oci_instance_config_file": str(account.config_file),
            "oci_instance_endpoint": server.endpoint,
            "oci_instance_ssh_key_file": str(folder / "keys" / "coinpilot"),
            "oci_instance_state_dir": str(folder / "state"),
            "oci_instance_ssh_timeout": 0,
            "oci_instance_capacity_interval": 0.5,
            "oci_instance_throttle_base": 0.5,
            "oci_instance_throttle_max": 1,
            "oci_instance_jitter_max": 0,
            "oci_instance_interval_floor": 0.5,
        }
        self.captured = self.inventories / "oci-vm.captured.yml"
        self.agent = folder / "Library" / "LaunchAgents" / "dev.onebox-launch-oci-vm.plist"
        self.environ: dict[str, str] = {}
        self.prefix: list[str] = []

    def simulate_mac(self) -> None:
        """Simulate Darwin, and launchd for an ordinary user: root does not have LaunchAgents."""
        programs = self.folder / "mac"
        programs.mkdir()
        (programs / "uname").write_text("#!/bin/sh\necho Darwin\n")
        (programs / "uname").chmod(0o755)
        self.prefix = ["unshare", "-U", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []
        uid = 1000 if self.prefix else os.geteuid()
        state = {"macos": 15, "slow": 0, "domains": [f"gui/{uid}", f"user/{uid}"], "jobs": {}, "disabled": {}}
        (self.folder / "launchd.json").write_text(json.dumps(state))
        self.environ = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "FAKE_LAUNCHD": str(self.folder / "launchd.json"),
            # The directories of root are not this user's.
            "ANSIBLE_HOME": str(self.folder / ".ansible"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / ".ansible-tmp"),
            "ANSIBLE_REMOTE_TEMP": str(self.folder / ".ansible-tmp"),
        }
        self.values["oci_instance_launchctl"] = str(ROOT / "tests/testbed/mac/fake_launchctl.py")

    def load_agent(self) -> None:
        """Load the agent of an earlier run into launchd."""
        self.agent.parent.mkdir(parents=True)
        self.agent.write_bytes(plistlib.dumps({"Label": self.agent.stem, "ProgramArguments": ["/bin/true"]}))
        path = self.folder / "launchd.json"
        state = json.loads(path.read_text())
        state["jobs"][f"{state['domains'][0]}/{self.agent.stem}"] = {"path": str(self.agent), "pid": 0}
        path.write_text(json.dumps(state))

    def jobs(self) -> list[str]:
        """The jobs that launchd has loaded."""
        return list(json.loads((self.folder / "launchd.json").read_text())["jobs"])

    def run(self, *words: str, playbook: str = "playbooks/launch.yml", **changes: t.Any) -> tuple[int, str]:
        values = {**self.values, **{f"oci_instance_{key}": value for key, value in changes.items()}}
        hosts = {"all": {"hosts": {"oci-vm": values, "elsewhere": {}}}}
        (self.inventories / "hosts.yml").write_text(yaml.safe_dump(hosts))
        environ = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "HOME": str(self.folder), **self.environ}
        command = [*self.prefix, str(pathlib.Path(sys.executable).parent / "ansible-playbook"), playbook]
        command += ["-i", str(self.inventories), *words]
        done = subprocess.run(command, cwd=ROOT, env=environ, text=True, capture_output=True, timeout=180, check=False)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def site(tmp_path: pathlib.Path, server: Server, account: TestAccount) -> Site:
    return Site(tmp_path, server, account)


def recap(out: str, host: str = "oci-vm") -> dict[str, int]:
    line = next(line for line in out.splitlines() if line.startswith(host) and "ok=" in line)
    return {word.partition("=")[0]: int(word.partition("=")[2]) for word in line.split() if "=" in word}


def test_role_launches_records_the_address_and_terminates(site: Site, server: Server) -> None:
    server.world.script[:] = ["cap", "cap", "429", "reset-after-create"]
    code, out = site.run("--check")
    assert code == 0, out
    assert server.posts() == 0
    assert server.networks.changes == []
    assert not (site.folder / "keys").exists()
    # The request is shown although neither key nor subnet exists.
    assert '"memoryInGBs": 12' in out
    assert '"subnetId": "ocid1.subnet.oc1..made-at-the-first-run"' in out

    code, out = site.run()
    assert code == 0, out
    assert len(server.world.instances) == 1
    key = site.folder / "keys" / "coinpilot"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    body = server.world.launches[0][3]
    assert body["metadata"]["ssh_authorized_keys"] == key.with_suffix(".pub").read_text().strip()
    assert body["createVnicDetails"]["subnetId"] in server.networks.rows["subnets"]
    host = yaml.safe_load(site.captured.read_text())["all"]["hosts"]["oci-vm"]
    assert host["ansible_host"] == "203.0.113.10"
    assert host["ansible_ssh_private_key_file"] == str(key)
    assert f"HostKeyAlias={next(iter(server.world.instances))}" in host["ansible_ssh_common_args"]
    assert "StrictHostKeyChecking=accept-new" in host["ansible_ssh_common_args"]

    before = key.read_bytes()
    code, out = site.run()
    assert code == 0, out
    assert recap(out)["changed"] == 0
    assert key.read_bytes() == before
    assert server.posts() == 4

    (identity,) = server.world.instances
    networks = list(server.networks.changes)
    for words in ((), ("--check",)):
        for confirm in ("", "coinpilot-ins"):
            code, out = site.run("-e", "oci_instance_state=absent", "-e", f"oci_instance_confirm={confirm}", *words)
            assert code == 2
            assert f"set confirm: {identity} (with the role: oci_instance_confirm: {identity})" in " ".join(out.split())
    assert server.world.alive()
    assert server.networks.changes == networks
    assert site.captured.exists()
    code, out = site.run("-e", "oci_instance_state=absent", "-e", f"oci_instance_confirm={identity}")
    assert code == 0, out
    assert server.world.alive() == []
    assert not any(server.networks.rows.values())
    assert not site.captured.exists()
    assert key.read_bytes() == before


def test_timer_is_kept_by_a_refused_removal_and_removed_by_a_confirmed_one(site: Site, server: Server) -> None:
    code, out = site.run()
    assert code == 0, out
    (identity,) = server.world.instances
    site.simulate_mac()
    site.load_agent()
    code, out = site.run(state="absent", confirm="coinpilot-ins")
    assert code == 2
    assert site.agent.exists()
    assert len(site.jobs()) == 1
    code, out = site.run(state="absent", confirm=identity)
    assert code == 0, out
    assert not site.agent.exists()
    assert site.jobs() == []


def test_network_is_kept_while_a_launch_request_has_an_unknown_outcome(site: Site, server: Server) -> None:
    code, out = site.run()
    assert code == 0, out
    (identity,) = server.world.instances
    path = site.folder / "state" / "coinpilot-ins.json"
    state = json.loads(path.read_text())
    body = server.world.instances[identity].body
    state.update(instance=None, pending={**PENDING, "body": body})
    path.write_text(json.dumps(state))
    code, out = site.run(state="absent", confirm=identity)
    assert code == 0, out
    assert server.world.alive() == []
    assert path.exists()
    assert any(server.networks.rows.values())


PENDING = {"token": "t", "sent_at": 0.0, "verdict": "", "doubt_since": None, "looks": 0, "replays": 0}
HOST_KEY = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519" + b"k" * 36).decode()


def test_host_keys_of_the_console_are_the_only_ones_that_the_first_login_accepts(site: Site, server: Server) -> None:
    server.console_of = lambda identity: (
        f"-----BEGIN SSH HOST KEY KEYS-----\n{HOST_KEY} root@vm\n-----END SSH HOST KEY KEYS-----\n"
    )
    site.run(ssh_timeout=1)  # no host answers at the simulated address
    identity = next(iter(server.world.instances))
    known = site.folder / "state" / "known_hosts"
    assert known.read_text() == f"{identity} {HOST_KEY} console\n"
    host = yaml.safe_load(site.captured.read_text())["all"]["hosts"]["oci-vm"]
    assert "StrictHostKeyChecking=yes" in host["ansible_ssh_common_args"]
    captures = server.requests.count(("POST", "/20160918/instanceConsoleHistories"))
    site.run(ssh_timeout=1)
    assert known.read_text() == f"{identity} {HOST_KEY} console\n"
    assert server.requests.count(("POST", "/20160918/instanceConsoleHistories")) == captures == 1


def test_tick_without_capacity_ends_the_play_for_the_host_with_a_message(site: Site, server: Server) -> None:
    server.world.otherwise = "cap"
    code, out = site.run(mode="tick", capacity_interval=3600)
    assert code == 0, out
    assert "coinpilot-ins does not exist yet" in out
    assert "Out of host capacity" in out
    assert not site.captured.exists()


@pytest.mark.parametrize("playbook", ["playbooks/launch.yml", "site.yml"])
def test_max_duration_reached_fails_with_the_command_to_continue(site: Site, server: Server, playbook: str) -> None:
    """A caller such as make or cron must not continue as if the instance existed."""
    server.world.otherwise = "cap"
    code, out = site.run("-l", "oci-vm", playbook=playbook, max_duration=30, capacity_interval=3600)
    assert code == 2, out
    assert server.posts() == 1
    # The failure is the last output on the screen, as text and not as data.
    last = " ".join(out.rpartition("oci-vm failed at: ")[2].split())
    assert last.startswith("onebox.stack.oci_instance : Launch the instance not captured after 1 attempt: 500 Internal")
    assert f"Nothing is lost: the same command continues from {site.folder}/state/coinpilot-ins.json" in last
    assert "Traceback" not in out
    assert not site.captured.exists()


def test_wrong_subnet_is_named_before_the_first_request(site: Site, server: Server) -> None:
    code, out = site.run(subnet_id="ocid1.vcn.oc1.ap-chuncheon-1.aaaa")
    assert code == 2
    assert "subnet_id is the OCID of a vcn, not of a subnet" in " ".join(out.split())
    assert server.posts() == 0


def test_private_key_without_public_key_is_reported(site: Site, server: Server) -> None:
    (site.folder / "keys").mkdir()
    (site.folder / "keys" / "coinpilot").write_text("x")
    code, out = site.run()
    assert code == 2
    assert "ssh-keygen -y -f" in " ".join(out.split())
    assert server.posts() == 0


def test_timer_is_only_shown_in_check_mode(site: Site, server: Server) -> None:
    site.simulate_mac()
    code, out = site.run("--check", "--diff", timer=True)
    assert code == 0, out
    assert "<integer>300</integer>" in out
    assert f"<string>{site.inventories}</string>" in out
    assert "<string>oci_instance_mode=tick</string>" in out
    assert not site.agent.exists()
    assert site.jobs() == []


def test_final_answer_in_a_run_of_the_timer_removes_the_timer(
    site: Site, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A LaunchAgent removes its own file, and unloads itself as its last action."""
    site.simulate_mac()
    site.agent.parent.mkdir(parents=True)
    site.agent.write_text("")
    monkeypatch.setenv("ONEBOX_TIMER", "1")
    server.world.script[:] = ["cap"]
    code, out = site.run(mode="tick", timer=True)
    assert code == 0, out
    assert site.agent.exists()
    server.world.otherwise = "404-auth"
    code, out = site.run(mode="tick", timer=True)
    assert code == 2
    assert "the account may have been restricted" in " ".join(out.split())
    assert not site.agent.exists()
    posts = server.posts()
    code, out = site.run(mode="tick", timer=True)
    assert code == 2
    assert "this tick sent nothing" in " ".join(out.split())
    assert server.posts() == posts


@pytest.mark.skipif(pathlib.Path("/run/systemd/system").is_dir(), reason="this machine has systemd")
def test_timer_without_systemd_is_refused(site: Site, server: Server) -> None:
    code, out = site.run(timer=True)
    assert code == 2
    assert "This machine has no systemd" in " ".join(out.split())
    assert server.posts() == 0
