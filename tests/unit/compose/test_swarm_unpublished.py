# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A check of a port that a Swarm does not publish is refused by the name of its variable, before the deploy."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm import unpublished
from compose_facts import model_of


def found(ports, *, http=(), prometheus=()):
    services = model_of({"web": {"image": "web:1", "ports": ports}}).services
    checks = {"http_checks": tuple({"url": url} for url in http)}
    checks["prometheus_checks"] = tuple({"url": url} for url in prometheus)
    return list(unpublished.problems(services, Request("shop", "/nowhere", **checks)))


def port(published, address=""):
    return {"target": 80, "published": str(published), "host_ip": address, "protocol": "tcp", "mode": "ingress"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_check_of_a_port_on_loopback_is_refused_with_its_variable(host):
    (problem,) = found([port(8080, "127.0.0.1")], http=[f"http://user:word@{host}:8080/health?key=word"])
    assert (problem.code, problem.where) == ("not_published", "compose_stack_http_checks")
    assert "port 8080 of service web on 127.0.0.1" in problem.message
    assert "Remove this check" in problem.message
    assert "word" not in problem.message


def test_check_of_prometheus_on_loopback_is_refused_with_its_variable():
    (problem,) = found([port(9090, "127.0.0.1")], prometheus=["http://127.0.0.1:9090"])
    assert problem.where == "compose_stack_prometheus_checks"


def test_check_of_the_port_of_its_scheme_is_refused():
    assert len(found([port(80, "127.0.0.1")], http=["http://127.0.0.1/"])) == 1


def test_check_of_an_address_of_this_host_is_refused():
    assert len(found([port(8080, "10.0.0.5")], http=["http://10.0.0.5:8080/"])) == 1


@pytest.mark.parametrize(
    ("ports", "url"),
    [
        ([port(8080)], "http://127.0.0.1:8080/"),
        ([port(8080, "127.0.0.1"), port(8080)], "http://127.0.0.1:8080/"),
        ([port(8080, "127.0.0.1")], "http://127.0.0.1:9000/"),
        ([port(8080, "127.0.0.1")], "http://proxy.example.org:8080/"),
        ([port(8080, "127.0.0.1")], "http://127.0.0.1:port/"),
    ],
    ids=["published", "published too", "another port", "another machine", "no URL"],
)
def test_check_of_something_else_is_accepted(ports, url):
    assert found(ports, http=[url]) == []
