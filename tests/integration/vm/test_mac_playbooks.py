# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks of a Mac, run by the real Ansible: retire, repeat, undo; and the machine's role.

tests/testbed/mac/fake_launchctl.py simulates ``launchctl``, because Linux does not have it; the rest is real.
"""

from __future__ import annotations

import json
import os
import pathlib
import plistlib
import re
import subprocess
import typing as t

import pytest
from machine_lab import AS_USER, ROOT, Lab

FAKE = ROOT / "tests/testbed/mac/fake_launchctl.py"


class Host:
    """A home with two old agents, a kept agent, clutter, and an inventory of one host."""

    def __init__(self, home: pathlib.Path) -> None:
        self.home = home
        self.folder = home / "Library/LaunchAgents"
        self.folder.mkdir(parents=True)
        self.project = home / "97layer OS"
        (self.project / "__pycache__").mkdir(parents=True)
        (self.project / "__pycache__/a.cpython-39.pyc").write_bytes(b"x")
        uid = 1000 if AS_USER else os.geteuid()
        jobs = {}
        for name in ("os", "telegram_daemon", "podman"):
            label = f"com.97layer.{name}"
            path = self.folder / f"{label}.plist"
            path.write_bytes(plistlib.dumps({"Label": label, "ProgramArguments": ["/bin/x"]}, fmt=plistlib.FMT_BINARY))
            jobs[f"gui/{uid}/{label}"] = {"path": str(path), "pid": 0}
        state = {"macos": 15, "slow": 0, "domains": [f"gui/{uid}", f"user/{uid}"], "jobs": jobs, "disabled": {}}
        self.state = home / "launchd.json"
        self.state.write_text(json.dumps(state))
        self.vars: dict[str, t.Any] = {
            "ansible_connection": "local",
            "ansible_python_interpreter": str(ROOT / ".venv/bin/python"),
            "onebox_stack": "97layer",
            "confirm": "97layer",
            "host_hygiene_paths": [str(self.project)],
            "host_hygiene_clean": True,
            "host_hygiene_require_none": True,
            "host_hygiene_agents": ["com.97layer.*"],
            "host_hygiene_agents_keep": ["com.97layer.podman"],
            "host_hygiene_agents_directory": str(self.folder),
            "host_hygiene_agents_archive": str(home / "retired agents"),
            "host_hygiene_launchctl": str(FAKE),
        }

    def play(self, playbook: pathlib.Path, *words: str, **more: t.Any) -> tuple[int, int, str]:
        """Exit code, number of changed tasks, output."""
        inventory = self.home / "hosts.yml"
        inventory.write_text(json.dumps({"all": {"hosts": {"mac": {**self.vars, **more}}}}))
        env = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.home / ".ansible"),
            "ANSIBLE_LOCAL_TEMP": str(self.home / ".ansible-tmp"),
            "FAKE_LAUNCHD": str(self.state),
        }
        done = subprocess.run(
            [*AS_USER, str(ROOT / ".venv/bin/ansible-playbook"), str(playbook), "-i", str(inventory), *words],
            env=env, cwd=ROOT, text=True, capture_output=True, timeout=180, check=False,
        )  # fmt: skip
        changed = re.search(r"changed=(\d+)", done.stdout)
        return done.returncode, int(changed.group(1)) if changed else -1, done.stdout + done.stderr


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    return Host(tmp_path)


def files(host: Host) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in host.folder.iterdir()}


def test_agents_are_retired_once_and_restored(host: Host) -> None:
    retire, back = ROOT / "playbooks/retire.yml", ROOT / "playbooks/unretire.yml"
    before = files(host)
    code, changed, said = host.play(retire, "--check")
    assert (code, changed, files(host)) == (0, 2, before), said
    assert (host.project / "__pycache__").exists()
    code, changed, said = host.play(retire)
    assert (code, changed) == (0, 2), said
    assert sorted(files(host)) == ["com.97layer.podman.plist"]
    assert not (host.project / "__pycache__").exists()
    assert host.play(retire)[:2] == (0, 0)
    code, changed, said = host.play(back)
    assert (code, changed, files(host)) == (0, 1, before), said
    assert host.play(back)[:2] == (0, 0)


def test_agents_are_kept_while_the_stack_does_not_answer(host: Host) -> None:
    before = files(host)
    checks = [{"url": "http://127.0.0.1:9/status"}]
    code, _unused, said = host.play(ROOT / "playbooks/retire.yml", compose_stack_http_checks=checks)
    assert code != 0, said
    assert files(host) == before


def test_daemon_on_the_host_is_an_error_with_its_pid(host: Host) -> None:
    (host.project / "daemon.py").write_text("import time; print(flush=True); time.sleep(120)")
    daemon = subprocess.Popen([str(ROOT / ".venv/bin/python"), str(host.project / "daemon.py")], stdout=subprocess.PIPE)
    assert daemon.stdout is not None
    daemon.stdout.readline()
    try:
        code, _unused, said = host.play(ROOT / "playbooks/retire.yml")
    finally:
        daemon.kill()
        daemon.wait()
        daemon.stdout.close()
    assert code != 0
    assert f"kill {daemon.pid}" in said


def test_role_creates_a_machine_once(host: Host, lab5: Lab) -> None:
    play = host.home / "machine.yml"
    play.write_text("- hosts: all\n  gather_facts: true\n  roles: [onebox.stack.podman_machine]\n")
    given = {
        "podman_machine_name": "97layerOS",
        "podman_machine_state": "present",
        "podman_machine_provider": "qemu",
        "podman_machine_cpus": 2,
        "podman_machine_memory": "4768 MiB",
        "podman_machine_disk_size": "93 GiB",
        "podman_machine_image": str(lab5.image),
        "podman_machine_timezone": "UTC",
        "podman_machine_executable": str(lab5.bin / "podman"),
        "podman_machine_environment": lab5.env,
    }
    code, changed, said = host.play(play, **given)
    assert (code, changed) == (0, 1), said
    assert host.play(play, **given)[:2] == (0, 0)
    code, _unused, said = host.play(play, **{**given, "podman_machine_disk_size": "50 GiB"})
    assert code != 0
    assert "a machine's disk only grows" in said
