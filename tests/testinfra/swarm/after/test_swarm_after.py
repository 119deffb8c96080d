# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack on a Swarm of three hosts, checked from one of its managers and on each host."""

import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[4]
DATA = "/srv/observer"
SECRET = "not to be read by others"


@pytest.fixture
def first(host):
    """The host with the data. Other hosts skip the test."""
    name = host.backend.get_hostname()
    if "data" not in host.ansible.get_variables()["group_names"]:
        pytest.skip("asked on the host with the data")
    return name


def nodes(host) -> dict[str, dict]:
    rows = host.check_output("docker node ls --format '{{json .}}'").splitlines()
    return {row["ID"]: row for row in map(json.loads, rows)}


def running(host, service: str) -> list[str]:
    """Names of the nodes that run a service."""
    text = host.check_output(
        "docker service ps --filter desired-state=running --format '{{.Node}} {{.CurrentState}}' observer_%s", service
    )
    return [line.split()[0] for line in text.splitlines() if line.split()[1] == "Running"]


def test_all_hosts_are_nodes_of_one_swarm(host, first):
    found = nodes(host)
    assert len(found) == 3
    assert {row["Status"] for row in found.values()} == {"Ready"}
    assert len({row["Hostname"] for row in found.values()}) == 3
    labels = host.check_output("docker node inspect self --format '{{.Spec.Labels.disk}}'")
    assert labels == "fast"


def test_data_is_on_its_host_and_services_without_data_run(host, first, eventually):
    assert running(host, "collector") == [first]
    assert eventually(lambda: len(running(host, "relay")) == 2)
    assert eventually(lambda: len(running(host, "web")) == 1)
    assert host.file(f"{DATA}/beat").size > 0
    assert host.file(f"{DATA}/migrated").content_string.count("\n") >= 1
    constraint = host.check_output(
        "docker service inspect observer_collector --format '{{.Spec.TaskTemplate.Placement.Constraints}}'"
    )
    me = host.check_output("docker info --format '{{.Swarm.NodeID}}'")
    assert me in constraint


def test_image_that_one_host_built_is_on_all_hosts(host):
    listed = "docker image ls --no-trunc --format '{{.Tag}} {{.ID}}' localhost/onebox/observer/observer-web"
    found = [line.split() for line in host.check_output(listed).splitlines()]
    assert found
    assert [tag for tag, identity in found if identity[7:19] != tag] == []
    # The compose file's own name is only on the host with the data.
    built = host.run("docker image inspect observer-web").rc == 0
    assert built == ("data" in host.ansible.get_variables()["group_names"])
    assert not host.run("ls -d /var/tmp/*.onebox*").stdout


def test_secret_is_only_readable_by_its_service(host, first):
    container = host.check_output("docker ps -q --filter label=com.docker.swarm.service.name=observer_collector")
    assert host.check_output("docker exec %s cat /run/secrets/password", container) == SECRET
    # The kept releases have its file, in a directory of root.
    holders = host.check_output("grep -rl %s /var/lib/onebox", SECRET).splitlines()
    assert holders
    as_other = "setpriv --reuid=65534 --regid=65534 --clear-groups cat %s"
    assert [path for path in holders if host.run(as_other, path).rc == 0] == []
    assert not host.run("ls -d /var/lib/onebox/observer/*.swarm").stdout


def test_web_answers_on_its_node(host, first, eventually):
    (node,) = eventually(lambda: running(host, "web"))
    address = host.check_output("docker node inspect %s --format '{{.Status.Addr}}'", node)
    ask = "import urllib.request as r; print(r.urlopen('http://%s:8080/', timeout=5).read().decode())"
    assert eventually(lambda: host.run(f'python3 -c "{ask}"', address).stdout)


def test_host_joins_again_in_place_of_its_lost_node_and_no_token_is_shown(host, first, eventually):
    tokens = [host.check_output("docker swarm join-token -q %s", role) for role in ("worker", "manager")]
    lost = next(row for row in nodes(host).values() if row["Hostname"].endswith("three"))
    environ = {**os.environ, "ANSIBLE_FORCE_COLOR": "false"}
    demote = ["docker", "exec", lost["Hostname"], "docker", "swarm", "leave", "--force"]
    if lost["ManagerStatus"]:
        host.check_output("docker node demote %s", lost["ID"])
    subprocess.run(demote, env=environ, check=True, capture_output=True)
    eventually(lambda: nodes(host)[lost["ID"]]["Status"] == "Down")
    inventory = os.environ["MOLECULE_INVENTORY_FILE"]
    groups = ("docker", "none") if lost["ManagerStatus"] else ("swarm_managers", "swarm_workers")
    done = subprocess.run(
        [*("ansible-playbook", "-vvvv", "-i", inventory)]
        + ["-e", f"swarm_managers={groups[0]} swarm_workers={groups[1]}"]
        + [str(ROOT / "playbooks/swarm.yml")],
        env=environ,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert [token for token in tokens if token in done.stdout + done.stderr] == []
    assert "SWMTKN" not in done.stdout + done.stderr
    found = nodes(host)
    assert lost["ID"] not in found
    assert sorted(row["Hostname"] for row in found.values()).count(lost["Hostname"]) == 1
    assert {row["Status"] for row in found.values()} == {"Ready"}
    # Neither the system's log nor a file that Ansible left has a token.
    assert not host.run("journalctl --no-pager | grep -F SWMTKN").stdout


def test_data_and_mounts_are_verified_by_a_run_without_changes(host, first, eventually):
    eventually(lambda: len(running(host, "relay")) == 2)
    inventory = os.environ["MOLECULE_INVENTORY_FILE"]
    scenario = pathlib.Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
    done = subprocess.run(
        ["ansible-playbook", "-v", "-i", inventory, "-l", first, str(scenario / "deploy.yml")],
        env={**os.environ, "ANSIBLE_FORCE_COLOR": "false"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "changed=0" in done.stdout
    assert SECRET not in done.stdout
