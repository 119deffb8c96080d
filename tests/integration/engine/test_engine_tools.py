# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compose tools installed for real next to the system, into a directory of the test."""

import json
import subprocess

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup.compose_tool import Installer
from examples_runner import run_tasks


def version(path):
    return subprocess.run([path, "version", "--short"], capture_output=True, text=True, check=True).stdout.strip()


def test_podman_compose_is_installed_and_runs(tmp_path):
    installer = Installer(str(tmp_path / "opt"), str(tmp_path / "bin"), World.real())
    assert version(installer.podman_compose("podman-compose==1.6.0", "/usr/bin/python3")) == "1.6.0"
    assert version(str(tmp_path / "bin" / "podman-compose")) == "1.6.0"


def test_docker_compose_is_installed_and_runs(tmp_path):
    installer = Installer(str(tmp_path / "opt"), str(tmp_path / "bin"), World.real())
    assert version(installer.docker_compose("trixie", ["docker-compose", "docker-buildx"])).startswith("2.")
    assert (tmp_path / "bin" / "docker-buildx").exists()


def test_modules_agree_on_this_host(docker_engine):
    """The preflight of the Docker that answers, through Ansible; the check changes nothing."""
    tasks = [
        {"name": "look", "onebox.stack.container_engine_preflight": {"engine": "docker"}, "register": "looked"},
        {"name": "images", "onebox.stack.container_images": {"engine": "docker", "images": []}},
    ]
    results = run_tasks(tasks, environment=docker_engine.env)
    look = results["look"]
    assert look["name"] == "docker"
    assert look["changed"] is False
    assert look["version"]
    assert look["settings"] == []
    assert results["images"]["images"] == []
    # What is registered can be written as JSON: the report does.
    json.dumps(results)


def test_unknown_engine_names_the_option():
    task = {
        "name": "look",
        "onebox.stack.container_engine_preflight": {"engine": "lxc"},
        "ignore_errors": True,
    }
    said = run_tasks([task])["look"]
    assert said["failed"]
    assert "engine must be one of: auto, docker, podman" in said["msg"]


def test_check_mode_without_the_packages_says_what_would_be_installed(podman_compose):
    """With an unknown command, the host counts as incomplete and is not changed."""
    task = {
        "name": "look",
        "onebox.stack.container_engine_preflight": {
            "engine": "podman",
            "commands": ["obx-engine-nosuch"],
            "packages": ["obx-engine-nosuch", "dpkg"],
        },
    }
    # A host without any compose tool has another problem first.
    said = run_tasks([task], check=True, environment=podman_compose.env)["look"]
    assert said["missing_packages"] == ["obx-engine-nosuch"]
    assert said["changed"] is True
    assert "would install obx-engine-nosuch" in said["notes"]
    assert "obx-engine-nosuch is not installed" in said["problem"]
