# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's firewall and the containers behind it."""

import contextlib
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
TINY = "localhost/onebox-testbed/tiny:latest"
NETWORK = "obx-net"
SERVER = "obx-server"


@pytest.fixture
def listening(host, eventually):
    """Something that listens on every address of the host, on the given ports."""
    with contextlib.ExitStack() as stack:

        def listen(*ports: int) -> None:
            for port in ports:
                host.check_output("systemd-run -q --unit obx-%s python3 -m http.server %s", str(port), str(port))
                stack.callback(host.run, "systemctl stop obx-%s", str(port))
            for port in ports:
                eventually(lambda port=port: host.socket(f"tcp://0.0.0.0:{port}").is_listening)

        yield listen


@pytest.fixture
def container(host):
    """Commands in a container, in its own network with a server."""
    host.check_output("docker load -q -i /testbed/$(basename /testbed/saved-tiny-*.tar)")
    host.run("docker network create %s", NETWORK)
    host.run("docker run -d --init --restart always --name %s --network %s %s httpd -f -h /etc", SERVER, NETWORK, TINY)
    host.check_output("docker start %s", SERVER)

    def command(*words: str):
        return host.run("docker run --rm --network %s %s " + " ".join(words), NETWORK, TINY)

    return command


@pytest.fixture
def server(host, container):
    """Address of the server: a static busybox cannot resolve names."""
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return lambda: host.check_output("docker inspect -f %s %s", form, SERVER)


@pytest.fixture
def playbook_of_role(host):
    """Run the role alone on this host, with other ports declared."""

    def run(ports: str) -> None:
        me = host.backend.get_hostname()
        argv = ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], "-l", me]
        argv += ["--skip-tags", "engine", "-e", f'{{"host_baseline_open_ports": {ports}}}']
        argv.append(str(ROOT / "molecule/host_baseline/converge.yml"))
        result = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
        assert result.returncode == 0, result.stdout + result.stderr

    return run
