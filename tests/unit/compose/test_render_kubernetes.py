# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests mount each persistent path, or the stack is refused."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.onebox.stack.plugins.module_utils.compose.kubernetes.render import NAME, SECRETS, render
from ansible_collections.onebox.stack.plugins.module_utils.compose.render.parts import RenderError, Stack
from compose_facts import model_of
from hypothesis import given, settings
from hypothesis import strategies as st


def _rendered(services, top=None, **more):
    files = {each.path: each.content for each in render(Stack(model_of(services, **(top or {})), **more))}
    return {
        (each["kind"], each["metadata"]["name"]): each for text in files.values() for each in yaml.safe_load_all(text)
    }, files


def _container(documents, name="web", kind="Deployment"):
    return documents[kind, name]["spec"]["template"]["spec"]["containers"][0]


PATHS = st.from_regex(r"/[a-z]{1,6}(/[a-z]{1,6})?", fullmatch=True)
MOUNTS = st.one_of(
    st.builds(lambda p, ro: {"type": "bind", "source": f"/srv{p}", "target": p, "read_only": ro}, PATHS, st.booleans()),
    st.builds(lambda p: {"type": "volume", "source": "data", "target": p}, PATHS),
    st.builds(lambda p: {"type": "volume", "target": p}, PATHS),
    st.builds(lambda p: {"type": "tmpfs", "target": p}, PATHS),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(MOUNTS, max_size=5, unique_by=lambda row: row["target"]))
def test_each_persistent_path_is_mounted_from_a_claim(mounts):
    documents, _files = _rendered({"web": {"image": "web", "volumes": mounts}})
    pod = documents["Deployment", "web"]["spec"]["template"]["spec"]
    volumes = {row["name"]: row for row in pod.get("volumes", [])}
    made = {row["mountPath"]: volumes[row["name"]] for row in pod["containers"][0].get("volumeMounts", [])}
    assert set(made) == {row["target"] for row in mounts}
    for row in mounts:
        if row["type"] == "tmpfs":
            assert made[row["target"]]["emptyDir"]["medium"] == "Memory"
        else:
            claim = made[row["target"]]["persistentVolumeClaim"]["claimName"]
            assert ("PersistentVolumeClaim", claim) in documents
    writes = any(row["type"] == "volume" or (row["type"] == "bind" and not row["read_only"]) for row in mounts)
    strategy = documents["Deployment", "web"]["spec"]["strategy"]["type"]
    assert strategy == ("Recreate" if writes else "RollingUpdate")


@pytest.mark.parametrize(
    ("service", "message"),
    [
        ({"volumes": ["/var/run/docker.sock:/s"]}, "service web: /var/run/docker.sock belongs to one host"),
        ({"volumes": ["/srv/file:/file"]}, "service web: the file /srv/file is not a small, read-only file"),
        ({"volumes": ["data:/data"], "scale": 2}, "service web: its 2 replicas cannot write to /data"),
        ({"volumes_from": ["db"]}, "service web: volumes_from does not exist"),
        ({"user": "app"}, "service web: user app must be a number"),
        ({"network_mode": "service:db"}, "service web: network_mode service:db does not exist"),
    ],
)
def test_service_that_would_lose_data_or_rights_is_refused(service, message):
    with pytest.raises(RenderError, match=message):
        _rendered({"web": {"image": "web", **service}}, modes={"/srv/file": "file"})


def test_secrets_are_in_a_file_of_their_own():
    services = {"web": {"image": "web", "environment": {"MODE": "prod", "KEY": "a\nb"}, "secrets": ["own"]}}
    documents, files = _rendered(
        services,
        {"secrets": {"own": {"file": "./own"}}},
        texts={"compose.yml": "MODE: prod\n"},
        contents={"/opt/onebox/shop/own": b"\xff\x00"},
    )
    assert "KEY" not in files[NAME]
    assert yaml.safe_load_all(files[SECRETS])
    main = _container(documents)
    assert main["env"] == [{"name": "MODE", "value": "prod"}]
    secret = documents["Secret", main["envFrom"][0]["secretRef"]["name"]]
    assert secret["stringData"] == {"KEY": "a\nb"}
    assert main["volumeMounts"][0]["mountPath"] == "/run/secrets/own"
    assert [each["data"] for (kind, _n), each in documents.items() if kind == "Secret" and "data" in each] == [
        {"own": "/wA="}
    ]


def test_small_file_becomes_a_config_map():
    documents, _files = _rendered(
        {"web": {"image": "web", "volumes": ["/srv/app.conf:/etc/app.conf:ro"]}},
        modes={"/srv/app.conf": "file"},
        contents={"/srv/app.conf": b"text"},
    )
    maps = [each for (kind, _name), each in documents.items() if kind == "ConfigMap"]
    assert [each["data"] for each in maps] == [{"app.conf": "text"}]
    assert _container(documents)["volumeMounts"] == [
        {"name": "v0", "mountPath": "/etc/app.conf", "readOnly": True, "subPath": "app.conf"}
    ]


def test_only_ports_on_all_addresses_are_published():
    documents, _files = _rendered({"web": {"image": "web", "ports": ["127.0.0.1:81:81", "80:8080"]}})
    assert documents["Service", "web"]["spec"]["clusterIP"] == "None"
    ports = documents["Service", "web-public"]["spec"]["ports"]
    assert [(row["port"], row["targetPort"]) for row in ports] == [(80, 8080)]


def test_service_that_is_awaited_becomes_a_job():
    depends = {"migrate": {"condition": "service_completed_successfully"}}
    services = {
        "web": {"image": "web", "depends_on": depends},
        "migrate": {"image": "web", "restart": "on-failure:3", "command": ["run", "$(pwd)"]},
    }
    documents, _files = _rendered(services)
    job = documents["Job", "migrate"]["spec"]
    assert (job["backoffLimit"], job["template"]["spec"]["restartPolicy"]) == (3, "OnFailure")
    assert _container(documents, "migrate", "Job")["args"] == ["run", "$$(pwd)"]
    assert ("Deployment", "web") in documents


def test_health_check_limits_and_rights_are_kept():
    service = {
        "image": "web",
        "healthcheck": {"test": ["CMD-SHELL", "true"], "interval": "1m30s", "retries": 5, "start_period": "20s"},
        "mem_limit": "64m",
        "cap_drop": ["ALL"],
        "cap_add": ["CAP_CHOWN"],
        "user": "1000:1001",
        "read_only": True,
        "security_opt": ["no-new-privileges:true"],
        "volumes": ["data:/data"],
    }
    documents, _files = _rendered({"web": service})
    main = _container(documents)
    assert main["readinessProbe"] == main["livenessProbe"]
    assert main["readinessProbe"] == {
        "exec": {"command": ["/bin/sh", "-c", "true"]},
        "initialDelaySeconds": 20,
        "periodSeconds": 90,
        "timeoutSeconds": 30,
        "failureThreshold": 5,
    }
    assert main["resources"] == {"limits": {"memory": str(64 << 20)}}
    assert main["securityContext"] == {
        "runAsUser": 1000,
        "runAsGroup": 1001,
        "allowPrivilegeEscalation": False,
        "capabilities": {"add": ["CHOWN"], "drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert documents["Deployment", "web"]["spec"]["template"]["spec"]["securityContext"] == {"fsGroup": 1001}
