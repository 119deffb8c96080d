# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One of three hosts is lost, the one with the data: the other two run what has no data, and nothing that has."""

import pytest


@pytest.fixture
def left(host):
    """A host that still runs. The lost host skips the test."""
    if "data" in host.ansible.get_variables()["group_names"]:
        pytest.skip("this host is off")
    return host


def _running(host, service: str) -> list[str]:
    text = host.check_output(
        "docker service ps --filter desired-state=running --format '{{.Node}} {{.CurrentState}}' observer_%s", service
    )
    return [line.split()[0] for line in text.splitlines() if line.split()[1] == "Running"]


def test_services_without_data_run_on_the_hosts_that_are_left(left):
    assert len(_running(left, "relay")) == 2
    assert len(_running(left, "web")) == 1
    assert not [name for name in _running(left, "relay") + _running(left, "web") if name.endswith("one")]


def test_service_with_data_is_not_started_elsewhere(left):
    assert _running(left, "collector") == []
    text = left.check_output("docker service ps --no-trunc --format '{{.CurrentState}} {{.Error}}' observer_collector")
    assert "no suitable node" in text
    assert not left.file("/srv/observer").exists
    assert "observer_journal" not in left.check_output("docker volume ls -q")
