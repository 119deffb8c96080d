# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each fact about Docker Swarm, shown on a real Swarm of one node.

A dropped construct leaves the service as it is without the construct. A refused one fails. A changed one has its own
test.
"""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability import swarm_facts
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability.table import CHANGE, DROP, REFUSE
from swarm_lab import swarm

# construct -> the part of a service that has it.
SERVICE = {
    "build": {"build": "."},
    "restart": {"restart": "no"},
    "depends_on": {"depends_on": ["plain"]},
    "depends_on condition": {"depends_on": {"plain": {"condition": "service_healthy"}}},
    "depends_on completed": {"depends_on": {"plain": {"condition": "service_completed_successfully"}}},
    "pull_policy": {"pull_policy": "always"},
    "platform": {"platform": "linux/amd64"},
    "scale": {"scale": 2},
    "post_start": {"post_start": [{"command": "true"}]},
    "container_name": {"container_name": "one"},
    "links": {"links": ["plain"]},
    "external_links": {"external_links": ["other"]},
    "domainname": {"domainname": "example.org"},
    "privileged": {"privileged": True},
    "devices": {"devices": ["/dev/null:/dev/extra"]},
    "device_cgroup_rules": {"device_cgroup_rules": ["c 1:3 mr"]},
    "gpus": {"gpus": "all"},
    "security_opt": {"security_opt": ["no-new-privileges:true"]},
    "userns_mode": {"userns_mode": "host"},
    "cgroup_parent": {"cgroup_parent": "/extra"},
    "cgroup": {"cgroup": "host"},
    "pid": {"pid": "host"},
    "ipc": {"ipc": "host"},
    "uts": {"uts": "host"},
    "group_add": {"group_add": ["5"]},
    "runtime": {"runtime": "runc"},
    "mem_limit": {"mem_limit": "40m"},
    "mem_reservation": {"mem_reservation": "40m"},
    "cpus": {"cpus": 0.5},
    "pids_limit": {"pids_limit": 100},
    "memswap_limit": {"memswap_limit": "80m"},
    "cpuset": {"cpuset": "0"},
    "cpu_shares": {"cpu_shares": 512},
    "shm_size": {"shm_size": "128m"},
    "storage_opt": {"storage_opt": {"size": "1G"}},
    "network_mode": {"network_mode": "host"},
    "expose": {"expose": ["80"]},
    "mac_address": {"mac_address": "02:42:ac:11:00:03"},
    "tmpfs": {"tmpfs": ["/scratch"]},
    "volumes_from": {"volumes_from": ["plain"]},
    "profiles": {"profiles": ["extra"]},
    "extends": {"extends": {"service": "plain"}},
    "develop": {"develop": {"watch": []}},
    "annotations": {"annotations": {"key": "value"}},
}
# construct -> the part at the top of a file, and of a service.
FILE = {
    "secret environment": ({"secrets": {"key": {"environment": "HOME"}}}, {"secrets": ["key"]}),
    "config content": ({"configs": {"key": {"content": "text"}}}, {"configs": ["key"]}),
    "include": ({"include": ["other.yml"]}, {}),
    "enable_ipv6": ({"networks": {"own": {"enable_ipv6": True}}}, {"networks": ["own"]}),
    "network gateway": (
        {"networks": {"own": {"ipam": {"config": [{"subnet": "10.7.0.0/16", "gateway": "10.7.0.1"}]}}}},
        {"networks": ["own"]},
    ),
}
# Facts that other tests of this file show.
SHOWN_ALONE = {
    "healthcheck",
    "published port",
    "published address",
    "fixed address",
    "external network",
    "bind mount",
    "named volume",
    "anonymous volume",
    "secret file",
    "env_file",
}
# Constructs that Swarm keeps, so that no fact may be about them.
KEPT = {
    "cap_add": {"cap_add": ["NET_ADMIN"]},
    "hostname": {"hostname": "one"},
    "init": {"init": True},
    "logging": {"logging": {"driver": "local"}},
    "read_only": {"read_only": True},
    "stop_signal": {"stop_signal": "SIGINT"},
    "sysctls": {"sysctls": {"net.core.somaxconn": "100"}},
    "ulimits": {"ulimits": {"nofile": 100}},
    "user": {"user": "1000:1000"},
}
BY_NAME = {fact.name: fact for fact in swarm_facts.FACTS}
REFUSED = sorted(name for name, fact in BY_NAME.items() if fact.effect == REFUSE and name not in SHOWN_ALONE)
DROPPED = sorted(name for name, fact in BY_NAME.items() if fact.effect == DROP and name not in SHOWN_ALONE)
SERVICE["devices"] = {"init": True}
SERVICE["mem_limit"] = {}
KEPT["tmpfs"] = {"tmpfs": ["/x"]}


@pytest.fixture(scope="module", params=["docker26_engine", "docker28_engine"])
def lab(request, tmp_path_factory):
    with swarm(request.getfixturevalue(request.param), tmp_path_factory.mktemp("swarm")) as made:
        yield made


@pytest.fixture
def stack(lab):
    """The name of a stack that is removed after the test."""
    yield "obx"
    lab.remove("obx")


def _plain(image, **more):
    return {"image": image, "command": ["sleep", "1000"], "deploy": {"replicas": 0}, **more}


def _named(name):
    return "with-" + name.replace(" ", "-").replace("_", "-")


def test_every_fact_about_swarm_is_shown():
    assert {*SERVICE, *FILE, *SHOWN_ALONE} == set(BY_NAME)
    assert len(BY_NAME) == len(swarm_facts.FACTS) >= 25
    assert {name for name, fact in BY_NAME.items() if fact.effect == CHANGE} <= SHOWN_ALONE


@pytest.mark.parametrize("name", REFUSED)
def test_refused_construct_fails_in_docker_stack(lab, tiny_image, name):
    top, part = FILE.get(name, ({}, SERVICE.get(name, {})))
    document = {"version": "3.13", "services": {"plain": _plain(tiny_image)}}
    assert lab.config(document).returncode == 0
    document["services"]["one"] = _plain(tiny_image, **part)
    done = lab.config({**document, **top})
    assert done.returncode != 0
    said = "forbidden" if "forbidden" in BY_NAME[name].source else ("not allowed", "must be")
    assert any(word in done.stdout + done.stderr for word in ([said] if isinstance(said, str) else said))


def test_dropped_constructs_leave_the_service_as_without_them(lab, tiny_image, stack):
    services = {"plain": _plain(tiny_image)}
    services.update((_named(name), _plain(tiny_image, **SERVICE[name])) for name in DROPPED)
    services.update((_named(name), _plain(tiny_image, **part)) for name, part in KEPT.items())
    done = lab.deploy({"version": "3.13", "services": services}, stack)
    assert done.returncode == 0, done.stderr
    plain = lab.spec(f"{stack}_plain")
    assert {name for name in DROPPED if lab.spec(f"{stack}_{_named(name)}") != plain} == set()
    assert {name for name in KEPT if lab.spec(f"{stack}_{_named(name)}") == plain} == set()
    for name in DROPPED:
        source = BY_NAME[name].source
        told = name in done.stderr
        assert told == ("unsupported" in source or "deprecated" in source), name


def test_address_of_a_port_is_dropped_and_every_node_publishes_the_port(lab, tiny_image, stack):
    services = {
        "every": _plain(tiny_image, ports=["18091:80"]),
        "loopback": _plain(tiny_image, ports=["127.0.0.1:18092:80"]),
    }
    done = lab.deploy({"version": "3.13", "services": services}, stack)
    assert done.returncode == 0, done.stderr
    assert "ignoring IP-address (127.0.0.1:18092:80/tcp)" in done.stderr
    for name, port in (("every", 18091), ("loopback", 18092)):
        row = {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": port, "PublishMode": "ingress"}
        assert lab.spec(f"{stack}_{name}")["Endpoint"]["Ports"] == [row]


def test_fixed_address_is_dropped_without_a_message(lab, tiny_image, stack):
    networks = {"own": {"ipam": {"config": [{"subnet": "10.77.0.0/24"}]}}}
    services = {
        "plain": _plain(tiny_image, networks=["own"]),
        "fixed": _plain(tiny_image, networks={"own": {"ipv4_address": "10.77.0.77"}}),
    }
    done = lab.deploy({"version": "3.13", "services": services, "networks": networks}, stack)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == ""
    assert lab.spec(f"{stack}_fixed") == lab.spec(f"{stack}_plain")


def test_network_of_one_host_is_refused(lab, tiny_image, stack):
    assert lab.docker("network", "create", "--driver", "bridge", "obx-local").returncode == 0
    try:
        document = {
            "version": "3.13",
            "services": {"one": _plain(tiny_image, networks=["other"])},
            "networks": {"other": {"external": True, "name": "obx-local"}},
        }
        done = lab.deploy(document, stack)
        assert done.returncode != 0
        assert "not in the right scope" in done.stderr
    finally:
        lab.docker("network", "rm", "obx-local")


def test_missing_bind_source_is_rejected_and_volume_belongs_to_one_node(lab, tiny_image, stack):
    one = {"deploy": {"replicas": 1}}
    services = {
        "bind": _plain(tiny_image, volumes=["/path/of/another/node:/data"], **one),
        "volume": _plain(tiny_image, volumes=["data:/data"], **one),
        "anonymous": _plain(tiny_image, volumes=["/data"], **one),
    }
    done = lab.deploy({"version": "3.13", "services": services, "volumes": {"data": {}}}, stack)
    assert done.returncode == 0, done.stderr
    rejected = lab.until(lambda: [row for row in lab.tasks(f"{stack}_bind") if row["state"] == "rejected"])
    assert "bind source path does not exist: /path/of/another/node" in rejected[0]["error"]
    lab.until(lambda: _running(lab, f"{stack}_volume"))
    scope = lab.docker("volume", "inspect", "-f", "{{.Scope}} {{.Driver}}", f"{stack}_data").stdout.split()
    assert scope == ["local", "local"]
    first = lab.until(lambda: _running(lab, f"{stack}_anonymous"))
    assert lab.docker("service", "update", "--force", "--detach=true", f"{stack}_anonymous").returncode == 0
    second = lab.until(lambda: [each for each in _running(lab, f"{stack}_anonymous") if each not in first])
    before, after = (lab.docker("inspect", "-f", "{{(index .Mounts 0).Name}}", each[0]) for each in (first, second))
    assert after.stdout.strip() not in ("", before.stdout.strip())


def _running(lab, service):
    return [row["container"] for row in lab.tasks(service) if row["state"] == "running"]


def test_unhealthy_container_is_replaced(lab, tiny_image, stack):
    check = {"test": ["CMD", "false"], "interval": "1s", "timeout": "5s", "retries": 1}
    service = _plain(tiny_image, healthcheck=check, deploy={"replicas": 1, "restart_policy": {"delay": "1s"}})
    done = lab.deploy({"version": "3.13", "services": {"sick": service}}, stack)
    assert done.returncode == 0, done.stderr
    failed = lab.until(lambda: [row for row in lab.tasks(f"{stack}_sick") if row["state"] == "failed"])
    assert "unhealthy" in failed[0]["error"]


def test_changed_secret_of_the_same_name_is_refused(lab, tiny_image, stack):
    document = {
        "version": "3.13",
        "services": {"one": _plain(tiny_image, secrets=["key"])},
        "secrets": {"key": {"file": "./key"}},
    }
    (lab.root / "key").write_text("first")
    assert lab.deploy(document, stack).returncode == 0
    (lab.root / "key").write_text("second")
    done = lab.deploy(document, stack)
    assert done.returncode != 0
    assert "only updates to Labels are allowed" in done.stderr


def test_environment_file_is_read_where_the_stack_is_deployed(lab, tiny_image, stack):
    (lab.root / "one.env").write_text("KEY=value\n")
    services = {"one": _plain(tiny_image, env_file=["one.env"])}
    assert lab.deploy({"version": "3.13", "services": services}, stack).returncode == 0
    assert lab.spec(f"{stack}_one")["ContainerSpec"]["Env"] == ["KEY=value"]
