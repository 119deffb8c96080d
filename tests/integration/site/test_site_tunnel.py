# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/tunnel.yml over real SSH, to a page on the loopback address of another host."""

import json
import os
import pathlib
import re
import shlex
import socket
import subprocess
import time
import urllib.request

import pytest
from onebox_testbed import images

ROOT = pathlib.Path(__file__).resolve().parents[3]
NAME = f"obx-tunnel-{os.getpid()}"
# Low, so that a digit may be put before it.
PORT = 2501
START = f"""
mkdir -p /run/sshd /srv/page /state/demo && echo from the box >/srv/page/index.html
ssh-keygen -A >/dev/null && /usr/sbin/sshd
exec python3 -m http.server --directory /srv/page --bind 127.0.0.1 {PORT}
"""


def ports_free(*ports: int) -> bool:
    for port in ports:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return False
    return True


@pytest.fixture
def box(docker_engine, tmp_path):
    """A host that only SSH reaches, with the report of a run; runs the playbook, and ends without a tunnel left."""
    image = images.ensure(docker_engine.socket, "debian13-cloud")
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    docker_engine.run("run", "-d", "--init", "--name", NAME, image, "sh", "-c", START)
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    try:
        public = key.with_suffix(".pub").read_text().strip()
        write = f"mkdir -p /root/.ssh && echo {shlex.quote(public)} >/root/.ssh/authorized_keys"
        docker_engine.run("exec", NAME, "sh", "-c", write)
        report = {"services": [{"service": "web", "ports": [f"127.0.0.1:{PORT}->80"]}, {"service": "db", "ports": []}]}
        save = f"mkdir -p /state/demo && echo {shlex.quote(json.dumps(report))} >/state/demo/report.json"
        docker_engine.run("exec", NAME, "sh", "-c", save)
        address = docker_engine.run("inspect", "-f", "{{.NetworkSettings.IPAddress}}", NAME).stdout.strip()
        variables = {
            "ansible_host": address,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(key),
            "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
            "ansible_python_interpreter": "/usr/bin/python3",
            "compose_stack_name": "demo",
            "onebox_state_dir": "/state",
        }
        inventory = tmp_path / "hosts.json"
        inventory.write_text(json.dumps({"all": {"hosts": {"box": variables}}}))

        def run(*words: str) -> subprocess.CompletedProcess:
            environ = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "HOME": str(home)}
            environ["PATH"] = f"{ROOT}/.venv/bin:{environ['PATH']}"
            argv = ["ansible-playbook", "playbooks/tunnel.yml", "-i", str(inventory), "-l", "box", *words]
            return subprocess.run(
                argv,
                cwd=ROOT,
                env=environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )

        yield run
        run("-e", "tunnel=close")
    finally:
        docker_engine.run("rm", "-f", "-v", NAME, check=False)


def page(port: int) -> str:
    """What is served there, waited for."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 20
    while True:
        try:
            with direct.open(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_shown_opened_taken_and_closed(box):
    here = int(f"1{PORT}")
    assert ports_free(here)

    shown = box("-e", "tunnel_prefix=1")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert f"-L127.0.0.1:{here}:127.0.0.1:{PORT}" in shown.stdout
    assert f"http://127.0.0.1:{here}" in shown.stdout
    assert ports_free(here), "only shown, and yet something listens"

    opened = box("-e", "tunnel=open", "-e", "tunnel_prefix=1")
    assert opened.returncode == 0, opened.stdout + opened.stderr
    assert page(here) == "from the box\n"
    again = box("-e", "tunnel=open", "-e", "tunnel_prefix=1")
    assert re.search(r"changed=0\b", again.stdout), again.stdout

    closed = box("-e", "tunnel=close")
    assert closed.returncode == 0, closed.stdout + closed.stderr
    assert ports_free(here)
    assert re.search(r"changed=0\b", box("-e", "tunnel=close").stdout)


def test_port_that_is_taken_here_is_an_error_that_says_so(box):
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(f"2{PORT}")))
        other.listen()
        result = box("-e", "tunnel=open", "-e", "tunnel_prefix=2")
    assert result.returncode != 0
    assert f"2{PORT}" in result.stdout + result.stderr


def test_another_word_is_refused(box):
    result = box("-e", "tunnel=opne")
    assert result.returncode != 0
    assert "set it to show, open or close" in result.stdout + result.stderr
