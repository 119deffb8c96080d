# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What podman-compose would leave out or misread. The files are parsed with PyYAML, as podman-compose does it."""

from __future__ import annotations

import pathlib
import sys

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose import (
    keys as podman_compose_keys,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose.driver import PodmanCompose
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import locate
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

# Its ``config``, as far as these cases need it: profiles, and variables by name.
SCRIPT = """#!{python}
import json, os, re, sys, yaml
option = lambda name: sys.argv[sys.argv.index(name) + 1]
rows = [line.strip().partition("=") for line in open(option("--env-file")) if "=" in line]
values = {{**os.environ, **{{name: value for name, _sign, value in rows}}, "COMPOSE_PROJECT_NAME": option("-p")}}
def value(match):
    if match[1] not in values and match[2].startswith(":?"):
        sys.exit("ValueError: required variable " + match[1] + " is missing a value: ")
    return values.get(match[1], "")
data = yaml.safe_load(re.sub(r"[$][{{](\\w+)([^}}]*)[}}]", value, open(option("-f")).read()))
active = set(values.get("COMPOSE_PROFILES", "").split(","))
data["services"] = {{k: v for k, v in data["services"].items() if not v.get("profiles") or active & set(v["profiles"])}}
print(yaml.safe_dump(data))
"""


@pytest.fixture
def refusals(tmp_path: pathlib.Path):
    """Where and what of each problem of a compose file; none when it is planned."""
    script = tmp_path / "podman-compose"
    script.write_text(SCRIPT.format(python=sys.executable))
    script.chmod(0o755)

    def judge(text: str, version: tuple[int, ...] = (1, 6, 0), env: str = "") -> dict[str, str]:
        (tmp_path / "compose.yml").write_text(text)
        (tmp_path / ".env").write_text(env)
        source = locate("shop", str(tmp_path), (), None, ())
        tool = PodmanCompose((str(script),), version, {"PATH": "/usr/bin:/bin"})
        try:
            model = tool.resolve(source, World.real())
        except BadStack as error:
            return {row.where.replace(f"{tmp_path}/compose.yml: ", ""): row.message for row in error.problems}
        except ComposeError as error:
            return {"": str(error)}
        return dict.fromkeys(model.unset, "unset")

    return judge


IGNORED = {
    "ipc": "host",
    "uts": "host",
    "oom_score_adj": "-500",
    "memswap_limit": "64m",
    "mem_swappiness": "1",
    "domainname": "example.org",
    "label_file": "[labels]",
    "post_start": "[{command: [touch, /tmp/hook]}]",
    "pre_stop": "[{command: [touch, /tmp/hook]}]",
    "volumes_from": "[other]",
    "gpus": "all",
    "cpu_quota": "1000",
    "cpu_period": "1000",
    "cgroup": "host",
    "cgroup_parent": "x",
    "blkio_config": "{weight: 300}",
    "external_links": "[x]",
    "storage_opt": "{size: 1G}",
    "provider": "{type: x}",
    "models": "[x]",
    "credential_spec": "{file: x}",
    "isolation": "x",
    "a_key_of_tomorrow": "1",
    "build": "{context: ., network: host}",
    "deploy": "{resources: {limits: {gpus: 1}}}",
    "healthcheck": "{test: x, start_hook: y}",
    "networks": "{default: {priority: 3}}",
    "env_file": "[{path: x.env, format: raw}]",
    "extra_hosts": "{db: 10.0.0.1}",
    "volumes": "[{type: volume, source: v, target: /v, volume: {nocopy: true}}]",
}


@pytest.mark.parametrize("key", IGNORED)
def test_key_that_podman_compose_ignores_is_refused_by_name(refusals, key: str):
    found = refusals(f"services:\n  web:\n    image: a\n    {key}: {IGNORED[key]}\n")
    (where,) = found
    assert where == "service web"
    assert found[where].startswith("podman-compose 1.6.0 does not support ")
    assert key in found[where]


@pytest.mark.parametrize(
    ("row", "left_out"),
    [
        ("{driver: nvidia, count: 1, capabilities: [gpu]}", False),
        ("{driver: cdi, device_ids: [x], capabilities: [gpu]}", True),
        ("{count: 1, capabilities: [gpu]}", True),
    ],
)
def test_devices_that_podman_compose_ignores_are_refused(refusals, row: str, left_out: bool):
    text = f"services: {{web: {{image: a, deploy: {{resources: {{reservations: {{devices: [{row}]}}}}}}}}}}"
    assert list(refusals(text)) == ["service web"] * left_out


def test_all_ignored_keys_are_refused_at_once(refusals):
    text = """
services:
  web: {image: a, ipc: host, deploy: {restart_policy: {condition: any}}}
  job: {image: a, uts: host, build: {context: ., shm_size: 1m}}
networks: {default: {enable_ipv4: false, ipam: {config: [{subnet: 10.0.0.0/24, aux_addresses: {a: 10.0.0.2}}]}}}
models: {m: {}}
x-anything: {ipc: host}
"""
    found = {
        (problem.where, problem.message.split(" support ")[1].split(".")[0])
        for problem in podman_compose_keys.left_out("f", _parsed(text), (1, 6, 0))
    }
    assert {where for where, _key in found} == {
        "f",
        "f: service web",
        "f: service job",
        "f: network default",
    }
    assert len(found) == 7


def _parsed(text: str):
    return pytest.importorskip("yaml").safe_load(text)


def test_keys_that_podman_compose_supports_are_planned(refusals):
    text = """
name: shop
services:
  web:
    image: a
    cap_add: [NET_ADMIN]
    container_name: w
    depends_on: {db: {condition: service_healthy, restart: true}}
    deploy: {replicas: 1, resources: {limits: {cpus: "1", memory: 1g, pids: 9}}, update_config: {order: start-first}}
    cpuset: "0"
    healthcheck: {test: [CMD, "true"], start_period: 3s, disable: false}
    logging: {driver: k8s-file, options: {max-size: "9m"}}
    networks: {default: {aliases: [x]}}
    read_only: true
    init: yes
    x-note: 1
    restart: "no"
  db: {image: a, restart: unless-stopped, develop: {watch: [{action: restart, path: ./x}]}}
networks: {default: {driver: bridge, internal: false, labels: {a: b}}}
volumes: {v: {driver_opts: {type: none, o: bind, device: /tmp}}}
"""
    assert refusals(text) == {}


def test_key_of_a_newer_podman_compose_is_refused_by_version(refusals):
    text = "services: {web: {image: a, cpuset: '0', scale: 2, build: {context: ., dockerfile_inline: FROM a}}}"
    assert refusals(text, (1, 5, 0)) == {}
    assert refusals("services: {web: {image: a, healthcheck: {test: x, start_interval: 1s}}}", (1, 5, 0))
    (message,) = set(refusals(text, (1, 3, 0)).values())
    assert message.startswith("podman-compose 1.3.0 does not support")


@pytest.mark.parametrize(
    ("body", "where", "what"),
    [
        ("ports: [22:22]", "service web, ports.0", 'reads 22:22 as a number in base 60. Quote it: "22:22"'),
        ("ports: [2222:22]", "service web, ports.0", "base 60"),
        ("environment: {AT: 10:30}", "service web, environment.AT", "base 60"),
        ("environment: {ON: true}", "service web, environment.ON", "reads true as Python's True"),
        ("environment: {OFF: off}", "service web, environment.OFF", "reads off as Python's False"),
        ("labels: {traefik.enable: true}", "service web, labels.traefik.enable", "Python's True"),
        ("build: {context: ., args: {DEBUG: no}}", "service web, build.args.DEBUG", "Python's False"),
        ("command: [serve, yes]", "service web, command.1", "Python's True"),
        ("restart: no", "service web, restart", "Python's False"),
    ],
)
def test_word_that_podman_compose_misreads_is_refused(refusals, body: str, where: str, what: str):
    found = refusals(f"services:\n  web:\n    image: a\n    {body}\n")
    assert list(found) == [where]
    assert what in found[where]


@pytest.mark.parametrize(
    "body",
    [
        'ports: ["22:22", 80, "127.0.0.1:1:1"]',
        "ports: [127.0.0.1:8022:22]",
        'environment: {ON: "true", N: 1}',
        "environment: [ON=true]",
        "privileged: yes",
        "tty: on",
    ],
)
def test_word_that_both_tools_read_alike_is_planned(refusals, body: str):
    assert refusals(f"services:\n  web:\n    image: a\n    {body}\n") == {}


def test_misread_word_from_an_anchor_is_found_where_it_is_used(refusals):
    text = "x-env: &env {ON: true}\nservices: {web: {image: a, environment: {<<: *env, A: b}}}\n"
    assert list(refusals(text)) == ["service web, environment.ON"]


@pytest.mark.parametrize("env", ["", "COMPOSE_PROFILES=other\n"])
def test_service_of_another_profile_requires_nothing(refusals, env: str):
    text = """
services:
  web: {image: a}
  gpu: {image: "b:${TAG}", profiles: [gpu], ipc: host, ports: [22:22], environment: {A: "${B:?}"}}
x-unused: "${C}"
"""
    assert refusals(text, env=env) == {}
    assert set(refusals(text, env="COMPOSE_PROFILES=other,gpu\n")) >= {"service gpu", "service gpu, ports.0"}


def test_project_name_is_set_by_the_tool(refusals):
    assert refusals('services: {web: {image: a, container_name: "${COMPOSE_PROJECT_NAME}-web"}}') == {}


@pytest.mark.parametrize(
    "text",
    [
        "services: {web: {image: a}}\nnetworks: [a]",
        "services: {web: {image: a}}\nnetworks: {a: 1}",
        "services: {web: {image: a}}\nnetworks: {a: {ipam: [x]}}",
        "services: {web: {image: a}}\nnetworks: {a: {ipam: {config: {subnet: x}}}}",
        "services: {web: {image: a}}\nnetworks: {a: {ipam: {config: [x]}}}",
        "services: {web: {image: a}}\nnetworks: {a: {ipam: {config: [null]}}}",
        "services: {web: {image: a}}\nvolumes: {a: {driver_opts: x}}",
        "services: {web: {image: a}}\nvolumes: {a: {labels: 1}}",
        "services: {web: {image: a, networks: x}}",
        "services: {web: {image: a, devices: /dev/null}}",
        "services: {web: {image: a, build: [x], deploy: x, healthcheck: [x]}}",
        "services: {web: {image: a, env_file: 1}}",
        "services: [web]",
        "services: {web: x}",
    ],
)
def test_file_of_another_shape_is_refused_without_a_traceback(refusals, text: str):
    assert refusals(text)


def test_list_of_additional_contexts_is_planned(refusals):
    text = "services: {web: {build: {context: ., additional_contexts: [base=./base, img=docker-image://a]}}}"
    assert refusals(text) == {}
