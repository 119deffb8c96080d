# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quadlets have each setting of a service, or the stack is refused."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.quadlet.render import render
from ansible_collections.onebox.stack.plugins.module_utils.compose.render.parts import RenderError, Stack
from ansible_collections.onebox.stack.plugins.module_utils.core.jobs import JobError
from compose_facts import model_of


def _rendered(services, top=None, **more):
    return {each.path: each.content for each in render(Stack(model_of(services, **(top or {})), **more))}


def _lines(files, path, key):
    return [line.partition("=")[2] for line in files[path].splitlines() if line.partition("=")[0] == key]


def test_service_has_its_ports_mounts_networks_and_names():
    service = {
        "image": "docker.io/library/web:1",
        "ports": ["127.0.0.1:8080:80", "53:53/udp"],
        "volumes": ["/srv/web:/data:ro", "data:/var", "/anonymous"],
        "networks": {"default": {"aliases": ["www"]}, "outer": None},
        "labels": {"a": "b c"},
        "command": ["serve", "$HOME", "100%"],
    }
    top = {"networks": {"default": {"name": "shop_default"}, "outer": {"external": True, "name": "proxy"}}}
    files = _rendered({"web": service}, {**top, "volumes": {"data": {"name": "shop_data"}}})
    unit = "shop-web.container"
    assert _lines(files, unit, "PublishPort") == ["127.0.0.1:8080:80", "53:53/udp"]
    assert _lines(files, unit, "Volume") == [
        *("/srv/web:/data:ro", "shop-vol-data.volume:/var", "shop-vol-web-anonymous.volume:/anonymous")
    ]
    assert _lines(files, unit, "Network") == ["shop-net-default.network:alias=web,alias=www", "proxy:alias=web"]
    assert _lines(files, unit, "Label") == ['"a=b c"']
    assert _lines(files, unit, "Exec") == ["serve $$HOME 100%%"]
    assert _lines(files, "shop-net-default.network", "NetworkName") == ["shop_default"]
    assert _lines(files, "shop-vol-data.volume", "VolumeName") == ["shop_data"]
    assert _lines(files, "shop-vol-web-anonymous.volume", "VolumeName") == ["shop_web-anonymous"]


def test_service_without_networks_joins_the_default_one():
    files = _rendered({"web": {"image": "web"}, "host": {"image": "web", "network_mode": "host"}})
    assert _lines(files, "shop-web.container", "Network") == ["shop-net-default.network:alias=web"]
    assert _lines(files, "shop-host.container", "Network") == ["host"]
    assert _lines(files, "shop-net-default.network", "NetworkName") == ["shop_default"]


def test_dependency_waits_for_health_and_for_the_end():
    services = {
        "web": {
            "image": "web",
            "restart": "always",
            "depends_on": {
                "db": {"condition": "service_healthy"},
                "migrate": {"condition": "service_completed_successfully"},
                "cache": {"condition": "service_started"},
            },
        },
        "db": {"image": "db", "healthcheck": {"test": ["CMD", "true"]}, "restart": "unless-stopped"},
        "migrate": {"image": "web", "restart": "on-failure:3"},
        "cache": {"image": "cache"},
    }
    files = _rendered(services)
    assert _lines(files, "shop-web.container", "Requires") == ["shop-db.service shop-migrate.service"]
    assert _lines(files, "shop-web.container", "Wants") == ["shop-cache.service"]
    assert _lines(files, "shop-web.container", "After") == ["shop-db.service shop-migrate.service shop-cache.service"]
    assert _lines(files, "shop-db.container", "Notify") == ["healthy"]
    assert _lines(files, "shop-cache.container", "Notify") == []
    assert _lines(files, "shop-migrate.container", "Type") == ["oneshot"]
    restart = {name: _lines(files, f"shop-{name}.container", "Restart") for name in services}
    assert restart == {"web": ["always"], "db": ["always"], "migrate": ["on-failure"], "cache": ["no"]}
    # No number of failed starts makes systemd give a service up that must always run.
    unlimited = {name for name in services if _lines(files, f"shop-{name}.container", "StartLimitIntervalSec") == ["0"]}
    assert unlimited == {"web", "db"}
    installed = {name for name in services if "[Install]" in files[f"shop-{name}.container"]}
    assert installed == {"web", "db"}


def test_hidden_variable_is_in_a_file_next_to_the_unit():
    files = _rendered(
        {"web": {"image": "web", "environment": {"MODE": "prod", "KEY": "a b$c"}}},
        texts={"compose.yml": "services: {web: {environment:\n MODE: prod\n"},
    )
    assert _lines(files, "shop-web.container", "Environment") == ["MODE=prod"]
    assert _lines(files, "shop-web.container", "EnvironmentFile") == ["./shop-web.env"]
    assert files["shop-web.env"] == "KEY=a b$c\n"


def test_secret_of_podman_and_secret_from_a_file_are_kept():
    services = {"web": {"image": "web", "secrets": ["kept", "own"]}}
    top = {"secrets": {"kept": {"external": True, "name": "shop_kept"}, "own": {"file": "./own"}}}
    files = _rendered(services, top, contents={"/opt/onebox/shop/own": b"text"})
    assert _lines(files, "shop-web.container", "Secret") == ["shop_kept"]
    assert _lines(files, "shop-web.container", "Volume") == ["/opt/onebox/shop/own:/run/secrets/own:ro"]


def test_built_image_is_not_pulled():
    files = _rendered({"web": {"build": ".", "image": "shop-web"}})
    assert _lines(files, "shop-web.container", "Image") == ["localhost/shop-web"]


@pytest.mark.parametrize(
    ("service", "message"),
    [
        ({"gpus": "all"}, "service web: gpus cannot be written as a quadlet"),
        ({"scale": 2}, "service web: a quadlet runs one container, not 2"),
    ],
)
def test_key_that_a_quadlet_cannot_have_is_refused(service, message):
    with pytest.raises(RenderError, match=message):
        _rendered({"web": {"image": "web", **service}})


def test_path_with_signs_of_systemd_is_escaped():
    mount = {"type": "bind", "source": "/srv/100%/$HOME", "target": "/data"}
    files = _rendered({"web": {"image": "web", "volumes": [mount]}})
    assert _lines(files, "shop-web.container", "Volume") == ["/srv/100%%/$$HOME:/data"]


@pytest.mark.parametrize("path", ["/srv/a\nb", '/srv/"', "/srv/b\\"])
def test_path_that_podman_would_change_is_refused(path):
    mount = {"type": "bind", "source": path, "target": path}
    with pytest.raises(JobError, match="Volume: "):
        _rendered({"web": {"image": "web", "volumes": [mount]}})
