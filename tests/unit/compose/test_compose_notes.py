# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan warns of: keys without effect, logs without a bound, data that a failed version may have changed."""

from __future__ import annotations

import dataclasses
import json
import os
import socket

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import log_bound, without_effect
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import data_written
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from compose_facts import container, driver, model_of


def named(body: dict, kind: str = "docker-compose", **top) -> list[str]:
    model = model_of({"web": {"image": "a", **body}}, **top)
    found = without_effect.warnings(model, driver(kind))
    return [each.split(": has no effect")[0].removeprefix("service web, ") for each in found]


@pytest.mark.parametrize(
    ("body", "keys"),
    [
        ({}, []),
        ({"deploy": {"resources": {"limits": {"cpus": "1"}}, "placement": {}, "labels": []}}, []),
        ({"deploy": {"update_config": {"order": "start-first"}}}, ["deploy.update_config"]),
        ({"deploy": {"rollback_config": {"parallelism": 1}}}, ["deploy.rollback_config"]),
        ({"deploy": {"placement": {"constraints": ["node.role == manager"]}}}, ["deploy.placement"]),
        ({"deploy": {"mode": "global"}}, ["deploy.mode: global"]),
        ({"deploy": {"mode": "replicated", "replicas": 1}}, []),
        ({"deploy": {"labels": {"a": "b"}}}, ["deploy.labels"]),
        ({"deploy": {"restart_policy": {"condition": "any", "delay": "5s"}}}, ["deploy.restart_policy.delay"]),
        ({"deploy": {"resources": {"reservations": {"cpus": "1"}}}}, ["deploy.resources.reservations.cpus"]),
        ({"deploy": {"replicas": 2}, "container_name": "one"}, ["deploy.replicas"]),
        ({"deploy": {"replicas": 1}, "container_name": "one"}, []),
        ({"deploy": {"replicas": 3}, "scale": 1}, ["deploy.replicas"]),
        ({"network_mode": "host", "ports": ["80:80"]}, ["ports"]),
        ({"network_mode": "host"}, []),
        ({"labels": {"onebox.reload": "self"}}, []),
        ({"labels": {"onebox.reload": "yes"}}, ["label onebox.reload: yes"]),
    ],
)
def test_keys_that_docker_compose_does_not_carry_out_are_named(body, keys):
    assert named(body) == keys


def test_podman_compose_reads_less_of_deploy():
    assert named({"deploy": {"replicas": 2}}, "podman-compose") == ["deploy.replicas"]
    assert named({"deploy": {"replicas": 2, "mode": "replicated"}}, "podman-compose") == []
    policy = {"deploy": {"restart_policy": {"condition": "any", "max_attempts": 3}}}
    assert named(policy, "podman-compose") == ["deploy.restart_policy.condition", "deploy.restart_policy.max_attempts"]


def test_owner_and_mode_of_a_secret_from_a_file_are_named():
    body = {"secrets": [{"source": "key", "mode": "0400"}, {"source": "word", "uid": "5"}]}
    secrets = {"key": {"file": "./key"}, "word": {"environment": "WORD"}}
    assert named(body, secrets=secrets) == ["secrets.key (mode)"]


@pytest.fixture
def defaults(monkeypatch):
    """Set what the engine's configuration says: file -> text."""
    texts: dict[str, str] = {}
    monkeypatch.setattr(log_bound, "_text", lambda path: texts.get(path, ""))
    return texts


def unbounded(services: dict, *containers, engine: str = "docker", world: World | None = None) -> str:
    world = world or dataclasses.replace(World.real(), uid=0)
    return log_bound.warning(model_of(services), containers, engine, world)


@pytest.mark.parametrize(
    ("logging", "bounded"),
    [
        (None, False),
        ({"driver": "json-file"}, False),
        ({"options": {"max-file": "3"}}, False),
        ({"options": {"max-size": "-1"}}, False),
        ({"options": {"max-size": "0"}}, False),
        ({"options": {"max-size": "10m"}}, True),
        ({"driver": "local"}, True),
        ({"driver": "journald"}, True),
        ({"driver": "none"}, True),
        ({"driver": "k8s-file", "options": {"max-size": "10mb"}}, True),
    ],
)
def test_log_without_a_limit_is_found(defaults, logging, bounded):
    body = {"image": "a"} if logging is None else {"image": "a", "logging": logging}
    assert (unbounded({"web": body}) == "") is bounded


def test_one_warning_names_all_services_and_the_lines(defaults):
    said = unbounded({"web": {"image": "a"}, "db": {"image": "a"}, "off": {"image": "a", "scale": 0}})
    assert "logs of db, web, so" in said
    assert 'logging: {options: {max-size: 10m, max-file: "3"}}' in said
    assert "/etc/docker/daemon.json" in said


