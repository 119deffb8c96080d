# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered stack files are accepted by ``docker stack``, and run on a real Swarm with the data of the compose stack."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
import yaml
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability.check import Order
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from render_lab import FOLDERS, ROOT, order_of, rendered, write
from swarm_lab import swarm

COMPOSE = """
services:
  data:
    image: {image}
    command: [sh, -c, "while true; do sleep 1; done"]
    volumes: ["data:/data", "./files:/files:ro"]
    environment:
      SHOWN: literal
      HIDDEN: ${{PASSWORD}}
    secrets: [key]
    configs: [{{source: text, target: /text}}]
    tmpfs: ["/scratch:size=1m"]
    shm_size: 96m
    user: "0:0"
    mem_limit: 64m
    stop_grace_period: 1s
    healthcheck: {{test: [CMD, "true"], interval: 1s}}
  job:
    image: {image}
    command: ["true"]
    depends_on: {{data: {{condition: service_healthy}}}}
secrets: {{key: {{file: ./key}}}}
configs: {{text: {{content: "costs $$5\\n"}}}}
volumes: {{data: {{}}}}
"""


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_rendered_stack_of_a_real_compose_file_is_accepted(name, compose_tool, tmp_path):
    files = rendered(order_of(name, "swarm", tmp_path))
    place = write(files, tmp_path / "swarm")
    done = subprocess.run(
        ["docker", "stack", "config", "-c", "stack.yml"],
        env=compose_tool,
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "gnoring" not in done.stderr
    lines = [line for line in files["stack.yml"].splitlines() if "image:" not in line]
    assert [line for line in lines if "value-of-" in line] == []
    assert yaml.safe_load(done.stdout)["services"]


@pytest.fixture
def lab(docker28_engine, tmp_path_factory):
    with swarm(docker28_engine, tmp_path_factory.mktemp("swarm")) as made:
        yield made


def test_rendered_stack_runs_on_a_swarm_with_the_data_of_the_compose_stack(
    lab, docker28_engine, compose_tool, tiny_image, tmp_path
):
    folder = tmp_path / "shop"
    (folder / "files").mkdir(parents=True)
    (folder / "files/one").write_text("from the host")
    (folder / "key").write_text("secret-content")
    (folder / ".env").write_text("PASSWORD=hidden-value\n")
    (folder / "compose.yml").write_text(COMPOSE.format(image=tiny_image))
    assert lab.docker("volume", "create", "obx-shop_data").returncode == 0
    done = lab.docker("run", "--rm", "-v", "obx-shop_data:/data", tiny_image, "sh", "-c", "echo kept > /data/one")
    assert done.returncode == 0, done.stderr
    environ = {**compose_tool, **docker28_engine.env}
    world = dataclasses.replace(World.real(), environ=environ)
    files = rendered(Order("obx-shop", str(folder), render="swarm"), world)
    assert "hidden-value" not in files["stack.yml"]
    write(files, lab.root)
    try:
        done = lab.docker("stack", "deploy", "--detach=true", "-c", "stack.yml", "obx-shop")
        assert done.returncode == 0, done.stderr
        assert "gnoring" not in done.stderr
        container = lab.until(
            lambda: [row["container"] for row in lab.tasks("obx-shop_data") if row["state"] == "running"]
        )[0]
        script = (
            "cat /data/one /files/one /run/secrets/key /text; echo; echo $SHOWN $HIDDEN; df -m /scratch /dev/shm | "
            "tail -n 2 | awk '{print $2}'"
        )
        said = lab.docker("exec", container, "sh", "-c", script)
        assert said.stdout.split() == [
            *("kept", "from", "the", "hostsecret-contentcosts", "$5", "literal", "hidden-value", "1", "96")
        ], said.stderr
        limit = lab.docker("inspect", "-f", "{{.HostConfig.Memory}}", container).stdout.strip()
        assert limit == str(64 << 20)
        # A one-shot service ends once and is not started again.
        lab.until(lambda: [row for row in lab.tasks("obx-shop_job") if row["state"] == "complete"])
        assert len(lab.tasks("obx-shop_job")) == 1
        # The way back: the volume of the compose stack has the data, also what the Swarm wrote.
        assert lab.docker("exec", container, "sh", "-c", "echo swarm >> /data/one").returncode == 0
        lab.remove("obx-shop")
        back = lab.docker("run", "--rm", "-v", "obx-shop_data:/data", tiny_image, "cat", "/data/one")
        assert back.stdout.split() == ["kept", "swarm"]
    finally:
        lab.remove("obx-shop")
        lab.until(lambda: lab.docker("volume", "rm", "obx-shop_data").returncode == 0)


def _play(folder, environ, *words):
    program = ["ansible-playbook", "-i", "localhost,", "-c", "local", str(ROOT / "playbooks/portability.yml")]
    values = {
        "ansible_python_interpreter": sys.executable,
        "compose_stack_name": "wiki",
        "compose_stack_project_dir": str(folder),
    }
    for name, value in values.items():
        program += ["-e", f"{name}={value}"]
    environ = {**environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PWD": str(folder)}
    return subprocess.run(
        [*program, *words], env=environ, cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )


def test_playbook_writes_private_files_and_fails_below_the_minimum(compose_tool, tmp_path):
    (tmp_path / ".env").write_text("PASSWORD=hidden-value\n")
    service = "{image: web, environment: {KEY: '${PASSWORD}'}, privileged: true}"
    (tmp_path / "compose.yml").write_text(f"services: {{web: {service}}}\n")
    done = _play(tmp_path, compose_tool, "-e", "render=swarm")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "swarm: 0 of 1 services move (0 %)" in done.stdout
    assert "hidden-value" not in done.stdout
    written = {path.name: path for path in (tmp_path / "wiki-swarm").iterdir()}
    assert {name: path.stat().st_mode & 0o777 for name, path in written.items()} == {
        "stack.yml": 0o600,
        "web.env": 0o600,
    }
    assert written["web.env"].read_text() == "KEY=hidden-value\n"
    done = _play(tmp_path, compose_tool, "-e", "portability_minimum=1")
    assert done.returncode != 0
    assert "the score is below minimum_score (1 %): swarm 0 %" in done.stdout
    assert "The container runs without privileges." in done.stdout
