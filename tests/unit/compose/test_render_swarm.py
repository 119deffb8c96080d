# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack file for Swarm keeps data, secrets and ports as safe as the compose file did."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan.published import by_digest
from ansible_collections.onebox.stack.plugins.module_utils.compose.render import parts
from ansible_collections.onebox.stack.plugins.module_utils.compose.render.parts import RenderError, Stack
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm.render import NAME, render
from compose_facts import model_of
from hypothesis import given, settings
from hypothesis import strategies as st


def _rendered(services, texts=None, node="box", top=None, **more):
    files = {
        each.path: each.content
        for each in render(Stack(model_of(services, **(top or {})), texts or {}, node=node, **more))
    }
    return yaml.safe_load(files.pop(NAME)), files


NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True)
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=12)
PATHS = st.from_regex(r"/[a-z]{1,6}(/[a-z]{1,6})?", fullmatch=True)
PORTS = st.tuples(
    st.sampled_from(["", "127.0.0.1", "0.0.0.0", "10.0.0.1"]), st.integers(1, 65535), st.integers(1, 65535)
)
SERVICES = st.fixed_dictionaries(
    {
        "image": st.just("app:1"),
        "environment": st.dictionaries(NAMES, VALUES, max_size=4),
        "ports": st.lists(
            PORTS.map(lambda row: {"host_ip": row[0], "published": str(row[1]), "target": row[2]}), max_size=3
        ),
        "volumes": st.lists(
            st.one_of(
                PATHS.map(lambda path: {"type": "bind", "source": "/srv" + path, "target": path}),
                PATHS.map(lambda path: {"type": "volume", "source": "data", "target": path}),
            ),
            max_size=3,
            unique_by=lambda row: row["target"],
        ),
        "command": st.lists(VALUES, max_size=3),
        "restart": st.sampled_from(["no", "always", "unless-stopped", "on-failure:3"]),
    }
)


@settings(deadline=None, max_examples=60)
@given(SERVICES)
def test_nothing_of_a_service_is_lost_and_no_bound_port_is_opened(service):
    document, files = _rendered({"web": service})
    made = document["services"]["web"]
    kept = dict(line.split("=", 1) for line in files.get("web.env", "").splitlines())
    shown = {name: value.replace("$$", "$") for name, value in made.get("environment", {}).items()}
    assert {**kept, **shown} == service["environment"]
    assert all(value == "" for value in shown.values())
    # docker stack replaces variables, and reads two dollar signs as one.
    assert made.get("command", []) == [word.replace("$", "$$") for word in service["command"]]
    mounted = {(row["type"], row["source"], row["target"]) for row in made.get("volumes", [])}
    assert mounted == {(row["type"], row["source"], row["target"]) for row in service["volumes"]}
    pinned = "node.hostname == box" in made["deploy"].get("placement", {}).get("constraints", [])
    assert pinned == bool(service["volumes"])
    opened = {(row["published"], row["target"]) for row in made.get("ports", [])}
    wanted = {(int(row["published"]), row["target"]) for row in service["ports"] if row["host_ip"] in ("", "0.0.0.0")}
    assert opened == wanted
    policy = made["deploy"]["restart_policy"]["condition"]
    assert policy == {"no": "none", "on-failure:3": "on-failure"}.get(service["restart"], "any")


def test_value_from_an_environment_file_is_not_in_the_stack_file():
    text = 'services:\n  web:\n    environment:\n      MODE: prod\n      DSN: "pg://${PASSWORD}@db"\n      - LEVEL=3\n'
    environment = {"MODE": "prod", "DSN": "pg://secret@db", "LEVEL": "3", "FROM_FILE": "prod"}
    document, files = _rendered({"web": {"image": "web", "environment": environment}}, {"compose.yml": text})
    assert document["services"]["web"]["environment"] == {"MODE": "prod", "LEVEL": "3"}
    assert files["web.env"] == "DSN=pg://secret@db\nFROM_FILE=prod\n"


def test_dollar_sign_is_not_a_variable_for_docker_stack():
    document, _files = _rendered({"web": {"image": "web", "command": ["echo", "$HOME"]}})
    assert document["services"]["web"]["command"] == ["echo", "$$HOME"]