def test_default_of_docker_counts(defaults):
    defaults["/etc/docker/daemon.json"] = json.dumps({"log-opts": {"max-size": "10m"}})
    assert unbounded({"web": {"image": "a"}}) == ""
    assert unbounded({"web": {"image": "a", "logging": {"driver": "json-file"}}}) == ""
    assert unbounded({"web": {"image": "a", "logging": {"driver": "k8s-file"}}}) != ""
    defaults["/etc/docker/daemon.json"] = json.dumps({"log-driver": "journald"})
    assert unbounded({"web": {"image": "a"}}) == ""
    defaults["/etc/docker/daemon.json"] = "{"
    assert unbounded({"web": {"image": "a"}}) != ""


def test_default_of_podman_counts(defaults):
    # Which driver Podman takes by itself is known once there is a container.
    assert unbounded({"web": {"image": "a"}}, engine="podman") == ""
    defaults["/etc/containers/containers.conf"] = '[containers]\nlog_driver = "k8s-file"\n# log_size_max = 1000\n'
    assert "log_size_max = 10485760" in unbounded({"web": {"image": "a"}}, engine="podman")
    defaults["/etc/containers/containers.conf"] += "log_size_max = 1000000\n"
    assert unbounded({"web": {"image": "a"}}, engine="podman") == ""


@pytest.mark.parametrize(
    ("config", "bounded"),
    [
        ({"Type": "json-file", "Config": {}}, False),
        ({"Type": "json-file", "Config": {"max-size": "1m"}}, True),
        ({"Type": "journald", "Config": None}, True),
        ({"Type": "k8s-file", "Config": None, "Size": "0B"}, False),
        ({"Type": "k8s-file", "Config": None, "Size": "10MB"}, True),
    ],
)
def test_container_shows_the_default_of_the_engine(defaults, config, bounded):
    made = container("web", HostConfig__LogConfig=config)
    assert (unbounded({"web": {"image": "a"}}, made, engine="podman") == "") is bounded


# Data


def mounted(source: str, kind: str = "bind", writable: bool = True, **changes):
    name = "db" if kind == "volume" else ""
    row = {"Type": kind, "Source": source, "Destination": "/data", "RW": writable, "Name": name}
    return container("web", Mounts=[row], **changes)


def test_only_what_started_and_could_write_is_named(tmp_path):
    before, after = [mounted("/srv/d")], [mounted("/srv/d", State__StartedAt="2026-11-22T09:00:00Z")]
    assert data_written.writable(before, before) == []
    assert data_written.writable(before, after) == [{"service": "web", "source": "/srv/d", "destination": "/data"}]
    assert data_written.writable([], [mounted("/srv/d", State__StartedAt="")]) == []
    assert data_written.writable([], [mounted("/srv/d", writable=False)]) == []
    assert data_written.writable([], [mounted("", "tmpfs")]) == []
    assert data_written.writable([], [mounted("/v", "volume")])[0]["source"] == "volume db"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        assert data_written.writable([], [mounted(str(tmp_path / "s"))]) == []


def test_migration_writes_through_the_database_of_the_stack():
    row = {"Type": "volume", "Source": "/v", "Destination": "/var/lib/postgresql/data", "RW": True, "Name": "db"}
    kept = container("db", Mounts=[row], Config__Image="docker.io/library/postgres:15")
    assert data_written.writable([kept], [kept]) == []
    found = data_written.writable([kept], [kept, container("migrate")])
    assert [(each["service"], each["source"]) for each in found] == [("db", "volume db")]


def test_backup_set_from_before_is_offered(tmp_path):
    world = dataclasses.replace(World.real(), uid=1000, home=str(tmp_path))
    rows = [{"service": "web", "source": "/srv/d", "destination": "/data"}]
    assert data_written.warning("shop", [], 100.0, world) == ""
    assert "set" not in data_written.warning("shop", rows, 100.0, world)
    config = tmp_path / ".config" / "onebox" / "backup" / "shop.json"
    config.parent.mkdir(parents=True)
    state = tmp_path / "state"
    state.mkdir()
    config.write_text(json.dumps({"state_dir": str(state)}))
    assert "no backup set yet" in data_written.warning("shop", rows, 100.0, world)
    (state / "committed.json").write_text(json.dumps({"seq": 41, "place": "/backup"}))
    os.utime(state / "committed.json", (50.0, 50.0))
    assert "-e backup_set=41" in data_written.warning("shop", rows, 100.0, world)
    os.utime(state / "committed.json", (150.0, 150.0))
    assert "is newer than this deploy" in data_written.warning("shop", rows, 100.0, world)
