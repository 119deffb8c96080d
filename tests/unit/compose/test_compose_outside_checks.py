# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stack names and does not bring is found before anything is touched."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import outside
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import resources
from ansible_collections.onebox.stack.plugins.module_utils.engine.resources import Network, Volume
from compose_facts import driver, model_of


def network(name: str, identity: str = "n1", **labels: str) -> Network:
    named = {key.replace("_", "."): value for key, value in labels.items()}
    return Network(identity, name, "bridge", False, False, False, {}, (), named)


def judged(model, networks=(), volumes=None, rows=(), kind="docker-compose", members=(), ours=()):
    found = resources.Found({row.name: row for row in networks}, volumes or {})
    problems = outside.resources_problems(model, found, rows, driver(kind), lambda identity: members, ours)
    return [(row.code, row.where) for row in problems]


def test_all_that_is_external_and_missing_is_named_at_once():
    model = model_of(
        {"web": {"image": "a", "networks": ["proxy", "there"], "volumes": ["media:/m", "known:/k"]}},
        networks={
            "proxy": {"external": True},
            "there": {"external": True, "name": "real"},
            "unused": {"external": True},
        },
        volumes={"media": {"external": True, "name": "nas"}, "known": {"external": True}},
    )
    found = judged(model, [network("real")], {"known": Volume("known", "local", {}), "nas": None})
    assert found == [("no_network", "network proxy"), ("no_volume", "volume media")]


@pytest.mark.parametrize(
    ("labels", "kind", "code"),
    [
        ({"com_docker_compose_project": "other", "com_docker_compose_network": "default"}, "docker-compose", True),
        ({}, "docker-compose", True),
        ({"com_docker_compose_project": "shop", "com_docker_compose_network": "inner"}, "docker-compose", False),
        ({}, "podman-compose", False),
    ],
)
def test_name_of_a_network_that_another_has_is_refused_where_compose_refuses_it(labels, kind, code):
    model = model_of({"web": {"image": "a", "networks": ["inner"]}}, networks={"inner": {"name": "lan"}})
    assert judged(model, [network("lan", **labels)], kind=kind) == [("network_taken", "network inner")] * code


def test_network_that_must_be_made_again_and_has_others_on_it_is_refused():
    model = model_of({"web": {"image": "a"}})
    row = resources.Row("network", "default", "shop_default", "n1", "recreate", ["network_changed"], {"internal": {}})
    there = [network("shop_default", com_docker_compose_network="default")]
    assert judged(model, there, rows=[row], members=["shop-web-1"], ours=["shop-web-1"]) == []
    found = judged(model, there, rows=[row], members=["shop-web-1", "visitor"], ours=["shop-web-1"])
    assert found == [("network_in_use", "network default")]


@pytest.mark.parametrize(
    ("body", "missing"),
    [
        ({"driver_opts": {"type": "none", "o": "bind", "device": "HERE/none"}}, True),
        ({"driver_opts": {"type": "none", "o": "bind", "device": "HERE"}}, False),
        ({"driver": "local", "driver_opts": {"type": "ext4", "device": "/dev/not-there"}}, True),
        ({"driver_opts": {"type": "nfs", "o": "addr=nas", "device": ":/export"}}, False),
        ({"driver_opts": {"type": "nfs4", "o": "addr=nas", "device": "/export"}}, False),
        ({"driver_opts": {"type": "cifs", "device": "//nas/share"}}, False),
        ({"driver_opts": {"type": "tmpfs", "device": "tmpfs"}}, False),
        ({"driver": "rclone", "driver_opts": {"device": "/not-there"}}, False),
        ({}, False),
    ],
)
def test_device_of_a_volume_that_does_not_exist(tmp_path, body, missing):
    text = {key: value.replace("HERE", str(tmp_path)) for key, value in body.get("driver_opts", {}).items()}
    model = model_of(
        {"web": {"image": "a", "volumes": ["d:/d"]}}, volumes={"d": {**body, "driver_opts": text}, "unused": body}
    )
    assert judged(model) == [("no_source", "volume d")] * missing


def test_device_that_does_not_exist():
    rows = [
        {"source": "/dev/dri", "target": "/dev/dri", "permissions": "rwm"},
        "/dev/ttyUSB0:/dev/tty:r",
        "/dev/null",
        "nvidia.com/gpu=all",
    ]
    problems = outside.devices(model_of({"web": {"image": "a", "devices": rows}}), lambda path: path == "/dev/null")
    assert [problem.where for problem in problems] == [
        "service web, device /dev/dri",
        "service web, device /dev/ttyUSB0",
    ]


def test_provider_service_is_refused():
    (problem,) = outside.declared(model_of({"db": {"provider": {"type": "awesomecloud"}}, "app": {"image": "a"}}))
    assert (problem.code, problem.where) == ("provider_service", "service db")
    assert "awesomecloud" in problem.message


@pytest.mark.parametrize(
    ("image", "good"),
    [
        ("redis", True),
        ("ghcr.io/owner/app:v1.2.3-rc_1", True),
        ("localhost:5000/a/b__c:9", True),
        ("redis@sha256:" + "a" * 64, True),
        ("redis:7@sha256:" + "a" * 64, True),
        ("sha256:" + "a" * 64, True),
        ("UPPER.example/app", True),
        ("redis:", False),
        (":7", False),
        ("Owner/App", False),
        ("a b", False),
        ("app:-x", False),
    ],
)
def test_name_that_no_image_can_have_is_refused(image, good):
    assert [row.code for row in outside.declared(model_of({"web": {"image": image}}))] == ["bad_image"] * (not good)
