# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack is compared with the facts about Swarm and Kubernetes."""

from __future__ import annotations

import json

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability import find
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability.assess import FACTS, assess
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability.check import Order, check
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability.table import EFFECTS, TARGETS
from compose_facts import model_of
from recorded_tool import answers

# A service that uses a construct, and the uses that a finding names.
USES = {
    "build": ({"build": "."}, "shop-web"),
    "restart": ({"restart": "always"}, "always"),
    "depends_on": ({"depends_on": {"db": {"condition": "service_started"}}}, "db"),
    "depends_on condition": ({"depends_on": {"db": {"condition": "service_healthy"}}}, "db"),
    "depends_on completed": ({"depends_on": {"db": {"condition": "service_completed_successfully"}}}, "db"),
    "healthcheck": ({"healthcheck": {"test": ["CMD", "true"]}}, "its test"),
    "container_name": ({"container_name": "shop"}, "shop"),
    "devices": ({"devices": [{"source": "/dev/dri", "target": "/dev/dri"}]}, "/dev/dri"),
    "privileged": ({"privileged": True}, "true"),
    "published address": ({"ports": ["127.0.0.1:80:8080"]}, "127.0.0.1:80:8080"),
    "published port": ({"ports": ["80:8080"]}, "80:8080"),
    "network_mode": ({"network_mode": "host"}, "host"),
    "fixed address": ({"networks": {"own": {"ipv4_address": "10.0.0.5"}}}, "10.0.0.5"),
    "external network": ({"networks": {"outer": None}}, "outer"),
    "bind mount": ({"volumes": ["/srv/data:/data"]}, "/srv/data"),
    "host socket": ({"volumes": ["/var/run/docker.sock:/s"]}, "/var/run/docker.sock"),
    "named volume": ({"volumes": ["data:/data"]}, "data"),
    "anonymous volume": ({"volumes": ["/data"]}, "/data"),
    "several writers": ({"volumes": ["data:/data"], "scale": 2}, "data"),
    "gpus": ({"gpus": "all"}, "gpus"),
    "secret file": ({"secrets": ["key"]}, "key"),
    "config content": ({"configs": ["text"]}, "text"),
    "user by name": ({"user": "app"}, "app"),
    "mem_limit": ({"mem_limit": "40m"}, "40m"),
}
TOP = {
    "networks": {"own": {}, "outer": {"external": True}},
    "secrets": {"key": {"file": "./key"}},
    "configs": {"text": {"content": "hello"}},
}


def _found(services, texts=None, **top):
    return assess(model_of({"db": {"image": "db"}, **services}, **(top or TOP)), texts or {})


def test_each_fact_is_complete_and_can_be_found():
    for fact in FACTS:
        assert fact.effect in EFFECTS[1:]
        assert fact.remains in EFFECTS
        assert fact.target in TARGETS
        assert fact.name in find.FINDERS or fact.name in ("extends", "include", "env_file")
        assert all(text.endswith(".") for text in (fact.happens, fact.way_out))
        assert fact.source
    names = [(fact.name, fact.target) for fact in FACTS]
    assert len(set(names)) == len(names)
    assert {name for name, _target in names} >= set(find.FINDERS)


@pytest.mark.parametrize("name", sorted(USES))
def test_construct_of_a_service_is_found_with_its_uses(name):
    part, use = USES[name]
    rows = [each for each in _found({"web": {"image": "shop-web", **part}}).findings if each.fact.name == name]
    assert {(each.service, each.uses) for each in rows} == {("web", (use,))}
    assert [each for each in _found({"web": {"image": "web"}}).findings if each.fact.name == name] == []


def test_plain_service_has_no_finding():
    plain = {"image": "web", "environment": {"A": "b"}, "networks": {"default": None}, "command": None}
    found = _found({"web": plain}, networks={"default": {"name": "shop_default"}})
    assert found.findings == ()
    assert [found.score(target) for target in TARGETS] == [100, 100]


def test_score_is_the_percentage_of_services_that_lose_nothing():
    found = _found(
        {
            "one": {"image": "a", "devices": ["/dev/dri"]},
            "two": {"image": "b", "ports": ["80:80"]},
            "three": {"image": "c", "build": "."},
        }
    )
    assert found.verdicts["swarm"] == {"db": "moves", "one": "loses", "two": "changes", "three": "stays"}
    assert found.score("swarm") == 50
    lines = found.lines()
    assert lines[0] == "swarm: 2 of 4 services move (50 %)"
    assert [line for line in lines if line.startswith("  ") and not line.startswith("    ")][:3] == [
        "  three cannot move:",
        "  one would lose something:",
        "  two moves, with changes:",
    ]
    assert any("devices (/dev/dri): The container does not have the device." in line for line in lines)


def test_construct_that_the_model_no_longer_has_is_found_with_its_line():
    text = "include: [other.yml]\nservices:\n  web:\n    extends: {service: base}\n    env_file: a.env\n"
    found = _found({"web": {"image": "web"}}, {"/opt/shop/compose.yml": text})
    swarm = [(each.fact.name, each.where) for each in found.findings if each.fact.target == "swarm"]
    assert sorted(swarm) == [
        ("env_file", "/opt/shop/compose.yml, line 5"),
        ("extends", "/opt/shop/compose.yml, line 4"),
        ("include", "/opt/shop/compose.yml, line 1"),
    ]
    assert found.score("swarm") == 100


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/var/run/docker.sock", True),
        ("/run/podman/podman.sock", True),
        ("/srv/app/app.sock", True),
        ("/", True),
        ("/sys", True),
        ("/etc/ssl", True),
        ("/etc/localtime", False),
        ("/srv/etc", False),
        ("/var/lib/app", False),
        ("/opt/onebox/shop/data", False),
    ],
)
def test_path_of_the_system_is_recognised(path, expected):
    assert find.of_the_system(path) is expected


@pytest.fixture
def order(tmp_path):
    (tmp_path / "compose.yml").write_text("services: {web: {image: web, build: .}, db: {image: db}}\n")
    return Order("shop", str(tmp_path), provider_path="/bin/docker-compose")


def _world():
    model = {"services": {"web": {"image": "web", "build": {"context": "."}}, "db": {"image": "db"}}}
    return answers(version=(0, "2.40.0", ""), config=(0, json.dumps(model), ""))


def test_check_reports_each_service_and_the_score(order):
    result = check(order, _world())
    assert result["score"] == {"swarm": 50, "kubernetes": 50}
    assert result["services"] == [
        {"service": "web", "swarm": "stays", "kubernetes": "stays"},
        {"service": "db", "swarm": "moves", "kubernetes": "moves"},
    ]
    assert "failed" not in result
    assert {each["construct"] for each in result["findings"]} == {"build"}


def test_check_fails_below_the_minimum_score(order):
    result = check(Order(**{**vars(order), "minimum_score": 51, "targets": ("swarm",)}), _world())
    assert result["failed"]
    assert "the score is below minimum_score (51 %): swarm 50 %" in result["msg"]
    assert "failed" not in check(Order(**{**vars(order), "minimum_score": 50}), _world())
