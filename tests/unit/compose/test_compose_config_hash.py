# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compose's own hash, against the labels of containers that real Compose 2.26.1 and 2.40.3 made."""

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.docker_compose import config_hash
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan.plan import HASH_LABEL
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import parse_inspect
from compose_facts import docker_model, recorded

VERSIONS = ("2.26.1", "2.40.3")


def _numbers(version):
    return tuple(int(part) for part in version.split("."))


def _containers(record):
    return {row.service: row for row in map(parse_inspect, record["containers"])}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("service", ["api", "db", "migrate", "side"])
def test_is_the_label_of_a_real_container(version, service):
    record = recorded(f"docker-compose-{version}")
    containers = _containers(record)
    ids = {name: row.id for name, row in containers.items()}
    made = config_hash.config_hash(docker_model(record).services[service].raw, ids, _numbers(version))
    assert made == containers[service].labels[HASH_LABEL]


@pytest.mark.parametrize(("version", "counts"), [((2, 29, 2), True), ((2, 29, 3), False), ((2, 40, 3), False)])
def test_depends_on_counts_until_2_29_2(version, counts):
    plain = {"image": "a", "networks": {"default": None}}
    hashed = [config_hash.config_hash({**plain, "depends_on": {"b": {}}}, {}, version)]
    assert (hashed[0] != config_hash.config_hash(plain, {}, version)) is counts


@pytest.mark.parametrize(("version", "counts"), [((2, 30, 1), True), ((2, 30, 2), False)])
def test_profiles_count_until_2_30_1(version, counts):
    with_profile = config_hash.config_hash({"image": "a", "profiles": ["x"]}, {}, version)
    assert (with_profile != config_hash.config_hash({"image": "a"}, {}, version)) is counts


@pytest.mark.parametrize("key", ["build", "pull_policy", "scale"])
def test_how_to_build_and_scale_never_counts(key):
    assert config_hash.config_hash({"image": "a", key: "x"}, {}, (2, 26, 1)) == config_hash.config_hash(
        {"image": "a"}, {}, (2, 26, 1)
    )


def test_replicas_do_not_count_and_other_deploy_keys_do():
    one = config_hash.config_hash({"deploy": {"replicas": 1, "resources": {}}}, {}, (2, 40, 3))
    assert one == config_hash.config_hash({"deploy": {"replicas": 3, "resources": {}}}, {}, (2, 40, 3))
    assert one != config_hash.config_hash({"deploy": {"replicas": 1}}, {}, (2, 40, 3))


def test_shared_namespace_counts_as_the_container_it_is():
    service = {"image": "a", "network_mode": "service:db"}
    before = config_hash.config_hash(service, {"db": "1" * 64}, (2, 40, 3))
    assert before != config_hash.config_hash(service, {"db": "2" * 64}, (2, 40, 3))
