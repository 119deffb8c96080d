# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe on real engines, and Podman's settings found for real on this host."""

import dataclasses
import os
import pathlib
import subprocess
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import SocketEngine
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup import containers_conf, preflight, survey
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup.probe import Probe


@pytest.fixture(params=["docker", "podman"])
def engine(request):
    return request.getfixturevalue(f"{request.param}_engine")


def world_with(environ):
    return dataclasses.replace(World.real(), environ=environ)


def leftovers(engine, tag):
    listed = engine.run("ps", "-a", "--format", "{{.Names}}").stdout
    listed += engine.run("images", "--format", "{{.Repository}}").stdout
    return [line for line in listed.splitlines() if f"onebox-probe-{tag}" in line]


def test_probe_runs_and_leaves_nothing(engine):
    probe = Probe(engine.name, world_with(engine.environ), tag="obx-engine-ok")
    assert probe() == ""
    assert probe() == ""
    probe.clear()
    assert leftovers(engine, "obx-engine-ok") == []


def test_runtime_that_fails_is_reported_and_leaves_nothing(podman_engine, tmp_path):
    runtime = tmp_path / "broken"
    runtime.write_text("#!/bin/sh\necho 'broken: no such luck' >&2\nexit 1\n")
    runtime.chmod(0o755)
    configuration = tmp_path / "broken.conf"
    # The network is named: the default of Podman depends on files of other packages, and comes first.
    configuration.write_text(
        f'[network]\nnetwork_backend = "netavark"\n'
        f'[engine]\nruntime = "broken"\n[engine.runtimes]\nbroken = ["{runtime}"]\n'
    )
    # The environment is read at each call: later ones are those of an engine that works again.
    environ = {**podman_engine.environ, "CONTAINERS_CONF": str(configuration)}
    probe = Probe("podman", world_with(environ), tag="obx-engine-broken")
    assert "no such luck" in probe()
    configuration.write_bytes(pathlib.Path(podman_engine.env["CONTAINERS_CONF"]).read_bytes())
    probe.clear()
    assert leftovers(podman_engine, "obx-engine-broken") == []


def test_healthy_container_with_a_port_saves_the_probe(docker_engine, tiny_image, tmp_path):
    name, calls = "obx-engine-shown", []
    health = ["--health-cmd", "true", "--health-interval", "1s"]
    docker_engine.run("run", "-d", "--name", name, *health, "-p", "127.0.0.1::80", tiny_image, "sleep", "100")
    try:
        engine = SocketEngine(docker_engine.socket)
        deadline = time.monotonic() + 20
        while engine.containers(names=[name])[0].health != "healthy":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        file = containers_conf.DropIn(str(tmp_path))
        # Without a runtime directory no earlier probe is known.
        run = {"run": lambda argv, **options: calls.append(argv), "uid": 1000, "environ": {}}
        assert survey.prove(engine, file, dataclasses.replace(World.real(), **run)) is False
        assert calls == []
    finally:
        docker_engine.run("rm", "-f", name)


def test_passed_probe_saves_the_next_until_the_settings_change(docker_engine, tmp_path):
    calls = []

    def run(argv, **options):
        calls.append(list(argv[1:2]))
        return World.real().run(argv, **options)

    # Containers of others must not replace the probe. The user is not root, to have a runtime directory of its own.
    engine = SocketEngine(docker_engine.socket)
    engine.containers = lambda **options: []
    environ = {**docker_engine.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    world = dataclasses.replace(World.real(), run=run, uid=1000, environ=environ)
    settings = tmp_path / "containers.conf.d"
    settings.mkdir()
    file = containers_conf.DropIn(str(settings))
    assert survey.prove(engine, file, world) is False
    assert ["exec"] in calls
    calls.clear()
    assert survey.prove(engine, file, world) is False
    assert calls == []
    (settings / "50-onebox.conf").write_text("[engine]\n")
    assert survey.prove(engine, file, world) is False
    assert ["exec"] in calls


def test_settings_are_found_and_suffice(tmp_path):
    """Starting from nothing but Podman's defaults, whatever this host needs."""
    file = containers_conf.DropIn(str(tmp_path))

    def probe():
        conf = file.path if os.path.exists(file.path) else "/dev/null"
        return Probe("podman", world_with({**os.environ, "CONTAINERS_CONF": conf}), tag="obx-engine-settle")()

    needed = bool(probe())
    try:
        assert file.settle(probe, containers_conf.choices_here(), World.real()) is needed
        assert probe() == ""
        assert bool(preflight.names_in(file.read())) is needed
        assert file.settle(probe, containers_conf.choices_here(), World.real()) is False
    finally:
        subprocess.run(
            ["podman", "image", "rm", "-f", "localhost/onebox-probe-obx-engine-settle"],
            check=False,
            capture_output=True,
        )
