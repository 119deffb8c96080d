# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the compose tool of a host, and the interpreter of podman-compose. The answers of the tools are recorded."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers import find
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose import driver
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose.interpreter import (
    interpreter_of,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from recorded_tool import answers


class FakeEngine(Engine):
    """An engine as far as choosing a tool goes."""

    def __init__(self, name, socket="", version=""):
        self.name, self.socket, self.version = name, socket, version


class TestProvider:
    ENV = {"PATH": "/nowhere", "HOME": "/nowhere"}

    def test_docker_takes_compose_v2_over_its_socket(self):
        world = answers(version=(0, "2.26.1-4\n", ""))
        found = find.find("auto", FakeEngine("docker", "/run/d.sock"), self.ENV, world, executable="/x/dc")
        assert (found.kind, found.version) == ("docker-compose", (2, 26, 1))
        assert found.env["DOCKER_HOST"] == "unix:///run/d.sock"

    @pytest.mark.parametrize(("engine", "builder", "attested"), [("docker", None, "1"), ("podman", "0", None)])
    def test_podman_builds_without_buildkit_and_docker_without_attestations(self, engine, builder, attested):
        world = answers(version=(0, "2.40.3", ""))
        found = find.find("docker-compose", FakeEngine(engine, "/run/x.sock"), {"PATH": "/none"}, world)
        assert found.env.get("DOCKER_BUILDKIT") == builder
        assert found.env.get("BUILDX_NO_DEFAULT_ATTESTATIONS") == attested

    def test_podman_without_a_socket_takes_podman_compose(self):
        world = answers(version=(0, "1.6.0\n", ""))
        found = find.find("auto", FakeEngine("podman"), self.ENV, world, executable="/x/pc")
        assert (found.kind, found.version) == ("podman-compose", (1, 6, 0))
        assert "DOCKER_HOST" not in found.env

    def test_quadlets_are_used_only_if_they_are_named(self):
        world = answers(version=(0, "1.6.0\n", ""))
        engine = FakeEngine("podman", version="5.4.2")
        assert find.find("quadlet", engine, self.ENV, world, executable="/x/pc").kind == "quadlet"
        assert find.find("auto", engine, self.ENV, world, executable="/x/pc").kind == "podman-compose"
        assert find.likely("quadlet", FakeEngine("podman", "/run/x.sock"), self.ENV) is None

    @pytest.mark.parametrize(
        ("wanted", "engine", "version", "why"),
        [
            ("docker-compose", FakeEngine("podman"), "2.40.3", "no socket"),
            ("podman-compose", FakeEngine("docker", "/s"), "1.6.0", "drives only podman"),
            ("docker-compose", FakeEngine("docker", "/s"), "1.29.2", "too old"),
            ("podman-compose", FakeEngine("podman"), "1.0.6", "too old"),
            ("docker-compose", FakeEngine("docker", "/s"), "what", "cannot read its version"),
            ("quadlet", FakeEngine("docker", "/s"), "1.6.0", "drives only podman"),
            ("quadlet", FakeEngine("podman", version="4.3.1"), "1.6.0", "needs Podman 4.7 .* this is 4.3.1. Upgrade"),
            ("quadlet", FakeEngine("podman", version="5.4.2"), "1.0.6", "too old"),
        ],
    )
    def test_unsuitable_tool_is_refused_with_the_reason(self, wanted, engine, version, why):
        world = answers(version=(0, version, ""))
        with pytest.raises(ComposeError, match=why):
            find.find(wanted, engine, self.ENV, world, executable="/x/tool")

    def test_nothing_installed_names_what_was_tried(self, monkeypatch):
        monkeypatch.setattr(driver, "PRIVATE", "/nowhere/podman-compose")
        with pytest.raises(ComposeError, match=r"cannot run docker-compose.*cannot run podman-compose"):
            find.find("auto", FakeEngine("podman", "/s"), self.ENV, answers())

    def test_version_of_a_known_binary_is_cached_until_it_changes(self, tmp_path):
        tool = tmp_path / "docker-compose"
        tool.write_text("one")
        known = {find.fingerprint([str(tool)]): "2.40.3"}
        world = answers(version=(0, "2.41.0", ""))
        options = {"world": world, "executable": str(tool), "known": known}
        assert find.find("auto", FakeEngine("docker", "/s"), self.ENV, **options).version == (2, 40, 3)
        assert world.run.seen == []
        tool.write_text("another")
        assert find.find("auto", FakeEngine("docker", "/s"), self.ENV, **options).version == (2, 41, 0)

    def test_unknown_provider_is_refused(self):
        with pytest.raises(ComposeError, match="provider: 'kubernetes' is unknown"):
            find.find("kubernetes", None, self.ENV, answers())


class TestInterpreter:
    @pytest.mark.parametrize(
        ("script", "command"),
        [
            ("#!/usr/bin/python3\n", ("/usr/bin/python3",)),
            ("#!/usr/bin/python3 -s\n", ("/usr/bin/python3", "-s")),
            ("#!/usr/bin/env python3\n", ("python3",)),
            ('#!/bin/sh\n\'\'\'exec\' "/opt/with space/bin/python" "$0" "$@"\n', ("/opt/with space/bin/python",)),
            ("#!/bin/sh\n'''exec' /opt/long/bin/python3 \"$0\" \"$@\"\n", ("/opt/long/bin/python3",)),
        ],
    )
    def test_of_a_script(self, tmp_path, script, command):
        (tmp_path / "podman-compose").write_text(script)
        assert interpreter_of(str(tmp_path / "podman-compose"), {}) == command

    @pytest.mark.parametrize("script", ["#!/bin/bash\n", "\x7fELF", ""])
    def test_of_something_else(self, tmp_path, script):
        (tmp_path / "podman-compose").write_text(script)
        with pytest.raises(ComposeError, match="not a Python script"):
            interpreter_of(str(tmp_path / "podman-compose"), {})
