# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks and volumes that are not as declared. The hashes are those of real objects of Docker Compose 2.40.3."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose import (
    limits as podman_compose_limits,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import resources
from ansible_collections.onebox.stack.plugins.module_utils.engine.resources import (
    Network,
    Subnet,
    Volume,
    parse_network,
)
from compose_facts import container, driver, model_of, planned

WEB = {
    "image": "shop:1",
    "networks": {"inner": None},
    "volumes": [{"type": "volume", "source": "data", "target": "/d"}],
}
INNER = {"name": "shop_inner", "ipam": {}}
DATA = {"name": "shop_data"}


def network(**changes) -> Network:
    values = {
        "id": "n1",
        "name": "shop_inner",
        "driver": "bridge",
        "internal": False,
        "attachable": False,
        "ipv6": False,
        "options": {},
        "subnets": (Subnet("172.29.0.0/16", "172.29.0.1", ""),),
        "labels": {},
    }
    return Network(**{**values, **changes})


def rows(inner=None, data=None, *, there=None, volume=None, known=None, kind="podman-compose", version="1.6.0"):
    model = model_of({"web": WEB}, networks={"inner": inner or INNER}, volumes={"data": data or DATA})
    found = resources.Found(
        {"shop_inner": there or network()}, {"shop_data": volume or Volume("shop_data", "local", {})}, known or {}
    )
    return resources.plan(model, found, driver(kind, map(int, version.split(".")))), model, found


@pytest.mark.parametrize(
    ("kind", "body", "hashed"),
    [
        (
            "network",
            {
                "name": "k6x_inner",
                "driver_opts": {"com.docker.network.bridge.name": "k6br0"},
                "ipam": {},
                "labels": {"a": "b"},
            },
            "349fdf915bfbcf943e703c48dcacf175b08ab8aba9d313ca3b3ca88032172f0d",
        ),
        (
            "network",
            {"name": "k6x_default", "ipam": {}},
            "aa546ceecc4d2332e53809c53094062a6b18627ece1a28ce3fe2ba1a3d3123ed",
        ),
        (
            "volume",
            {"name": "k6x_data", "labels": {"keep": "1"}},
            "43d7842b11c53b0e9cb6f087ad3fe62ddffb7c37ac3392b821afdfc3b4940a88",
        ),
    ],
)
def test_digest_is_the_hash_that_compose_writes(kind: str, body: dict, hashed: str):
    assert resources.digest(kind, body) == hashed


def test_network_and_volume_as_declared_are_not_in_the_plan():
    assert rows()[0] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"internal": True}, "internal"),
        ({"driver": "macvlan"}, "driver"),
        ({"driver_opts": {"mtu": "1400"}}, "driver_opts.mtu"),
        ({"labels": {"a": "b"}}, "labels.a"),
        ({"labels": ["a=b"]}, "labels.a"),
        ({"enable_ipv6": True}, "enable_ipv6"),
        ({"ipam": {"config": [{"subnet": "10.9.0.0/24"}]}}, "ipam.config.0.subnet"),
        ({"ipam": {"config": [{"subnet": "172.29.0.0/16", "gateway": "172.29.0.9"}]}}, "ipam.config.0.gateway"),
    ],
)
def test_network_that_differs_is_made_again_with_the_field_named(body: dict, field: str):
    (row,) = rows({**INNER, **body})[0]
    assert (row.kind, row.key, row.action, row.reasons) == ("network", "inner", "recreate", ["network_changed"])
    assert set(row.diff) == {field}
    assert row.as_dict()["service"] == "network inner"


@pytest.mark.parametrize(
    "body",
    [
        {"ipam": {"config": [{"subnet": "172.29.0.0/16"}]}},
        {"ipam": {"config": [{"subnet": "172.29.1.0/16"}]}},
        {"ipam": {"config": [{}]}},
        {"driver": "bridge"},
        {"external": True, "internal": True},
    ],
)
def test_network_that_comes_to_the_same_is_kept(body: dict):
    assert rows({**INNER, **body})[0] == []


def test_setting_removed_from_a_network_is_found_by_its_record():
    before = {**INNER, "ipam": {"config": [{"subnet": "172.29.0.0/16"}]}}
    _rows, model, found = rows(before)
    known = resources.remembered(model, found, [])
    assert rows(INNER)[0] == []
    (row,) = rows(INNER, known=known)[0]
    assert row.action == "recreate"
    assert rows(before, known=known)[0] == []


def test_label_of_compose_decides_for_docker_compose():
    options = {"kind": "docker-compose", "version": "2.40.3"}
    right = {resources.HASH_LABEL: resources.digest("network", INNER), resources.VERSION_LABEL: "2.40.3"}
    assert rows(there=network(internal=True, labels=right), **options)[0] == []
    wrong = {**right, resources.HASH_LABEL: "0" * 64}
    (row,) = rows(there=network(labels=wrong), **options)[0]
    assert row.action == "recreate"
    # A version that hashes otherwise must not make the network again in each run.
    known = {"n1": resources.digest("network", INNER)}
    assert rows(there=network(labels=wrong), known=known, **options)[0] == []
    (row,) = rows(there=network(labels={**wrong, resources.VERSION_LABEL: "2.30.0"}), known=known, **options)[0]
    assert row.action == "recreate"


