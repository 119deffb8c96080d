# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts about Kubernetes and rendered manifests agree with the schemas of its API. No cluster runs here."""

from __future__ import annotations

import re

import jsonschema
import pytest
import yaml
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability import kubernetes_facts
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability.find import of_the_system
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability.table import DROP
from ansible_collections.onebox.stack.plugins.module_utils.compose.render.parts import RenderError
from onebox_testbed import kubernetes
from render_lab import FOLDERS, order_of, rendered

CORE = "io.k8s.api.core.v1."
# Types of the core group that describe how a pod and its containers run.
TYPES = ("Container", "PodSpec", "SecurityContext", "PodSecurityContext", "ResourceRequirements", "Probe")
# Dropped constructs: a pattern that the name of a field for it would match, unless it is in the second text.
NO_FIELD = {
    "build": ("build|context$|dockerfile", "securityContext"),
    "depends_on": ("depend|after|order", ""),
    "depends_on condition": ("depend|after|order", ""),
    "depends_on completed": ("depend|after|order", ""),
    "container_name": ("containerName", ""),
    "links": ("^links?$", "enableServiceLinks"),
    "external_links": ("^external", ""),
    "domainname": ("domain", "subdomain"),
    "devices": ("^devices?$", "volumeDevices"),
    "device_cgroup_rules": ("cgroup", ""),
    "gpus": ("gpu", ""),
    "security_opt": ("securityOpt|labelDisable", ""),
    "userns_mode": ("userns", "hostUsers"),
    "cgroup_parent": ("cgroup", ""),
    "cgroup": ("cgroup", ""),
    "uts": ("^(host)?uts", ""),
    "init": ("^init$|tini", "initContainers"),
    "runtime": ("^runtime$", "runtimeClassName"),
    "ulimits": ("ulimit|rlimit|nofile", ""),
    "pids_limit": ("pids", ""),
    "memswap_limit": ("swap", ""),
    "cpuset": ("cpuset", ""),
    "cpu_shares": ("shares", ""),
    "oom_score_adj": ("oom", ""),
    "storage_opt": ("storageOpt", ""),
    "shm_size": ("shm", ""),
    "mac_address": ("mac", ""),
    "fixed address": ("^ip|address", ""),
    "external network": ("^networks?$", "hostNetwork"),
    "several networks": ("^networks?$", "hostNetwork"),
    "logging": ("^log", ""),
    "volumes_from": ("volumesFrom", ""),
}
# Constructs that the API has a field for.
FIELD = {
    "restart": ("PodSpec", "restartPolicy"),
    "healthcheck": ("Container", "livenessProbe"),
    "platform": ("PodSpec", "nodeSelector"),
    "pull_policy": ("Container", "imagePullPolicy"),
    "privileged": ("SecurityContext", "privileged"),
    "cap_add": ("SecurityContext", "capabilities"),
    "pid": ("PodSpec", "hostPID"),
    "ipc": ("PodSpec", "hostIPC"),
    "user by name": ("SecurityContext", "runAsUser"),
    "sysctls": ("PodSecurityContext", "sysctls"),
    "network_mode": ("PodSpec", "hostNetwork"),
    "published address": ("ServiceSpec", "clusterIP"),
    "published port": ("ServiceSpec", "type"),
    "bind mount": ("Volume", "hostPath"),
    "host socket": ("Volume", "hostPath"),
    "named volume": ("Volume", "persistentVolumeClaim"),
    "anonymous volume": ("Volume", "persistentVolumeClaim"),
    "several writers": ("PersistentVolumeClaimSpec", "accessModes"),
    "tmpfs": ("Volume", "emptyDir"),
    "env_file": ("Container", "envFrom"),
    "name of the service": ("Container", "name"),
}
BY_NAME = {fact.name: fact for fact in kubernetes_facts.FACTS}


def _fields(kind):
    return kubernetes.definitions()[CORE + kind]["properties"]


def test_every_fact_about_kubernetes_is_compared():
    assert {*NO_FIELD, *FIELD} == set(BY_NAME)
    assert {name for name, fact in BY_NAME.items() if fact.effect == DROP} == set(NO_FIELD)


@pytest.mark.parametrize("name", sorted(NO_FIELD))
def test_dropped_construct_has_no_field(name):
    pattern, others = NO_FIELD[name]
    names = {field for kind in TYPES for field in _fields(kind)}
    assert {field for field in names if re.search(pattern, field, re.IGNORECASE)} <= set(others.split())


@pytest.mark.parametrize("name", sorted(FIELD))
def test_changed_construct_has_a_field(name):
    kind, field = FIELD[name]
    assert field in _fields(kind)


def test_user_of_a_container_is_a_number_and_a_name_is_refused():
    assert "integer" in _fields("SecurityContext")["runAsUser"]["type"]


KINDS = {
    "Deployment": "io.k8s.api.apps.v1.Deployment",
    "Job": "io.k8s.api.batch.v1.Job",
    "Service": CORE + "Service",
    "Secret": CORE + "Secret",
    "ConfigMap": CORE + "ConfigMap",
    "PersistentVolumeClaim": CORE + "PersistentVolumeClaim",
}


def _validate(document):
    schema = {"$defs": kubernetes.definitions(), "$ref": f"#/$defs/{KINDS[document['kind']]}"}
    jsonschema.Draft202012Validator(schema).validate(document)


def _documents(files):
    return [each for text in files.values() for each in yaml.safe_load_all(text)]


# The mount that refuses each of these.
REFUSED = {"monitor": "/ ", "proxy": "/var/run/docker.sock", "vpn": "/lib/modules", "wiki": "wiki.yml"}


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_manifests_of_a_real_compose_file_fit_the_schemas_or_name_the_refused_path(name, compose_tool, tmp_path):
    order = order_of(name, "kubernetes", tmp_path)
    if name in REFUSED:
        with pytest.raises(RenderError, match=REFUSED[name]):
            rendered(order)
        return
    documents = _documents(rendered(order))
    assert {each["kind"] for each in documents} >= {"Deployment", "Service"}
    for each in documents:
        _validate(each)
    claims = {each["metadata"]["name"] for each in documents if each["kind"] == "PersistentVolumeClaim"}
    for each in documents:
        pod = each["spec"]["template"]["spec"] if each["kind"] in ("Deployment", "Job") else {}
        for volume in pod.get("volumes", []):
            assert volume.get("persistentVolumeClaim", {}).get("claimName", "") in {"", *claims}
            assert not of_the_system(volume.get("hostPath", {}).get("path", "/etc/localtime"))


def test_unknown_field_and_wrong_type_do_not_fit_the_schema():
    good = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "b"}}
    _validate(good)
    for wrong in ({**good, "ulimits": {}}, {**good, "data": {"a": 1}}):
        with pytest.raises(jsonschema.ValidationError):
            _validate(wrong)