def test_port_of_one_address_is_not_published():
    document, _files = _rendered({"web": {"image": "web", "ports": ["127.0.0.1:80:80", "81:81"]}})
    assert [row["target"] for row in document["services"]["web"]["ports"]] == [81]


def test_value_with_a_line_break_is_refused():
    with pytest.raises(RenderError, match="service web, variable KEY: its value has a line break"):
        _rendered({"web": {"image": "web", "environment": {"KEY": "a\nb"}}})


def test_secret_and_config_have_names_with_a_hash_of_the_content():
    services = {
        "web": {"image": "web", "secrets": [{"source": "key", "target": "/run/secrets/key"}], "configs": ["text"]}
    }
    top = {"secrets": {"key": {"file": "./key"}}, "configs": {"text": {"content": "hello $name"}}}
    path = "/opt/onebox/shop/key"
    first, files = _rendered(services, top=top, contents={path: b"one"})
    second, _files = _rendered(services, top=top, contents={path: b"two"})
    assert first["secrets"]["key"] == {"name": f"shop_key_{parts.digest(b'one')}", "file": path}
    assert second["secrets"]["key"]["name"] != first["secrets"]["key"]["name"]
    assert list(files.values()) == ["hello $name"]
    assert first["services"]["web"]["secrets"] == [{"source": "key", "target": "key"}]
    with pytest.raises(RenderError, match=f"service web, secret key: cannot read {path}. Create the file"):
        _rendered(services, top=top)


def test_service_with_a_health_check_and_without_data_starts_first():
    check = {"test": ["CMD", "true"]}
    services = {
        "web": {"image": "web", "healthcheck": check},
        "db": {"image": "db", "healthcheck": check, "volumes": ["data:/data"]},
        "job": {"image": "job"},
    }
    document, _files = _rendered(services)
    update = {name: body["deploy"]["update_config"] for name, body in document["services"].items()}
    assert update == {
        "web": {"order": "start-first", "failure_action": "rollback"},
        "db": {"order": "stop-first", "failure_action": "rollback"},
        "job": {"order": "stop-first", "failure_action": "continue"},
    }


def test_volume_keeps_its_name_and_image_has_its_digest():
    services = {"db": {"image": "db:1", "volumes": [{"type": "volume", "source": "data", "target": "/data"}]}}
    top = {"volumes": {"data": {"name": "shop_data"}}}
    document, _files = _rendered(services, top=top, digests={"db:1": "db:1@sha256:" + "a" * 64})
    assert document["volumes"] == {"data": {"name": "shop_data"}}
    assert document["services"]["db"]["image"] == "db:1@sha256:" + "a" * 64


def test_limits_move_into_the_section_deploy():
    service = {"image": "web", "mem_limit": "64m", "cpus": 0.5, "pids_limit": 50, "platform": "linux/arm64", "scale": 2}
    document, _files = _rendered({"web": service})
    deploy = document["services"]["web"]["deploy"]
    assert deploy["resources"]["limits"] == {"cpus": "0.5", "memory": str(64 << 20), "pids": 50}
    assert deploy["replicas"] == 2
    assert deploy["placement"]["constraints"] == ["node.platform.os == linux", "node.platform.arch == aarch64"]


def test_memory_file_systems_become_mounts():
    service = {"image": "web", "tmpfs": ["/scratch:size=1m"], "shm_size": "128m"}
    document, _files = _rendered({"web": service})
    assert document["services"]["web"]["volumes"] == [
        {"type": "tmpfs", "target": "/scratch", "tmpfs": {"size": 1 << 20}},
        {"type": "tmpfs", "target": "/dev/shm", "tmpfs": {"size": 128 << 20}},
    ]


@pytest.mark.parametrize(
    ("image", "listed"),
    [
        ("docker.io/library/redis:7", "redis"),
        ("redis:7", "docker.io/library/redis"),
        ("docker.io/prom/prometheus:v2", "prom/prometheus"),
        ("localhost:5000/redis:7", "localhost:5000/redis"),
    ],
)
def test_image_of_a_registry_has_its_digest_in_either_spelling(image: str, listed: str):
    assert by_digest({image: {"RepoDigests": [f"{listed}@sha256:aa"]}}) == {image: f"{image}@sha256:aa"}
    assert by_digest({image: {"RepoDigests": ["another/redis@sha256:aa"]}}) == {}
