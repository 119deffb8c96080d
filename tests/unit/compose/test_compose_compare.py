# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which fields of a container are not as its service declares, on recorded containers of both engines."""

import dataclasses

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import LeftOpen, from_config
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import compare
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.compose.secrecy import Secrecy
from ansible_collections.onebox.stack.plugins.module_utils.core.mask import MASK
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import parse_inspect
from compose_facts import container, docker_model, model_of, recorded


@pytest.mark.parametrize("version", ["2.26.1", "2.40.3"])
def test_container_of_docker_compose_equals_its_model(version):
    record = recorded(f"docker-compose-{version}")
    model = docker_model(record)
    for row in map(parse_inspect, record["containers"]):
        assert compare.differences(model.services[row.service], row, record["images"][0]) == {}


def test_container_of_podman_compose_equals_its_model():
    record = recorded("podman-compose-1.6.0")
    env = {"FROM_FILE": "v <1>", "OTHER": "quoted $FILLED"}
    record["config"]["services"]["api"]["environment"]["BOOL"] = "True"
    model = from_config(
        record["config"],
        project="obxrec",
        project_dir="/tmp/obx-compose-lab/rec",
        default_image="",
        unset={},
        left_open=LeftOpen(read_env=lambda path: env),
    )
    for row in map(parse_inspect, record["containers"]):
        assert compare.differences(model.services[row.service], row, record["images"][0]) == {}


CHANGES = {
    "image": ({"image": "shop:2"}, "image", "shop:1", "shop:2"),
    "variable": ({"environment": {"LEVEL": "debug"}}, "environment.LEVEL", "info", "debug"),
    "variable gone": ({"environment": {}}, "environment.LEVEL", "info", None),
    "command": ({"command": ["run"]}, "command", "serve --fast", "run"),
    "user": ({"user": "7"}, "user", "", "7"),
    "restart": ({"restart": "always"}, "restart", "unless-stopped", "always"),
    "source": ({"volumes": ["/b:/data"]}, "mounts./data", "/a (read-write)", "/b (read-write)"),
    "read-only": ({"volumes": ["/a:/data:ro"]}, "mounts./data", "/a (read-write)", "/a (read only)"),
    "mount gone": ({"volumes": []}, "mounts./data", "/a (read-write)", None),
    "label": ({"labels": {"owner": "you"}}, "labels.owner", "me", "you"),
    "ports": ({"ports": ["127.0.0.1:81:80"]}, "ports", ["127.0.0.1:80->80/tcp"], ["127.0.0.1:81->80/tcp"]),
}

DECLARED = {
    "image": "shop:1",
    "environment": {"LEVEL": "info"},
    "command": ["serve", "--fast"],
    "restart": "unless-stopped",
    "volumes": ["/a:/data"],
    "labels": {"owner": "me"},
    "ports": ["127.0.0.1:80:80"],
}


def _running():
    row = container(
        "web",
        Config__Env=["PATH=/bin", "LEVEL=info", "FROM_IMAGE=1", "PASSED_ON"],
        Config__Cmd=["serve", "--fast"],
        HostConfig__RestartPolicy={"Name": "unless-stopped"},
        HostConfig__PortBindings={"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "80"}]},
        Mounts=[{"Type": "bind", "Source": "/a", "Destination": "/data", "RW": True}],
    )
    return dataclasses.replace(row, labels={**row.labels, "owner": "me", "built": "yes"})


IMAGE = {"Config": {"Env": ["FROM_IMAGE=1"], "Labels": {"built": "yes"}}}


def test_container_as_declared_has_no_difference():
    service = model_of({"web": DECLARED}).services["web"]
    assert compare.differences(service, _running(), IMAGE) == {}


@pytest.mark.parametrize("name", CHANGES)
def test_changed_field_is_the_only_difference(name):
    change, field, before, after = CHANGES[name]
    service = model_of({"web": {**DECLARED, **change}}).services["web"]
    assert compare.differences(service, _running(), IMAGE) == {field: {"before": before, "after": after}}


def test_changed_secret_is_found_and_not_shown():
    service = model_of({"web": {"image": "shop:1", "environment": {"DB_PASSWORD": "new-one"}}}).services["web"]
    found = compare.differences(service, container("web", Config__Env=["DB_PASSWORD=old-one"]), {})
    assert set(found) == {"environment.DB_PASSWORD"}
    shown = Secrecy(Request("shop", "/nowhere")).diff(found)
    assert "one" not in str(shown).replace("environment", "")
    assert MASK in str(shown)


@pytest.mark.parametrize(
    ("runs", "declared", "same"),
    [
        ("docker.io/library/redis:7", "redis:7", True),
        ("docker.io/library/redis:latest", "redis", True),
        ("localhost/app:1", "app:1", True),
        ("quay.io/me/app:1", "me/app:1", True),
        ("docker.io/library/redis:7", "redis:6", False),
        ("localhost/app:1", "quay.io/app:1", False),
        ("docker.io/other/redis:7", "library/redis:7", False),
        ("registry:5000/app:1", "registry:5000/app:1", True),
        ("app@sha256:1", "app@sha256:2", False),
    ],
)
def test_names_of_one_image(runs, declared, same):
    assert compare.same_image(runs, declared) is same


class TestDigest:
    """The digest says that a service changed where podman-compose's own hash does not."""

    def _digest(self, body, **options):
        made = from_config(
            {"services": {"web": body}},
            project="shop",
            project_dir=options.pop("project_dir", "/opt/a"),
            default_image="x",
            unset={},
            **options,
        )
        return compare.digest(made.services["web"])

    def test_env_file_content_counts(self):
        body = {"image": "a", "env_file": "x.env"}
        reads = [LeftOpen(read_env=lambda path, value=value: {"A": value}) for value in "12"]
        assert self._digest(body, left_open=reads[0]) != self._digest(body, left_open=reads[1])

    def test_where_a_relative_source_leads_counts(self):
        body = {"image": "a", "volumes": ["./x:/x:ro"]}
        assert self._digest(body, project_dir="/opt/a") != self._digest(body, project_dir="/opt/b")

    def test_how_to_build_does_not_count(self):
        assert self._digest({"image": "a"}) == self._digest({"image": "a", "build": ".", "depends_on": ["b"]})

    def test_healthcheck_changes_the_digest(self):
        assert self._digest({"image": "a"}) != self._digest({"image": "a", "healthcheck": {"test": "true"}})
