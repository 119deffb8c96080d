# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engines on two Debian 13 hosts, checked from outside."""

import re

import pytest


@pytest.fixture
def image(host, engine):
    """A tiny image, for one test."""
    tag = "localhost/onebox-testbed/tiny:latest"
    host.check_output("%s load -q -i /testbed/%s", engine, _archive(host))
    yield tag
    host.check_output("%s image rm -f %s", engine, tag)


def _archive(host) -> str:
    (name,) = [name for name in host.file("/testbed").listdir() if name.startswith("saved-tiny-")]
    return name


def test_version_of_the_engine(host, engine):
    expected = {"docker": r"26\.1\.", "podman": r"5\.4\."}[engine]
    assert re.search(expected, host.check_output("%s --version", engine))


def test_compose_tool_is_installed(host, engine):
    if engine == "docker":
        assert host.check_output("docker compose version --short").startswith("2.26.")
        assert host.run("docker buildx version").rc == 0
    else:
        assert "podman-compose version 1." in host.check_output("podman-compose --version")


def test_docker_comes_back_after_a_reboot(host, engine):
    if engine == "docker":
        assert host.service("docker").is_running
        assert host.service("docker").is_enabled


def test_published_port_answers_from_outside(host, engine, image, get):
    run = "%s run -d --name obx-probe -m 64m -p 8123:80 %s httpd -f -h /etc"
    host.check_output(run, engine, image)
    try:
        assert get(8123, "/passwd") == (200, "root:x:0:0:root:/root:/bin/sh\n")
        assert host.socket("tcp://0.0.0.0:8123").is_listening or host.socket("tcp://:::8123").is_listening
        # Healthchecks are run this way: an engine that starts containers may still fail to enter them.
        assert host.check_output("%s exec obx-probe cat /etc/group", engine) == "root:x:0:"
    finally:
        host.check_output("%s rm -f -t 0 obx-probe" if engine == "podman" else "%s rm -f obx-probe", engine)


def test_preflight_left_no_container_and_no_image(host, engine):
    assert host.check_output("%s ps -aq", engine) == ""
    images = host.check_output("%s images --format '{{.Repository}}:{{.Tag}}'", engine).split()
    assert [image for image in images if "probe" in image] == []


def test_image_is_there_without_a_registry(host, engine):
    if engine == "podman":
        said = host.check_output("podman run --rm --pull=never docker.io/library/python:3.11-slim python --version")
        assert said.startswith("Python 3.11.")


def test_systemd_is_content(host):
    assert host.check_output("systemctl --failed --no-legend") == ""
