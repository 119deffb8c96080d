# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a container that runs already saves the probe, and when it does not."""

from __future__ import annotations

import os
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import parse_inspect
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup import running_probe
from ansible_collections.onebox.stack.plugins.module_utils.engine.times import epoch_of

STARTED = "2026-11-21T09:00:00Z"


def container(**changes: t.Any):
    state = {"Status": "running", "Pid": 7, "StartedAt": STARTED, "Health": {"Status": "healthy"}}
    ports = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}
    given = {"state": {}, "ports": ports, **changes}
    return parse_inspect({"State": {**state, **given["state"]}, "HostConfig": {"PortBindings": given["ports"]}})


def test_healthy_one_with_a_port_shows_it():
    assert running_probe.by([container()], epoch_of(STARTED) - 1)


@pytest.mark.parametrize(
    ("changes", "since"),
    [
        ({}, 1),  # the engine is another one since
        ({"ports": {}}, -1),
        ({"state": {"Health": None}}, -1),
        ({"state": {"Health": {"Status": "unhealthy"}}}, -1),
        ({"state": {"Status": "exited", "Pid": 0}}, -1),
        ({"state": {"StartedAt": ""}}, -1),
    ],
)
def test_less_than_that_does_not(changes, since):
    assert not running_probe.by([container(**changes)], epoch_of(STARTED) + since)


def test_no_container_shows_nothing():
    assert not running_probe.by([], 0.0)


def test_settings_written_or_removed_are_a_change(tmp_path):
    folder = tmp_path / "containers.conf.d"
    folder.mkdir()
    drop_in = str(folder / "50-onebox.conf")
    looked_at = [place for place in running_probe.places(drop_in, {}) if place.startswith(str(tmp_path))]
    assert running_probe.last_change([str(tmp_path / "nowhere")]) == 0.0
    os.utime(folder, ns=(0, 0))
    before = running_probe.last_change(looked_at)
    (folder / "50-onebox.conf").write_text("[engine]\n")
    written = running_probe.last_change(looked_at)
    (folder / "50-onebox.conf").unlink()
    assert before < written <= running_probe.last_change(looked_at)


def test_file_named_by_a_variable_counts_as_settings():
    assert "/srv/podman.conf" in running_probe.places("/etc/drop_in", {"CONTAINERS_CONF": "/srv/podman.conf"})
