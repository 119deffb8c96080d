# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back: no Swarm, and one host runs the stack by docker compose with the same data."""

import json

DATA = "/srv/observer"


def test_no_host_is_in_a_swarm(host):
    assert host.check_output("docker info --format '{{.Swarm.LocalNodeState}}'") == "inactive"
    assert "onebox.parts" not in host.check_output("docker ps --format '{{.Labels}}'")


def test_compose_runs_the_stack_with_the_data_of_the_swarm(host):
    projects = json.loads(host.check_output("docker compose ls --format json"))
    if "data" not in host.ansible.get_variables()["group_names"]:
        assert projects == []
        return
    assert [row["Name"] for row in projects] == ["observer"]
    # One line of the deploy on the Swarm at least, and one of now.
    assert host.file(f"{DATA}/migrated").content_string.count("\n") >= 2
    assert host.file(f"{DATA}/beat").size > 0
