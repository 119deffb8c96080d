# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The advice of the preflight."""

import dataclasses

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup import advice, survey

REFUSED = "no docker answers on this host. Tried: /var/run/docker.sock: [Errno 111] Connection refused"
FORBIDDEN = "no docker answers on this host. Tried: /var/run/docker.sock: [Errno 13] Permission denied"


def installed(*programs):
    return lambda program: f"/usr/bin/{program}" if program in programs else None


@pytest.mark.parametrize(
    ("error", "systemd", "typed"),
    [
        (REFUSED, True, "sudo systemctl start docker"),
        (REFUSED, False, "dockerd >/var/log/dockerd.log"),
        (FORBIDDEN, True, "usermod -aG docker"),
    ],
)
def test_dead_docker_gets_advice(error, systemd, typed):
    text = advice.dead_docker(error, systemd, installed("dockerd"))
    assert typed in text
    assert "container_engine_name: podman" in text


def test_docker_that_is_not_installed_is_not_dead():
    assert advice.dead_docker(REFUSED, True, installed()) == ""


GOOD = {
    "/etc/subuid": "someone:100000:65536\n",
    "/etc/subgid": "someone:100000:65536\n",
    "/proc/sys/user/max_user_namespaces": "96365\n",
}


@pytest.mark.parametrize(
    ("files", "programs", "typed"),
    [
        ({}, (), "apt-get install uidmap"),
        ({"/etc/subuid": "other:100000:65536\n"}, ("newuidmap",), "usermod --add-subuids 100000-165535 someone"),
        ({"/etc/subgid": ""}, ("newuidmap",), "usermod --add-subgids 100000-165535 someone"),
        ({"/proc/sys/user/max_user_namespaces": "0\n"}, ("newuidmap",), "sysctl -w user.max_user_namespaces=15000"),
        (
            {"/proc/sys/kernel/unprivileged_userns_clone": "0\n"},
            ("newuidmap",),
            "sysctl -w kernel.unprivileged_userns_clone=1",
        ),
    ],
)
def test_obstacles_of_rootless_podman_have_fixes(files, programs, typed):
    here = {**GOOD, **files}
    (hint,) = advice.rootless("someone", lambda path: here.get(path, ""), installed(*programs))
    assert typed in hint


def test_rootless_networks_need_the_tunnel():
    found = advice.rootless("someone", lambda path: GOOD.get(path, ""), installed("newuidmap"), may_tunnel=False)
    assert found == ["/dev/net/tun cannot be opened: sudo modprobe tun; sudo chmod 666 /dev/net/tun"]


def test_rootless_lacks_nothing():
    assert advice.rootless("someone", lambda path: GOOD.get(path, ""), installed("newuidmap")) == []


def test_unknown_name_is_refused():
    engine, problem = survey.look("lxc", World.real())
    assert engine is None
    assert "docker, podman" in problem
    assert "'lxc'" in problem


def test_missing_packages_are_listed():
    # dpkg-query 1.21.22: an installed one, one removed whose settings stay, and an unknown one.
    shown = "python3 ii \npodman rc \n"

    def run(words, **options):
        return process.Result(tuple(words), 1, shown, "dpkg-query: no packages found matching nosuch", 0.0)

    world = dataclasses.replace(World.real(), run=run)
    assert survey.missing_packages(["python3", "podman", "nosuch"], world) == ["podman", "nosuch"]


def test_without_dpkg_all_are_missing():
    def run(words, **options):
        raise process.CommandMissing("cannot run dpkg-query", process.Result(tuple(words), -1, "", "", 0.0))

    world = dataclasses.replace(World.real(), run=run)
    assert survey.missing_packages(["podman"], world) == ["podman"]