@pytest.mark.parametrize(
    ("labels", "kind", "kept"),
    [
        ({"com.docker.compose.project": "other"}, "podman-compose", True),
        ({"com.docker.compose.project": "other"}, "docker-compose", True),
        ({"com.docker.compose.project": "other", resources.HASH_LABEL: "0"}, "docker-compose", False),
        ({"com.docker.compose.project": "shop"}, "podman-compose", False),
    ],
)
def test_network_of_another_stack_is_made_again_only_where_compose_insists(labels, kind, kept):
    found, _model, _found = rows({**INNER, "internal": True}, there=network(labels=labels), kind=kind)
    assert (found == []) is kept


def test_containers_on_a_changed_network_and_those_in_their_namespaces_are_replaced():
    model = model_of(
        {
            "web": {"image": "shop:1", "networks": ["inner"]},
            "side": {"image": "shop:1", "network_mode": "service:web"},
            "other": {"image": "shop:1"},
            "new": {"image": "shop:1", "networks": {"inner": {}}},
        }
    )
    there = [container(name) for name in ("web", "side", "other")]
    made = planned(model, there, networks=["inner"])
    assert {name: (row.action, row.reasons) for name, row in made.items()} == {
        "web": ("recreate", ["network_changed"]),
        "side": ("recreate", ["parent_recreated"]),
        "other": ("keep", []),
        "new": ("create", ["missing"]),
    }
    assert planned(model, there, networks=["default"])["other"].reasons == ["network_changed"]


@pytest.mark.parametrize(
    ("body", "volume", "field"),
    [
        ({"labels": {"keep": "1"}}, {}, "labels.keep"),
        ({"driver_opts": {"type": "none", "device": "/x"}}, {"type": "none"}, "driver_opts.device"),
        ({}, {"type": "none"}, "driver_opts.type"),
        ({"driver": "other"}, {}, "driver"),
    ],
)
def test_volume_that_differs_stays_with_a_warning(body: dict, volume: dict, field: str):
    found, model, there = rows(data={**DATA, **body}, volume=Volume("shop_data", "local", volume))
    (row,) = found
    assert (row.kind, row.action, row.reasons, set(row.diff)) == ("volume", "keep", ["volume_changed"], {field})
    (warning,) = resources.warnings(found)
    assert field in warning
    assert "is not changed" in warning
    assert "shop_data" in warning
    # It is said again in each run.
    known = resources.remembered(model, there, found)
    assert "shop_data" not in known
    assert rows(data={**DATA, **body}, volume=Volume("shop_data", "local", volume), known=known)[0]


def test_password_of_a_share_is_not_shown():
    options = {"o": "addr=nas,username=u,password=hunter22"}
    (row,) = rows(
        data={**DATA, "driver_opts": {"o": options["o"] + "33"}}, volume=Volume("shop_data", "local", options)
    )[0]
    assert "hunter22" not in str(row.as_dict())
    assert row.diff["driver_opts.o"]["after"].endswith("(another value)")


def test_names_of_networks_that_podman_compose_leaves_open():
    model = model_of(
        {"web": {"image": "a", "networks": ["inner", "own", "proxy", "old"]}, "job": {"image": "a"}},
        networks={
            "inner": None,
            "own": {"name": "mine"},
            "proxy": {"external": True},
            "old": {"external": {"name": "far"}},
            "unused": {},
        },
    )
    names = {key: body["name"] for key, body in resources.declared(model, "network").items()}
    assert names == {"inner": "shop_inner", "own": "mine", "proxy": "proxy", "old": "far", "default": "shop_default"}


def test_network_of_podmans_command_line_has_the_same_shape():
    row = {
        "name": "shop_inner",
        "id": "abc",
        "driver": "bridge",
        "subnets": [{"subnet": "10.89.0.0/24", "gateway": "10.89.0.1"}],
        "ipv6_enabled": False,
        "internal": True,
        "labels": {"a": "b"},
        "ipam_options": {"driver": "host-local"},
    }
    found = parse_network(row)
    assert (found.id, found.internal, found.labels) == ("abc", True, {"a": "b"})
    assert found.subnets == (Subnet("10.89.0.0/24", "10.89.0.1", ""),)


@pytest.mark.parametrize(
    ("top", "network"),
    [
        ({}, "default"),
        ({"networks": {"inner": None}}, "inner"),
        ({"networks": {"inner": None, "default": None}}, "default"),
        ({"networks": {"inner": None, "outer": None}}, ""),
        ({"networks": {"inner": None}, "x-podman": {"default_net_behavior_compat": True}}, "default"),
    ],
)
def test_network_of_a_service_that_names_none_is_that_of_podman_compose(top, network):
    assert podman_compose_limits.default_network(top) == network
