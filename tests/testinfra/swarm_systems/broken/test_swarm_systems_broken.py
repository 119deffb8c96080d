# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host with the data of observer is lost: observer waits for it, and coinpilot runs on the other two."""

import os

import pytest

# Tests run once, not on each host.
testinfra_hosts = [f"docker://obx-{os.environ.get('OBX_CHECKOUT')}-systems-three"]


@pytest.mark.parametrize("service", ["observer", "postgres", "prometheus", "review"])
def test_service_with_data_waits_for_its_node(systems, service):
    ((node, state, error),) = systems.tasks(f"observer_{service}")
    assert (node, state) == ("", "Pending")
    assert "no suitable node" in error


def test_no_host_has_an_empty_directory_of_observer(systems):
    for name, host in systems.hosts.items():
        assert not host.file("/home/ubuntu/observer").exists, name
        assert not host.file("/home/ubuntu/prometheus").exists, name
        created = host.check_output("docker ps -aq --filter label=com.docker.stack.namespace=observer")
        assert created == "", name


def test_all_services_of_coinpilot_run_on_the_hosts_that_are_left(systems, eventually):
    own = [name for name in systems.services() if name.startswith("coinpilot_")]
    assert len(own) == 8
    for name in own:
        eventually(lambda name=name: [row[1] for row in systems.tasks(name)] == ["Running"])
        assert [row[0] for row in systems.tasks(name)] != ["one"]
